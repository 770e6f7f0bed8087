/* SPDX-License-Identifier: ISC */
/* Events: what is put in comes out, and nothing malformed is ever read. */
/* needs: proxy/ipc/event.c proxy/base/span.c proxy/base/ensure.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/ipc/channel.h"
#include "proxy/ipc/event.h"

static struct span
event_span(const struct event *event)
{
	return span_of(event->data, event->len);
}

static void
fields_come_out_in_order(void **state)
{
	(void)state;
	struct event event;
	struct addr addr = {.family = ADDR_IPV6, .port = 993, .ip = {0x20, 1}};
	struct addr none = {.family = ADDR_NONE};
	event_begin(&event, EVENT_LOGIN);
	event_u64(&event, FIELD_ID, UINT64_MAX);
	event_addr(&event, FIELD_PEER, &addr);
	event_addr(&event, FIELD_ADDRESS, &none);
	event_str(&event, FIELD_USER, "alice");
	event_str(&event, FIELD_TEXT, "");
	event_bool(&event, FIELD_RESUMED, true);

	struct event_reader reader;
	struct event_value value;
	assert_true(event_reader_init(&reader, event_span(&event)));
	assert_int_equal(reader.head.kind, EVENT_LOGIN);
	assert_int_equal(reader.head.level, 2);
	assert_true(reader.head.realtime_us > UINT64_C(1700000000000000));
	assert_true(event_reader_next(&reader, &value));
	assert_int_equal(value.field, FIELD_ID);
	assert_int_equal(value.type, TYPE_U64);
	assert_true(value.number == UINT64_MAX);
	assert_true(event_reader_next(&reader, &value));
	assert_int_equal(value.field, FIELD_PEER);
	assert_true(memcmp(&value.addr, &addr, sizeof(addr)) == 0);
	assert_true(event_reader_next(&reader, &value));
	assert_int_equal(value.field, FIELD_USER);
	assert_false(value.truncated);
	assert_true(span_equal(value.text, span_str("alice")));
	assert_true(event_reader_next(&reader, &value));
	assert_int_equal(value.type, TYPE_BOOL);
	assert_int_equal(value.number, 1);
	assert_false(event_reader_next(&reader, &value));
	assert_false(reader.malformed);
}

static void
kinds_have_their_levels(void **state)
{
	(void)state;
	struct event event;
	struct event_reader reader;
	event_begin(&event, EVENT_PROBLEM);
	assert_true(event_reader_init(&reader, event_span(&event)));
	assert_int_equal(reader.head.level, 0);
	event_begin_level(&event, EVENT_BACKEND, 3);
	assert_true(event_reader_init(&reader, event_span(&event)));
	assert_int_equal(reader.head.level, 3);
	assert_string_equal(event_kind_name(EVENT_DEBUG), "debug");
	assert_string_equal(event_field_name(FIELD_BYTES_IN), "in");
}

static void
long_text_is_cut_and_marked(void **state)
{
	(void)state;
	struct event event;
	struct event_reader reader;
	struct event_value value;
	uint8_t text[EVENT_TEXT_MAX + 1];
	memset(text, 0xff, sizeof(text));
	event_begin(&event, EVENT_LOGIN);
	event_text(&event, FIELD_USER, span_of(text, EVENT_TEXT_MAX));
	event_text(&event, FIELD_SNI, span_of(text, EVENT_TEXT_MAX + 1));
	assert_true(event_reader_init(&reader, event_span(&event)));
	assert_true(event_reader_next(&reader, &value));
	assert_false(value.truncated);
	assert_int_equal(value.text.len, EVENT_TEXT_MAX);
	assert_true(event_reader_next(&reader, &value));
	assert_true(value.truncated);
	assert_int_equal(value.text.len, EVENT_TEXT_MAX);
	assert_int_equal(value.text.data[EVENT_TEXT_MAX - 1], 0xff);
}

static void
full_event_stays_well_formed(void **state)
{
	(void)state;
	for (unsigned int seed = 0; seed < 200; seed++) {
		struct event event;
		uint8_t text[600];
		memset(text, 'x', sizeof(text));
		srand(seed);
		event_begin(&event, EVENT_SESSION);
		for (int i = 0; i < 60; i++) {
			size_t len = (size_t)rand() % sizeof(text);
			event_text(&event, FIELD_TEXT, span_of(text, len));
			event_u64(&event, FIELD_COUNT, 1);
			event_bool(&event, FIELD_RESUMED, false);
			assert_true(event.len <= EVENT_MAX);
		}
		struct event_reader reader;
		struct event_value value;
		unsigned int n = 0;
		assert_true(event_reader_init(&reader, event_span(&event)));
		while (event_reader_next(&reader, &value))
			n++;
		assert_false(reader.malformed);
		assert_true(n > 8);
	}
}

static void
foreign_heads_are_refused(void **state)
{
	(void)state;
	struct event event;
	struct event_reader reader;
	event_begin(&event, EVENT_LOGIN);
	for (size_t len = 0; len < sizeof(struct event_head); len++)
		assert_false(
		    event_reader_init(&reader, span_of(event.data, len)));
	static const struct event_head heads[] = {
	    {.layout = IPC_LAYOUT + 1},
	    {.layout = IPC_LAYOUT, .kind = EVENT_KIND_MAX},
	    {.layout = IPC_LAYOUT, .level = 4},
	    {.layout = IPC_LAYOUT, .zero = 1},
	};
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		assert_false(event_reader_init(
		    &reader, span_of(&heads[i], sizeof(heads[i]))));
	struct event_value value;
	assert_false(event_reader_next(&reader, &value));
}

static void
malformed_fields_end_the_reading(void **state)
{
	(void)state;
	static const struct {
		uint8_t octets[40];
		size_t len;
	} rows[] = {
	    {{0}, 1}, /* short head */
	    {{0, TYPE_U64, 0}, 3},
	    {{0, TYPE_U64, 8, 0, 1, 2, 3}, 7},		  /* short value */
	    {{0, TYPE_U64, 7, 0}, 11},			  /* wrong length */
	    {{0, TYPE_TEXT, 0, 0}, 4},			  /* empty text */
	    {{EVENT_FIELD_MAX, TYPE_TEXT, 1, 0, 'x'}, 5}, /* no field */
	    {{0, 0, 1, 0, 'x'}, 5},			  /* no type */
	    {{0, 9, 1, 0, 'x'}, 5},
	    {{0, TYPE_BOOL, 1, 0, 2}, 5},	 /* no boolean */
	    {{0, TYPE_BOOL | 0x80, 1, 0, 1}, 5}, /* cut, no text */
	    {{0, TYPE_ADDR, 20, 0, 0}, 24},	 /* no family */
	    {{0, TYPE_ADDR, 19, 0, 1}, 23},
	    {{0, TYPE_TEXT, 0xff, 0xff, 'x'}, 5},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct event event;
		struct event_reader reader;
		struct event_value value;
		event_begin(&event, EVENT_LOGIN);
		memcpy(event.data + event.len, rows[i].octets, rows[i].len);
		event.len = (uint16_t)(event.len + rows[i].len);
		assert_true(event_reader_init(&reader, event_span(&event)));
		assert_false(event_reader_next(&reader, &value));
		assert_true(reader.malformed);
		assert_false(event_reader_next(&reader, &value));
	}
}

