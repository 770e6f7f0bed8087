/* SPDX-License-Identifier: ISC */
/*
 * The accept loop: ours and not libuv's, which on EMFILE closes all that is
 * pending and tells nobody. A budget per turn, admission before anything is
 * allocated, and no spinning: when the worker is full or short of descriptors
 * it stops polling until there is room.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/ensure.h"
#include "proxy/ipc/channel.h"
#include "proxy/limits/admission.h"
#include "proxy/worker/shakes.h"
#include "proxy/worker/shed.h"
#include "proxy/worker/worker.h"

#define ACCEPT_PAUSE_MS 100 /* after running out of descriptors */

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void
set_polling(struct worker *worker, bool polling)
{
	for (uint32_t i = 0; i < worker->n_listeners; i++) {
		struct listener *listener = &worker->listeners[i];
		if (listener->polling == polling || listener->fd < 0)
			continue;
		listener->polling = polling;
		if (polling)
			uv_poll_start(
			    &listener->poll, UV_READABLE, on_acceptable);
		else
			uv_poll_stop(&listener->poll);
	}
}

static uint32_t
capacity(const struct worker *worker)
{
	uint32_t share =
	    (worker->snapshot->gateway.max_connections + worker->n_slots - 1) /
	    worker->n_slots;

	return share < worker->n_records ? share : worker->n_records;
}

static void
pause_accepting(struct worker *worker, uint64_t until_ms)
{
	worker->paused = true;
	worker->resume_ms = until_ms;
	set_polling(worker, false);
	worker_arm_timer(worker);
}

/* True: its descriptor is free before the next turn; one that is told BYE
 * lingers. */
static bool
shed_one(struct worker *worker, bool handshaking)
{
	struct conn *conn = shed_choose(worker, handshaking);

	if (conn == NULL)
		return false;
	bool at_once = conn_session(conn)->state < SESSION_PREAUTH;
	slot_add(&worker->area->shed, 1);
	conn_stop(conn, REASON_SHED);
	return at_once;
}

static bool
has_room(const struct worker *worker)
{
	return worker->n_conns < capacity(worker) && worker->n_free > 0;
}

static void
become_full(struct worker *worker)
{
	if (!worker->is_full) {
		worker->is_full = true;
		worker_tell(worker, MESSAGE_FULL, 1);
	}
	pause_accepting(worker, UINT64_MAX);
}

static bool
is_somebody_waiting(const struct listener *listener)
{
	struct pollfd waiting = {listener->fd, POLLIN, 0};

	return poll(&waiting, 1, 0) == 1;
}

/* Room for one more: somebody who is not logged in goes first, logged-in
 * sessions stay. False: the worker is full, or nobody needs the room: the one
 * that would go for nothing may have come just now. */
static bool
make_room(struct listener *listener)
{
	struct worker *worker = listener->worker;

	if (has_room(worker))
		return true;
	if (shed_any(worker) != NULL) {
		if (!is_somebody_waiting(listener))
			return false;
		shed_one(worker, false);
	}
	if (has_room(worker))
		return true;
	become_full(worker);
	return false;
}

void
accept_resume(struct worker *worker)
{
	if (worker->env.draining)
		return;
	/* The last one may have logged in: the next must not come here. */
	if (!worker->paused && !has_room(worker) && shed_any(worker) == NULL)
		become_full(worker);
	if (!worker->paused || !has_room(worker))
		return;
	if (worker->resume_ms != UINT64_MAX &&
	    worker->env.now_ms < worker->resume_ms)
		return;
	worker->paused = false;
	set_polling(worker, true);
}

void
accept_beat(struct worker *worker)
{
	accept_resume(worker);
	if (!worker->is_full || worker->paused)
		return;
	worker->is_full = false;
	worker_tell(worker, MESSAGE_FULL, 0);
}

static bool
is_wildcard(const struct addr *addr)
{
	static const uint8_t zeros[16];

	return memcmp(addr->ip, zeros, sizeof(zeros)) == 0;
}

/* Where the client connected to: a wildcard listener has to ask. */
static struct addr
local_address(const struct listener *listener, int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct addr addr;

	if (!is_wildcard(&listener->address) ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) != 0 ||
	    !addr_from_sockaddr((const struct sockaddr *)&sa, &addr))
		return listener->address;
	return addr;
}

/* A balancer is never limited: its clients are, once its header is here. */
static void
decide(struct worker *worker, uint32_t listen, const struct addr *peer,
    struct admission_result *out)
{
	const struct config *config = worker->snapshot;

