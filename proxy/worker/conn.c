/* SPDX-License-Identifier: ISC */
/*
 * Between libuv and a session. Handlers record the event by calling the session
 * and end in conn_settle(): output is written, sockets are dialled, shut down
 * and closed, and what the session waits for is armed.
 *
 *   on_read, on_written, on_dialed, conn_fire, conn_key_reply
 *        -> session_...() -> conn_settle(): flush, dial, finish, arm
 *
 * Invariants: the slabs are empty when settle returns; what the kernel refused
 * is in a write of its exact size and counted in end.owed; nothing is freed
 * before the last handle is closed.
 */
#include "proxy/worker/conn.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/ensure.h"
#include "proxy/worker/shakes.h"
#include "proxy/worker/shed.h"

struct pending_write {
	uv_write_t request;
	struct peer *peer;
	bool is_secret;
	size_t len;
	uint8_t data[];
};

static void
on_peer_closed(uv_handle_t *handle)
{
	struct peer *peer = handle->data;
	struct conn *conn = peer->conn;

	ENSURE(conn->open_handles > 0);
	conn->open_handles--;
	if (peer != &conn->client) {
		conn->worker->n_backends--;
		free(peer);
	}
	if (conn->open_handles > 0)
		return;
	free(conn);
}

void
conn_close_peer(struct peer *peer)
{
	if (peer->closing)
		return;
	peer->closing = true;
	uv_close(&peer->uv.handle, on_peer_closed);
}

static void
close_all(struct conn *conn)
{
	struct worker *worker = conn->worker;

	conn->closing = true;
	list_remove(&conn->preauth);
	list_remove(&conn->shaking);
	wheel_remove(&conn->deadline);
	session_fini(&conn->session);
	worker->conns[conn->record] = NULL;
	worker->free_records[worker->n_free++] = conn->record;
	worker->n_conns--;
	if (conn->backend != NULL)
		conn_close_peer(conn->backend);
	conn_close_peer(&conn->client);
	accept_resume(worker);
	drain_note_end(worker);
}

static struct end *
end_of(const struct peer *peer)
{
	return &peer->conn->session.ends[peer->side];
}

static void
on_written(uv_write_t *request, int status)
{
	struct pending_write *pending = (struct pending_write *)request;
	struct peer *peer = pending->peer;
	struct conn *conn = peer->conn;
	size_t len = pending->len;

	if (pending->is_secret)
		explicit_bzero(pending->data, pending->len);
	free(pending);
	if (peer->closing || conn->closing)
		return;
	worker_touch_clock(conn->worker);
	end_of(peer)->owed -= len;
	if (status < 0)
		session_reset(&conn->session, peer->side);
	else if (end_of(peer)->owed == 0)
		session_drained(&conn->session);
	conn_settle(conn);
}

/* Keeps what the kernel refused. */
static bool
owe(struct peer *peer, struct span rest, bool is_secret)
{
	struct pending_write *pending = malloc(sizeof(*pending) + rest.len);
	if (pending == NULL)
		return false;
	pending->peer = peer;
	pending->is_secret = is_secret;
	pending->len = rest.len;
	memcpy(pending->data, rest.data, rest.len);
	uv_buf_t buf = uv_buf_init((char *)pending->data, (unsigned)rest.len);
	if (uv_write(&pending->request, &peer->uv.stream, &buf, 1,
		on_written) != 0) {
		free(pending);
		return false;
	}
	end_of(peer)->owed += rest.len;
	return true;
}

static bool
write_out(struct peer *peer, struct span bytes, bool is_secret)
{
	if (end_of(peer)->owed == 0) {
		uv_buf_t buf =
		    uv_buf_init((char *)bytes.data, (unsigned)bytes.len);
		int n = uv_try_write(&peer->uv.stream, &buf, 1);
		if (n < 0 && n != UV_EAGAIN)
			return false;
		if (n > 0)
			span_advance(&bytes, (size_t)n);
	}
	return bytes.len == 0 || owe(peer, bytes, is_secret);
}

