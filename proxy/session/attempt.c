/* SPDX-License-Identifier: ISC */
/*
 * LOGIN: from credentials to a verdict. Picks a backend, has it dialled, lets
 * the login dialogue run, and goes to the next backend when there is trouble
 * before the credentials were sent. The client waits and is never told.
 *
 *   choose -> dial -> dialogue -> OK: RELAY; NO: PREAUTH
 *     ^ |________________|  trouble before the credentials were sent
 *     |__ wait: no backend is up
 *
 * Invariant: `counted` is true from choose until RELAY ends or the backend is
 * dropped. Called by session.c and preauth.c.
 */
#include "proxy/session/answer.h"

#include <string.h>

#include "backends/hash.h"
#include "proxy/base/ensure.h"
#include "proxy/limits/logins.h"

static void
forget_output(struct outbuf *out)
{
	explicit_bzero(out->data, out->len);
	out->len = 0;
	out->overflow = false;
}

static bool
has_failed(const struct end *end)
{
	return end->tls != NULL &&
	       tls_stream_failure(end->tls) != TLS_FAIL_NONE;
}

void
attempt_drop_backend(struct session *session)
{
	struct session_env *env = session->env;
	struct preauth *preauth = session->preauth;

	list_remove(&session->queue);
	if (session->counted)
		env->ops->release(env->arg, session);
	session->counted = false;
	if (session->dial != DIAL_NONE) {
		session->drop_backend = true;
		session->dial = DIAL_NONE;
	}
	/* The alert is to reach a backend that is refused. */
	if (!has_failed(&session->ends[SIDE_BACKEND]))
		forget_output(&env->out[SIDE_BACKEND]);
	end_fini(&session->ends[SIDE_BACKEND]);
	env->in[SIDE_BACKEND] = span_of(NULL, 0);
	if (preauth == NULL)
		return;
	report_backend(session);
	login_free(preauth->login);
	preauth->login = NULL;
	preauth->attempt_deadline_ms = 0;
	preauth->decoded = span_of(NULL, 0);
	kept_close(&preauth->undecided, preauth->decoded);
}

/* Looks again soon, as long as the client may be made to wait. */
static void
wait_for_backend(struct session *session, uint64_t pause_ms, const char *why)
{
	struct preauth *preauth = session->preauth;
	uint64_t now = session->env->now_ms;

	if (now >= preauth->wait_deadline_ms) {
		answer_unavailable(session, why);
		return;
	}
	preauth->n_tried = preauth->n_unable = preauth->given_up = 0;
	preauth->attempt_deadline_ms = now + pause_ms;
}

static void
choose(struct session *session)
{
	struct session_env *env = session->env;
	struct preauth *preauth = session->preauth;

	ENSURE(session->dial == DIAL_NONE && preauth->login == NULL);
	bool none_is_able =
	    preauth->n_tried > 0 && preauth->n_unable == preauth->n_tried;
	if (preauth->n_tried == BALANCE_TRIES_MAX) {
		if (none_is_able)
			answer_unsupported(session);
		else
			answer_unavailable(session, preauth->last_trouble);
		return;
	}
	switch (env->ops->choose(env->arg, session, &session->backend,
	    &preauth->backend, &preauth->has_other)) {
	case BALANCE_CHOSEN:
		break;
	case BALANCE_ALL_DOWN:
		wait_for_backend(session, BACKEND_POLL_MS, "pool_down");
		return;
	case BALANCE_ALL_FULL:
		wait_for_backend(session, BACKEND_POLL_MS, "pool_full");
		return;
	case BALANCE_NO_QUEUE:
		answer_unavailable(session, "queue_full");
		return;
	case BALANCE_ALL_TRIED:
		if (none_is_able) {
			answer_unsupported(session);
			return;
		}
		wait_for_backend(
		    session, BACKEND_RETRY_MS, preauth->last_trouble);
		return;
	}
	preauth->tried[preauth->n_tried++] = session->backend;
	if (preauth->n_tried == BALANCE_TRIES_MAX)
		preauth->has_other = false;
	session->counted = true;
	report_backend(session);
	session->dial = DIAL_WANTED;
	preauth->dialled_ms = env->now_ms;
	preauth->attempt_deadline_ms =
	    env->now_ms + session_pool(session)->connect_timeout_ms;
}

