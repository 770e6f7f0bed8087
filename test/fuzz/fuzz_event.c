/* SPDX-License-Identifier: ISC */
/*
 * An event as a role that was taken over may send it. Nothing outside the
 * message is read, and a well-formed one, written anew from the values that
 * were read, is the same octets. The input also drives the writing side: what
 * it makes is always well formed.
 */
/* needs: proxy/ipc/event.c proxy/base/span.c proxy/base/ensure.c */
#include <string.h>

#include "proxy/base/ensure.h"
#include "proxy/ipc/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
put_value(struct event *event, const struct event_value *value)
{
	switch (value->type) {
	case TYPE_U64:
		event_u64(event, value->field, value->number);
		break;
	case TYPE_TEXT:
		event_text(event, value->field, value->text);
		break;
	case TYPE_ADDR:
		event_addr(event, value->field, &value->addr);
		break;
	case TYPE_BOOL:
		event_bool(event, value->field, value->number != 0);
		break;
	}
}

static void
check_value(const struct event_value *value, struct span message)
{
	ENSURE(value->field < EVENT_FIELD_MAX);
	ENSURE(event_field_name(value->field) != NULL);
	if (value->type != TYPE_TEXT)
		return;
	ENSURE(value->text.len > 0 && value->text.len <= EVENT_TEXT_MAX);
	ENSURE(value->text.data > message.data);
	ENSURE(
	    value->text.data + value->text.len <= message.data + message.len);
}

static void
read_and_write_anew(struct span message)
{
	struct event_reader reader;
	struct event_value value;
	struct event event;
	if (!event_reader_init(&reader, message))
		return;
	struct span fields = reader.rest;
	bool truncated = false;
	event_begin(&event, (enum event_kind)reader.head.kind);
	size_t head_len = event.len;
	while (event_reader_next(&reader, &value)) {
		check_value(&value, message);
		truncated |= value.truncated;
		put_value(&event, &value);
	}
	ENSURE(reader.malformed || reader.rest.len == 0);
	if (reader.malformed || truncated)
		return;
	ENSURE(span_equal(
	    fields, span_of(event.data + head_len, event.len - head_len)));
}

/* Two octets say how much of the rest becomes the next text. */
static void
write_and_read(struct span input)
{
	struct event event;
	event_begin(&event, EVENT_SESSION);
	while (input.len >= 3) {
		enum event_field field =
		    (enum event_field)(input.data[0] % EVENT_FIELD_MAX);
		size_t len = (size_t)input.data[1] * 4 + input.data[2];
		span_advance(&input, 3);
		len = len < input.len ? len : input.len;
		event_text(&event, field, span_of(input.data, len));
		event_u64(&event, field, len);
		span_advance(&input, len / 2);
	}
	struct event_reader reader;
	struct event_value value;
	ENSURE(event_reader_init(&reader, span_of(event.data, event.len)));
	while (event_reader_next(&reader, &value))
		check_value(&value, span_of(event.data, event.len));
	ENSURE(!reader.malformed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_and_write_anew(span_of(data, size));
	write_and_read(span_of(data, size));
	return 0;
}
