/* SPDX-License-Identifier: ISC */
/* See refusal.h. Called by report.c, session.c and the worker. */
#include "proxy/session/refusal.h"

#include <string.h>

#include "proxy/session/session.h"

void
refusals_init(struct refusals *refusals)
{
	*refusals = (struct refusals){
	    .tokens = TELL_BURST, .login_tokens = TELL_LOGINS_BURST};
}

static _Atomic uint64_t *
counter_of(struct slot_area *slot, enum admission admission)
{
	switch (admission) {
	case ADMISSION_BANNED:
		return &slot->refused_banned;
	case ADMISSION_CONNECTIONS:
		return &slot->refused_connections;
	case ADMISSION_PREAUTH:
		return &slot->refused_preauth;
	case ADMISSION_RATE:
		return &slot->refused_rate;
	case ADMISSION_TABLE:
		return &slot->refused_table;
	case ADMISSION_MEMORY:
		return &slot->refused_memory;
	case ADMISSION_NOT_ALLOWED:
		return &slot->refused_not_allowed;
	case ADMISSION_UNTRUSTED:
		return &slot->refused_untrusted;
	case ADMISSION_DENIED:
	case ADMISSION_ADMIT:
	case ADMISSION_HANDSHAKES:
	case ADMISSION_HANDSHAKE_RATE:
	case ADMISSION_FAILURES:
	case ADMISSION_MAX:
		break;
	}
	return &slot->refused_denied;
}

static bool
take_token(struct session_env *env, uint32_t *tokens)
{
	if (*tokens == 0) {
		slot_add(&env->slot->events_summed, 1);
		return false;
	}
	(*tokens)--;
	return true;
}

void
refusal_note(struct session_env *env, uint32_t listen, const struct addr *peer,
    const struct admission_result *result)
{
	struct event event;

	slot_add(result->refused ? counter_of(env->slot, result->admission)
				 : &env->slot->observed,
	    1);
	if (!take_token(env, &env->refusals.tokens)) {
		env->refusals.refused[result->admission]++;
		return;
	}
	event_begin(&event, EVENT_REFUSED);
	event_text(&event, FIELD_LISTENER,
	    config_span(
		env->config, config_listen_at(env->config, listen)->name));
	event_addr(&event, FIELD_PEER, peer);
	event_str(&event, FIELD_WHY, admission_name(result->admission));
	if (!result->refused)
		event_bool(&event, FIELD_OBSERVED, true);
	env->ops->emit(env->arg, &event);
}

void
refusal_observe(struct session_env *env, uint32_t listen,
    const struct addr *peer, enum admission limit)
{
	struct admission_result result = {.admission = limit, .refused = false};

	refusal_note(env, listen, peer, &result);
}

bool
refusal_may_tell_end(struct session_env *env, enum end_reason reason)
{
	if (take_token(env, &env->refusals.tokens))
		return true;
	env->refusals.ended[reason]++;
	return false;
}

bool
refusal_may_tell_login(struct session_env *env, enum told_login what)
{
	if (take_token(env, &env->refusals.login_tokens))
		return true;
	env->refusals.logins[what]++;
	return false;
}

static void
sum_up(
    struct session_env *env, const char *what, const char *why, uint64_t *count)
{
	struct event event;

	if (*count == 0)
		return;
	event_begin(&event, EVENT_SUMMARY);
	event_str(&event, FIELD_NAME, what);
	event_str(&event, FIELD_WHY, why);
	event_u64(&event, FIELD_COUNT, *count);
	env->ops->emit(env->arg, &event);
	*count = 0;
}

static const char *const verdicts[TOLD_MAX] = {
    "failed", "refused", "unavailable", "auth_failures_per_ip"};

static void
refill(uint32_t *tokens, uint32_t more, uint32_t most)
{
	*tokens = *tokens + more < most ? *tokens + more : most;
}

/* A summary each ten seconds at most: these lines are a flood's, too. */
#define SUMMARY_MS 10000

void
refusals_tick(struct session_env *env)
{
	struct refusals *refusals = &env->refusals;

	refill(&refusals->tokens, TELL_PER_SEC, TELL_BURST);
	refill(&refusals->login_tokens, TELL_LOGINS_PER_SEC, TELL_LOGINS_BURST);
	if (env->now_ms / SUMMARY_MS == refusals->summed_ms / SUMMARY_MS)
		return;
	refusals->summed_ms = env->now_ms;
	for (int i = 0; i < ADMISSION_MAX; i++)
		sum_up(env, event_kind_name(EVENT_REFUSED),
		    admission_name((enum admission)i), &refusals->refused[i]);
	for (int i = 0; i < REASON_MAX; i++)
		sum_up(env, event_kind_name(EVENT_SESSION),
		    end_reason_name((uint8_t)i), &refusals->ended[i]);
	for (int i = 0; i < TOLD_MAX; i++)
		sum_up(env,
		    event_kind_name(i == TOLD_BAN ? EVENT_BAN : EVENT_LOGIN),
		    verdicts[i], &refusals->logins[i]);
}