const struct backend_ref *
session_tried(const struct session *session, uint32_t *out_n)
{
	*out_n = session->preauth->n_tried;
	return session->preauth->tried;
}

/* client_cert_user: the login name, and whose mail it is to be, have to be in
 * the client's certificate. A name that we cannot read is in none. */
static bool
may_log_in(const struct session *session)
{
	const struct credentials *credentials = &session->preauth->credentials;
	const struct tls_stream *tls = session->ends[SIDE_CLIENT].tls;
	struct span none = span_of("", 0);

	if (credentials->kind == CREDENTIALS_RELAYED)
		return tls_stream_allows_user(tls, none);
	if (credentials->authzid.len > 0 &&
	    !tls_stream_allows_user(tls, span_secret(&credentials->authzid)))
		return false;
	return tls_stream_allows_user(tls, span_secret(&credentials->user));
}

void
attempt_start(struct session *session)
{
	struct preauth *preauth = session->preauth;
	const struct config_pool *pool = session_pool(session);
	uint64_t now = session->env->now_ms;

	preauth->n_tried = 0;
	if (!may_log_in(session)) {
		answer_wrong_user(session);
		return;
	}
	preauth->phase = PHASE_ATTEMPT;
	preauth->n_unable = preauth->given_up = 0;
	preauth->delay_until_ms = 0;
	preauth->last_trouble = "none";
	struct span user = session_user(session);
	session->user_key = user.len > 0 ? hash_user(user) : 0;
	preauth->login_deadline_ms = now + pool->login_timeout_ms;
	preauth->wait_deadline_ms = now + pool->wait_for_backend_ms;
	preauth->preauth_left_ms =
	    session->deadline_ms > now ? session->deadline_ms - now : 0;
	report_user(session, span_secret(&preauth->credentials.user));
	session_enter(session, SESSION_LOGIN);
	uint32_t delay = admit_login(session);
	if (delay == LOGIN_BANNED) {
		answer_banned(session);
		return;
	}
	if (delay == 0) {
		choose(session);
		return;
	}
	/* attempt_deadline() goes on from here. */
	preauth->delay_until_ms = preauth->attempt_deadline_ms = now + delay;
	preauth->login_deadline_ms += delay;
	preauth->wait_deadline_ms += delay;
}

static void
go_on(struct session *session, const char *why)
{
	session->preauth->last_trouble = why;
	attempt_drop_backend(session);
	choose(session);
}

/* This backend is no good, and the credentials did not reach it. */
static void
try_next(struct session *session, const char *why)
{
	struct session_env *env = session->env;
	const struct login *login = session->preauth->login;
	bool has_begun = login != NULL && login_has_begun(login);

	slot_add(&env->slot->backend_failures, 1);
	tally_backend_failure(&env->slot->tally, session->backend.index);
	env->ops->outcome(env->arg, session, session->backend,
	    has_begun ? OUTCOME_LOST : OUTCOME_FAILED, why);
	go_on(session, why);
}

/*
 * It takes longer than there is patience for while another one is left. That is
 * held against it once the other one was in time; where all are slow, nobody is
 * to blame.
 */
static void
give_up(struct session *session, const char *why)
{
	struct slot_area *slot = session->env->slot;

	slot_add(&slot->backend_failures, 1);
	tally_backend_failure(&slot->tally, session->backend.index);
	session->preauth->given_up |= 1u << (session->preauth->n_tried - 1);
	go_on(session, why);
}

/* It is well, but can do nothing with these credentials. */
static void
try_able(struct session *session, const char *why)
{
	session->preauth->n_unable++;
	go_on(session, why);
}

