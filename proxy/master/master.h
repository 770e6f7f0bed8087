/* SPDX-License-Identifier: ISC */
/*
 * The master: what it holds, and its life.
 *
 * Everything happens in one loop and one function: after any event
 * master_step() asks every part what is due, lets it act, and arms one timer
 * for the earliest of what they wait for. Event handlers only note the event.
 * Parts call master_wake() when they changed something another part waits for.
 */
#ifndef MASTER_MASTER_H
#define MASTER_MASTER_H

#include <uv.h>

#include "proxy/master/areas.h"
#include "proxy/master/child.h"
#include "proxy/master/compile.h"
#include "proxy/master/expiry.h"
#include "proxy/master/files.h"
#include "proxy/master/listen.h"
#include "proxy/master/notify.h"
#include "proxy/master/privilege.h"
#include "proxy/master/reload.h"
#include "proxy/master/request.h"
#include "proxy/master/watch.h"

enum master_state {
	MASTER_STARTING, /* until every role is ready */
	MASTER_RUNNING,
	MASTER_STOP_WORKERS,  /* sessions end */
	MASTER_STOP_OTHERS,   /* monitor and keeper */
	MASTER_STOP_OBSERVER, /* last, so that it writes every end line */
	MASTER_STOPPED,
};

struct master {
	uv_loop_t loop;
	uv_timer_t timer;
	uv_poll_t signals;
	uv_poll_t inotify;
	int signal_fd;
	enum master_state state;
	int status;	     /* of exit */
	bool woken;	     /* master_step() runs again at once */
	bool stop_now;	     /* no grace */
	uint64_t began_ms;   /* CLOCK_MONOTONIC of the start */
	uint64_t stop_by_ms; /* of this state; then SIGKILL */
	uint64_t planned_ms; /* when master_step() wants to run again */
	uint64_t skipped_ms; /* sum of all pauses */
	uint64_t beat_skipped_ms;
	uint64_t beat_ms; /* of the last look at the heartbeats */
	uint64_t rotated_ms[TICKET_RINGS];
	uint64_t slices[TICKET_RINGS]; /* of derived rings; 0: random */

	const char *path;
	struct secret text;	 /* the last good configuration, as read */
	struct builder *builder; /* the running one */
	struct key_image keys;
	struct ticket_secrets secrets;
	struct passwords passwords; /* of the same configuration */
	uint64_t generation;
	int snapshot; /* descriptor of the running image */

	struct identity user;
	struct identity keeper_user;
	bool is_root; /* roles take the identities above */

	struct areas areas;
	struct listeners listeners;
	struct files files;
	struct notify notify;
	struct watch watch;
	struct expiry expiry;
	struct reload reload;
	struct askers askers; /* of a reload */
	int events[2];	      /* [0] ours, [1] the observer's */
	int programs[CHILD_KINDS];
	uint32_t n_children; /* keeper, monitor, observer, then the workers */
	struct child *children;
};

/* Runs the gateway until it is told to stop; returns the exit status. The
 * signals of master_signals() must be blocked. */
int master_run(const char *path);

/* What the master handles by signalfd(2). */
void master_signals(sigset_t *out_set);

const struct config *master_config(const struct master *master);
struct child *master_worker(struct master *master, uint32_t slot);
struct child *master_child(struct master *master, enum child_kind kind);
bool master_is_stopping(const struct master *master);

/*
 * CLOCK_MONOTONIC without the time we could not run: after a pause of the whole
 * machine no deadline is over that nobody had a chance to meet.
 */
uint64_t master_now_ms(struct master *master);

/* master_step() runs again at once. */
void master_wake(struct master *master);

/* New connections go to workers that are ready, not full and not hung. */
void master_steer(struct master *master);

/* A start that cannot succeed: says why on stderr and ends with status 1. */
__attribute__((format(printf, 2, 3))) void master_fail(
    struct master *master, const char *format, ...);

#endif
