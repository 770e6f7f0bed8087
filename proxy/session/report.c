/* SPDX-License-Identifier: ISC */
/*
 * What others see of a session: its record in the slot area, the gauges, the
 * counters, and the events of its handshake, verdicts and end.
 * The record doubles as the session's memory of names that only the log needs.
 */
#include "proxy/session/internal.h"

#include <stdio.h>
#include <string.h>

static _Atomic uint64_t *
gauge_of(struct slot_area *slot, enum session_state state)
{
	switch (state) {
	case SESSION_PROXY:
	case SESSION_PREAUTH:
	case SESSION_LOGIN:
		return &slot->preauth;
	case SESSION_HANDSHAKE:
		return &slot->handshaking;
	case SESSION_RELAY:
		return &slot->relaying;
	default:
		return NULL;
	}
}

void
report_start(struct session *session, uint32_t listen)
{
	struct slot_record *record = session->record;

	slot_record_begin(record);
	record->in_use = 1;
	record->state = SESSION_ACCEPT;
	record->resumed = record->observed = 0;
	record->user_cut = 0;
	record->id = session->id;
	record->started_ms = session->env->now_ms;
	record->client = session->client;
	record->backend = CONFIG_NONE;
	record->backend_generation = 0;
	record->listen = listen;
	record->tls_version[0] = record->cipher[0] = record->group[0] =
	    record->sni[0] = record->user[0] = record->client_cert[0] = '\0';
	slot_record_end(record);
	atomic_store_explicit(&record->bytes_in, 0, memory_order_relaxed);
	atomic_store_explicit(&record->bytes_out, 0, memory_order_relaxed);
	atomic_store_explicit(
	    &record->active_ms, session->env->now_ms, memory_order_relaxed);
	slot_add(&session->env->slot->connections, 1);
	slot_add(&session->env->slot->states[SESSION_ACCEPT], 1);
}

void
report_client(struct session *session)
{
	slot_record_begin(session->record);
	session->record->client = session->client;
	slot_record_end(session->record);
}

static void
put_identity(struct event *event, const struct session *session)
{
	char id[SESSION_ID_TEXT];

	session_id_text(session->id, id);
	event_str(event, FIELD_ID, id);
	event_text(event, FIELD_LISTENER,
	    config_span(session->env->config, session_listen(session)->name));
	event_addr(event, FIELD_PEER, &session->client);
	event_text_cut(event, FIELD_USER, span_str(session->record->user),
	    session->record->user_cut);
}

/* A line for each is for who looks for a fault: the others don't pay. */
static void
tell_state(
    struct session *session, enum session_state from, enum session_state to)
{
	struct session_env *env = session->env;
	struct event event;

	if (env->config->gateway.log_level < LEVEL_DEBUG)
		return;
	event_begin(&event, EVENT_DEBUG);
	put_identity(&event, session);
	event_str(&event, FIELD_FROM, session_state_name((uint8_t)from));
	event_str(&event, FIELD_STATE, session_state_name((uint8_t)to));
	env->ops->emit(env->arg, &event);
}

void
report_state(
    struct session *session, enum session_state from, enum session_state to)
{
	struct slot_area *slot = session->env->slot;
	struct slot_record *record = session->record;
	_Atomic uint64_t *old = gauge_of(slot, from);
	_Atomic uint64_t *new = gauge_of(slot, to);

	slot_add(&slot->states[from], (uint64_t)-1);
	slot_add(&slot->states[to], 1);
	if (old != NULL)
		slot_add(old, (uint64_t)-1);
	if (new != NULL)
		slot_add(new, 1);
	slot_record_begin(record);
	record->state = (uint8_t)to;
	slot_record_end(record);
	tell_state(session, from, to);
}

void
report_backend(struct session *session)
{
	struct slot_record *record = session->record;

	slot_record_begin(record);
	record->backend =
	    session->counted ? session->backend.index : CONFIG_NONE;
	record->backend_generation = session->backend.generation;
	slot_record_end(record);
}

/* Of the state that the session is in. */
static uint64_t
age_us(const struct session *session)
{
	return (session->env->now_ms - session->entered_ms) * 1000;
}

