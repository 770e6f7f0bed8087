/* SPDX-License-Identifier: ISC */
/* Events over a real socket: at once, together, and more than it takes. */
/* needs: proxy/worker/events.c proxy/ipc/event.c proxy/ipc/channel.c */
/* needs: proxy/base/ */
/* libs: uv */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
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
	uv_close((uv_handle_t *)&fixture->events.pause, NULL);
	uv_run(&fixture->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&fixture->loop), 0);
	close(fixture->events.fd);
	close(fixture->observer);
	free(fixture->events.queue);
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
	uint8_t data[EVENT_BATCH_MAX];
	ssize_t n;

	while ((n = recv(fixture->observer, data, sizeof(data),
		    MSG_DONTWAIT | MSG_TRUNC)) > 0) {
		struct event_reader reader;
		struct event_value value;
		struct span event;
		assert_true((size_t)n <= sizeof(data));
		struct span message = span_of(data, (size_t)n);
		for (; event_take(&message, &event); (*next)++) {
			assert_true(event_reader_init(&reader, event));
			assert_true(event_reader_next(&reader, &value));
			assert_int_equal(value.number, *next);
		}
		assert_int_equal(message.len, 0);
	}
}

static void
observe_until(struct fixture *fixture, uint64_t *next, uint64_t end)
{
	while (*next < end) {
		uv_run(&fixture->loop, UV_RUN_NOWAIT);
		observe(fixture, next);
	}
}

static void
test_the_first_goes_at_once_and_the_others_together(void **state)
{
	struct fixture fixture;
	uint64_t next = 0;
	(void)state;

	fixture_start(&fixture);
	for (uint64_t i = 0; i < 3; i++)
		assert_true(send_number(&fixture, i));
	observe(&fixture, &next);
	assert_int_equal(next, 1);
	uv_run(&fixture.loop, UV_RUN_ONCE);
	observe(&fixture, &next);
	assert_int_equal(next, 3);
	fixture_stop(&fixture);
}

static void
test_what_waits_goes_before_the_worker_does(void **state)
{
	struct fixture fixture;
	uint64_t next = 0;
	(void)state;

	fixture_start(&fixture);
	for (uint64_t i = 0; i < 100; i++)
		assert_true(send_number(&fixture, i));
	events_finish(&fixture.events);
	observe(&fixture, &next);
	assert_int_equal(next, 100);
	fixture_stop(&fixture);
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
	observe_until(&fixture, &next, 5000);
	assert_int_equal(fixture.events.head, fixture.events.tail);
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
	observe_until(&fixture, &next, sent);
	assert_true(send_number(&fixture, next));
	observe_until(&fixture, &next, sent + 1);
	fixture_stop(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		test_the_first_goes_at_once_and_the_others_together),
	    cmocka_unit_test(test_what_waits_goes_before_the_worker_does),
	    cmocka_unit_test(test_a_burst_arrives_whole_and_in_order),
	    cmocka_unit_test(test_what_is_beyond_the_bound_is_dropped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
