/* SPDX-License-Identifier: ISC */
/*
 * Telling about what strangers cause: the first few one by one, then summaries
 * with a count, so that a flood can't fill a disk. Every one is counted.
 */
#ifndef SESSION_REFUSAL_H
#define SESSION_REFUSAL_H

#include "proxy/ipc/reason.h"
#include "proxy/limits/admission.h"

struct session_env;

/* Events that may be told now; a token comes back every so often. */
#define TELL_BURST   200
#define TELL_PER_SEC 10

/* Of logins, tokens of their own: no flood of connections hides who guesses
 * passwords. Each of these has cost a handshake. */
#define TELL_LOGINS_BURST   500
#define TELL_LOGINS_PER_SEC 20

enum told_login {
	TOLD_FAILED,
	TOLD_REFUSED,
	TOLD_UNAVAILABLE,
	TOLD_BAN,
	TOLD_MAX
};

struct refusals {
	uint32_t tokens;
	uint32_t login_tokens;
	uint64_t refused[ADMISSION_MAX]; /* since the last summary */
	uint64_t ended[REASON_MAX];
	uint64_t logins[TOLD_MAX];
	uint64_t summed_ms;
};

void refusals_init(struct refusals *refusals);

/* Somebody was refused (or would have been: result->refused says). */
void refusal_note(struct session_env *env, uint32_t listen,
    const struct addr *peer, const struct admission_result *result);

/* observe = on: this limit would have done something to somebody. */
void refusal_observe(struct session_env *env, uint32_t listen,
    const struct addr *peer, enum admission limit);

/* True: the end of a session that never logged in may be told. Else it is
 * in the next summary. */
bool refusal_may_tell_end(struct session_env *env, enum end_reason reason);

/* The same of a verdict that is not OK, or a ban. */
bool refusal_may_tell_login(struct session_env *env, enum told_login what);

/* Once a second. */
void refusals_tick(struct session_env *env);

#endif
