/* SPDX-License-Identifier: ISC */
/*
 * A slot for one process of a role: what it is given, what it says, its end
 * and its successor. A slot holds one process at a time; the successor starts
 * after waitpid(2).
 *
 * The slot's event sockets and the pair between a worker and the keeper are
 * made once and outlive the process; the channel is made anew for each, so that
 * a successor never reads what was meant for the dead.
 */
#ifndef MASTER_CHILD_H
#define MASTER_CHILD_H

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "proxy/base/list.h"
#include "proxy/ipc/channel.h"

struct master;

enum child_kind {
	CHILD_KEEPER,
	CHILD_MONITOR,
	CHILD_OBSERVER,
	CHILD_WORKER,
	CHILD_KINDS,
};

struct child {
	struct master *master;
	enum child_kind kind;
	uint32_t slot;	 /* of a worker; else 0 */
	pid_t pid;	 /* 0: no process */
	int channel;	 /* -1: none */
	uv_poll_t *poll; /* on the channel; freed when closed */
	int events[2];	 /* [0] the role's end, [1] the observer's */
	int keeper[2];	 /* of worker and monitor: [0] own end, [1] keeper's */
	struct list_link queue; /* messages the channel had no room for */
	struct list_link held;	/* to be told to the next process */

	bool ready;
	bool full;		  /* a worker that takes no more connections */
	bool hung;		  /* a worker whose heart stands still */
	uint64_t sent_generation; /* of the configuration, or of keys */
	uint64_t acked_generation;
	uint64_t beat;	 /* the heartbeat last seen */
	uint32_t missed; /* looks at it without a change, pings unanswered */
	uint32_t quick_deaths; /* in a row, within QUICK_MS of the start */
	const char *why;       /* we are about to kill it; static */

	/* master_now_ms(); UINT64_MAX: not waited for */
	uint64_t started_ms;
	uint64_t ready_by_ms;
	uint64_t kill_at_ms;
	uint64_t restart_at_ms;
	uint64_t send_at_ms; /* the queue is tried again */
};

/* Makes the pairs. False: errno. */
bool child_init(struct child *child, struct master *master,
    enum child_kind kind, uint32_t slot);
/* Closes everything; the process must be gone. */
void child_fini(struct child *child);

/* Starts the process and tells it all it needs. False: errno. */
bool child_start(struct child *child);

/* Queues when the channel is full; nothing happens without a process. The
 * descriptor in the message stays the caller's. */
void child_send(struct child *child, const struct message *message);

/* A message of type and argument only. */
void child_tell(struct child *child, enum message_type type, uint64_t arg);

/* Told now, or to the next process behind its START. */
void child_send_or_hold(struct child *child, const struct message *message);

/* SIGKILL; why is for the event, static. */
void child_kill(struct child *child, const char *why);

/* waitpid(2) returned it: reports, clears up, plans the successor. */
void child_died(struct child *child, int status);

/* Does what is due; returns when it wants to be called again. */
uint64_t child_step(struct child *child, uint64_t now_ms);

/* "worker", the name of the executable. */
const char *child_kind_name(enum child_kind kind);

#endif