static void
start_relay(struct session *session)
{
	struct session_env *env = session->env;
	struct preauth *preauth = session->preauth;
	struct span held;

	session->idle_timeout_s =
	    (uint32_t)(session_pool(session)->idle_timeout_ms / 1000);
	atomic_store_explicit(
	    &session->record->active_ms, env->now_ms, memory_order_relaxed);
	session_count_out(session, preauth->decoded.len);
	bool good = preauth_flush(session) &&
		    end_write(&session->ends[SIDE_CLIENT], preauth->decoded,
			&env->out[SIDE_CLIENT]) &&
		    kept_open(&preauth->held, span_of(NULL, 0), &held) &&
		    end_write(&session->ends[SIDE_BACKEND], held,
			&env->out[SIDE_BACKEND]);
	if (!good) {
		session_abort(session, WHO_GATEWAY, REASON_MEMORY);
		return;
	}
	session_enter(session, SESSION_RELAY);
	preauth_free(preauth);
	session->preauth = NULL;
}

static void
on_failed(struct session *session)
{
	struct preauth *preauth = session->preauth;

	slot_add(&session->env->slot->logins_failed, 1);
	bool banned = admit_note_failure(session);
	answer_done(session);
	if (++preauth->attempts < session->env->config->limits.login_attempts &&
	    !banned)
		return;
	outbuf_puts(&session->env->text, "* BYE Too many failed logins.\r\n");
	session_end(session, WHO_GATEWAY, REASON_LOGIN_ATTEMPTS);
}

/* OK, or a NO that is passed on. */
static void
on_verdict(struct session *session, enum login_status status)
{
	struct session_env *env = session->env;
	struct login *login = session->preauth->login;

	login_write_verdict(login, session->preauth->tag, &env->text);
	env->ops->outcome(
	    env->arg, session, session->backend, OUTCOME_GOOD, "verdict");
	switch (status) {
	case LOGIN_OK:
		slot_add(&env->slot->logins_ok, 1);
		report_login(session, "ok", login_code(login), "");
		admit_note_login(session);
		start_relay(session);
		break;
	case LOGIN_FAILED:
		report_login(session, "failed", login_code(login), "");
		on_failed(session);
		break;
	default:
		slot_add(&env->slot->logins_refused, 1);
		report_login(session, "refused", login_code(login), "");
		answer_after_refusal(session);
		break;
	}
}

static void
ask_client(struct session *session)
{
	struct outbuf *out = &session->env->text;

	outbuf_puts(out, "+ ");
	outbuf_put(out, login_challenge(session->preauth->login));
	outbuf_puts(out, "\r\n");
	session->preauth->phase = PHASE_CHALLENGE;
	if (!preauth_flush(session))
		session_abort(session, WHO_GATEWAY, REASON_INTERNAL);
}

/* The credentials, or a part of them, are this backend's alone. */
static void
on_lost(struct session *session, const char *trouble)
{
	struct session_env *env = session->env;

	slot_add(&env->slot->backend_failures, 1);
	tally_backend_failure(&env->slot->tally, session->backend.index);
	env->ops->outcome(
	    env->arg, session, session->backend, OUTCOME_LOST, trouble);
	answer_unavailable(session, trouble);
}

/*
 * From dialling until the backend lets us begin. While another one is left a
 * faulty one may cost connect_timeout in all, whatever it does. One that is
 * known to be slow gets twice what its checks take: in a pool of slow servers
 * no login is chased through all of them.
 */
static uint64_t
patience_ms(const struct session *session)
{
	uint64_t least = session_pool(session)->connect_timeout_ms;
	uint64_t usual = session->preauth->backend.latency_us / 1000;

	return 2 * usual > least ? 2 * usual : least;
}