void
report_handshake(struct session *session)
{
	struct slot_area *slot = session->env->slot;
	struct slot_record *record = session->record;
	struct tls_info info;

	tls_stream_info(session->ends[SIDE_CLIENT].tls, &info);
	slot_add(
	    info.resumed ? &slot->handshakes_resumed : &slot->handshakes_full,
	    1);
	slot_add(strcmp(info.version, "TLSv1.3") == 0 ? &slot->handshakes_tls13
						      : &slot->handshakes_tls12,
	    1);
	slot_add(&slot->observed_version,
	    (info.observed & TLS_OBSERVED_VERSION) != 0);
	slot_add(
	    &slot->observed_cipher, (info.observed & TLS_OBSERVED_CIPHER) != 0);
	slot_add(&slot->client_certificates, info.client[0] != '\0');
	tally_handshake(&slot->tally, info.cipher, info.group);
	tally_time_add(&slot->tally.handshake, age_us(session));
	slot_record_begin(record);
	record->resumed = info.resumed;
	record->observed = info.observed;
	snprintf(record->client_cert, sizeof(record->client_cert), "%s",
	    info.client);
	snprintf(record->tls_version, sizeof(record->tls_version), "%s",
	    info.version);
	snprintf(record->cipher, sizeof(record->cipher), "%s", info.cipher);
	snprintf(record->group, sizeof(record->group), "%s", info.group);
	snprintf(record->sni, sizeof(record->sni), "%s", info.sni);
	slot_record_end(record);
}

void
report_tls_failure(struct session *session)
{
	enum tls_failure failure =
	    tls_stream_failure(session->ends[SIDE_CLIENT].tls);

	_Static_assert(
	    (int)TLS_FAIL_MAX <= (int)SLOT_TLS_FAILURES, "counters for all");
	slot_add(&session->env->slot->tls_failures[failure], 1);
}

void
report_user(struct session *session, struct span user)
{
	struct slot_record *record = session->record;
	size_t len = user.len < SLOT_USER_MAX ? user.len : SLOT_USER_MAX - 1;

	slot_record_begin(record);
	if (len > 0)
		memcpy(record->user, user.data, len);
	record->user[len] = '\0';
	record->user_cut = len < user.len;
	slot_record_end(record);
}

void
report_ban(struct session *session)
{
	struct session_env *env = session->env;
	struct event event;

	slot_add(&env->slot->bans, 1);
	if (!refusal_may_tell_login(env, TOLD_BAN))
		return;
	event_begin(&event, EVENT_BAN);
	put_identity(&event, session);
	event_u64(&event, FIELD_DURATION_MS, env->config->limits.auth_ban_ms);
	if (env->config->limits.observe)
		event_bool(&event, FIELD_OBSERVED, true);
	env->ops->emit(env->arg, &event);
}

void
report_new_prefix(struct session *session)
{
	struct session_env *env = session->env;
	struct event event;

	slot_add(&env->slot->new_prefixes, 1);
	event_begin(&event, EVENT_LOGIN_NEW_PREFIX);
	put_identity(&event, session);
	env->ops->emit(env->arg, &event);
}

static void
put_tls(struct event *event, const struct session *session)
{
	const struct end *client = &session->ends[SIDE_CLIENT];
	struct tls_info info;

	tls_stream_info(client->tls, &info);
	event_str(event, FIELD_SNI, info.sni);
	if (session->record->tls_version[0] != '\0') {
		event_str(event, FIELD_TLS, info.version);
		event_str(event, FIELD_CIPHER, info.cipher);
		event_str(event, FIELD_GROUP, info.group);
		event_bool(event, FIELD_RESUMED, info.resumed);
		event_str(event, FIELD_ALPN, info.alpn);
		event_str(event, FIELD_CLIENT_CERT, info.client);
		event_str(
		    event, FIELD_OBSERVED, tls_observed_name(info.observed));
	}
	if (info.alert != 0)
		event_u64(event, FIELD_ALERT, info.alert);
	event_text(event, FIELD_TEXT, info.reason);
}

/* Good ones are the user's business and always told. */
static bool
may_tell(const struct session *session, const char *verdict)
{
	enum told_login what = TOLD_UNAVAILABLE;

	if (strcmp(verdict, "ok") == 0)
		return true;
	if (strcmp(verdict, "failed") == 0)
		what = TOLD_FAILED;
	else if (strcmp(verdict, "refused") == 0)
		what = TOLD_REFUSED;
	return refusal_may_tell_login(session->env, what);
}

