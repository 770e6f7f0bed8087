/* SPDX-License-Identifier: ISC */
/*
 * See check.h. The stream and the timer live in the check, which is freed when
 * both are closed. `is_over` is set by report() and check_cancel(): callbacks
 * that come later only read what is left and close.
 */
#include "proxy/monitor/check.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends/probe.h"

#define LINGER_MS 1000 /* for the answer to LOGOUT */

union stream {
	uv_handle_t handle;
	uv_stream_t stream;
	uv_tcp_t tcp;
	uv_pipe_t pipe;
};

/* What TLS needs besides. */
struct sealed {
	bool waits;	  /* for the keeper; not reading meanwhile */
	struct span rest; /* of `in`, for afterwards */
	uint8_t plain[TLS_RECORD_MAX];
	uint8_t out[TLS_OUT_ROOM(PROBE_OUT_MAX)];
};

struct check {
	struct check_params params;
	struct probe probe;
	union stream stream;
	uv_timer_t timer;
	uv_connect_t connect;
	uint64_t started_ns;
	int error; /* negative errno of something that failed at the start */
	int n_handles;
	bool is_over;
	char in[4096];
	uint8_t out[PROBE_OUT_MAX];
	struct sealed *sealed; /* NULL: plaintext */
};

/* ---- the end ----------------------------------------------------------- */

static void
on_close(uv_handle_t *handle)
{
	struct check *check = handle->data;

	if (--check->n_handles > 0)
		return;
	probe_fini(&check->probe);
	tls_stream_free(check->params.tls);
	if (check->sealed != NULL)
		explicit_bzero(check->sealed, sizeof(*check->sealed));
	explicit_bzero(check->out, sizeof(check->out));
	free(check->sealed);
	free(check);
}

static void
close_all(struct check *check)
{
	if (uv_is_closing(&check->stream.handle))
		return;
	uv_close(&check->stream.handle, on_close);
	uv_close((uv_handle_t *)&check->timer, on_close);
}

void
check_cancel(struct check *check)
{
	check->is_over = true;
	close_all(check);
}

static void
report(struct check *check, const struct check_result *result)
{
	struct check_result mine = *result;

	check->is_over = true;
	mine.index = check->params.index;
	mine.capabilities = check->probe.capabilities;
	mine.latency_us = (uv_hrtime() - check->started_ns) / 1000;
	check->params.on_result(check->params.arg, &mine);
}

static bool
is_our_error(int error)
{
	return error == UV_EMFILE || error == UV_ENFILE || error == UV_ENOMEM ||
	       error == UV_ENOBUFS;
}

static void
fail(struct check *check, const char *why, int error)
{
	struct check_result result = {.is_ours = is_our_error(error),
	    .outcome = HEALTH_BAD,
	    .why = why,
	    .text = error != 0 ? uv_strerror(error) : ""};

	report(check, &result);
	close_all(check);
}

static enum health_outcome
outcome_of(enum probe_verdict verdict)
{
	switch (verdict) {
	case PROBE_GOOD:
		return HEALTH_GOOD;
	case PROBE_LOGINDISABLED:
		return HEALTH_MISCONFIGURED;
	case PROBE_GARBAGE:
	case PROBE_PREAUTH:
	case PROBE_BYE:
	case PROBE_CLOSED:
	case PROBE_REFUSED:
	case PROBE_LOGIN_REFUSED:
		break;
	}
	return HEALTH_BAD;
}

static void
on_timer(uv_timer_t *timer)
{
	struct check *check = timer->data;

	if (check->is_over)
		close_all(check);
	else if (check->params.is_impossible)
		fail(check, "tls_unavailable", 0);
	else if (check->error != 0)
		fail(check, "connect", check->error);
	else
		fail(check, "timeout", 0);
}

/* The answer to LOGOUT is awaited, or the backend would see a reset. */
static void
conclude(struct check *check)
{
	const struct probe *probe = &check->probe;
	struct check_result result = {.outcome = outcome_of(probe->verdict),
	    .why = probe_verdict_name(probe->verdict),
	    .text = probe->text};

	report(check, &result);
	uv_timer_start(&check->timer, on_timer, LINGER_MS, 0);
}

/* ---- the dialogue ------------------------------------------------------ */

/* A fresh connection takes these few octets at once, or it isn't worth it. */
static bool
write_out(struct check *check, const struct outbuf *out)
{
	uv_buf_t buf = uv_buf_init((char *)out->data, (unsigned)out->len);

	return out->len == 0 ||
	       uv_try_write(&check->stream.stream, &buf, 1) == (int)out->len;
}