static uint64_t
preparation_deadline(const struct session *session)
{
	const struct preauth *preauth = session->preauth;
	uint64_t hurried = preauth->dialled_ms + patience_ms(session);
	uint64_t last =
	    session->env->now_ms + session_pool(session)->greeting_timeout_ms;

	return preauth->has_other && hurried < last ? hurried : last;
}

static void
on_prepared(struct session *session)
{
	struct session_env *env = session->env;
	struct preauth *preauth = session->preauth;
	bool in_time =
	    env->now_ms <= preauth->dialled_ms + patience_ms(session);

	preauth->attempt_deadline_ms = 0;
	for (uint32_t i = 0; i < preauth->n_tried; i++)
		if (in_time && (preauth->given_up & 1u << i))
			env->ops->outcome(env->arg, session, preauth->tried[i],
			    OUTCOME_FAILED, "greeting_timeout");
	preauth->given_up = 0;
}

static void
on_status(struct session *session, enum login_status status)
{
	struct session_env *env = session->env;
	struct preauth *preauth = session->preauth;
	enum login_trouble what = login_trouble(preauth->login);
	const char *trouble = login_trouble_name(what);

	switch (status) {
	case LOGIN_WAIT:
		if (!login_is_preparing(preauth->login))
			on_prepared(session);
		break;
	case LOGIN_CHALLENGE:
		on_prepared(session);
		ask_client(session);
		break;
	case LOGIN_OK:
	case LOGIN_FAILED:
	case LOGIN_REFUSED:
		on_verdict(session, status);
		break;
	case LOGIN_RETRY:
		/* The client answers the challenge that it was shown. */
		if (preauth->phase == PHASE_CHALLENGE)
			on_lost(session, trouble);
		else if (what == TROUBLE_NO_MECHANISM)
			try_able(session, trouble);
		else
			try_next(session, trouble);
		break;
	case LOGIN_LOST:
		on_lost(session, trouble);
		break;
	case LOGIN_MISCONFIGURED:
		env->ops->outcome(env->arg, session, session->backend,
		    OUTCOME_MISCONFIGURED, "misconfigured");
		if (login_sent_credentials(preauth->login))
			answer_unavailable(session, "misconfigured");
		else
			go_on(session, "misconfigured");
		break;
	case LOGIN_BAD_RESPONSE:
		outbuf_puts(&env->text, preauth->tag);
		outbuf_puts(&env->text, " BAD AUTHENTICATE ended.\r\n");
		answer_done(session);
		break;
	}
}

void
attempt_dialed(struct session *session, bool good, const char *why)
{
	struct session_env *env = session->env;
	struct preauth *preauth = session->preauth;
	struct tls_info info;

	if (session->dial != DIAL_CONNECTING)
		return;
	if (!good) {
		try_next(session, why);
		return;
	}
	session->dial = DIAL_CONNECTED;
	session->ends[SIDE_BACKEND].connected = true;
	if (!env->ops->secure(env->arg, session, &preauth->backend,
		&session->ends[SIDE_BACKEND].tls)) {
		try_next(session, "tls_unavailable");
		return;
	}
	slot_add(&env->slot->backend_connects, 1);
	tally_time_add(&env->slot->tally.connect,
	    (env->now_ms - preauth->dialled_ms) * 1000);
	tls_stream_info(session->ends[SIDE_CLIENT].tls, &info);
	struct login_params params = {
	    .backend = &preauth->backend,
	    .credentials = &preauth->credentials,
	    .client_id = &preauth->client_id,
	    .client = session->client,
	    .local = session->local,
	    .session_id = preauth->id_text,
	    .tls = {.version = info.version,
		.cipher = info.cipher,
		.alpn = info.alpn[0] != '\0' ? info.alpn : NULL,
		.sni = info.sni[0] != '\0' ? info.sni : NULL},
	};
	preauth->login = login_new(&params);
	if (preauth->login == NULL) {
		session_abort(session, WHO_GATEWAY, REASON_MEMORY);
		return;
	}
	preauth->attempt_deadline_ms = preparation_deadline(session);
	/* A PROXY header stands before TLS. */
	on_status(
	    session, login_connected(preauth->login, &env->out[SIDE_BACKEND]));
}

