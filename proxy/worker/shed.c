/* SPDX-License-Identifier: ISC */
/* See shed.h. Called by accept.c, conn.c and drain.c. */
#include "proxy/worker/shed.h"

#include "proxy/worker/conn.h"

struct conn *
shed_any(const struct worker *worker)
{
	const struct list_link *list = list_is_empty(&worker->strangers)
					   ? &worker->preauth
					   : &worker->strangers;

	if (list_is_empty(list))
		return NULL;
	return list_entry(list->next, struct conn, preauth);
}

/* So many of the oldest are compared: a flood is most of them. To find those
 * in the handshake, others that wait to be admitted are passed by, but not
 * without end. */
#define SHED_LOOK 256
#define SHED_WALK 2048

/* A prefix that logged in lately counts as if it held less. */
static uint32_t
weight_of(const struct worker *worker, const struct conn *conn)
{
	const struct limiter_hold *hold = &conn->session.hold;
	uint32_t weight;

	if (worker->env.limiter == NULL)
		return 0;
	weight = limiter_weight(worker->env.limiter, worker->snapshot, hold);
	return limiter_is_known(worker->env.limiter, hold, worker->env.now_ms)
		   ? weight / 8
		   : weight;
}

struct candidate {
	struct conn *conn;
	uint32_t weight;
};

/* Of the same weight the older one; serial numbers lead in ids. */
static bool
goes_before(
    const struct conn *conn, uint32_t weight, const struct candidate *other)
{
	if (other->conn == NULL || weight != other->weight)
		return other->conn == NULL || weight > other->weight;
	return conn->session.id < other->conn->session.id;
}

static void
look_through(const struct worker *worker, const struct list_link *list,
    bool handshaking, struct candidate *found)
{
	const struct list_link *it = list->next;

	for (uint32_t n = 0, walked = 0;
	     it != list && n < SHED_LOOK && walked < SHED_WALK;
	     it = it->next, walked++) {
		struct conn *conn = list_entry(it, struct conn, preauth);
		if (handshaking && conn->session.state != SESSION_HANDSHAKE)
			continue;
		n++;
		uint32_t weight = weight_of(worker, conn);
		if (goes_before(conn, weight, found))
			*found = (struct candidate){conn, weight};
	}
}

struct conn *
shed_choose(const struct worker *worker, bool handshaking)
{
	struct candidate found = {.conn = NULL};

	look_through(worker, &worker->strangers, handshaking, &found);
	if (!handshaking)
		look_through(worker, &worker->preauth, false, &found);
	return found.conn;
}

/* It counts for the newcomer's prefix, and it is its client's turn. */
static bool
is_in_the_way(const struct conn *conn, const struct conn *newcomer)
{
	const struct session *session = &conn->session;
	uint32_t entry = newcomer->session.hold.entries[0];

	return session->hold.preauth && entry != LIMITER_NONE &&
	       session->hold.entries[0] == entry &&
	       session->id < newcomer->session.id &&
	       (session->state == SESSION_HANDSHAKE ||
		   session->state == SESSION_PREAUTH) &&
	       !session->key_wait && list_is_empty(&conn->shaking);
}

static struct conn *
find_in_the_way(const struct list_link *list, const struct conn *newcomer)
{
	const struct list_link *it = list->next;

	for (uint32_t n = 0; it != list && n < SHED_LOOK; it = it->next, n++) {
		struct conn *conn = list_entry(it, struct conn, preauth);
		if (is_in_the_way(conn, newcomer))
			return conn;
	}
	return NULL;
}

void
shed_for(struct conn *newcomer)
{
	struct worker *worker = newcomer->worker;
	struct conn *conn;

	if (newcomer->session.state != SESSION_ACCEPT ||
	    worker->env.now_ms < newcomer->session.admit_by_ms)
		return;
	conn = find_in_the_way(&worker->strangers, newcomer);
	if (conn == NULL)
		conn = find_in_the_way(&worker->preauth, newcomer);
	if (conn == NULL)
		return;
	slot_add(&worker->area->shed, 1);
	conn_stop(conn, REASON_SHED);
	if (!conn->closing)
		conn_abort(conn); /* no lingering: its place is wanted now */
}
