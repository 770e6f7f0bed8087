/* SPDX-License-Identifier: ISC */
/*
 * The machine of session.h: events come in at the bottom, step() moves all that
 * can move, session_enter() is the only assignment to the state.
 *
 * Invariants: every state but DONE has a deadline; input that a step did not
 * consume is kept by its end; after a step the session waits for something
 * (a read, a dial, a key, an owed write or its deadline).
 * Called by proxy/worker/conn.c.
 */
#include "proxy/session/internal.h"

#include <stdio.h>
#include <string.h>

#include "proxy/base/ensure.h"
#include "proxy/limits/admission.h"

const struct config_listen *
session_listen(const struct session *session)
{
	return config_listen_at(session->env->config, session->listen);
}

struct span
session_user(const struct session *session)
{
	if (session->preauth == NULL)
		return span_of(NULL, 0);
	const struct credentials *credentials = &session->preauth->credentials;
	/* Who acts for another works on the other's mail. */
	return span_secret(credentials->authzid.len > 0 ? &credentials->authzid
							: &credentials->user);
}

struct route
session_route(const struct session *session)
{
	return route_find(session->env->config, session_listen(session)->pool,
	    session_user(session));
}

const struct config_pool *
session_pool(const struct session *session)
{
	return config_pool_at(
	    session->env->config, session_route(session).pool);
}

static uint64_t
linger_deadline(const struct session *session)
{
	uint64_t now_ms = session->env->now_ms;

	if (session->env->draining)
		return now_ms + LINGER_DRAIN_MS;
	if (session->reason != REASON_TIMEOUT_PREAUTH)
		return now_ms + LINGER_MS;
	/* It had its time, and that was over at deadline_ms. */
	uint64_t due_ms = session->deadline_ms + LINGER_LATE_MS;
	return due_ms > now_ms ? due_ms : now_ms;
}

static uint64_t
state_deadline(const struct session *session, enum session_state state)
{
	const struct session_env *env = session->env;
	const struct config_listen *listen = session_listen(session);

	switch (state) {
	case SESSION_ACCEPT:
		return env->now_ms + PREAUTH_POLL_MS;
	case SESSION_PROXY:
		return env->now_ms + env->config->limits.proxy_timeout_ms;
	case SESSION_HANDSHAKE:
		return env->now_ms + config_tls_at(env->config, listen->tls)
					 ->handshake_timeout_ms;
	case SESSION_PREAUTH:
		return env->now_ms + session->preauth->preauth_left_ms;
	case SESSION_LINGER:
		return linger_deadline(session);
	default:
		return 0; /* LOGIN and RELAY compute theirs */
	}
}

void
session_enter(struct session *session, enum session_state state)
{
	enum session_state from = session->state;

	session->deadline_ms = state_deadline(session, state);
	session->state = (uint8_t)state;
	session->entered_ms = session->env->now_ms;
	report_state(session, from, state);
	admit_note_state(session, from, state);
}

void
session_note_cause(
    struct session *session, enum who who, enum end_reason reason)
{
	if (session->who != WHO_NONE)
		return;
	session->who = (uint8_t)who;
	session->reason = (uint8_t)reason;
	session->ended_in = session->state;
}

static void
release(struct session *session)
{
	attempt_drop_backend(session);
	preauth_free(session->preauth);
	session->preauth = NULL;
	/* What could not be said any more is for no other session's client. */
	session->env->text.len = 0;
	session->env->text.overflow = false;
}

void
session_end(struct session *session, enum who who, enum end_reason reason)
{
	session_note_cause(session, who, reason);
	bool clean = reason != REASON_TLS && reason != REASON_RESET &&
		     session->state != SESSION_HANDSHAKE &&
		     session->state != SESSION_PROXY;
	if (clean && session->preauth != NULL)
		preauth_flush(session);
	end_finish(&session->ends[SIDE_CLIENT], clean,
	    &session->env->out[SIDE_CLIENT]);
	session_enter(session, SESSION_LINGER);
	release(session);
}

