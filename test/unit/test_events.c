/* SPDX-License-Identifier: ISC */
/* A burst of events over a real socket that takes only some of them. */
/* needs: proxy/worker/events.c proxy/ipc/event.c proxy/ipc/channel.c */
/* needs: proxy/base/ */
/* libs: uv */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "proxy/ipc/channel.h"
#include "proxy/worker/events.h"

struct fixture {
	uv_loop_t loop;
	struct events events;
	int observer;
};

static void
fixture_start(struct fixture *fixture)
{
	int fds[2];

	assert_true(channel_pair(fds));
	fixture->observer = fds[1];
	assert_int_equal(uv_loop_init(&fixture->loop), 0);
	events_init(&fixture->events);
	events_connect(&fixture->events, &fixture->loop, fds[0]);
}

static void
fixture_stop(struct fixture *fixture)
{
	uv_close((uv_handle_t *)&fixture->events.poll, NULL);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&fixture->loop), 0);
	close(fixture->events.fd);
	close(fixture->observer);
}

static bool
send_number(struct fixture *fixture, uint64_t number)
{
	struct event event;

	event_begin(&event, EVENT_DEBUG);
	event_u64(&event, FIELD_COUNT, number);
	return events_send(&fixture->events, &event);
}

/* Reads what is there; the numbers must go on from *next. */
static void
observe(struct fixture *fixture, uint64_t *next)
{
	uint8_t message[EVENT_MAX];
	ssize_t n;

	while ((n = recv(fixture->observer, message, sizeof(message),
		    MSG_DONTWAIT)) > 0) {
		struct event_reader reader;
		struct event_value value;
		assert_true(
		    event_reader_init(&reader, span_of(message, (size_t)n)));
		assert_true(event_reader_next(&reader, &value));
		assert_int_equal(value.number, *next);
		(*next)++;
	}
}

static void
test_a_burst_arrives_whole_and_in_order(void **state)
{
	struct fixture fixture;
	uint64_t next = 0;
	(void)state;

	fixture_start(&fixture);
	for (uint64_t i = 0; i < 5000; i++) {
		assert_true(send_number(&fixture, i));
		if (i == 3000)
			observe(&fixture, &next);
	}
	assert_non_null(fixture.events.queue);
	while (next < 5000) {
		uv_run(&fixture.loop, UV_RUN_NOWAIT);
		observe(&fixture, &next);
	}
	uv_run(&fixture.loop, UV_RUN_NOWAIT);
	assert_null(fixture.events.queue);
	fixture_stop(&fixture);
}

static void
test_what_is_beyond_the_bound_is_dropped(void **state)
{
	struct fixture fixture;
	uint64_t sent = 0, next = 0;
	(void)state;

	fixture_start(&fixture);
	while (send_number(&fixture, sent)) {
		sent++;
		assert_true(sent < 1000000);
	}
	assert_false(send_number(&fixture, 0));
	while (next < sent) {
		uv_run(&fixture.loop, UV_RUN_NOWAIT);
		observe(&fixture, &next);
	}
	uv_run(&fixture.loop, UV_RUN_NOWAIT);
	assert_true(send_number(&fixture, next));
	observe(&fixture, &next);
	assert_int_equal(next, sent + 1);
	fixture_stop(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_burst_arrives_whole_and_in_order),
	    cmocka_unit_test(test_what_is_beyond_the_bound_is_dropped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