void
attempt_respond(struct session *session, struct span line)
{
	struct preauth *preauth = session->preauth;

	preauth->phase = PHASE_ATTEMPT;
	sasl_note_relayed(&preauth->credentials, line);
	report_user(session, span_secret(&preauth->credentials.user));
	struct outbuf said;
	struct outbuf *out = dialogue_begin(session, &said);
	enum login_status status = login_respond(preauth->login, line, out);
	if (!dialogue_end(session, &said) && status == LOGIN_WAIT)
		status = login_eof(preauth->login);
	on_status(session, status);
}

static bool
has_login(const struct session *session)
{
	return session->state == SESSION_LOGIN &&
	       session->preauth->login != NULL;
}

/* False: there is nothing to go on with. */
static bool
shake_hands(struct session *session)
{
	switch (dialogue_handshake(session)) {
	case TLS_OK:
		return true;
	case TLS_FAILED:
		try_next(session, tls_failure_name(tls_stream_failure(
				      session->ends[SIDE_BACKEND].tls)));
		break;
	case TLS_WANT_READ:
	case TLS_WANT_KEY:
	case TLS_CLOSED:
		break;
	}
	return false;
}

static bool
hear_backend(struct session *session)
{
	struct login *login = session->preauth->login;
	struct outbuf said;

	if (!shake_hands(session))
		return false;
	struct span *plain = dialogue_pull(session);
	if (plain == NULL)
		return false;
	struct outbuf *out = dialogue_begin(session, &said);
	enum login_status status = login_feed(login, plain, out);
	if (!dialogue_end(session, &said) && status == LOGIN_WAIT)
		status = login_eof(login);
	on_status(session, status);
	return true;
}

bool
attempt_step(struct session *session)
{
	struct end *backend = &session->ends[SIDE_BACKEND];
	bool good = dialogue_open(session);

	if (session->preauth->phase == PHASE_CHALLENGE && preauth_step(session))
		return true;
	while (has_login(session) && session->preauth->phase == PHASE_ATTEMPT &&
	       hear_backend(session))
		continue;
	/* A login that is delayed and that nobody waits for any more. */
	if (session->state == SESSION_LOGIN &&
	    session->preauth->delay_until_ms > session->env->now_ms &&
	    session->ends[SIDE_CLIENT].eof != END_OPEN) {
		session_end(session, WHO_CLIENT, REASON_TRUNCATED);
		return true;
	}
	if (has_login(session) && backend->eof != END_OPEN)
		on_status(session, login_eof(session->preauth->login));
	if (session->preauth != NULL)
		good =
		    dialogue_close(session) && preauth_flush(session) && good;
	if (!good)
		session_abort(session, WHO_GATEWAY, REASON_INTERNAL);
	return session->state != SESSION_LOGIN;
}

void
attempt_deadline(struct session *session)
{
	struct preauth *preauth = session->preauth;
	uint64_t now = session->env->now_ms;

	if (session->dial == DIAL_WANTED || session->dial == DIAL_CONNECTING) {
		try_next(session, "connect_timeout");
	} else if (preauth->phase == PHASE_CHALLENGE) {
		answer_unavailable(session, "challenge_timeout");
	} else if (preauth->login != NULL) {
		bool greeting = login_is_preparing(preauth->login);
		enum login_status status = login_timeout(preauth->login);
		if (status == LOGIN_RETRY && preauth->has_other)
			give_up(session, "greeting_timeout");
		else if (status == LOGIN_RETRY)
			try_next(session,
			    greeting ? "greeting_timeout" : "login_timeout");
		else
			on_status(session, status);
	} else if (now < preauth->login_deadline_ms) {
		choose(session);
	}
	if (session->state == SESSION_LOGIN &&
	    now >= preauth->login_deadline_ms)
		answer_unavailable(session, "login_timeout");
}