/* False: the peer cannot be written to. */
static bool
flush(struct conn *conn, enum side side)
{
	struct outbuf *out = &conn->worker->env.out[side];
	struct peer *peer = side == SIDE_CLIENT ? &conn->client : conn->backend;
	struct span bytes = outbuf_span(out);
	bool is_secret =
	    side == SIDE_BACKEND && session_is_secret(&conn->session);
	bool good = true;

	if (bytes.len > 0 && peer != NULL && !out->overflow)
		good = write_out(peer, bytes, is_secret);
	good = good && !out->overflow;
	if (is_secret)
		explicit_bzero(out->data, out->len);
	out->len = 0;
	out->overflow = false;
	return good;
}

static void
finish(struct peer *peer)
{
	uv_os_fd_t fd;

	if (peer == NULL || peer->fin_sent || !end_of(peer)->fin_wanted ||
	    end_of(peer)->owed > 0)
		return;
	peer->fin_sent = true;
	if (uv_fileno(&peer->uv.handle, &fd) == 0)
		shutdown(fd, SHUT_WR);
}

static void
drop_backend(struct conn *conn)
{
	conn->session.drop_backend = false;
	if (conn->backend == NULL)
		return;
	(void)flush(conn, SIDE_BACKEND); /* a fatal alert */
	conn_close_peer(conn->backend);
	conn->backend = NULL;
}

static void
dial(struct conn *conn)
{
	conn->session.dial = DIAL_CONNECTING;
	const char *why = dial_start(conn);
	if (why != NULL)
		session_dialed(&conn->session, false, why);
}

/* One round of what the session wants; true: it may want more now. */
static bool
serve(struct conn *conn)
{
	struct session *session = &conn->session;

	if (session->drop_backend) {
		drop_backend(conn);
		return true;
	}
	for (int side = 0; side < SIDE_MAX; side++) {
		if (flush(conn, (enum side)side))
			continue;
		session_reset(session, (enum side)side);
		return true;
	}
	if (session->dial == DIAL_WANTED) {
		dial(conn);
		return true;
	}
	finish(&conn->client);
	finish(conn->backend);
	if (session_wants_step(session)) {
		session_drained(session);
		return true;
	}
	return false;
}

static void
on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct peer *peer = handle->data;

	(void)suggested;
	/* Without a buffer libuv reads nothing and says UV_ENOBUFS. */
	if (peer->side == SIDE_CLIENT && shakes_defers(peer->conn))
		*buf = uv_buf_init(NULL, 0);
	else
		*buf = uv_buf_init((char *)peer->conn->worker->slab,
		    end_of(peer)->tls != NULL ? READ_TLS_MAX : SLAB_IN);
}

static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct peer *peer = stream->data;
	struct conn *conn = peer->conn;

	if (n == 0 || peer->closing || conn->closing)
		return;
	if (n == UV_ENOBUFS) {
		shakes_add(conn);
		return;
	}
	worker_touch_clock(conn->worker);
	if (n > 0) {
		session_received(&conn->session, (enum side)peer->side,
		    span_of(buf->base, (size_t)n));
	} else {
		uv_read_stop(stream);
		peer->reading = false;
		if (n == UV_EOF)
			session_eof(&conn->session, (enum side)peer->side);
		else
			session_reset(&conn->session, (enum side)peer->side);
	}
	conn_settle(conn);
}

static void
arm_read(struct conn *conn, struct peer *peer)
{
	if (peer == NULL)
		return;
	bool wanted =
	    session_wants_read(&conn->session, (enum side)peer->side) &&
	    (peer != &conn->client || list_is_empty(&conn->shaking));
	if (wanted == peer->reading)
		return;
	peer->reading = wanted;
	if (wanted)
		uv_read_start(&peer->uv.stream, on_alloc, on_read);
	else
		uv_read_stop(&peer->uv.stream);
}

static void
note_progress(struct conn *conn)
{
	enum session_state state = conn->session.state;

	if (conn->is_stranger && state >= SESSION_PREAUTH) {
		conn->is_stranger = false;
		list_remove(&conn->preauth);
		list_append(&conn->worker->preauth, &conn->preauth);
	}
	if (state >= SESSION_RELAY)
		list_remove(&conn->preauth);
}

static void
arm(struct conn *conn)
{
	uint64_t due_ms = session_next_deadline(&conn->session);

	arm_read(conn, &conn->client);
	arm_read(conn, conn->backend);
	if (conn->deadline.due_ms == 0 || due_ms < conn->deadline.due_ms) {
		wheel_set(&conn->worker->wheel, &conn->deadline, due_ms);
		worker_arm_timer(conn->worker);
	}
	note_progress(conn);
}

