/* SPDX-License-Identifier: ISC */
/*
 * What the gateway itself says to a client: the greeting and the commands that
 * are valid before login (RFC 9051 sections 6.1 and 6.2).
 *
 * Plaintext comes one TLS record at a time. What is behind the octets that were
 * parsed is kept in preauth->held: after a login it belongs to the backend,
 * after a failure to the next command.
 * Called by session.c; PHASE_CHALLENGE by attempt.c.
 */
#include "proxy/session/internal.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/imap/capability.h"

/* Answers are sealed when this much is gathered, so that pipelined commands
 * cost one record. */
#define TEXT_FLUSH 4096
/* More output than this waits until the client took it. */
#define OUT_PAUSE 32768

struct preauth *
preauth_new(void)
{
	struct preauth *preauth = calloc(1, sizeof(*preauth));
	if (preauth == NULL)
		return NULL;
	preauth->parser = command_parser_new();
	if (preauth->parser == NULL) {
		free(preauth);
		return NULL;
	}
	return preauth;
}

void
preauth_free(struct preauth *preauth)
{
	if (preauth == NULL)
		return;
	command_parser_free(preauth->parser);
	kept_close(&preauth->held, span_of(NULL, 0));
	kept_close(&preauth->undecided, span_of(NULL, 0));
	sasl_fini(&preauth->sasl);
	credentials_wipe(&preauth->credentials);
	login_free(preauth->login);
	explicit_bzero(preauth, sizeof(*preauth));
	free(preauth);
}

uint32_t
session_mechanisms(const struct session *session)
{
	const struct config_listen *listen = session_listen(session);
	const struct config_pool *pool =
	    config_pool_at(session->env->config, listen->pool);

	return pool->balance == BALANCE_USER || pool->routes.n > 0
		   ? listen->mechanisms | MECHANISM_NAMED
		   : listen->mechanisms;
}

bool
preauth_flush(struct session *session)
{
	struct session_env *env = session->env;
	struct span text = outbuf_span(&env->text);

	env->text.len = 0;
	if (text.len == 0)
		return true;
	session_count_out(session, text.len);
	if (!env->text.overflow && end_write(&session->ends[SIDE_CLIENT], text,
				       &env->out[SIDE_CLIENT]))
		return true;
	env->text.overflow = false;
	return false;
}

/* "TAG VERDICT TEXT"; "*" when no tag could be read. */
static void
answer(struct session *session, const char *tag, const char *text)
{
	struct outbuf *out = &session->env->text;

	outbuf_puts(out, tag[0] == '\0' ? "*" : tag);
	outbuf_putc(out, ' ');
	outbuf_puts(out, text);
	outbuf_puts(out, "\r\n");
}

static bool
put_capabilities(struct session *session)
{
	struct session_env *env = session->env;

	return env->ops->capabilities(env->arg, session, &env->text);
}

void
preauth_greet(struct session *session)
{
	struct outbuf *out = &session->env->text;

	outbuf_puts(out, "* OK [CAPABILITY ");
	if (put_capabilities(session) ||
	    !session_pool(session)->when_down_bye) {
		outbuf_puts(out, "] Sallyport ready.\r\n");
		if (!preauth_flush(session))
			session_abort(session, WHO_GATEWAY, REASON_INTERNAL);
		return;
	}
	out->len = 0;
	outbuf_puts(out,
	    "* BYE [UNAVAILABLE] The mail server is not available, "
	    "try again later.\r\n");
	session_end(session, WHO_GATEWAY, REASON_POOL_DOWN);
}

static void
say_bye(struct session *session, enum end_reason reason, const char *why)
{
	outbuf_puts(&session->env->text, "* BYE ");
	outbuf_puts(&session->env->text, why);
	outbuf_puts(&session->env->text, "\r\n");
	session_end(session, WHO_GATEWAY, reason);
}

static void
on_bad(struct session *session, const char *tag, const char *text)
{
	struct preauth *preauth = session->preauth;

	answer(session, tag, text);
	if (++preauth->bad_commands >= BAD_COMMANDS_MAX)
		say_bye(session, REASON_BAD_COMMANDS, "Too many bad commands.");
}