static void
sending_never_waits(void **state)
{
	(void)state;
	int fds[2];
	struct event event;
	/* Blocking on purpose: the event must not. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	event_begin(&event, EVENT_LOGIN);
	event_str(&event, FIELD_USER, "alice");
	unsigned int sent = 0;
	while (event_send(fds[0], &event))
		assert_true(++sent < 100000);
	assert_true(sent > 0);
	uint8_t data[EVENT_BATCH_MAX];
	ssize_t n = recv(fds[1], data, sizeof(data), 0);
	assert_true(n > 0);
	struct span message = span_of(data, (size_t)n), taken;
	assert_true(event_take(&message, &taken));
	assert_int_equal(message.len, 0);
	assert_int_equal(taken.len, event.len);
	assert_memory_equal(taken.data, event.data, event.len);
	assert_true(event_send(fds[0], &event));
	close(fds[1]);
	assert_false(event_send(fds[0], &event));
	close(fds[0]);
	assert_false(event_send(-1, &event));
}

static void
test_several_in_a_message(void **state)
{
	static const uint8_t good[] = {1, 0, 'a', 2, 0, 'b', 'c'};
	static const uint8_t none[] = {1, 0, 'a', 0, 0, 'b'};
	struct span message = span_of(good, sizeof(good)), event;
	(void)state;

	assert_true(event_take(&message, &event));
	assert_memory_equal(event.data, "a", event.len);
	assert_true(event_take(&message, &event));
	assert_int_equal(event.len, 2);
	assert_false(event_take(&message, &event));
	assert_int_equal(message.len, 0);
	for (size_t len = 1; len < sizeof(good); len++) {
		message = span_of(good, len);
		while (event_take(&message, &event))
			assert_true(event.len <= 2);
		assert_int_equal(message.len, len < 3 ? len : len - 3);
	}
	message = span_of(none, sizeof(none));
	assert_true(event_take(&message, &event));
	assert_false(event_take(&message, &event));
	assert_true(message.len > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields_come_out_in_order),
	    cmocka_unit_test(kinds_have_their_levels),
	    cmocka_unit_test(long_text_is_cut_and_marked),
	    cmocka_unit_test(full_event_stays_well_formed),
	    cmocka_unit_test(foreign_heads_are_refused),
	    cmocka_unit_test(malformed_fields_end_the_reading),
	    cmocka_unit_test(test_several_in_a_message),
	    cmocka_unit_test(sending_never_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
