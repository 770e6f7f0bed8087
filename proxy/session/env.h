/* SPDX-License-Identifier: ISC */
/*
 * What all sessions of one loop share: slabs, the clock, the snapshot, and the
 * questions that only the worker can answer. Tests make their own.
 */
#ifndef SESSION_ENV_H
#define SESSION_ENV_H

#include "backends/balance.h"
#include "proxy/imap/login.h"
#include "proxy/ipc/event.h"
#include "proxy/ipc/reason.h"
#include "proxy/ipc/slot.h"
#include "proxy/session/end.h"
#include "proxy/session/refusal.h"

enum outcome {
	OUTCOME_GOOD,
	OUTCOME_FAILED, /* before it heard a word of the client's */
	OUTCOME_LOST,	/* after */
	OUTCOME_MISCONFIGURED
};

struct session;

/* What the worker decides for its sessions. All are called from inside a
 * step and must not call back into a session. */
struct session_ops {
	/* The next backend for the login; a copy of its entry, and whether
	 * another one could take the login in its place. CHOSEN: it is counted
	 * there. ALL_FULL: it is in the queue. */
	enum balance_result (*choose)(void *arg, struct session *session,
	    struct backend_ref *out_ref, struct backend *out_backend,
	    bool *out_has_other);
	/* The codec for the session's connection to it, NULL for plaintext.
	 * False: there can be no connection as it must be. */
	bool (*secure)(void *arg, const struct session *session,
	    const struct backend *backend, struct tls_stream **out_stream);
	/* It was counted at session->backend, and is so no more. */
	void (*release)(void *arg, struct session *session);
	/* A login attempt's end as far as the health of the backend goes:
	 * session->backend, or one that was tried before. */
	void (*outcome)(void *arg, const struct session *session,
	    struct backend_ref ref, enum outcome outcome, const char *why);
	/* False: nothing is up. out: the list before login. */
	bool (*capabilities)(
	    void *arg, const struct session *session, struct outbuf *out);
	/* The section's name, "" when the entry is another's by now. */
	void (*backend_name)(
	    void *arg, struct backend_ref ref, char out[BACKEND_NAME_MAX]);
	void (*emit)(void *arg, const struct event *event);
};

struct session_env {
	struct tls_engine *tls;
	struct slot_area *slot;
	const struct session_ops *ops;
	void *arg;
	const struct config *config; /* the current snapshot */
	struct limiter *limiter;     /* NULL: nothing is limited */
	struct refusals refusals;
	uint64_t now_ms; /* CLOCK_MONOTONIC, once a turn */
	bool draining;	 /* the worker leaves when its sessions have ended */
	/* The slabs; empty between calls but for `out`, which the driver
	 * empties after each. */
	struct span in[SIDE_MAX];
	struct outbuf out[SIDE_MAX];
	struct outbuf plain;	  /* what a codec produced */
	size_t decoded[SIDE_MAX]; /* octets of it to be wiped (dialogue.h) */
	struct outbuf text;	  /* what the gateway says to a client */
};

#endif
