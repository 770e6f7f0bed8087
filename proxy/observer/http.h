/* SPDX-License-Identifier: ISC */
/*
 * Metrics, health and the status page over HTTP: GET and HEAD, nothing that
 * changes anything. libmicrohttpd runs inside the observer's loop, without a
 * thread. /metrics /healthz /readyz /
 *
 * A request whose Host is a name (other than localhost) is refused: a page
 * elsewhere could have that name resolved to us (DNS rebinding).
 */
#ifndef OBSERVER_HTTP_H
#define OBSERVER_HTTP_H

#include <uv.h>

#include "proxy/observer/view.h"

#define HTTP_CONNECTIONS_MAX 32
#define HTTP_TIMEOUT_S	     10

struct MHD_Daemon;

/* Embedded in the observer; lives as long as its loop. */
struct http {
	uv_loop_t *loop;
	const struct view *view;
	struct MHD_Daemon *daemon; /* NULL: off */
	uv_poll_t poll;
	uv_timer_t timer;
};

void http_init(struct http *http, uv_loop_t *loop, const struct view *view);

/* Takes the listening descriptor (the first only). False: fd is closed. */
bool http_listen(struct http *http, int fd);

/* Whether a request with this Host header is answered. */
bool http_is_good_host(struct span host);

#endif