void
session_abort(struct session *session, enum who who, enum end_reason reason)
{
	if (session->state == SESSION_DONE)
		return;
	session_note_cause(session, who, reason);
	release(session);
	session->env->out[SIDE_CLIENT].len = 0;
	session_enter(session, SESSION_DONE);
	report_end(session);
}

/* The peer gave up by an alert, or we did. */
void
session_end_tls(struct session *session)
{
	struct tls_info info;

	tls_stream_info(session->ends[SIDE_CLIENT].tls, &info);
	report_tls_failure(session);
	session_end(session, info.alert_received ? WHO_CLIENT : WHO_GATEWAY,
	    REASON_TLS);
}

bool
session_init(struct session *session, struct session_env *env, uint64_t id,
    struct slot_record *record, uint32_t listen, const struct addr *client,
    const struct addr *local)
{
	*session = (struct session){
	    .env = env,
	    .id = id,
	    .record = record,
	    .listen = (uint16_t)listen,
	    .client = *client,
	    .local = *local,
	    .backend = {.index = CONFIG_NONE},
	    .state = SESSION_ACCEPT,
	};
	list_init(&session->queue);
	struct end *end = &session->ends[SIDE_CLIENT];
	end->tls = tls_stream_new(env->tls, listen, id);
	if (end->tls == NULL)
		return false;
	end->connected = true;
	report_start(session, listen);
	session_enter(session, session_listen(session)->proxy_protocol
				   ? SESSION_PROXY
				   : SESSION_HANDSHAKE);
	return true;
}

void
session_fini(struct session *session)
{
	admit_release(session);
	release(session);
	end_fini(&session->ends[SIDE_CLIENT]);
	end_fini(&session->ends[SIDE_BACKEND]);
}

/* The peer left before it said anything worth an answer. */
static bool
end_if_client_left(struct session *session)
{
	switch (session->ends[SIDE_CLIENT].eof) {
	case END_OPEN:
		return false;
	case END_CLOSED:
		session_end(session, WHO_CLIENT, REASON_CLOSED);
		return true;
	default:
		session_end(session, WHO_CLIENT, REASON_TRUNCATED);
		return true;
	}
}

static bool
step_proxy(struct session *session)
{
	struct span *in = &session->env->in[SIDE_CLIENT];
	struct proxyhdr header;
	size_t len;

	switch (proxyhdr_parse(*in, &header, &len)) {
	case PROXYHDR_MORE:
		return end_if_client_left(session);
	case PROXYHDR_BAD:
		session_abort(session, WHO_GATEWAY, REASON_PROXY_HEADER);
		return true;
	case PROXYHDR_COMPLETE:
		break;
	}
	span_advance(in, len);
	session->from_balancer = header.is_local;
	slot_add(&session->env->slot->proxy_local, header.is_local);
	if (!header.is_local && header.client.family != ADDR_NONE) {
		session->client = header.client;
		session->local = header.local;
		report_client(session);
		if (!admit_client(session))
			return true;
	}
	admit_to_handshake(session);
	return true;
}

static bool
begin_preauth(struct session *session)
{
	report_handshake(session);
	session->preauth = preauth_new();
	if (session->preauth == NULL) {
		session_abort(session, WHO_GATEWAY, REASON_MEMORY);
		return true;
	}
	session->preauth->preauth_left_ms =
	    session->env->config->limits.preauth_timeout_ms;
	session_id_text(session->id, session->preauth->id_text);
	session_enter(session, SESSION_PREAUTH);
	preauth_greet(session);
	return true;
}

static bool
step_handshake(struct session *session)
{
	struct session_env *env = session->env;

	if (session->key_wait)
		return false;
	switch (tls_stream_handshake(session->ends[SIDE_CLIENT].tls,
	    &env->in[SIDE_CLIENT], &env->out[SIDE_CLIENT])) {
	case TLS_OK:
		return begin_preauth(session);
	case TLS_WANT_KEY:
		session->key_wait = true;
		return false;
	case TLS_WANT_READ:
		return end_if_client_left(session);
	case TLS_CLOSED:
		session_end(session, WHO_CLIENT, REASON_CLOSED);
		return true;
	case TLS_FAILED:
		break;
	}
	session_end_tls(session);
	return true;
}