static void
after_step(
    struct check *check, enum probe_status status, const struct outbuf *out)
{
	bool written = write_out(check, out);

	if (status == PROBE_DONE)
		conclude(check);
	else if (!written)
		fail(check, "closed", UV_EPIPE);
}

/* ---- the same through a codec ------------------------------------------ */

static void
fail_tls(struct check *check)
{
	struct tls_info info;
	char text[PROBE_TEXT_MAX];

	tls_stream_info(check->params.tls, &info);
	snprintf(text, sizeof(text), "%.*s", (int)info.reason.len,
	    (const char *)info.reason.data);
	struct check_result result = {.outcome = HEALTH_BAD,
	    .why = tls_failure_name(tls_stream_failure(check->params.tls)),
	    .text = text};
	report(check, &result);
	close_all(check);
}

/* False: it waits, or is over. */
static bool
shake_hands(struct check *check, struct span *in)
{
	struct outbuf out;

	outbuf_init(&out, check->sealed->out, sizeof(check->sealed->out));
	enum tls_status status =
	    tls_stream_handshake(check->params.tls, in, &out);
	bool written = write_out(check, &out);
	if (status == TLS_FAILED)
		fail_tls(check);
	else if (!written)
		fail(check, "closed", UV_EPIPE);
	check->sealed->waits = status == TLS_WANT_KEY;
	if (check->sealed->waits)
		uv_read_stop(&check->stream.stream);
	return status == TLS_OK && written;
}

static void
feed_plain(struct check *check, struct span plain, struct outbuf *sealed)
{
	struct outbuf out;

	outbuf_init(&out, check->out, sizeof(check->out));
	enum probe_status status = probe_feed(&check->probe, plain, &out);
	if (tls_stream_write(check->params.tls, outbuf_span(&out), sealed) ==
	    TLS_FAILED)
		fail_tls(check);
	else
		after_step(check, status, sealed);
}

static void
feed_sealed(struct check *check, struct span in)
{
	enum tls_status status = TLS_OK;

	if (!shake_hands(check, &in)) {
		check->sealed->rest = in;
		return;
	}
	while (status == TLS_OK && !check->is_over) {
		struct outbuf plain, out;
		outbuf_init(
		    &plain, check->sealed->plain, sizeof(check->sealed->plain));
		outbuf_init(
		    &out, check->sealed->out, sizeof(check->sealed->out));
		status = tls_stream_read(check->params.tls, &in, &plain, &out);
		if (status == TLS_FAILED) {
			fail_tls(check);
		} else if (status == TLS_CLOSED) {
			probe_eof(&check->probe);
			conclude(check);
		} else {
			feed_plain(check, outbuf_span(&plain), &out);
		}
	}
}

static void
on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out_buf)
{
	struct check *check = handle->data;

	(void)suggested;
	*out_buf = uv_buf_init(check->in, sizeof(check->in));
}

static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct check *check = stream->data;
	struct outbuf out;

	if (n == 0)
		return;
	if (check->is_over) {
		if (n < 0)
			close_all(check);
		return;
	}
	if (n < 0 && n != UV_EOF) {
		fail(check, "closed", (int)n);
		return;
	}
	if (n == UV_EOF) {
		probe_eof(&check->probe);
		conclude(check);
		close_all(check);
		return;
	}
	struct span in = span_of(buf->base, (size_t)n);
	if (check->sealed != NULL) {
		feed_sealed(check, in);
		return;
	}
	outbuf_init(&out, check->out, sizeof(check->out));
	enum probe_status status = probe_feed(&check->probe, in, &out);
	after_step(check, status, &out);
}

void
check_key_reply(struct check *check, const struct key_reply *reply)
{
	if (check->is_over || check->sealed == NULL)
		return;
	tls_stream_key_done(check->params.tls, reply);
	feed_sealed(check, check->sealed->rest);
	if (!check->is_over && !check->sealed->waits)
		uv_read_start(&check->stream.stream, on_alloc, on_read);
}

static struct addr
local_address(const struct check *check)
{
	struct addr addr = {.family = ADDR_NONE};
	struct sockaddr_storage sa = {.ss_family = AF_UNSPEC};
	int len = sizeof(sa);

	if (check->stream.handle.type == UV_TCP &&
	    uv_tcp_getsockname(
		&check->stream.tcp, (struct sockaddr *)&sa, &len) == 0)
		addr_from_sockaddr((struct sockaddr *)&sa, &addr);
	return addr;
}

