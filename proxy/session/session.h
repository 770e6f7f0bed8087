/* SPDX-License-Identifier: ISC */
/*
 * One client connection from accept to its end event: the machine of
 *
 *   PROXY -> HANDSHAKE -> PREAUTH <-> LOGIN -> RELAY -> LINGER -> DONE
 *
 * ACCEPT is the waiting room before HANDSHAKE: not a byte is read while more
 * connections of its prefix than preauth_per_ip are not logged in.
 *
 * It owns no socket. The driver calls one of the event functions below with
 * what happened; each records the event and steps: everything that can move
 * moves. Then the driver asks what there is to do: write env->out, dial, drop
 * the backend, and what to wait for.
 *
 * Glossary
 *   driver   owns the handles, calls in, never looks inside
 *   env      what all sessions of one loop share: slabs, clock, snapshot
 *   attempt  one try to log in at one backend
 *   verdict  a backend's tagged answer to the login
 *
 * Ownership: a session owns its two ends, its login phase and its record in
 * the slot area. It keeps no pointer into a snapshot. It is never freed inside
 * a call: the driver frees it after it saw SESSION_DONE.
 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include "config/route.h"
#include "proxy/base/list.h"
#include "proxy/session/end.h"
#include "proxy/session/env.h"

#define SESSION_ID_TEXT 17 /* 16 hexadecimal digits and a NUL */

enum dial {
	DIAL_NONE,
	DIAL_WANTED, /* the driver connects to session_backend() */
	DIAL_CONNECTING,
	DIAL_CONNECTED,
};

struct preauth; /* the login phase: an allocation of its own */

struct session {
	struct session_env *env;
	uint64_t id;
	struct end ends[SIDE_MAX];
	struct slot_record *record;
	struct preauth *preauth; /* from PREAUTH to RELAY */
	uint64_t deadline_ms;	 /* of the state; LOGIN and RELAY have others */
	uint64_t entered_ms;	 /* since when the state is what it is */
	struct addr client;
	struct addr local; /* where the client connected to */
	struct backend_ref backend;
	uint64_t user_key; /* of the login, hash_user(); 0: no name is known */
	struct list_link queue;	  /* of logins that wait for room */
	struct limiter_hold hold; /* what it counts for in the limiter */
	uint64_t admit_by_ms;	  /* of ACCEPT: then it is refused */
	uint32_t idle_timeout_s;  /* copied from the pool for RELAY */
	uint16_t listen;	  /* index */
	uint8_t state;		  /* enum session_state */
	uint8_t dial;		  /* enum dial */
	uint8_t who;		  /* enum who */
	uint8_t reason;		  /* enum end_reason */
	uint8_t ended_in;	  /* the state in which it was decided */
	bool drop_backend;	  /* the driver closes its socket, then dials */
	bool is_refused;	  /* told as such */
	bool is_known;		  /* in the table of live users */
	bool from_balancer;	  /* its own connection: a LOCAL header */
	bool key_wait;
	bool counted; /* in the load area */
};

enum who {
	WHO_NONE,
	WHO_CLIENT,
	WHO_BACKEND,
	WHO_GATEWAY
};

/* Begins a session that admission let in; record is free and stays its until
 * session_fini(). client and local are of the socket. False: out of memory. */
bool session_init(struct session *session, struct session_env *env, uint64_t id,
    struct slot_record *record, uint32_t listen, const struct addr *client,
    const struct addr *local);

/* Behind session_init(): takes over what admission counted for the socket's
 * address (session_fini() gives it back). The session may have to wait. */
void session_hold(struct session *session, const struct limiter_hold *hold);

/* After DONE, or before the first event. Wipes what is left. */
void session_fini(struct session *session);

/* Events. Bytes are consumed or kept: the driver may reuse its slab. */
void session_received(
    struct session *session, enum side side, struct span bytes);
void session_eof(struct session *session, enum side side);
void session_reset(struct session *session, enum side side);
/* The kernel took some or all of what it was owed (end.owed says). */
void session_drained(struct session *session);
void session_dialed(struct session *session, bool good, const char *why);
void session_key_reply(struct session *session, const struct key_reply *reply);
void session_deadline(struct session *session);

/* The gateway's own wish: DRAIN, SHED, KICKED, MEMORY. Clients before login
 * are told BYE [UNAVAILABLE]; in RELAY nothing is injected. */
void session_stop(struct session *session, enum end_reason reason);

/* What to wait for. */
bool session_wants_read(const struct session *session, enum side side);
/* CLOCK_MONOTONIC ms at which session_deadline() is due; there always is one
 * before DONE. */
uint64_t session_next_deadline(const struct session *session);
/* The backends of the current login that were no good. */
const struct backend_ref *session_tried(
    const struct session *session, uint32_t *out_n);
/* config_listen.mechanisms, with MECHANISM_NAMED where it is due. */
uint32_t session_mechanisms(const struct session *session);
/* Whose mail the login under way is for; empty: the name cannot be read. */
struct span session_user(const struct session *session);
struct route session_route(const struct session *session);
/* Of the listener, or where the user's route leads. */
const struct config_pool *session_pool(const struct session *session);
/* For DIAL_WANTED: whom to dial. */
const struct backend *session_backend(const struct session *session);
/* Input is left that can move now that the output was written: call
 * session_drained(). */
bool session_wants_step(const struct session *session);
/* True while output may hold a secret: the driver wipes it once written. */
bool session_is_secret(const struct session *session);

/* Whether its full handshake may go on, as handshake_rate says. */
bool session_may_handshake(struct session *session);

/* Of the last traffic after login; for drain, which ends quiet ones first. */
uint64_t session_active_ms(const struct session *session);

void session_id_text(uint64_t id, char out[SESSION_ID_TEXT]);

#endif
