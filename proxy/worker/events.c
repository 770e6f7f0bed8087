/* SPDX-License-Identifier: ISC */
/*
 * See events.h. The queue holds events as messages do, in [head, tail).
 * Invariant: while it is not empty the socket is polled for room or the pause
 * is running. Called by main.c.
 */
#include "proxy/worker/events.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/base/ensure.h"

/* The observer has this long for the last events of a worker that stops. */
#define FINISH_TRIES  10
#define FINISH_TRY_MS 50

#define BATCH	      32    /* events of one system call */
#define KEPT_QUEUE    65536 /* octets of memory that an empty queue may have */

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
	events->pause.data = events;
	ENSURE(uv_poll_init(loop, &events->poll, fd) == 0);
	uv_timer_init(loop, &events->pause);
}

static size_t
stored_size(size_t len)
{
	return sizeof(((struct event *)NULL)->len) + len;
}

/* False: no memory. */
static bool
make_room(struct events *events, size_t size)
{
	if (events->queue == NULL) {
		events->queue = malloc(EVENTS_BACKLOG);
		events->head = events->tail = 0;
	}
	if (size > EVENTS_BACKLOG - events->tail && events->head > 0) {
		memmove(events->queue, events->queue + events->head,
		    events->tail - events->head);
		events->tail -= events->head;
		events->head = 0;
	}
	return events->queue != NULL;
}

static bool
enqueue(struct events *events, const struct event *event)
{
	size_t size = stored_size(event->len);

	if (!make_room(events, size) || size > EVENTS_BACKLOG - events->tail)
		return false;
	memcpy(events->queue + events->tail, &event->len, sizeof(event->len));
	memcpy(events->queue + events->tail + sizeof(event->len), event->data,
	    event->len);
	events->tail += size;
	return true;
}

/* As many events as one message holds. */
static size_t
batch_len(const struct events *events)
{
	size_t len = 0, waits = events->tail - events->head;

	while (len < waits) {
		uint16_t next;
		memcpy(&next, events->queue + events->head + len, sizeof(next));
		if (len + stored_size(next) > EVENT_BATCH_MAX)
			break;
		len += stored_size(next);
	}
	return len;
}

static void
clear(struct events *events)
{
	if (events->tail > KEPT_QUEUE) {
		free(events->queue);
		events->queue = NULL;
	}
	events->head = events->tail = 0;
}

/* False: the socket takes no more for now. */
static bool
send_queue(struct events *events)
{
	while (events->head < events->tail) {
		ssize_t n = send(events->fd, events->queue + events->head,
		    batch_len(events), MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		events->head += (size_t)n;
	}
	clear(events);
	return true;
}

static void
on_room(uv_poll_t *poll, int status, int unused)
{
	struct events *events = poll->data;

	(void)status;
	(void)unused;
	if (!send_queue(events))
		return;
	events->blocked = false;
	uv_poll_stop(poll);
}

static void
flush(struct events *events)
{
	events->sent_ms = uv_now(events->poll.loop);
	if (send_queue(events))
		return;
	events->blocked = true;
	uv_poll_start(&events->poll, UV_WRITABLE, on_room);
}

static void
on_pause_over(uv_timer_t *pause)
{
	struct events *events = pause->data;

	if (!events->blocked)
		flush(events);
}

void
events_finish(struct events *events)
{
	struct pollfd room = {.fd = events->fd, .events = POLLOUT};

	for (int i = 0; i < FINISH_TRIES && events->head < events->tail; i++)
		if (!send_queue(events))
			poll(&room, 1, FINISH_TRY_MS);
}

bool
events_send(struct events *events, const struct event *event)
{
	if (events->fd < 0 || !enqueue(events, event))
		return false;
	if (events->blocked || uv_is_active((uv_handle_t *)&events->pause))
		return true;
	uint64_t now = uv_now(events->poll.loop);
	if (now >= events->sent_ms + EVENTS_PAUSE_MS)
		flush(events);
	else
		uv_timer_start(&events->pause, on_pause_over,
		    events->sent_ms + EVENTS_PAUSE_MS - now, 0);
	return true;
}