static void
on_connect(uv_connect_t *request, int status)
{
	struct check *check = request->data;
	struct addr local;
	struct outbuf out;

	if (check->is_over)
		return;
	if (status < 0) {
		fail(check, "connect", status);
		return;
	}
	local = local_address(check);
	outbuf_init(&out, check->out, sizeof(check->out));
	enum probe_status next = probe_connected(&check->probe, &local, &out);
	status = uv_read_start(&check->stream.stream, on_alloc, on_read);
	if (status < 0) {
		fail(check, "connect", status);
		return;
	}
	/* A PROXY header stands before TLS. */
	after_step(check, next, &out);
	if (check->sealed != NULL && !check->is_over)
		feed_sealed(check, span_of(NULL, 0));
}

/* ---- the start --------------------------------------------------------- */

/* One of the sources that have the backend's family, or NULL. */
static const struct addr *
pick_source(const struct check *check)
{
	const struct backend *backend = &check->probe.backend;
	uint64_t n = backend->n_sources;

	for (uint64_t i = 0; i < n; i++) {
		const struct addr *source =
		    &backend->sources[(check->params.random + i) % n];
		if (source->family == backend->endpoint.addr.family)
			return source;
	}
	return NULL;
}

/* The kernel chooses the port when it knows the destination: otherwise the
 * same port could not be used for two backends. */
static int
bind_source(int fd, const struct addr *source)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(source, &sa);
	int on = 1;

	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, (struct sockaddr *)&sa, len) == 0 ? 0 : -errno;
}

static int
open_tcp(struct check *check)
{
	const struct addr *addr = &check->probe.backend.endpoint.addr;
	const struct addr *source = pick_source(check);
	int family = addr->family == ADDR_IPV6 ? AF_INET6 : AF_INET;

	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int error = source != NULL ? bind_source(fd, source) : 0;
	if (error == 0)
		error = uv_tcp_open(&check->stream.tcp, fd);
	if (error != 0)
		close(fd);
	return error;
}

static int
connect_tcp(struct check *check)
{
	struct sockaddr_storage sa;

	int error = open_tcp(check);
	if (error != 0)
		return error;
	uv_tcp_nodelay(&check->stream.tcp, 1);
	addr_to_sockaddr(&check->probe.backend.endpoint.addr, &sa);
	error = uv_tcp_connect(&check->connect, &check->stream.tcp,
	    (struct sockaddr *)&sa, on_connect);
	/* It has an address, but no port: that says nothing of the backend. */
	return error == UV_EADDRNOTAVAIL ? UV_ENOBUFS : error;
}

static int
connect_stream(struct check *check)
{
	const struct endpoint *endpoint = &check->probe.backend.endpoint;
	uv_loop_t *loop = check->params.loop;

	check->connect.data = check;
	if (endpoint->path[0] == '\0') {
		uv_tcp_init(loop, &check->stream.tcp);
		return endpoint->addr.family == ADDR_NONE ? UV_EADDRNOTAVAIL
							  : connect_tcp(check);
	}
	uv_pipe_init(loop, &check->stream.pipe, 0);
	uv_pipe_connect(
	    &check->connect, &check->stream.pipe, endpoint->path, on_connect);
	return 0;
}

struct check *
check_start(const struct check_params *params)
{
	struct check *check = calloc(1, sizeof(*check));

	if (check == NULL) {
		tls_stream_free(params->tls);
		return NULL;
	}
	check->params = *params;
	check->n_handles = 2;
	check->started_ns = uv_hrtime();
	probe_init(&check->probe, params->backend);
	if (params->user.len > 0)
		probe_log_in(&check->probe, params->user, params->password);
	check->params.user = check->params.password = span_of(NULL, 0);
	uv_timer_init(params->loop, &check->timer);
	if (params->tls != NULL)
		check->sealed = calloc(1, sizeof(*check->sealed));
	if (params->is_impossible ||
	    (params->tls != NULL && check->sealed == NULL)) {
		/* Only to be closed. */
		uv_pipe_init(params->loop, &check->stream.pipe, 0);
		check->error = UV_ENOMEM;
	} else {
		check->error = connect_stream(check);
	}
	check->timer.data = check;
	check->stream.handle.data = check;
	uv_timer_start(&check->timer, on_timer,
	    check->error != 0 ? 0 : params->timeout_ms, 0);
	return check;
}
