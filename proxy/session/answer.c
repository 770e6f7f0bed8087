/* SPDX-License-Identifier: ISC */
/*
 * What a login is answered when the answer is the gateway's own. All lead back
 * to the commands, or to the end. Called by attempt.c.
 */
#include "proxy/session/answer.h"

void
answer_done(struct session *session)
{
	struct preauth *preauth = session->preauth;

	attempt_drop_backend(session);
	session->backend.index = CONFIG_NONE;
	credentials_wipe(&preauth->credentials);
	preauth->phase = PHASE_COMMAND;
	session_enter(session, SESSION_PREAUTH);
}

/* After a NO that says nothing of the password. */
static void
note_refusal(struct session *session)
{
	if (++session->preauth->refusals < REFUSALS_MAX)
		return;
	outbuf_puts(&session->env->text,
	    "* BYE [UNAVAILABLE] Too many logins in vain, try again later."
	    "\r\n");
	session_end(session, WHO_GATEWAY, REASON_LOGIN_ATTEMPTS);
}

void
answer_after_refusal(struct session *session)
{
	answer_done(session);
	note_refusal(session);
}

void
answer_unavailable(struct session *session, const char *why)
{
	struct outbuf *out = &session->env->text;

	slot_add(&session->env->slot->logins_unavailable, 1);
	report_login(session, "unavailable", "UNAVAILABLE", why);
	outbuf_puts(out, session->preauth->tag);
	outbuf_puts(out, " NO [UNAVAILABLE] The mail server is not available, "
			 "try again later.\r\n");
	answer_after_refusal(session);
}

void
answer_unsupported(struct session *session)
{
	struct outbuf *out = &session->env->text;

	slot_add(&session->env->slot->logins_refused, 1);
	report_login(
	    session, "refused", "CANNOT", session->preauth->last_trouble);
	outbuf_puts(out, session->preauth->tag);
	outbuf_puts(
	    out, " NO [CANNOT] Unsupported authentication mechanism.\r\n");
	answer_after_refusal(session);
}

void
answer_wrong_user(struct session *session)
{
	struct preauth *preauth = session->preauth;
	struct outbuf *out = &session->env->text;

	slot_add(&session->env->slot->logins_refused, 1);
	report_user(session, span_secret(&preauth->credentials.user));
	report_login(
	    session, "refused", "AUTHORIZATIONFAILED", "client_certificate");
	outbuf_puts(out, preauth->tag);
	outbuf_puts(out, " NO [AUTHORIZATIONFAILED] The client certificate is "
			 "not for this user.\r\n");
	credentials_wipe(&preauth->credentials);
	preauth->phase = PHASE_COMMAND;
	note_refusal(session);
}

void
answer_banned(struct session *session)
{
	struct outbuf *out = &session->env->text;

	report_login(session, "refused", "LIMIT", "banned");
	outbuf_puts(out, session->preauth->tag);
	outbuf_puts(out, " NO [LIMIT] Too many failed logins.\r\n"
			 "* BYE Too many failed logins.\r\n");
	answer_done(session);
	session_end(session, WHO_GATEWAY, REASON_BANNED);
}