	if (!config_listen_at(config, listen)->proxy_protocol) {
		admission_enter(worker->env.limiter, config, listen, peer,
		    worker->env.now_ms, out);
		return;
	}
	*out = (struct admission_result){
	    .admission = admission_of_sender(config, listen, peer)};
	out->refused = out->admission != ADMISSION_ADMIT;
}

/* At the cap somebody goes: there is never a flat refusal. */
static void
shed_handshakes(struct worker *worker, uint32_t coming)
{
	if (worker->env.limiter == NULL)
		return;
	uint32_t n = limiter_handshakes_over(
	    worker->env.limiter, worker->snapshot, coming);
	while (n-- > 0) {
		struct conn *conn = shed_choose(worker, true);
		if (conn == NULL)
			return;
		if (worker->snapshot->limits.observe) {
			const struct session *session = conn_session(conn);
			refusal_observe(&worker->env, session->listen,
			    &session->client, ADMISSION_HANDSHAKES);
			return;
		}
		shed_one(worker, true);
	}
}

void
accept_give_way(struct worker *worker)
{
	if (!worker->snapshot->limits.observe)
		shed_handshakes(worker, 0);
}

static void
admit(struct listener *listener, int fd, const struct sockaddr *sa)
{
	struct worker *worker = listener->worker;
	struct admission_result result;
	struct addr peer;
	struct addr local = local_address(listener, fd);

	slot_add(&worker->area->accepted, 1);
	addr_from_sockaddr(sa, &peer);
	decide(worker, listener->listen, &peer, &result);
	slot_add(&worker->area->table_overflows, result.overflows);
	if (result.admission != ADMISSION_ADMIT)
		refusal_note(&worker->env, listener->listen, &peer, &result);
	if (result.refused) {
		close(fd);
		return;
	}
	shed_handshakes(worker, 1);
	conn_start(worker, fd, listener, &peer, &local, &result.hold);
}

/* False: nothing more to accept now. */
static bool
accept_one(struct listener *listener)
{
	struct worker *worker = listener->worker;
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (!worker->env.draining && !make_room(listener))
		return false;
	int fd = accept4(listener->fd, (struct sockaddr *)&sa, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		admit(listener, fd, (const struct sockaddr *)&sa);
		return true;
	}
	if (errno == EAGAIN)
		return false;
	slot_add(&worker->area->accept_errors, 1);
	if (errno == ECONNABORTED || errno == EINTR || errno == EPROTO ||
	    errno == EPERM)
		return true;
	bool is_short = errno == EMFILE || errno == ENFILE;
	if (is_short && shed_one(worker, false))
		return false;
	pause_accepting(worker, worker->env.now_ms + ACCEPT_PAUSE_MS);
	return false;
}

static void
on_acceptable(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = poll->data;

	(void)status;
	(void)events;
	worker_touch_clock(listener->worker);
	uint64_t until_ns = uv_hrtime() + TURN_SHARE_NS;
	while (accept_one(listener) && uv_hrtime() < until_ns)
		continue;
}

bool
accept_add(
    struct worker *worker, int fd, uint32_t listen, const struct addr *address)
{
	if (worker->n_listeners == CONFIG_MAX_LISTENERS)
		return false;
	struct listener *listener = &worker->listeners[worker->n_listeners++];
	*listener = (struct listener){
	    .worker = worker,
	    .fd = fd,
	    .listen = listen,
	    .address = *address,
	};
	listener->poll.data = listener;
	return uv_poll_init(&worker->loop, &listener->poll, fd) == 0;
}

void
accept_start(struct worker *worker)
{
	set_polling(worker, true);
}

void
accept_close(struct worker *worker)
{
	set_polling(worker, false);
	for (uint32_t i = 0; i < worker->n_listeners; i++) {
		struct listener *listener = &worker->listeners[i];
		while (worker->n_free > 0 && accept_one(listener))
			continue;
		close(listener->fd);
		listener->fd = -1;
	}
}

void
accept_configure(struct worker *worker)
{
	for (uint32_t i = 0; i < worker->n_listeners; i++) {
		const struct listener *listener = &worker->listeners[i];
		const struct config_listen *listen =
		    config_listen_at(worker->snapshot, listener->listen);
		dial_configure(listener->fd,
		    config_pool_at(worker->snapshot, listen->pool));
	}
}
