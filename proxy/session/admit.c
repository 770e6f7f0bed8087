/* SPDX-License-Identifier: ISC */
/*
 * What the limiter has to say about a session: the client that a PROXY header
 * names, the waiting room before the handshake, full handshakes, and what
 * failed logins cost. Called by session.c and attempt.c.
 */
#include "proxy/base/ensure.h"
#include "proxy/limits/logins.h"
#include "proxy/session/internal.h"

void
admit_note_state(
    struct session *session, enum session_state from, enum session_state to)
{
	struct limiter *limiter = session->env->limiter;

	if (limiter == NULL)
		return;
	if (from == SESSION_HANDSHAKE)
		limiter_handshaking(limiter, -1);
	if (to == SESSION_HANDSHAKE)
		limiter_handshaking(limiter, 1);
	if (to == SESSION_RELAY)
		limiter_end_preauth(limiter, &session->hold);
}

void
admit_release(struct session *session)
{
	struct limiter *limiter = session->env->limiter;

	if (limiter == NULL)
		return;
	if (session->state == SESSION_HANDSHAKE)
		limiter_handshaking(limiter, -1);
	limiter_release(limiter, &session->hold);
}

static void
observe_limit(struct session *session, enum admission limit)
{
	refusal_observe(session->env, session->listen, &session->client, limit);
}

/* --- the waiting room ----------------------------------------------------- */

static bool
has_room(struct session *session)
{
	struct session_env *env = session->env;
	bool observe = env->config->limits.observe;

	if (env->limiter == NULL ||
	    limiter_begin_preauth(env->limiter, env->config, &session->client,
		observe, &session->hold))
		return true;
	if (observe)
		observe_limit(session, ADMISSION_PREAUTH);
	return observe;
}

void
admit_to_handshake(struct session *session)
{
	if (has_room(session)) {
		if (session->state != SESSION_HANDSHAKE)
			session_enter(session, SESSION_HANDSHAKE);
		return;
	}
	slot_add(&session->env->slot->waited, 1);
	session->admit_by_ms = session->env->now_ms + PREAUTH_WAIT_MS;
	session_enter(session, SESSION_ACCEPT);
}

void
session_hold(struct session *session, const struct limiter_hold *hold)
{
	session->hold = *hold;
	if (session->state == SESSION_HANDSHAKE)
		admit_to_handshake(session);
}

void
admit_deadline(struct session *session)
{
	struct admission_result result = {
	    .admission = ADMISSION_PREAUTH, .refused = true};

	if (has_room(session)) {
		session_enter(session, SESSION_HANDSHAKE);
		return;
	}
	if (session->env->now_ms < session->admit_by_ms) {
		session_enter(session, SESSION_ACCEPT);
		return;
	}
	refusal_note(session->env, session->listen, &session->client, &result);
	session->is_refused = true;
	session_abort(session, WHO_GATEWAY, REASON_LIMIT_PREAUTH);
}

/* --- behind a PROXY header ------------------------------------------------ */

static enum end_reason
refusal_reason(enum admission admission)
{
	switch (admission) {
	case ADMISSION_BANNED:
		return REASON_BANNED;
	case ADMISSION_CONNECTIONS:
		return REASON_LIMIT_CONNECTIONS;
	case ADMISSION_RATE:
		return REASON_LIMIT_RATE;
	case ADMISSION_TABLE:
		return REASON_LIMIT_TABLE;
	case ADMISSION_PREAUTH:
		return REASON_LIMIT_PREAUTH;
	case ADMISSION_MEMORY:
		return REASON_MEMORY;
	case ADMISSION_ADMIT:
	case ADMISSION_DENIED:
	case ADMISSION_NOT_ALLOWED:
	case ADMISSION_UNTRUSTED:
	case ADMISSION_HANDSHAKES:
	case ADMISSION_HANDSHAKE_RATE:
	case ADMISSION_FAILURES:
	case ADMISSION_MAX:
		break;
	}
	return REASON_DENIED;
}

bool
admit_client(struct session *session)
{
	struct session_env *env = session->env;
	struct admission_result result;

	admission_enter(env->limiter, env->config, session->listen,
	    &session->client, env->now_ms, &result);
	slot_add(&env->slot->table_overflows, result.overflows);
	if (result.admission != ADMISSION_ADMIT)
		refusal_note(env, session->listen, &session->client, &result);
	if (!result.refused) {
		session->hold = result.hold;
		return true;
	}
	session->is_refused = true;
	session_abort(session, WHO_GATEWAY, refusal_reason(result.admission));
	return false;
}

/* --- handshakes ----------------------------------------------------------- */

bool
session_may_handshake(struct session *session)
{
	struct session_env *env = session->env;

	if (env->limiter == NULL ||
	    limiter_full_handshake(
		env->limiter, env->config, &session->hold, env->now_ms))
		return true;
	if (env->config->limits.observe) {
		observe_limit(session, ADMISSION_HANDSHAKE_RATE);
		return true;
	}
	slot_add(&env->slot->handshakes_refused, 1);
	return false;
}

/* --- logins --------------------------------------------------------------- */

static struct login_try
login_try_of(const struct session *session)
{
	const struct credentials *credentials = &session->preauth->credentials;

	return (struct login_try){
	    .user = span_secret(&credentials->user),
	    .password = span_secret(&credentials->password),
	    .is_token = credentials->kind == CREDENTIALS_TOKEN,
	};
}

uint32_t
admit_login(struct session *session)
{
	struct session_env *env = session->env;
	struct login_try login = login_try_of(session);
	uint32_t delay = 0;

	if (env->limiter != NULL)
		delay = logins_delay(env->limiter, env->config,
		    &session->client, &session->hold, &login, env->now_ms);
	if (delay == 0)
		return 0;
	if (env->config->limits.observe) {
		observe_limit(session, ADMISSION_FAILURES);
		return 0;
	}
	slot_add(delay == LOGIN_BANNED ? &env->slot->logins_banned
				       : &env->slot->logins_delayed,
	    1);
	return delay;
}

bool
admit_note_failure(struct session *session)
{
	struct session_env *env = session->env;
	struct login_try login = login_try_of(session);

	if (env->limiter == NULL ||
	    !logins_failed(env->limiter, env->config, &session->client,
		&session->hold, &login, env->now_ms))
		return false;
	report_ban(session);
	return !env->config->limits.observe;
}

void
admit_note_login(struct session *session)
{
	struct session_env *env = session->env;
	struct login_try login = login_try_of(session);

	if (env->limiter != NULL &&
	    logins_good(env->limiter, env->config, &session->client,
		&session->hold, login.user, env->now_ms))
		report_new_prefix(session);
}