/* The client left too, or somebody needs its place. */
static bool
has_lingered(const struct session *session)
{
	const struct end *client = &session->ends[SIDE_CLIENT];

	return client->owed == 0 &&
	       (client->eof != END_OPEN || session->reason == REASON_SHED);
}

static bool
step_linger(struct session *session)
{
	struct session_env *env = session->env;

	env->in[SIDE_CLIENT] = span_of(NULL, 0);
	if (!has_lingered(session) || env->out[SIDE_CLIENT].len > 0)
		return false;
	session_enter(session, SESSION_DONE);
	report_end(session);
	return true;
}

static bool
step_once(struct session *session)
{
	switch ((enum session_state)session->state) {
	case SESSION_PROXY:
		return step_proxy(session);
	case SESSION_HANDSHAKE:
		return step_handshake(session);
	case SESSION_PREAUTH:
		return preauth_step(session);
	case SESSION_LOGIN:
		return attempt_step(session);
	case SESSION_RELAY:
		return relay_step(session);
	case SESSION_LINGER:
		return step_linger(session);
	case SESSION_ACCEPT:
	case SESSION_DONE:
	case SESSION_STATE_MAX:
		break;
	}
	return false;
}

/* Every event ends here: opens the input of both ends, moves everything that
 * can move, keeps what could not. `fresh` came from `side`. */
static void
step(struct session *session, enum side side, struct span fresh)
{
	struct session_env *env = session->env;
	bool good = true;

	for (int i = 0; i < SIDE_MAX; i++)
		good = kept_open(&session->ends[i].kept,
			   i == (int)side ? fresh : span_of(NULL, 0),
			   &env->in[i]) &&
		       good;
	while (good && step_once(session))
		continue;
	for (int i = 0; i < SIDE_MAX; i++) {
		if (session->state == SESSION_DONE)
			env->in[i] = span_of(NULL, 0);
		good = kept_close(&session->ends[i].kept, env->in[i]) && good;
	}
	dialogue_wipe(env);
	env->plain.len = 0;
	if (!good && session->state != SESSION_DONE)
		session_abort(session, WHO_GATEWAY, REASON_MEMORY);
}

static void
step_quietly(struct session *session)
{
	step(session, SIDE_CLIENT, span_of(NULL, 0));
}

void
session_received(struct session *session, enum side side, struct span bytes)
{
	step(session, side, bytes);
}

void
session_eof(struct session *session, enum side side)
{
	struct end *end = &session->ends[side];

	if (end->eof == END_OPEN)
		end->eof = end->tls != NULL ? END_TRUNCATED : END_CLOSED;
	step_quietly(session);
}

void
session_reset(struct session *session, enum side side)
{
	session->ends[side].eof = END_RESET;
	if (side == SIDE_CLIENT)
		session_abort(session, WHO_CLIENT, REASON_RESET);
	else
		step_quietly(session);
}

void
session_drained(struct session *session)
{
	step_quietly(session);
}

void
session_dialed(struct session *session, bool good, const char *why)
{
	if (session->state == SESSION_LOGIN)
		attempt_dialed(session, good, why);
	step_quietly(session);
}

void
session_key_reply(struct session *session, const struct key_reply *reply)
{
	struct tls_stream *tls;

	if (session->state == SESSION_HANDSHAKE && session->key_wait)
		tls = session->ends[SIDE_CLIENT].tls;
	else if (session->state == SESSION_LOGIN)
		tls = session->ends[SIDE_BACKEND].tls;
	else
		return;
	session->key_wait = false;
	/* One that was asked for an earlier backend fits no more. */
	if (tls != NULL)
		tls_stream_key_done(tls, reply);
	step_quietly(session);
}

