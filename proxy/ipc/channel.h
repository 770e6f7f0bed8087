/* SPDX-License-Identifier: ISC */
/*
 * A channel between two roles: an AF_UNIX SOCK_SEQPACKET pair, whole messages
 * with descriptors (SCM_RIGHTS). Non-blocking; whoever uses it waits with what
 * it has (uv_poll, poll). Anything large travels as a memfd.
 */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHANNEL_BODY_MAX 2048
#define CHANNEL_FDS_MAX	 4
/* Pools with a check_user: MESSAGE_PASSWORD names one below. */
#define CHANNEL_PASSWORDS_MAX 256
/* Behind those of workers, of which a configuration allows 64. */
#define CHANNEL_MONITOR_SLOT 64

/* Changes when a message or an area that roles share changes its form. */
#define IPC_LAYOUT UINT32_C(4)

enum message_type {
	/* master to a role, in this order at its start */
	MESSAGE_HELLO = 1,    /* slot; body struct hello */
	MESSAGE_AREA,	      /* slot, arg = enum area_kind; fd */
	MESSAGE_EVENTS,	      /* fd: where the role sends its events */
	MESSAGE_EVENT_SOURCE, /* to the observer: fd; slot = source number */
	/* to a worker or the monitor: fd; to the keeper: fd, slot = worker, or
	 * CHANNEL_MONITOR_SLOT */
	MESSAGE_KEEPER,
	MESSAGE_LISTENER, /* to a worker: fd; slot section, body struct addr */
	MESSAGE_KEYS,	  /* to the keeper: fd of the keys; arg = generation */
	MESSAGE_SNAPSHOT, /* fd; arg = generation; answered by ACK */
	MESSAGE_PASSWORD, /* to the monitor: slot = pool of the snapshot that
			     follows, body the password of its checks */
	MESSAGE_LOG,	  /* to the observer: fd of the log file; slot 0 log,
			     1 audit */
	MESSAGE_CONTROL,  /* to the observer: fd of the control listener */
	MESSAGE_START,	  /* everything is there: begin; answered by READY */
	/* later */
	MESSAGE_DRAIN,	 /* arg = ms to spread it over; then exit */
	MESSAGE_STOP,	 /* exit now */
	MESSAGE_BACKEND, /* to the monitor: slot enum backend_admin, body the
			    name of the section */
	MESSAGE_CRASHED, /* to the observer: body struct slot_record, one per
			    session that died with its worker */
	/* a role to the master */
	MESSAGE_READY,
	MESSAGE_ACK,	 /* arg = generation; slot 0 good, 1 refused */
	MESSAGE_FULL,	 /* worker: arg 1 takes no more connections, 0 does */
	MESSAGE_DRAINED, /* worker: no session is left */
	MESSAGE_REQUEST, /* observer: a control command, proxy/ipc/request.h */
	/* between the master and roles with no area for a heartbeat */
	MESSAGE_PING,
	MESSAGE_PONG,
	/* the master, later */
	MESSAGE_REPLY,	 /* to the observer: of a request */
	MESSAGE_KICK,	 /* to a worker: body session ids, uint64_t each */
	MESSAGE_METRICS, /* to the observer: fd of the HTTP listener */
	MESSAGE_TICKET,	 /* to the observer: ring slot has a new key since arg,
			    CLOCK_MONOTONIC ms */
};

enum area_kind {
	AREA_SLOT,
	AREA_BACKENDS,
	AREA_LOAD,
	AREA_TICKETS,
	AREA_LIMITER,
	AREA_USERS
};

struct hello {
	uint32_t layout; /* IPC_LAYOUT: a role refuses another's */
	uint32_t n_slots;
	uint64_t started_ms; /* of the gateway, CLOCK_MONOTONIC; 0: unknown */
};

struct message {
	uint32_t type;
	uint32_t slot;
	uint64_t arg;
	uint32_t len;	/* of body */
	uint32_t n_fds; /* received descriptors are close-on-exec */
	int fds[CHANNEL_FDS_MAX];
	uint8_t body[CHANNEL_BODY_MAX];
};

enum channel_result {
	CHANNEL_OK,
	CHANNEL_AGAIN, /* nothing was sent or received: wait, then try again */
	CHANNEL_CLOSED /* for good: the other end is gone, or is not ours */
};

/* Both ends non-blocking and close-on-exec. False: errno. */
bool channel_pair(int out_fds[2]);

/* Descriptors are duplicated by the kernel; the caller keeps its own. */
enum channel_result channel_send(int fd, const struct message *message);

/* A malformed message (short, too many descriptors) is CLOSED: the other side
 * is not ours. The receiver owns the descriptors. */
enum channel_result channel_recv(int fd, struct message *out_message);

/*
 * Hands up to `budget` messages to take(), which may keep their descriptors by
 * message_take_fd(); the others are closed behind it. OK: there may be more
 * (the budget is used up, or take() said false); AGAIN: there was no more.
 */
#define CHANNEL_NO_BUDGET UINT32_MAX
typedef bool channel_take(void *arg, struct message *message);
enum channel_result channel_read(
    int fd, uint32_t budget, channel_take *take, void *arg);

/* Closes the descriptors of a received message that nobody took. */
void message_close_fds(struct message *message);

/* Returns the descriptor and takes it out of the message; -1: none. */
int message_take_fd(struct message *message);

#endif
