/* SPDX-License-Identifier: ISC */
/* Connecting to a backend: addresses of our own, socket options, the way to
 * say why not. Called by conn.c; accept.c shares the options. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/worker/conn.h"
#include "tls/random.h"

/* With many connections from one address the kernel picks the port at
 * connect(), by the whole tuple, or 28,000 in all would be the end. */
static int
bind_source(int fd, const struct addr *source)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(source, &sa);
	int on = 1;

	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, (const struct sockaddr *)&sa, len);
}

void
dial_configure(int fd, const struct config_pool *pool)
{
	int on = 1;
	int idle_s = (int)(pool->keepalive_ms / 1000);
	unsigned stall_ms = (unsigned)pool->stall_timeout_ms;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(
	    fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stall_ms, sizeof(stall_ms));
}

static void
on_connected(uv_connect_t *request, int status)
{
	struct peer *peer = request->data;

	free(request);
	if (!peer->closing)
		conn_dialed(peer, status);
}

static int
open_tcp(
    struct conn *conn, const struct backend *backend, const struct addr *source)
{
	struct peer *peer = conn->backend;
	int family =
	    backend->endpoint.addr.family == ADDR_IPV4 ? AF_INET : AF_INET6;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	dial_configure(fd, session_pool(&conn->session));
	if (source != NULL && bind_source(fd, source) != 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	int result = uv_tcp_open(&peer->uv.tcp, fd);
	if (result != 0)
		close(fd);
	return result;
}

static int
connect_peer(
    struct conn *conn, const struct backend *backend, const struct addr *source)
{
	struct peer *peer = conn->backend;
	uv_connect_t *request = malloc(sizeof(*request));
	struct sockaddr_storage sa;

	if (request == NULL)
		return UV_ENOMEM;
	request->data = peer;
	if (backend->endpoint.path[0] != '\0') {
		uv_pipe_connect(request, &peer->uv.pipe, backend->endpoint.path,
		    on_connected);
		return 0;
	}
	int result = open_tcp(conn, backend, source);
	if (result == 0) {
		addr_to_sockaddr(&backend->endpoint.addr, &sa);
		result = uv_tcp_connect(request, &peer->uv.tcp,
		    (const struct sockaddr *)&sa, on_connected);
	}
	if (result != 0)
		free(request);
	return result;
}

static const char *
why_not(int status)
{
	switch (status) {
	case UV_ECONNREFUSED:
	case UV_ENOENT:
		return "connect_refused";
	case UV_ETIMEDOUT:
		return "connect_timeout";
	case UV_EADDRNOTAVAIL:
		return "no_source_port";
	case UV_EMFILE:
	case UV_ENFILE:
		return "no_descriptors";
	case UV_ENOMEM:
		return "memory";
	case UV_ENETUNREACH:
	case UV_EHOSTUNREACH:
		return "unreachable";
	default:
		return "connect_failed";
	}
}

/* source NULL: whatever the system takes. */
static int
dial_from(
    struct conn *conn, const struct backend *backend, const struct addr *source)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	uv_loop_t *loop = &conn->worker->loop;

	if (peer == NULL)
		return UV_ENOMEM;
	peer->conn = conn;
	peer->side = SIDE_BACKEND;
	if (backend->endpoint.path[0] != '\0')
		uv_pipe_init(loop, &peer->uv.pipe, 0);
	else
		uv_tcp_init(loop, &peer->uv.tcp);
	peer->uv.handle.data = peer;
	conn->backend = peer;
	conn->open_handles++;
	conn->worker->n_backends++;
	int result = connect_peer(conn, backend, source);
	if (result == 0)
		return 0;
	conn_close_peer(peer);
	conn->backend = NULL;
	return result;
}

const char *
dial_start(struct conn *conn)
{
	const struct backend *backend = session_backend(&conn->session);
	uint32_t n = backend->n_sources, first;
	int result = UV_EADDRNOTAVAIL;
	bool has_source = false;

	tls_random(&first, sizeof(first));
	/* Where one address has no port left, the next may. */
	for (uint32_t i = 0; i < n && result == UV_EADDRNOTAVAIL; i++) {
		const struct addr *source =
		    &backend->sources[(first % n + i) % n];
		if (source->family != backend->endpoint.addr.family)
			continue;
		has_source = true;
		result = dial_from(conn, backend, source);
	}
	if (!has_source)
		result = dial_from(conn, backend, NULL);
	return result == 0 ? NULL : why_not(result);
}

void
conn_dialed(struct peer *peer, int status)
{
	struct conn *conn = peer->conn;

	worker_touch_clock(conn->worker);
	if (status != 0) {
		conn_close_peer(peer);
		conn->backend = NULL;
	}
	session_dialed(&conn->session, status == 0, why_not(status));
	conn_settle(conn);
}