void
session_deadline(struct session *session)
{
	switch ((enum session_state)session->state) {
	case SESSION_ACCEPT:
		admit_deadline(session);
		break;
	case SESSION_PROXY:
		session_abort(session, WHO_GATEWAY, REASON_TIMEOUT_PROXY);
		break;
	case SESSION_HANDSHAKE:
		session_abort(session, WHO_GATEWAY, REASON_TIMEOUT_HANDSHAKE);
		break;
	case SESSION_PREAUTH:
		outbuf_puts(&session->env->text,
		    "* BYE Disconnected for inactivity.\r\n");
		session_end(session, WHO_GATEWAY, REASON_TIMEOUT_PREAUTH);
		break;
	case SESSION_LOGIN:
		attempt_deadline(session);
		break;
	case SESSION_RELAY:
		session_end(session, WHO_GATEWAY, REASON_TIMEOUT_IDLE);
		break;
	case SESSION_LINGER:
		session_abort(session, WHO_GATEWAY, REASON_NONE);
		break;
	case SESSION_DONE:
	case SESSION_STATE_MAX:
		break;
	}
	step_quietly(session);
}

void
session_stop(struct session *session, enum end_reason reason)
{
	if (session->state >= SESSION_LINGER)
		return;
	if (session->state < SESSION_PREAUTH ||
	    (reason == REASON_SHED && session->ends[SIDE_CLIENT].owed > 0)) {
		session_abort(session, WHO_GATEWAY, reason);
		return;
	}
	if (session->preauth != NULL)
		outbuf_puts(&session->env->text,
		    "* BYE [UNAVAILABLE] The server is closing, "
		    "connect again.\r\n");
	session_end(session, WHO_GATEWAY, reason);
	step_quietly(session);
}

bool
session_wants_read(const struct session *session, enum side side)
{
	const struct end *end = &session->ends[side];
	const struct end *other = &session->ends[!side];

	if (end->eof != END_OPEN || !end->connected)
		return false;
	switch ((enum session_state)session->state) {
	case SESSION_HANDSHAKE:
		/* Behind a ClientHello nothing is due before the key's answer:
		 * what comes all the same is kept, once. */
	case SESSION_PREAUTH:
		return end->owed == 0 && end->kept == NULL;
	case SESSION_LOGIN:
		/* Either may leave while it waits: read on, within bounds. */
		return end->kept == NULL;
	case SESSION_RELAY:
		return other->owed == 0 && end->kept == NULL;
	case SESSION_PROXY:
	case SESSION_LINGER:
		return side == SIDE_CLIENT;
	case SESSION_ACCEPT:
	case SESSION_DONE:
	case SESSION_STATE_MAX:
		break;
	}
	return false;
}

bool
session_wants_step(const struct session *session)
{
	const struct end *client = &session->ends[SIDE_CLIENT];
	const struct end *backend = &session->ends[SIDE_BACKEND];

	switch ((enum session_state)session->state) {
	case SESSION_PREAUTH:
		return client->owed == 0 &&
		       (client->kept != NULL || session->preauth->held != NULL);
	case SESSION_RELAY:
		return (backend->owed == 0 &&
			   (client->kept != NULL ||
			       (client->fin_wanted && backend->fin_wanted))) ||
		       (client->owed == 0 && backend->kept != NULL);
	case SESSION_LINGER:
		return has_lingered(session);
	default:
		return false;
	}
}

static uint64_t
login_deadline(const struct session *session)
{
	const struct preauth *preauth = session->preauth;
	uint64_t attempt = preauth->attempt_deadline_ms;

	if (attempt == 0 || attempt > preauth->login_deadline_ms)
		return preauth->login_deadline_ms;
	return attempt;
}

uint64_t
session_next_deadline(const struct session *session)
{
	if (session->state == SESSION_RELAY)
		return relay_deadline(session);
	if (session->state == SESSION_LOGIN)
		return login_deadline(session);
	return session->deadline_ms;
}

const struct backend *
session_backend(const struct session *session)
{
	ENSURE(session->preauth != NULL);
	return &session->preauth->backend;
}

bool
session_is_secret(const struct session *session)
{
	return session->state == SESSION_LOGIN;
}

uint64_t
session_active_ms(const struct session *session)
{
	return atomic_load_explicit(
	    &session->record->active_ms, memory_order_relaxed);
}

void
session_id_text(uint64_t id, char out[SESSION_ID_TEXT])
{
	snprintf(out, SESSION_ID_TEXT, "%016llx", (unsigned long long)id);
}
