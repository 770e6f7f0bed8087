/* SPDX-License-Identifier: ISC */
/*
 * Leaving without a stampede: clients before login are told BYE at once; then
 * sessions that were quiet for a while end evenly over the time that is left,
 * busy ones last.
 */
#include "proxy/ipc/channel.h"
#include "proxy/worker/worker.h"

#define QUIET_MS 5000

static void
end_preauth(struct worker *worker)
{
	struct conn *conn;

	/* Each leaves the list: it is then lingering, or gone. */
	while ((conn = conn_oldest_preauth(worker)) != NULL)
		conn_stop(conn, REASON_DRAIN);
}

static uint32_t
count_relaying(const struct worker *worker)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < worker->n_records; i++)
		if (worker->conns[i] != NULL &&
		    conn_session(worker->conns[i])->state == SESSION_RELAY)
			n++;
	return n;
}

static void
end_relaying(struct worker *worker, uint32_t quota, uint64_t active_before)
{
	for (uint32_t i = 0; i < worker->n_records && quota > 0; i++) {
		struct conn *conn = worker->conns[i];
		if (conn == NULL ||
		    conn_session(conn)->state != SESSION_RELAY ||
		    session_active_ms(conn_session(conn)) > active_before)
			continue;
		conn_stop(conn, REASON_DRAIN);
		quota--;
	}
}

void
drain_step(struct worker *worker)
{
	uint64_t now = worker->env.now_ms;

	if (now >= worker->drain_until_ms) {
		end_relaying(worker, UINT32_MAX, UINT64_MAX);
		return;
	}
	uint64_t seconds_left = (worker->drain_until_ms - now) / 1000 + 1;
	uint32_t n = count_relaying(worker);
	uint32_t quota = (uint32_t)((n + seconds_left - 1) / seconds_left);
	end_relaying(worker, quota, now > QUIET_MS ? now - QUIET_MS : 0);
}

void
drain_note_end(struct worker *worker)
{
	if (!worker->draining || worker->n_conns > 0 || worker->told_drained)
		return;
	worker->told_drained = true;
	worker_tell(worker, MESSAGE_DRAINED, 0);
}

void
drain_start(struct worker *worker, uint64_t spread_ms)
{
	if (worker->draining)
		return;
	worker->draining = true;
	worker->env.draining = true;
	/* The last second is for what lingers. */
	worker->drain_until_ms =
	    worker->env.now_ms + (spread_ms > 1000 ? spread_ms - 1000 : 0);
	accept_close(worker);
	end_preauth(worker);
	drain_step(worker);
	drain_note_end(worker);
}
