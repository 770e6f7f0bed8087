/* SPDX-License-Identifier: ISC */
/*
 * See event.h. A field that does not fit any more is left out (text is cut to
 * what fits), so that an event is always well formed and never too long.
 * Sent by every role, read by the observer only.
 */
#include "proxy/ipc/event.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/base/ensure.h"
#include "proxy/ipc/channel.h"
#include "proxy/ipc/clock.h"

/* The values of enum config_log_level, which lies right of this module. */
enum rank {
	RANK_ERROR,
	RANK_WARN,
	RANK_INFO,
	RANK_DEBUG
};

#define TRUNCATED 0x80 /* a bit of field_head.type */

struct field_head {
	uint8_t field;
	uint8_t type;
	uint16_t len;
};

_Static_assert(sizeof(struct field_head) == 4, "no padding");
_Static_assert(sizeof(struct event_head) == 16, "no padding");
_Static_assert(offsetof(struct event, data) == sizeof(uint16_t), "no padding");
_Static_assert(sizeof(struct addr) == 20, "no padding");
_Static_assert(EVENT_FIELD_MAX <= 256, "a field is one octet");

void
event_begin_level(struct event *event, enum event_kind kind, int level)
{
	ENSURE(kind < EVENT_KIND_MAX);
	ENSURE(level >= RANK_ERROR && level <= RANK_DEBUG);
	struct event_head head = {
	    .layout = IPC_LAYOUT,
	    .kind = (uint16_t)kind,
	    .level = (uint8_t)level,
	    .realtime_us = clock_realtime_us(),
	};
	memcpy(event->data, &head, sizeof(head));
	event->len = sizeof(head);
}

void
event_begin(struct event *event, enum event_kind kind)
{
	static const uint8_t ranks[] = {
#define X(kind, name, level) RANK_##level,
	    EVENT_KINDS(X)
#undef X
	};
	ENSURE(kind < EVENT_KIND_MAX);
	event_begin_level(event, kind, ranks[kind]);
}

static void
put_field(struct event *event, enum event_field field, uint8_t type,
    struct span octets)
{
	ENSURE(field < EVENT_FIELD_MAX);
	struct field_head head = {(uint8_t)field, type, (uint16_t)octets.len};
	size_t room = EVENT_MAX - (size_t)event->len;
	if (room < sizeof(head) || room - sizeof(head) < octets.len)
		return;
	memcpy(event->data + event->len, &head, sizeof(head));
	event->len = (uint16_t)(event->len + sizeof(head));
	memcpy(event->data + event->len, octets.data, octets.len);
	event->len = (uint16_t)(event->len + octets.len);
}

void
event_u64(struct event *event, enum event_field field, uint64_t value)
{
	put_field(event, field, TYPE_U64, span_of(&value, sizeof(value)));
}

void
event_bool(struct event *event, enum event_field field, bool value)
{
	uint8_t octet = value;
	put_field(event, field, TYPE_BOOL, span_of(&octet, 1));
}

void
event_text(struct event *event, enum event_field field, struct span text)
{
	event_text_cut(event, field, text, false);
}

void
event_text_cut(
    struct event *event, enum event_field field, struct span text, bool is_cut)
{
	size_t room = EVENT_MAX - (size_t)event->len;
	if (text.len == 0 || room <= sizeof(struct field_head))
		return;
	room -= sizeof(struct field_head);
	size_t most = room < EVENT_TEXT_MAX ? room : EVENT_TEXT_MAX;
	uint8_t type = is_cut ? TYPE_TEXT | TRUNCATED : TYPE_TEXT;
	if (text.len > most) {
		text.len = most;
		type |= TRUNCATED;
	}
	put_field(event, field, type, text);
}

void
event_str(struct event *event, enum event_field field, const char *text)
{
	event_text(event, field, span_str(text));
}

void
event_addr(struct event *event, enum event_field field, const struct addr *addr)
{
	if (addr->family == ADDR_NONE)
		return;
	put_field(event, field, TYPE_ADDR, span_of(addr, sizeof(*addr)));
}

bool
event_send(int fd, const struct event *event)
{
	if (fd < 0)
		return false;
	ssize_t n;
	do
		n = send(fd, event, sizeof(event->len) + event->len,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n > 0;
}

bool
event_take(struct span *message, struct span *out_event)
{
	uint16_t len;

	if (message->len < sizeof(len))
		return false;
	memcpy(&len, message->data, sizeof(len));
	if (len == 0 || len > message->len - sizeof(len))
		return false;
	*out_event = span_of(message->data + sizeof(len), len);
	span_advance(message, sizeof(len) + len);
	return true;
}

bool
event_reader_init(struct event_reader *reader, struct span event)
{
	*reader = (struct event_reader){.malformed = true};
	if (event.len < sizeof(reader->head) || event.len > EVENT_MAX)
		return false;
	memcpy(&reader->head, event.data, sizeof(reader->head));
	if (reader->head.layout != IPC_LAYOUT ||
	    reader->head.kind >= EVENT_KIND_MAX ||
	    reader->head.level > RANK_DEBUG || reader->head.zero != 0)
		return false;
	span_advance(&event, sizeof(reader->head));
	reader->rest = event;
	reader->malformed = false;
	return true;
}

static bool
read_value(struct span octets, struct event_value *out)
{
	uint8_t octet;
	switch (out->type) {
	case TYPE_U64:
		if (octets.len != sizeof(out->number))
			return false;
		memcpy(&out->number, octets.data, sizeof(out->number));
		return true;
	case TYPE_TEXT:
		out->text = octets;
		return octets.len > 0 && octets.len <= EVENT_TEXT_MAX;
	case TYPE_ADDR:
		if (octets.len != sizeof(out->addr))
			return false;
		memcpy(&out->addr, octets.data, sizeof(out->addr));
		return out->addr.family == ADDR_IPV4 ||
		       out->addr.family == ADDR_IPV6;
	case TYPE_BOOL:
		if (octets.len != 1)
			return false;
		octet = octets.data[0];
		out->number = octet;
		return octet <= 1;
	default: /* a foreign value */
		return false;
	}
}

static bool
read_field(struct span *rest, struct event_value *out)
{
	struct field_head head;
	if (rest->len < sizeof(head))
		return false;
	memcpy(&head, rest->data, sizeof(head));
	span_advance(rest, sizeof(head));
	if (head.field >= EVENT_FIELD_MAX || head.len > rest->len)
		return false;
	*out = (struct event_value){
	    .field = (enum event_field)head.field,
	    .type = (enum event_type)(head.type & ~TRUNCATED),
	    .truncated = (head.type & TRUNCATED) != 0,
	};
	if (out->truncated && out->type != TYPE_TEXT)
		return false;
	struct span octets = span_of(rest->data, head.len);
	span_advance(rest, head.len);
	return read_value(octets, out);
}

bool
event_reader_next(struct event_reader *reader, struct event_value *out)
{
	if (reader->malformed || reader->rest.len == 0)
		return false;
	if (read_field(&reader->rest, out))
		return true;
	reader->malformed = true;
	return false;
}

const char *
event_kind_name(enum event_kind kind)
{
	static const char *const names[] = {
#define X(kind, name, level) name,
	    EVENT_KINDS(X)
#undef X
	};
	ENSURE(kind < EVENT_KIND_MAX);
	return names[kind];
}

const char *
event_field_name(enum event_field field)
{
	static const char *const names[] = {
#define X(field, name) name,
	    EVENT_FIELDS(X)
#undef X
	};
	ENSURE(field < EVENT_FIELD_MAX);
	return names[field];
}
