/* SPDX-License-Identifier: ISC */
/*
 * See events.h. The queue is {struct event's len, its octets}, one after the
 * other, in [head, tail). Invariant: while it is not empty the socket is polled
 * for room. Called by main.c.
 */
#include "proxy/worker/events.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/ensure.h"

/* The observer has this long for the last events of a worker that stops. */
#define FINISH_TRIES  10
#define FINISH_TRY_MS 50

static void on_room(uv_poll_t *poll, int status, int events);

void
events_init(struct events *events)
{
	*events = (struct events){.fd = -1};
}

void
events_connect(struct events *events, uv_loop_t *loop, int fd)
{
	ENSURE(events->fd < 0);
	events->fd = fd;
	events->poll.data = events;
	ENSURE(uv_poll_init(loop, &events->poll, fd) == 0);
}

static size_t
stored_size(const struct event *event)
{
	return sizeof(event->len) + event->len;
}

static bool
enqueue(struct events *events, const struct event *event)
{
	size_t size = stored_size(event);

	if (events->queue == NULL) {
		events->queue = malloc(EVENTS_BACKLOG);
		if (events->queue == NULL)
			return false;
		events->head = events->tail = 0;
		uv_poll_start(&events->poll, UV_WRITABLE, on_room);
	}
	if (size > EVENTS_BACKLOG - events->tail && events->head > 0) {
		memmove(events->queue, events->queue + events->head,
		    events->tail - events->head);
		events->tail -= events->head;
		events->head = 0;
	}
	if (size > EVENTS_BACKLOG - events->tail)
		return false;
	memcpy(events->queue + events->tail, &event->len, sizeof(event->len));
	memcpy(events->queue + events->tail + sizeof(event->len), event->data,
	    event->len);
	events->tail += size;
	return true;
}

/* False: the socket takes no more for now. */
static bool
send_queue(struct events *events)
{
	struct event event;

	while (events->head < events->tail) {
		const uint8_t *at = events->queue + events->head;
		memcpy(&event.len, at, sizeof(event.len));
		memcpy(event.data, at + sizeof(event.len), event.len);
		if (!event_send(events->fd, &event))
			return false;
		events->head += stored_size(&event);
	}
	free(events->queue);
	events->queue = NULL;
	return true;
}

static void
on_room(uv_poll_t *poll, int status, int unused)
{
	struct events *events = poll->data;

	(void)status;
	(void)unused;
	if (send_queue(events))
		uv_poll_stop(poll);
}

void
events_finish(struct events *events)
{
	struct pollfd room = {.fd = events->fd, .events = POLLOUT};

	for (int i = 0; i < FINISH_TRIES && events->queue != NULL; i++)
		if (!send_queue(events))
			poll(&room, 1, FINISH_TRY_MS);
}

bool
events_send(struct events *events, const struct event *event)
{
	if (events->fd < 0)
		return false;
	if (events->queue == NULL && event_send(events->fd, event))
		return true;
	return enqueue(events, event);
}
