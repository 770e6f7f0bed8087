/* SPDX-License-Identifier: ISC */
/*
 * Leaving without a stampede: clients before login are told BYE at once; then
 * sessions that were quiet for a while end evenly over the time that is left,
 * busy ones last. The same, for its sessions alone, when a backend is drained
 * by hand: its entry in the backends area says so, and since when.
 */
#include "proxy/ipc/channel.h"
#include "proxy/worker/shed.h"

#define QUIET_MS 5000
#define LAST_MS	 1000 /* for what lingers */

static void
end_preauth(struct worker *worker)
{
	struct conn *conn;

	/* Each leaves the list: it is then lingering, or gone. */
	while ((conn = shed_any(worker)) != NULL)
		conn_stop(conn, REASON_DRAIN);
}

/* Whose sessions end: all, or those at one backend. */
struct herd {
	struct worker *worker;
	const struct backend_ref *at; /* NULL: all */
	uint64_t until_ms;
};

static bool
is_in(const struct herd *herd, const struct conn *conn)
{
	if (conn == NULL || conn_session(conn)->state != SESSION_RELAY)
		return false;
	const struct backend_ref *ref = &conn_session(conn)->backend;
	return herd->at == NULL || (ref->index == herd->at->index &&
				       ref->generation == herd->at->generation);
}

static uint32_t
count_relaying(const struct herd *herd)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < herd->worker->n_records; i++)
		n += is_in(herd, herd->worker->conns[i]);
	return n;
}

static void
end_relaying(const struct herd *herd, uint32_t quota, uint64_t active_before)
{
	for (uint32_t i = 0; i < herd->worker->n_records && quota > 0; i++) {
		struct conn *conn = herd->worker->conns[i];
		if (!is_in(herd, conn) ||
		    session_active_ms(conn_session(conn)) > active_before)
			continue;
		conn_stop(conn, REASON_DRAIN);
		quota--;
	}
}

/* Once a second: as many as go evenly into the time that is left. */
static void
thin_out(const struct herd *herd)
{
	uint64_t now = herd->worker->env.now_ms;

	if (now >= herd->until_ms) {
		end_relaying(herd, UINT32_MAX, UINT64_MAX);
		return;
	}
	uint64_t seconds_left = (herd->until_ms - now) / 1000 + 1;
	uint32_t n = count_relaying(herd);
	uint32_t quota = (uint32_t)((n + seconds_left - 1) / seconds_left);
	end_relaying(herd, quota, now > QUIET_MS ? now - QUIET_MS : 0);
}

void
drain_step(struct worker *worker)
{
	const struct herd all = {worker, NULL, worker->drain_until_ms};

	thin_out(&all);
}

/* True: it is being drained, and sessions of ours are still there. */
static bool
drain_backend(struct worker *worker, uint32_t index)
{
	uint64_t spread_ms = worker->snapshot->gateway.drain_timeout_ms;
	struct backend backend;

	if (atomic_load_explicit(&worker->loads[worker->slot]->active[index],
		memory_order_relaxed) == 0 ||
	    !backends_area_read(worker->backends, index, &backend) ||
	    backend.state != BACKEND_DRAINING || backend.admin != ADMIN_DRAIN)
		return false;
	const struct backend_ref ref = {index, backend.generation};
	const struct herd herd = {
	    worker, &ref, backend.since_ms + spread_ms - LAST_MS};
	thin_out(&herd);
	return true;
}

void
drain_backends(struct worker *worker)
{
	uint64_t change = atomic_load_explicit(
	    &worker->backends->change, memory_order_acquire);
	bool is_draining = false;

	if (change == worker->drain_seen)
		return;
	for (uint32_t i = 0; i < worker->backends->n_entries; i++)
		is_draining |= drain_backend(worker, i);
	/* While one drains, every second is a change. */
	if (!is_draining)
		worker->drain_seen = change;
}

void
drain_note_end(struct worker *worker)
{
	if (!worker->env.draining || worker->n_conns > 0 ||
	    worker->told_drained)
		return;
	worker->told_drained = true;
	worker_tell(worker, MESSAGE_DRAINED, 0);
}

void
drain_start(struct worker *worker, uint64_t spread_ms)
{
	if (worker->env.draining)
		return;
	worker->env.draining = true;
	worker->drain_until_ms =
	    worker->env.now_ms +
	    (spread_ms > LAST_MS ? spread_ms - LAST_MS : 0);
	accept_close(worker);
	end_preauth(worker);
	drain_step(worker);
	drain_note_end(worker);
}

void
drain_now(struct worker *worker)
{
	for (uint32_t i = 0; i < worker->n_records; i++) {
		if (worker->conns[i] != NULL)
			conn_stop(worker->conns[i], REASON_DRAIN);
		if (worker->conns[i] != NULL)
			conn_abort(worker->conns[i]);
	}
}