/* A backend chosen by chance might not be the user's own. */
static void
refuse_nameless(struct session *session)
{
	struct preauth *preauth = session->preauth;

	credentials_wipe(&preauth->credentials);
	answer(session, preauth->tag,
	    "NO [CANNOT] This mechanism must name the user.");
}

static void
on_sasl(struct session *session, enum sasl_status status,
    const struct outbuf *challenge)
{
	struct preauth *preauth = session->preauth;
	struct outbuf *out = &session->env->text;

	preauth->phase = PHASE_COMMAND;
	switch (status) {
	case SASL_CHALLENGE:
		outbuf_puts(out, "+ ");
		outbuf_put(out, outbuf_span(challenge));
		outbuf_puts(out, "\r\n");
		preauth->phase = PHASE_SASL;
		return;
	case SASL_DONE:
		preauth->credentials = preauth->sasl.credentials;
		preauth->sasl.credentials =
		    (struct credentials){.kind = CREDENTIALS_NONE};
		if (session_mechanisms(session) & MECHANISM_NAMED &&
		    session_user(session).len == 0)
			refuse_nameless(session);
		else
			attempt_start(session);
		break;
	case SASL_CANCELLED:
		answer(session, preauth->tag, "BAD AUTHENTICATE cancelled.");
		break;
	case SASL_BAD:
		on_bad(session, preauth->tag, "BAD Invalid SASL response.");
		break;
	case SASL_UNKNOWN:
		answer(session, preauth->tag,
		    "NO [CANNOT] Unsupported authentication mechanism.");
		break;
	case SASL_NO_MEMORY:
		session_abort(session, WHO_GATEWAY, REASON_MEMORY);
		return;
	}
	if (session->preauth != NULL)
		sasl_fini(&session->preauth->sasl);
}

static void
on_authenticate(struct session *session, const struct command *command)
{
	struct preauth *preauth = session->preauth;
	uint8_t buf[128];
	struct outbuf challenge;

	outbuf_init(&challenge, buf, sizeof(buf));
	memcpy(preauth->tag, command->tag, sizeof(preauth->tag));
	on_sasl(session,
	    sasl_start(&preauth->sasl, command, session_mechanisms(session),
		&challenge),
	    &challenge);
}

static void
on_login(struct session *session, struct command *command)
{
	struct preauth *preauth = session->preauth;

	if (!session_listen(session)->login_command) {
		answer(session, command->tag,
		    "NO [CANNOT] LOGIN is disabled, use AUTHENTICATE.");
		return;
	}
	memcpy(preauth->tag, command->tag, sizeof(preauth->tag));
	preauth->credentials = (struct credentials){
	    .kind = CREDENTIALS_PASSWORD,
	    .mechanism = "LOGIN",
	    .from_command = true,
	    .user = command->user,
	    .password = command->password,
	};
	command->user = command->password = (struct secret){NULL, 0};
	attempt_start(session);
}

static void
on_command(struct session *session, struct command *command)
{
	struct outbuf *out = &session->env->text;

	switch (command->kind) {
	case COMMAND_CAPABILITY:
		outbuf_puts(out, "* CAPABILITY ");
		put_capabilities(session);
		outbuf_puts(out, "\r\n");
		answer(session, command->tag, "OK CAPABILITY completed.");
		break;
	case COMMAND_NOOP:
		answer(session, command->tag, "OK NOOP completed.");
		break;
	case COMMAND_LOGOUT:
		outbuf_puts(out, "* BYE Logging out.\r\n");
		answer(session, command->tag, "OK LOGOUT completed.");
		session_end(session, WHO_CLIENT, REASON_LOGOUT);
		break;
	case COMMAND_ID:
		session->preauth->client_id = command->id;
		outbuf_puts(out, "* ID (\"name\" \"Sallyport\")\r\n");
		answer(session, command->tag, "OK ID completed.");
		break;
	case COMMAND_STARTTLS:
		on_bad(session, command->tag, "BAD TLS is already in use.");
		break;
	case COMMAND_LOGIN:
		on_login(session, command);
		break;
	case COMMAND_AUTHENTICATE:
		on_authenticate(session, command);
		break;
	case COMMAND_UNKNOWN:
		on_bad(session, command->tag,
		    "BAD Unknown command, or not valid before login.");
		break;
	}
}

