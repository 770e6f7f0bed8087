/* SPDX-License-Identifier: ISC */
/* See stop.h. Called by the master. */
#include "proxy/master/stop.h"

#include "proxy/master/master.h"
#include "proxy/master/report.h"

#define NEVER UINT64_MAX
/* Behind stop_timeout, for what workers do at its end. */
#define WORKERS_SPARE_MS 1000
#define OTHERS_MS	 2000
#define OBSERVER_MS	 5000 /* a slow disk may still take the last lines */
/* Stop now: a second at most, all in all. */
#define NOW_WORKERS_MS	400
#define NOW_OTHERS_MS	200
#define NOW_OBSERVER_MS 400

static bool
belongs(const struct child *child, enum master_state state)
{
	switch (child->kind) {
	case CHILD_WORKER:
		return state == MASTER_STOP_WORKERS;
	case CHILD_MONITOR:
	case CHILD_KEEPER:
		return state == MASTER_STOP_OTHERS;
	case CHILD_OBSERVER:
		return state == MASTER_STOP_OBSERVER;
	case CHILD_KINDS:
		break;
	}
	return false;
}

static void
tell_all(struct master *master, enum message_type type, uint64_t arg)
{
	for (uint32_t i = 0; i < master->n_children; i++)
		if (belongs(&master->children[i], master->state))
			child_tell(&master->children[i], type, arg);
}

/* Kills those that are still there once by_ms is over. */
static bool
are_gone(struct master *master, uint64_t now_ms)
{
	bool gone = true;
	for (uint32_t i = 0; i < master->n_children; i++) {
		struct child *child = &master->children[i];
		if (!belongs(child, master->state) || child->pid == 0)
			continue;
		gone = false;
		if (now_ms >= master->stop_by_ms)
			child_kill(child, "did not stop in time");
	}
	if (now_ms >= master->stop_by_ms)
		master->stop_by_ms = NEVER; /* SIGCHLD comes */
	return gone;
}

static void
enter(struct master *master, enum master_state state, uint64_t at_most_ms)
{
	master->state = state;
	master->stop_by_ms = master_now_ms(master) + at_most_ms;
	master_wake(master);
}

static void
stop_workers_now(struct master *master)
{
	master->stop_now = true;
	enter(master, MASTER_STOP_WORKERS, NOW_WORKERS_MS);
	tell_all(master, MESSAGE_STOP, 0);
}

static void
drain_workers(struct master *master, uint64_t timeout_ms)
{
	notify_stopping(&master->notify,
	    timeout_ms + WORKERS_SPARE_MS + OTHERS_MS + OBSERVER_MS);
	enter(master, MASTER_STOP_WORKERS, timeout_ms + WORKERS_SPARE_MS);
	tell_all(master, MESSAGE_DRAIN, timeout_ms);
}

static void
hurry(struct master *master)
{
	if (master->stop_now)
		return;
	master->stop_now = true;
	tell_all(master, MESSAGE_STOP, 0);
	if (master->stop_by_ms != NEVER)
		master->stop_by_ms = master_now_ms(master) + NOW_WORKERS_MS;
	master_wake(master);
}

static void
request(struct master *master, bool now, uint64_t timeout_ms, const char *why)
{
	if (master_is_stopping(master)) {
		hurry(master);
		return;
	}
	/* Readiness fails before anything else changes. */
	child_tell(master_child(master, CHILD_OBSERVER), MESSAGE_DRAIN, 0);
	report_gateway(master, "stopping", why);
	/* The workers' own descriptors keep the sockets until what waits in
	 * them was accepted. */
	listeners_close(&master->listeners);
	if (now) {
		notify_stopping(&master->notify, OBSERVER_MS);
		stop_workers_now(master);
	} else {
		drain_workers(master, timeout_ms);
	}
}

void
stop_request(struct master *master, bool now, const char *why)
{
	request(
	    master, now, master_config(master)->gateway.stop_timeout_ms, why);
}

void
stop_drain(struct master *master)
{
	request(master, false, master_config(master)->gateway.drain_timeout_ms,
	    "drain");
}

uint64_t
stop_step(struct master *master, uint64_t now_ms)
{
	if (!master_is_stopping(master) || !are_gone(master, now_ms))
		return master->stop_by_ms;
	switch (master->state) {
	case MASTER_STOP_WORKERS:
		enter(master, MASTER_STOP_OTHERS,
		    master->stop_now ? NOW_OTHERS_MS : OTHERS_MS);
		tell_all(master, MESSAGE_STOP, 0);
		break;
	case MASTER_STOP_OTHERS:
		report_gateway(master, "stopped", NULL);
		enter(master, MASTER_STOP_OBSERVER,
		    master->stop_now ? NOW_OBSERVER_MS : OBSERVER_MS);
		tell_all(master, MESSAGE_STOP, 0);
		break;
	case MASTER_STOP_OBSERVER:
		enter(master, MASTER_STOPPED, NEVER - master_now_ms(master));
		break;
	case MASTER_STOPPED:
	case MASTER_STARTING:
	case MASTER_RUNNING:
		break;
	}
	return master->stop_by_ms;
}
