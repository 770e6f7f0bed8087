/* SPDX-License-Identifier: ISC */
/*
 * The way of a worker's events to the observer. One after a pause goes at once;
 * those that follow wait EVENTS_PAUSE_MS and go together, because waking the
 * observer costs more than an event does. What the socket does not take waits
 * here, too, in order and bounded; what is beyond is dropped and counted.
 * Nothing ever waits for the observer. A worker that crashes takes with it what
 * waits.
 */
#ifndef WORKER_EVENTS_H
#define WORKER_EVENTS_H

#include <uv.h>

#include "proxy/ipc/event.h"

#define EVENTS_BACKLOG	(1024 * 1024) /* octets; some 5,000 session ends */
#define EVENTS_PAUSE_MS 10

struct events {
	uv_poll_t poll;
	uv_timer_t pause;
	int fd;		  /* -1: none yet */
	bool blocked;	  /* the socket is polled for room */
	uint64_t sent_ms; /* of the loop's clock */
	uint8_t *queue;	  /* EVENTS_BACKLOG octets; NULL: not allocated */
	size_t head;
	size_t tail; /* == head: nothing waits */
};

void events_init(struct events *events);
void events_connect(struct events *events, uv_loop_t *loop, int fd);

/* False: dropped. */
bool events_send(struct events *events, const struct event *event);

/* Before the worker leaves: what waits goes out, within half a second. */
void events_finish(struct events *events);

#endif
