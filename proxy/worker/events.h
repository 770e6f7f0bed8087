/* SPDX-License-Identifier: ISC */
/*
 * The way of a worker's events to the observer. A burst that the socket does
 * not take waits here, in order and bounded; what is beyond is dropped and
 * counted. Nothing ever waits for the observer.
 */
#ifndef WORKER_EVENTS_H
#define WORKER_EVENTS_H

#include <uv.h>

#include "proxy/ipc/event.h"

#define EVENTS_BACKLOG (1024 * 1024) /* octets; some 5,000 session ends */

struct events {
	uv_poll_t poll;
	int fd;		/* -1: none yet */
	uint8_t *queue; /* EVENTS_BACKLOG octets; NULL: nothing waits */
	size_t head;
	size_t tail;
};

void events_init(struct events *events);
void events_connect(struct events *events, uv_loop_t *loop, int fd);

/* False: dropped. */
bool events_send(struct events *events, const struct event *event);

/* Before the worker leaves: what waits goes out, within half a second. */
void events_finish(struct events *events);

#endif