void
report_login(struct session *session, const char *verdict, const char *code,
    const char *why)
{
	const struct preauth *preauth = session->preauth;
	struct tally *tally = &session->env->slot->tally;
	struct event event;

	tally_login(tally, verdict, preauth->credentials.mechanism);
	/* One that is refused at once has no time of its own. */
	if (session->state == SESSION_LOGIN)
		tally_time_add(&tally->login, age_us(session));
	if (!may_tell(session, verdict))
		return;
	event_begin(&event, EVENT_LOGIN);
	put_identity(&event, session);
	event_str(&event, FIELD_VERDICT, verdict);
	event_str(&event, FIELD_CODE, code);
	event_str(&event, FIELD_WHY, why);
	event_str(&event, FIELD_MECHANISM, preauth->credentials.mechanism);
	event_text(&event, FIELD_POOL,
	    config_span(session->env->config, session_pool(session)->name));
	if (preauth->n_tried > 0 || session->counted)
		event_str(&event, FIELD_BACKEND, preauth->backend.name);
	event_u64(&event, FIELD_ATTEMPT, preauth->attempts + 1);
	event_str(&event, FIELD_CLIENT_NAME, preauth->client_id.name);
	event_str(&event, FIELD_CLIENT_VERSION, preauth->client_id.version);
	event_str(&event, FIELD_CLIENT_OS, preauth->client_id.os);
	/* Whom a stricter policy would cut off, and who that is. */
	if (session->record->observed != 0)
		put_tls(&event, session);
	else
		event_str(
		    &event, FIELD_CLIENT_CERT, session->record->client_cert);
	session->env->ops->emit(session->env->arg, &event);
}

static const char *
who_name(uint8_t who)
{
	static const char *const names[] = {
	    "none", "client", "backend", "gateway"};

	return names[who];
}

/* A balancer's bare connects and LOCAL headers are counted, not told. */
static bool
is_balancers_own(const struct session *session)
{
	if (session->from_balancer && session->ended_in < SESSION_LOGIN)
		return true;
	return session->ended_in == SESSION_PROXY &&
	       session->who == WHO_CLIENT &&
	       (session->reason == REASON_TRUNCATED ||
		   session->reason == REASON_RESET);
}

/* Whoever logged in is always told; a refusal was told as such. */
static bool
is_told(const struct session *session)
{
	if (session->ended_in == SESSION_RELAY)
		return true;
	return !session->is_refused && refusal_may_tell_end(session->env,
					   (enum end_reason)session->reason);
}

static void
put_cause(struct event *event, const struct session *session)
{
	const char *why = end_reason_name(session->reason);

	if (session->reason == REASON_TLS)
		why = tls_failure_name(
		    tls_stream_failure(session->ends[SIDE_CLIENT].tls));
	event_str(event, FIELD_WHO, who_name(session->who));
	event_str(event, FIELD_WHY, why);
	event_str(event, FIELD_STATE, session_state_name(session->ended_in));
}

/* The ways of a handshake to end that the codec doesn't see. */
static void
count_left_handshake(const struct session *session)
{
	_Atomic uint64_t *failures = session->env->slot->tls_failures;

	if (session->ended_in != SESSION_HANDSHAKE)
		return;
	if (session->reason == REASON_TIMEOUT_HANDSHAKE)
		slot_add(&failures[TLS_FAIL_TIMEOUT], 1);
	if (session->reason == REASON_RESET)
		slot_add(&failures[TLS_FAIL_RESET], 1);
	if (session->reason == REASON_TRUNCATED ||
	    session->reason == REASON_CLOSED)
		slot_add(&failures[TLS_FAIL_LEFT], 1);
}

static void
emit_end(struct session *session)
{
	struct session_env *env = session->env;
	struct slot_record *record = session->record;
	char backend[BACKEND_NAME_MAX] = "";
	struct event event;

	if (session->backend.index != CONFIG_NONE)
		env->ops->backend_name(env->arg, session->backend, backend);
	event_begin(&event, EVENT_SESSION);
	put_identity(&event, session);
	put_tls(&event, session);
	event_str(&event, FIELD_BACKEND, backend);
	event_u64(&event, FIELD_BYTES_IN,
	    atomic_load_explicit(&record->bytes_in, memory_order_relaxed));
	event_u64(&event, FIELD_BYTES_OUT,
	    atomic_load_explicit(&record->bytes_out, memory_order_relaxed));
	event_u64(&event, FIELD_DURATION_MS, env->now_ms - record->started_ms);
	put_cause(&event, session);
	env->ops->emit(env->arg, &event);
}

void
report_end(struct session *session)
{
	struct session_env *env = session->env;
	struct slot_record *record = session->record;

	slot_add(&env->slot->sessions_ended, 1);
	_Static_assert(
	    (int)REASON_MAX <= (int)SLOT_END_REASONS, "counters for all");
	slot_add(&env->slot->end_reasons[session->reason], 1);
	slot_add(&env->slot->connections, (uint64_t)-1);
	count_left_handshake(session);
	slot_add(&env->slot->states[session->state], (uint64_t)-1);
	if (is_balancers_own(session))
		slot_add(&env->slot->proxy_bare, !session->from_balancer);
	else if (is_told(session))
		emit_end(session);
	slot_record_begin(record);
	record->in_use = 0;
	slot_record_end(record);
}
