/* SPDX-License-Identifier: ISC */
/*
 * A worker: one libuv loop, one thread, everything a connection needs. This
 * header is the worker's own context, shared by the files of this directory:
 * main.c (messages of the master, the timer), accept.c, conn.c (drives a
 * session), shakes.c (handshakes take turns), dial.c, keys.c (the keeper),
 * shed.c (who has to go), pools.c, choose.c (who gets which backend), drain.c,
 * events.c, wheel.c.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <uv.h>

#include "backends/live.h"
#include "proxy/session/session.h"
#include "proxy/worker/drain.h"
#include "proxy/worker/events.h"
#include "proxy/worker/keys.h"
#include "proxy/worker/pools.h"
#include "proxy/worker/wheel.h"
#include "tls/backend.h"

struct conn;

struct listener {
	uv_poll_t poll;
	struct worker *worker;
	int fd;
	bool polling;
	uint32_t listen; /* section */
	struct addr address;
};

struct worker {
	uv_loop_t loop;
	uint32_t slot;
	uint32_t n_slots;
	uv_poll_t channel;
	uv_timer_t timer;
	uv_prepare_t turn;
	uint64_t timer_due_ms;
	uint64_t last_beat_ms;

	struct session_env env;
	struct session_ops ops;
	struct limiter limiter;
	const struct config *snapshot;
	struct slot_area *area;
	struct load_area *loads[CONFIG_WORKERS_MAX]; /* own one writable */
	const struct backends_area *backends;
	struct live_tables live;
	const struct tickets_area *tickets;
	struct events events;

	struct listener listeners[CONFIG_MAX_LISTENERS];
	uint32_t n_listeners;
	bool paused;  /* no accepting: full, or short of descriptors */
	bool is_full; /* as the master knows it */
	uint64_t resume_ms;

	struct keys keys;
	struct pools pools;
	struct tls_backends secure;
	struct wheel wheel;

	uint32_t n_records;
	uint32_t n_conns;
	uint32_t most_conns;	/* since memory was given back */
	uint32_t n_backends;	/* sockets towards them */
	uint32_t *free_records; /* a stack */
	uint32_t n_free;
	struct conn **conns; /* by record index */
	/* Conns not logged in, oldest first: before the end of their handshake,
	 * and behind it. */
	struct list_link strangers;
	struct list_link preauth;
	struct list_link shaking; /* conns whose handshake waits for a turn */
	uv_check_t shaking_check;
	uv_idle_t shaking_idle;
	uint64_t next_serial;

	bool told_drained;
	uint64_t drain_until_ms;
	uint64_t drain_seen; /* change of the backends area without a drain */

	uint8_t *slab; /* SLAB_IN octets: what a read puts its bytes in */
};

/* main.c */
void worker_touch_clock(struct worker *worker);
void worker_arm_timer(struct worker *worker);
void worker_emit(struct worker *worker, const struct event *event);
/* To the master; a full channel is fatal, as its end is. */
void worker_tell(struct worker *worker, uint32_t type, uint64_t arg);

/* accept.c */
bool accept_add(
    struct worker *worker, int fd, uint32_t listen, const struct addr *address);
void accept_start(struct worker *worker);
/* After a connection ended, or the time to try again has come. */
void accept_resume(struct worker *worker);
/* Once a second: no sooner is the master told that there is room again, for
 * what it has not read while it was busy must fit into the channel. */
void accept_beat(struct worker *worker);
/* Other workers may have gone over the cap of handshakes, whose share of it is
 * used here: then this is called at every tick. */
void accept_give_way(struct worker *worker);
/* Takes what is in the backlogs, then closes the listeners. */
void accept_close(struct worker *worker);
/* Socket options that a snapshot decides. */
void accept_configure(struct worker *worker);

/* dial.c: what a pool asks of a socket to a backend, or of a listener, whose
 * connections inherit it. */
void dial_configure(int fd, const struct config_pool *pool);

/* conn.c */
/* Owns fd from here, also when it fails. */
void conn_start(struct worker *worker, int fd, const struct listener *listener,
    const struct addr *peer, const struct addr *local,
    const struct limiter_hold *hold);
struct conn *conn_by_id(const struct worker *worker, uint64_t id);
void conn_key_reply(struct conn *conn, const struct key_reply *reply);
void conn_stop(struct conn *conn, enum end_reason reason);
/* One that ends already does not linger. */
void conn_abort(struct conn *conn);
void conn_fire(struct wheel_entry *entry, void *arg);
/* For the TLS engine: tls_admit. */
bool conn_may_handshake(void *arg, uint64_t session_id);
const struct session *conn_session(const struct conn *conn);

#endif
