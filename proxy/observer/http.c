/* SPDX-License-Identifier: ISC */
/*
 * See http.h. libmicrohttpd waits with an epoll descriptor of its own, which
 * is readable when one of its sockets is; its time-outs are one timer of ours.
 */
#include "proxy/observer/http.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/observer/metrics.h"
#include "proxy/observer/page.h"

#define CONNECTION_MEMORY 16384
/* After it was full it watches its listener again in its next run only, and
 * has no descriptor that says so. */
#define RUN_AGAIN_MS 1000

static const char text_type[] = "text/plain; charset=utf-8";

struct answer {
	char nonce[PAGE_NONCE_MAX]; /* empty: no page */
	unsigned int status;
	const char *type;
	struct reply body;
};

static void
say(struct answer *answer, unsigned int status, const char *text)
{
	answer->status = status;
	reply_puts(&answer->body, text);
	reply_puts(&answer->body, "\n");
}

static void
get_metrics(const struct view *view, struct answer *answer)
{
	answer->type = "text/plain; version=0.0.4; charset=utf-8";
	metrics_write(view, &answer->body);
}

static void
get_page(const struct view *view, struct answer *answer)
{
	answer->type = "text/html; charset=utf-8";
	page_make_nonce(answer->nonce);
	page_write(view, answer->nonce, &answer->body);
}

static void
get_health(const struct view *view, struct answer *answer)
{
	(void)view;
	say(answer, MHD_HTTP_OK, "up");
}

static void
get_ready(const struct view *view, struct answer *answer)
{
	const char *missing = view_not_ready(view);
	if (missing == NULL)
		say(answer, MHD_HTTP_OK, "ready");
	else
		say(answer, MHD_HTTP_SERVICE_UNAVAILABLE, missing);
}

static const struct {
	const char *path;
	void (*get)(const struct view *view, struct answer *answer);
} resources[] = {
    {"/", get_page},
    {"/metrics", get_metrics},
    {"/healthz", get_health},
    {"/readyz", get_ready},
};

static void
get(const struct view *view, const char *path, struct answer *answer)
{
	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++)
		if (strcmp(path, resources[i].path) == 0) {
			resources[i].get(view, answer);
			return;
		}
	say(answer, MHD_HTTP_NOT_FOUND,
	    "there are /, /metrics, /healthz and /readyz");
}

/* Without port and brackets. */
static struct span
host_part(struct span host)
{
	if (host.len > 0 && host.data[0] == '[') {
		const uint8_t *end = memchr(host.data, ']', host.len);
		size_t len = end == NULL ? 0 : (size_t)(end - host.data) - 1;
		return span_of(host.data + 1, len);
	}
	const uint8_t *colon = memchr(host.data, ':', host.len);
	if (colon != NULL)
		host.len = (size_t)(colon - host.data);
	return host;
}

bool
http_is_good_host(struct span host)
{
	struct addr addr;
	if (host.len == 0)
		return false;
	struct span name = host_part(host);
	return addr_parse_ip(name, &addr) ||
	       span_equal_nocase(name, span_str("localhost"));
}

static void
decide(struct MHD_Connection *connection, const struct view *view,
    const char *path, const char *method, struct answer *answer)
{
	const char *host = MHD_lookup_connection_value(
	    connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
	bool known = strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
		     strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
	/* A browser always sends it. */
	if (host != NULL && !http_is_good_host(span_str(host)))
		say(answer, MHD_HTTP_FORBIDDEN,
		    "ask by address, or as localhost");
	else if (!known)
		say(answer, MHD_HTTP_METHOD_NOT_ALLOWED, "GET or HEAD");
	else
		get(view, path, answer);
}

/* The style of the page is inside it: nothing is ever loaded. */
static void
add_policy(struct MHD_Response *response, const char *nonce)
{
	char policy[256];
	snprintf(policy, sizeof(policy),
	    "default-src 'none'; img-src data:; style-src '%s%s'; "
	    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	    nonce[0] == '\0' ? "none" : "nonce-", nonce);
	MHD_add_response_header(response, "Content-Security-Policy", policy);
}

static void
add_headers(struct MHD_Response *response, const char *type)
{
	static const char *const headers[][2] = {
	    {"Cache-Control", "no-store"},
	    {"Referrer-Policy", "no-referrer"},
	    {"X-Content-Type-Options", "nosniff"},
	    {"X-Frame-Options", "DENY"},
	};
	MHD_add_response_header(response, "Content-Type", type);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		MHD_add_response_header(response, headers[i][0], headers[i][1]);
}

static enum MHD_Result
send_answer(struct MHD_Connection *connection, struct answer *answer)
{
	if (answer->body.failed) {
		free(answer->body.data);
		return MHD_NO;
	}
	struct MHD_Response *response = MHD_create_response_from_buffer(
	    answer->body.len, answer->body.data, MHD_RESPMEM_MUST_FREE);
	if (response == NULL) {
		free(answer->body.data);
		return MHD_NO;
	}
	add_headers(response, answer->type);
	add_policy(response, answer->nonce);
	enum MHD_Result result =
	    MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *connection, const char *path,
    const char *method, const char *version, const char *upload,
    size_t *upload_len, void **state)
{
	static char seen;
	const struct http *http = arg;
	(void)version;
	(void)upload;
	/* First the headers; a body is not read on. */
	if (*state == NULL) {
		*state = &seen;
		return MHD_YES;
	}
	if (*upload_len > 0)
		return MHD_NO;
	struct answer answer = {.status = MHD_HTTP_OK, .type = text_type};
	decide(connection, http->view, path, method, &answer);
	return send_answer(connection, &answer);
}

static void on_timer(uv_timer_t *timer);

static void
run(struct http *http)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;
	MHD_run(http->daemon);
	if (MHD_get_timeout(http->daemon, &wait_ms) != MHD_YES ||
	    wait_ms > RUN_AGAIN_MS)
		wait_ms = RUN_AGAIN_MS;
	uv_timer_start(&http->timer, on_timer, wait_ms, 0);
}

static void
on_timer(uv_timer_t *timer)
{
	run(timer->data);
}

static void
on_readable(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	run(poll->data);
}

void
http_init(struct http *http, uv_loop_t *loop, const struct view *view)
{
	*http = (struct http){.loop = loop, .view = view};
}

static struct MHD_Daemon *
start_daemon(struct http *http, int fd)
{
	return MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, http,
	    MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
	    (unsigned int)HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
	    (unsigned int)HTTP_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
}

static bool
watch_daemon(struct http *http)
{
	const union MHD_DaemonInfo *info =
	    MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL || uv_timer_init(http->loop, &http->timer) != 0 ||
	    uv_poll_init(http->loop, &http->poll, info->epoll_fd) != 0)
		return false;
	http->poll.data = http->timer.data = http;
	uv_poll_start(&http->poll, UV_READABLE, on_readable);
	run(http);
	return true;
}

bool
http_listen(struct http *http, int fd)
{
	bool is_first = http->daemon == NULL;
	if (is_first)
		http->daemon = start_daemon(http, fd);
	if (!is_first || http->daemon == NULL) {
		close(fd);
		return false;
	}
	return watch_daemon(http);
}
