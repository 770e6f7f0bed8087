/* SPDX-License-Identifier: ISC */
/*
 * Handshakes after established sessions: what a client sends before its
 * handshake is done is left in the kernel until everything else of a loop turn
 * was served, and then one or a few are served. A flood of handshakes makes
 * handshakes wait, and nothing else. Called by conn.c and by the loop.
 *
 * Invariant: a connection in the queue is not read by libuv once a turn has
 * passed, so that it wakes nobody.
 */
#include "proxy/worker/shakes.h"

#include <errno.h>
#include <sys/socket.h>

#include "proxy/worker/conn.h"

bool
shakes_defers(const struct conn *conn)
{
	return conn->session.state <= SESSION_HANDSHAKE;
}

void
shakes_add(struct conn *conn)
{
	if (list_is_empty(&conn->shaking))
		list_append(&conn->worker->shaking, &conn->shaking);
}

static void
stop_reading(struct peer *peer)
{
	if (peer->reading)
		uv_read_stop(&peer->uv.stream);
	peer->reading = false;
}

static void
serve(struct conn *conn)
{
	struct worker *worker = conn->worker;
	struct session *session = &conn->session;
	uv_os_fd_t fd;
	ssize_t n;

	list_remove(&conn->shaking);
	if (uv_fileno(&conn->client.uv.handle, &fd) != 0)
		return;
	n = recv(fd, worker->slab, SLAB_IN, MSG_DONTWAIT);
	if (n > 0) {
		session_received(
		    session, SIDE_CLIENT, span_of(worker->slab, (size_t)n));
	} else if (n == 0) {
		stop_reading(&conn->client);
		session_eof(session, SIDE_CLIENT);
	} else if (errno != EAGAIN && errno != EINTR) {
		stop_reading(&conn->client);
		session_reset(session, SIDE_CLIENT);
	}
	conn_settle(conn);
}

static void
on_idle(uv_idle_t *idle)
{
	(void)idle; /* while it runs, the loop does not sleep */
}

/* Those that came in this turn stand at the end. */
static void
let_wait(struct worker *worker)
{
	struct list_link *it = worker->shaking.prev;

	for (; it != &worker->shaking; it = it->prev) {
		struct conn *conn = list_entry(it, struct conn, shaking);
		if (!conn->client.reading)
			break;
		stop_reading(&conn->client);
	}
	if (list_is_empty(&worker->shaking))
		uv_idle_stop(&worker->shaking_idle);
	else
		uv_idle_start(&worker->shaking_idle, on_idle);
}

static void
on_check(uv_check_t *check)
{
	struct worker *worker = check->data;

	if (list_is_empty(&worker->shaking))
		return;
	worker_touch_clock(worker);
	uint64_t until_ns = uv_hrtime() + TURN_SHARE_NS;
	do
		serve(list_entry(worker->shaking.next, struct conn, shaking));
	while (!list_is_empty(&worker->shaking) && uv_hrtime() < until_ns);
	let_wait(worker);
}

void
shakes_init(struct worker *worker)
{
	list_init(&worker->shaking);
	uv_idle_init(&worker->loop, &worker->shaking_idle);
	uv_check_init(&worker->loop, &worker->shaking_check);
	worker->shaking_check.data = worker;
	uv_check_start(&worker->shaking_check, on_check);
}