static void
parse_command(struct session *session, struct span *plain)
{
	struct command_parser *parser = session->preauth->parser;
	struct command *command;
	enum command_status status = command_feed(parser, plain);

	switch (status) {
	case COMMAND_MORE:
		break;
	case COMMAND_READY:
		on_command(session, command_parser_command(parser));
		break;
	case COMMAND_CONTINUE:
		outbuf_puts(&session->env->text, "+ OK\r\n");
		break;
	case COMMAND_BAD:
		command = command_parser_command(parser);
		on_bad(session, command->tag, "BAD Syntax error.");
		break;
	case COMMAND_LIMIT:
		command = command_parser_command(parser);
		answer(session, command->tag, "NO [LIMIT] Literal too large.");
		break;
	case COMMAND_TOO_LONG:
		say_bye(session, REASON_TOO_LONG, "Line or literal too long.");
		break;
	case COMMAND_HTTP:
		say_bye(session, REASON_HTTP, "This is an IMAP server.");
		break;
	case COMMAND_NO_MEMORY:
		session_abort(session, WHO_GATEWAY, REASON_MEMORY);
		break;
	}
}

static void
parse_response(struct session *session, struct span *plain)
{
	struct preauth *preauth = session->preauth;
	uint8_t buf[128];
	struct outbuf challenge;
	struct span line;

	switch (command_feed_response(preauth->parser, plain, &line)) {
	case COMMAND_MORE:
		return;
	case COMMAND_READY:
		break;
	case COMMAND_TOO_LONG:
		say_bye(session, REASON_TOO_LONG, "Line too long.");
		return;
	default:
		session_abort(session, WHO_GATEWAY, REASON_MEMORY);
		return;
	}
	if (preauth->phase == PHASE_CHALLENGE) {
		attempt_respond(session, line);
		return;
	}
	outbuf_init(&challenge, buf, sizeof(buf));
	on_sasl(session, sasl_respond(&preauth->sasl, line, &challenge),
	    &challenge);
}

/* Plaintext to parse: what is left of *plain, else one more record. False:
 * nothing came, or the session is over. */
static bool
pull(struct session *session, struct span *plain)
{
	struct end *client = &session->ends[SIDE_CLIENT];

	if (plain->len > 0)
		return true;
	kept_close(&session->preauth->held, *plain);
	switch (dialogue_decode(session, SIDE_CLIENT, plain)) {
	case TLS_OK:
		session_count_in(session, plain->len);
		return true;
	case TLS_CLOSED:
		client->eof = END_CLOSED;
		break;
	case TLS_FAILED:
		session_end_tls(session);
		return false;
	case TLS_WANT_READ:
	case TLS_WANT_KEY:
		break;
	}
	if (client->eof != END_OPEN)
		session_end(session, WHO_CLIENT,
		    client->eof == END_CLOSED ? REASON_CLOSED
					      : REASON_TRUNCATED);
	return false;
}

static bool
is_parsing(const struct session *session)
{
	const struct session_env *env = session->env;

	return session->preauth != NULL &&
	       session->preauth->phase != PHASE_ATTEMPT &&
	       session->ends[SIDE_CLIENT].owed == 0 &&
	       env->out[SIDE_CLIENT].len < OUT_PAUSE &&
	       env->text.len < TEXT_FLUSH;
}

bool
preauth_step(struct session *session)
{
	struct preauth *preauth = session->preauth;
	enum session_state before = session->state;
	struct span plain;
	bool good = kept_open(&preauth->held, span_of(NULL, 0), &plain);

	while (is_parsing(session) && pull(session, &plain)) {
		if (preauth->phase == PHASE_COMMAND)
			parse_command(session, &plain);
		else
			parse_response(session, &plain);
		if (session->preauth != NULL &&
		    session->env->text.len >= TEXT_FLUSH)
			good = preauth_flush(session) && good;
	}
	if (session->preauth == NULL)
		return true;
	good = kept_close(&preauth->held, plain) && good;
	good = preauth_flush(session) && good;
	if (!good)
		session_abort(session, WHO_GATEWAY, REASON_MEMORY);
	return session->state != before;
}
