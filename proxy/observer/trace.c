/* SPDX-License-Identifier: ISC */
/* See trace.h. Called by the observer's main and its commands. */
#include "proxy/observer/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/ipc/event.h"
#include "proxy/ipc/slot.h"

struct trace *
trace_new(uint64_t seed)
{
	struct trace *trace = calloc(1, sizeof(*trace));
	if (trace != NULL)
		trace->seed = seed;
	return trace;
}

void
trace_free(struct trace *trace)
{
	free(trace);
}

/* Spreads; whoever finds collisions pushes out eight entries, no more. */
static uint32_t
set_of(const struct trace *trace, struct span octets)
{
	uint64_t hash = trace->seed;
	for (size_t i = 0; i < octets.len; i++) {
		hash = (hash ^ octets.data[i]) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 29;
	}
	return (uint32_t)(hash >> 32) % TRACE_SETS;
}

static struct addr
key_of(const struct addr *addr)
{
	struct addr key = *addr;
	key.port = 0;
	if (key.family == ADDR_IPV6)
		memset(key.ip + 8, 0, 8);
	return key;
}

static struct trace_client *
find_client(const struct trace *trace, const struct addr *key)
{
	uint32_t set = set_of(trace, span_of(key->ip, sizeof(key->ip)));
	for (int i = 0; i < TRACE_WAYS; i++) {
		const struct trace_client *way = &trace->clients[set][i];
		if (way->seen != 0 && addr_equal_ip(&way->key, key))
			return (struct trace_client *)(uintptr_t)way;
	}
	return NULL;
}

static struct trace_client *
make_client(struct trace *trace, const struct addr *key)
{
	uint32_t set = set_of(trace, span_of(key->ip, sizeof(key->ip)));
	struct trace_client *oldest = &trace->clients[set][0];
	for (int i = 1; i < TRACE_WAYS; i++)
		if (trace->clients[set][i].seen < oldest->seen)
			oldest = &trace->clients[set][i];
	*oldest = (struct trace_client){.key = *key};
	return oldest;
}

static void
copy(char *to, size_t size, struct span text)
{
	size_t len = text.len < size ? text.len : size - 1;
	if (len > 0)
		memcpy(to, text.data, len);
	to[len] = '\0';
}

static void
remember_event(struct trace *trace, const struct trace_event *event)
{
	struct addr key = key_of(&event->peer);
	struct trace_client *client = find_client(trace, &key);
	if (client == NULL)
		client = make_client(trace, &key);
	client->seen = ++trace->order;
	client->events[client->next] = *event;
	client->next = (client->next + 1) % TRACE_EVENTS;
}

/* One entry for each verdict: a good device must not hide an old one. */
static struct trace_user *
user_of(struct trace *trace, const char *user, const char *observed)
{
	uint32_t set = set_of(trace, span_str(user));
	struct trace_user *oldest = &trace->users[set][0];
	for (int i = 0; i < TRACE_WAYS; i++) {
		struct trace_user *way = &trace->users[set][i];
		if (way->seen != 0 && strcmp(way->user, user) == 0 &&
		    strcmp(way->observed, observed) == 0)
			return way;
		if (way->seen < oldest->seen)
			oldest = way;
	}
	*oldest = (struct trace_user){0};
	snprintf(oldest->user, sizeof(oldest->user), "%s", user);
	snprintf(oldest->observed, sizeof(oldest->observed), "%s", observed);
	return oldest;
}

struct seen {
	struct trace_event event;
	char user[sizeof(((struct trace_user *)NULL)->user)];
	char tls[8];
	char cipher[48];
	char observed[16];
};

/* Sessions say it as text, the journal as a number. */
static uint64_t
id_of(const struct event_value *value)
{
	uint64_t id = 0;
	if (value->type != TYPE_TEXT)
		return value->type == TYPE_U64 ? value->number : 0;
	for (size_t i = 0; i < value->text.len; i++) {
		uint8_t c = value->text.data[i];
		id = id << 4 | (c <= '9' ? c - (uint64_t)'0' : (c & 7) + 9U);
	}
	return id;
}

static void
take_field(struct seen *seen, const struct event_value *value)
{
	struct trace_event *event = &seen->event;
	bool is_text = value->type == TYPE_TEXT;
	if (!is_text && value->field != FIELD_PEER && value->field != FIELD_ID)
		return;
	switch ((int)value->field) {
	case FIELD_PEER:
		if (value->type == TYPE_ADDR)
			event->peer = value->addr;
		break;
	case FIELD_ID:
		event->id = id_of(value);
		break;
	case FIELD_VERDICT:
		copy(event->verdict, sizeof(event->verdict), value->text);
		break;
	case FIELD_WHY:
		copy(event->why, sizeof(event->why), value->text);
		break;
	case FIELD_STATE:
		copy(event->state, sizeof(event->state), value->text);
		break;
	case FIELD_BACKEND:
		copy(event->backend, sizeof(event->backend), value->text);
		break;
	case FIELD_USER:
		copy(event->user, sizeof(event->user), value->text);
		copy(seen->user, sizeof(seen->user), value->text);
		break;
	case FIELD_TLS:
		copy(seen->tls, sizeof(seen->tls), value->text);
		break;
	case FIELD_CIPHER:
		copy(seen->cipher, sizeof(seen->cipher), value->text);
		break;
	case FIELD_OBSERVED:
		copy(seen->observed, sizeof(seen->observed), value->text);
		break;
	default:
		break;
	}
}

/* Who never logged in is nobody's user. */
static bool
is_old_user(const struct seen *seen)
{
	if (seen->event.kind != EVENT_SESSION || seen->user[0] == '\0' ||
	    strcmp(seen->event.state, session_state_name(SESSION_RELAY)) != 0)
		return false;
	return seen->observed[0] != '\0' || strcmp(seen->tls, "TLSv1.3") != 0;
}

static void
remember_user(struct trace *trace, const struct seen *seen)
{
	if (!is_old_user(seen))
		return;
	struct trace_user *user = user_of(trace, seen->user, seen->observed);
	user->seen = ++trace->order;
	user->last_us = seen->event.realtime_us;
	user->n_sessions++;
	user->peer = seen->event.peer;
	memcpy(user->tls, seen->tls, sizeof(user->tls));
	memcpy(user->cipher, seen->cipher, sizeof(user->cipher));
}

void
trace_take(struct trace *trace, struct span message)
{
	struct event_reader reader;
	struct event_value value;
	struct seen seen = {0};
	if (!event_reader_init(&reader, message))
		return;
	seen.event.kind = (uint8_t)reader.head.kind;
	seen.event.realtime_us = reader.head.realtime_us;
	while (event_reader_next(&reader, &value))
		take_field(&seen, &value);
	if (reader.malformed || seen.event.peer.family == ADDR_NONE)
		return;
	remember_event(trace, &seen.event);
	remember_user(trace, &seen);
}

const struct trace_client *
trace_client(const struct trace *trace, const struct addr *addr)
{
	struct addr key = key_of(addr);
	return find_client(trace, &key);
}

const struct trace_event *
trace_event(const struct trace_client *client, uint32_t age)
{
	if (age >= TRACE_EVENTS)
		return NULL;
	uint32_t at = (client->next + TRACE_EVENTS - 1 - age) % TRACE_EVENTS;
	const struct trace_event *event = &client->events[at];
	return event->realtime_us == 0 ? NULL : event;
}