void
conn_settle(struct conn *conn)
{
	while (conn->session.state != SESSION_DONE && serve(conn))
		continue;
	if (conn->session.state == SESSION_DONE) {
		for (int side = 0; side < SIDE_MAX; side++)
			flush(conn, (enum side)side);
		close_all(conn);
		return;
	}
	arm(conn);
}

void
conn_key_reply(struct conn *conn, const struct key_reply *reply)
{
	session_key_reply(&conn->session, reply);
	conn_settle(conn);
}

void
conn_abort(struct conn *conn)
{
	session_deadline(&conn->session);
	conn_settle(conn);
}

void
conn_stop(struct conn *conn, enum end_reason reason)
{
	session_stop(&conn->session, reason);
	conn_settle(conn);
}

const struct session *
conn_session(const struct conn *conn)
{
	return &conn->session;
}

/* A session's id names its record, its worker and a serial number. */
#define ID_RECORD_BITS 18
#define ID_SLOT_BITS   6

struct conn *
conn_by_id(const struct worker *worker, uint64_t id)
{
	uint32_t record = (uint32_t)(id & ((1U << ID_RECORD_BITS) - 1));
	struct conn *conn =
	    record < worker->n_records ? worker->conns[record] : NULL;

	return conn != NULL && conn->session.id == id ? conn : NULL;
}

static uint64_t
next_id(struct worker *worker, uint32_t record)
{
	uint64_t id = worker->next_serial++;

	id = id << ID_SLOT_BITS | worker->slot;
	return id << ID_RECORD_BITS | record;
}

void
conn_fire(struct wheel_entry *entry, void *arg)
{
	struct conn *conn = list_entry(entry, struct conn, deadline);
	struct worker *worker = arg;

	if (session_next_deadline(&conn->session) <= worker->env.now_ms) {
		shed_for(conn);
		session_deadline(&conn->session);
	}
	conn_settle(conn);
}

bool
conn_may_handshake(void *arg, uint64_t session_id)
{
	struct conn *conn = conn_by_id(arg, session_id);

	return conn == NULL || session_may_handshake(&conn->session);
}

static struct conn *
conn_new(struct worker *worker, int fd)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	if (conn == NULL)
		return NULL;
	conn->worker = worker;
	conn->client.conn = conn;
	conn->client.side = SIDE_CLIENT;
	list_init(&conn->preauth);
	list_init(&conn->shaking);
	wheel_entry_init(&conn->deadline);
	uv_tcp_init(&worker->loop, &conn->client.uv.tcp);
	conn->client.uv.handle.data = &conn->client;
	conn->open_handles = 1;
	if (uv_tcp_open(&conn->client.uv.tcp, fd) == 0)
		return conn;
	conn_close_peer(&conn->client);
	return NULL;
}

static void
refuse_for_memory(struct worker *worker, const struct listener *listener,
    const struct addr *peer)
{
	struct admission_result result = {
	    .admission = ADMISSION_MEMORY, .refused = true};

	refusal_note(&worker->env, listener->listen, peer, &result);
}

void
conn_start(struct worker *worker, int fd, const struct listener *listener,
    const struct addr *peer, const struct addr *local,
    const struct limiter_hold *hold)
{
	ENSURE(worker->n_free > 0);
	struct limiter_hold unused = *hold;
	struct conn *conn = conn_new(worker, fd);
	if (conn == NULL) {
		if (worker->env.limiter != NULL)
			limiter_release(worker->env.limiter, &unused);
		refuse_for_memory(worker, listener, peer);
		close(fd);
		return;
	}
	uint32_t record = worker->free_records[worker->n_free - 1];
	if (!session_init(&conn->session, &worker->env, next_id(worker, record),
		&worker->area->records[record], listener->listen, peer,
		local)) {
		refuse_for_memory(worker, listener, peer);
		if (worker->env.limiter != NULL)
			limiter_release(worker->env.limiter, &unused);
		conn_close_peer(&conn->client);
		return;
	}
	session_hold(&conn->session, hold);
	worker->n_free--;
	worker->n_conns++;
	conn->record = record;
	worker->conns[record] = conn;
	conn->is_stranger = true;
	list_append(&worker->strangers, &conn->preauth);
	conn_settle(conn);
}
