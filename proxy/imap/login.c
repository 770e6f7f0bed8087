/* SPDX-License-Identifier: ISC */
/*
 * See login.h. Called by the session between dialling a backend and relaying.
 *
 * One command is under way at a time and `tag` names it. The steps:
 *
 *     GREETING -> [CAPABILITY] -> [ID] -> credentials -> [CAPABILITY]
 *
 * where the credentials are LOGIN (ARGUMENTS while a literal waits for its
 * continuation) or AUTHENTICATE (MESSAGE while the first response waits for
 * one, EXCHANGE and CLIENT while the client answers challenges).
 *
 * Invariant: has_sent is true from the first octet of the credentials in `out`,
 * and trouble is LOGIN_RETRY before and LOGIN_LOST after.
 */
#include "proxy/imap/login.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/ensure.h"
#include "proxy/base/imaplex.h"
#include "proxy/imap/identify.h"
#include "proxy/imap/verdict.h"

#define QUOTED_MAX	  1000 /* longer arguments go as literals */
#define LITERAL_MINUS_MAX 4096 /* RFC 7888 section 5 */
#define INITIAL_MAX	  7000 /* longer ones wait: servers bound lines to 8000 */

enum step {
	STEP_GREETING,
	STEP_CAPABILITY,
	STEP_ID,
	STEP_ARGUMENTS,
	STEP_MESSAGE,
	STEP_EXCHANGE, /* the verdict, or a challenge before it */
	STEP_CLIENT,   /* the client's answer to a challenge, or the verdict */
	STEP_CAPABILITY_AFTER,
	STEP_DONE,
};

struct login {
	struct login_params params;
	struct reply_reader reader;
	enum step step;
	unsigned n_tag;
	char tag[16];
	uint32_t capabilities; /* before login; 0: not known */
	bool lists_mechanisms; /* some AUTH= */
	bool lists_ours;       /* AUTH= of the credentials' mechanism */
	unsigned n_arguments;  /* of LOGIN, sent */
	bool has_begun;
	bool has_sent;
	bool is_cancelled;     /* the client answered a challenge with "*" */
	struct secret message; /* the first response, when it waits */
	struct secret challenge;
	enum login_trouble trouble;
	struct verdict verdict;
};

struct login *
login_new(const struct login_params *params)
{
	struct login *login = calloc(1, sizeof(*login));
	if (login == NULL)
		return NULL;
	login->params = *params;
	reply_reader_init(&login->reader, LOGIN_UNTAGGED_MAX);
	return login;
}

void
login_free(struct login *login)
{
	if (login == NULL)
		return;
	reply_reader_fini(&login->reader);
	secret_wipe(&login->message);
	secret_wipe(&login->challenge);
	free(login);
}

static enum login_status
give_up(struct login *login, enum login_trouble trouble)
{
	login->step = STEP_DONE;
	login->trouble = trouble;
	return login->has_sent ? LOGIN_LOST : LOGIN_RETRY;
}

/* Begins a command: a new tag and its name. */
static void
put_command(struct login *login, struct outbuf *out, const char *name)
{
	struct outbuf tag;
	outbuf_init(&tag, login->tag, sizeof(login->tag));
	outbuf_printf(&tag, "s%u", ++login->n_tag);
	login->tag[tag.len] = '\0';
	outbuf_printf(out, "%s %s", login->tag, name);
}

/* The LOGIN command. */

static bool
is_nonsync(const struct login *login, struct span argument)
{
	if (login->capabilities & CAP_LITERAL_PLUS)
		return true;
	return (login->capabilities & CAP_LITERAL_MINUS) &&
	       argument.len <= LITERAL_MINUS_MAX;
}

static struct span
next_argument(const struct login *login)
{
	const struct credentials *credentials = login->params.credentials;
	return span_secret(login->n_arguments == 0 ? &credentials->user
						   : &credentials->password);
}

/* The first argument at or after n_arguments that must wait stops it. */
static enum login_status
put_arguments(struct login *login, struct outbuf *out)
{
	for (; login->n_arguments < 2; login->n_arguments++) {
		struct span argument = next_argument(login);
		bool is_quoted =
		    argument.len <= QUOTED_MAX && imap_is_quotable(argument);
		bool is_free = is_nonsync(login, argument);
		outbuf_putc(out, ' ');
		if (!is_quoted)
			outbuf_printf(out, "{%zu%s}\r\n", argument.len,
			    is_free ? "+" : "");
		if (!is_quoted && !is_free) {
			login->step = STEP_ARGUMENTS;
			return LOGIN_WAIT;
		}
		login->has_sent = true;
		if (is_quoted)
			imap_put_quoted(out, argument);
		else
			outbuf_put(out, argument);
	}
	outbuf_puts(out, "\r\n");
	login->step = STEP_EXCHANGE;
	return LOGIN_WAIT;
}

/* The backend wants the literal. */
static enum login_status
continue_arguments(struct login *login, struct outbuf *out)
{
	login->has_sent = true;
	outbuf_put(out, next_argument(login));
	login->n_arguments++;
	return put_arguments(login, out);
}

/* AUTHENTICATE. */

static void
put_base64(struct login *login, struct outbuf *out, bool is_initial)
{
	/* RFC 4959 section 3: an empty initial response is "=". */
	if (is_initial && login->message.len == 0)
		outbuf_putc(out, '=');
	imap_base64_encode(out, span_secret(&login->message));
	outbuf_puts(out, "\r\n");
	login->has_sent = true;
	login->step = STEP_EXCHANGE;
	secret_wipe(&login->message);
}

/* `message` is the first response; without one the backend speaks first. */
static enum login_status
put_authenticate(struct login *login, struct outbuf *out, bool has_message)
{
	put_command(login, out, "AUTHENTICATE ");
	outbuf_puts(out, login->params.credentials->mechanism);
	login->step = has_message ? STEP_MESSAGE : STEP_EXCHANGE;
	if (has_message && (login->capabilities & CAP_SASL_IR) &&
	    login->message.len <= INITIAL_MAX / 4 * 3) {
		outbuf_putc(out, ' ');
		put_base64(login, out, true);
	} else {
		outbuf_puts(out, "\r\n");
	}
	return LOGIN_WAIT;
}

static enum login_status
put_plain(struct login *login, struct outbuf *out)
{
	if (!sasl_plain_message(login->params.credentials, &login->message))
		return give_up(login, TROUBLE_MEMORY);
	return put_authenticate(login, out, true);
}

/* LOGIN cannot name an identity other than the user. */
static bool
needs_authzid(const struct credentials *credentials)
{
	return credentials->authzid.len > 0 &&
	       !span_equal(span_secret(&credentials->authzid),
		   span_secret(&credentials->user));
}

static enum login_status
put_password(struct login *login, struct outbuf *out)
{
	const struct credentials *credentials = login->params.credentials;
	bool is_plain = !credentials->from_command &&
			strcmp(credentials->mechanism, "PLAIN") == 0;
	if (is_plain && (login->capabilities & CAP_AUTH_PLAIN))
		return put_plain(login, out);
	if (needs_authzid(credentials))
		return give_up(login, TROUBLE_NO_MECHANISM);
	put_command(login, out, "LOGIN");
	return put_arguments(login, out);
}

/* A backend that lists no AUTH= at all may be an old one: it is asked. */
static enum login_status
put_token(struct login *login, struct outbuf *out)
{
	const struct credentials *credentials = login->params.credentials;
	if (login->lists_mechanisms && !login->lists_ours)
		return give_up(login, TROUBLE_NO_MECHANISM);
	if (credentials->has_initial &&
	    !secret_set(&login->message, span_secret(&credentials->token)))
		return give_up(login, TROUBLE_MEMORY);
	return put_authenticate(login, out, credentials->has_initial);
}

static enum login_status
put_credentials(struct login *login, struct outbuf *out)
{
	enum credentials_kind kind = login->params.credentials->kind;
	ENSURE(kind != CREDENTIALS_NONE);
	login->has_begun = true;
	return kind == CREDENTIALS_PASSWORD ? put_password(login, out)
					    : put_token(login, out);
}

/* Before the credentials: capabilities and ID. */

/* It repeats what the client said of itself, if anything. */
static enum login_status
put_id(struct login *login, struct outbuf *out)
{
	const struct client_id *id = login->params.client_id;

	login->has_begun =
	    id->name[0] != '\0' || id->version[0] != '\0' || id->os[0] != '\0';
	put_command(login, out, "ID ");
	identify_write(&login->params, out);
	outbuf_puts(out, "\r\n");
	login->step = STEP_ID;
	return LOGIN_WAIT;
}

static void
learn(struct login *login, struct span list)
{
	const struct credentials *credentials = login->params.credentials;
	struct span word;
	login->capabilities = reply_capabilities(list);
	login->lists_mechanisms = false;
	login->lists_ours = false;
	while (imap_next_word(&list, &word)) {
		if (word.len < 5 || !span_equal_nocase(span_of(word.data, 5),
					span_str("AUTH=")))
			continue;
		span_advance(&word, 5);
		login->lists_mechanisms = true;
		if (span_equal_nocase(word, span_str(credentials->mechanism)))
			login->lists_ours = true;
	}
}

/*
 * What a check saw may be true no more. Where that could only cost a refusal it
 * is believed; but {n+} to a server that doesn't know it makes commands of a
 * user's octets.
 */
static void
learn_cached(struct login *login, struct span list)
{
	const uint32_t literals = CAP_LITERAL_PLUS | CAP_LITERAL_MINUS;
	learn(login, list);
	login->capabilities &= ~literals;
}

/* What could be learned is known. */
static enum login_status
proceed(struct login *login, struct outbuf *out)
{
	if (login->capabilities & CAP_LOGINDISABLED) {
		login->step = STEP_DONE;
		return LOGIN_MISCONFIGURED;
	}
	if (login->params.backend->client_ip == CLIENT_IP_ID &&
	    (login->capabilities & CAP_ID))
		return put_id(login, out);
	return put_credentials(login, out);
}

static enum login_status
ask_capability(struct login *login, struct outbuf *out, enum step step)
{
	put_command(login, out, "CAPABILITY\r\n");
	login->step = step;
	return LOGIN_WAIT;
}

static struct span
code_arguments(struct span code)
{
	struct span name;
	imap_next_word(&code, &name);
	return code;
}

static enum login_status
on_greeting(struct login *login, const struct reply *reply, struct outbuf *out)
{
	const char *known = login->params.backend->capabilities;
	if (reply->kind == REPLY_PREAUTH)
		return give_up(login, TROUBLE_PREAUTH);
	if (reply->kind != REPLY_OK)
		return give_up(login, TROUBLE_GARBAGE);
	if (reply_code_is(reply->code, "CAPABILITY"))
		learn(login, code_arguments(reply->code));
	else if (known[0] != '\0')
		learn_cached(login, span_str(known));
	else
		return ask_capability(login, out, STEP_CAPABILITY);
	return proceed(login, out);
}

/* The answers. */

static void
on_list(struct login *login, struct span list)
{
	if (login->step == STEP_CAPABILITY)
		learn(login, list);
	else if (login->has_sent)
		verdict_learn(&login->verdict, list);
}

static enum login_status
on_challenge(struct login *login, struct span text)
{
	struct secret octets = {NULL, 0};
	if (login->params.credentials->kind == CREDENTIALS_PASSWORD ||
	    !imap_base64_decode(text, &octets))
		return give_up(login, TROUBLE_GARBAGE);
	secret_wipe(&octets);
	if (!secret_set(&login->challenge, text))
		return give_up(login, TROUBLE_MEMORY);
	login->step = STEP_CLIENT;
	return LOGIN_CHALLENGE;
}

static enum login_status
on_continue(struct login *login, struct span text, struct outbuf *out)
{
	switch (login->step) {
	case STEP_ARGUMENTS:
		return continue_arguments(login, out);
	case STEP_MESSAGE:
		put_base64(login, out, false);
		return LOGIN_WAIT;
	case STEP_EXCHANGE:
		return on_challenge(login, text);
	case STEP_GREETING:
	case STEP_CAPABILITY:
	case STEP_ID:
	case STEP_CLIENT:
	case STEP_CAPABILITY_AFTER:
	case STEP_DONE:
		break;
	}
	return give_up(login, TROUBLE_GARBAGE);
}

static enum login_status
on_ok(struct login *login, struct outbuf *out)
{
	enum credentials_kind kind = login->params.credentials->kind;
	/* A relayed mechanism may have installed a security layer. */
	if (login->verdict.capabilities[0] == '\0' &&
	    kind != CREDENTIALS_RELAYED)
		return ask_capability(login, out, STEP_CAPABILITY_AFTER);
	login->step = STEP_DONE;
	return LOGIN_OK;
}

/*
 * A client that cancels a relayed exchange gets BAD; one that cancels when
 * told that its token was refused has failed all the same.
 */
static enum login_status
judge_cancelled(struct login *login)
{
	login->step = STEP_DONE;
	if (login->params.credentials->kind == CREDENTIALS_RELAYED)
		return LOGIN_BAD_RESPONSE;
	login->verdict = (struct verdict){.is_ok = false};
	return LOGIN_FAILED;
}

static enum login_status
on_verdict(struct login *login, const struct reply *reply, struct outbuf *out)
{
	bool is_ok = reply->kind == REPLY_TAGGED_OK;
	/* It gives no verdict on a password that it has not seen. */
	bool has_all = login->has_sent && login->step != STEP_ARGUMENTS;
	if (!has_all && reply_code_is(reply->code, "PRIVACYREQUIRED")) {
		login->step = STEP_DONE;
		return LOGIN_MISCONFIGURED;
	}
	if (!has_all)
		return give_up(
		    login, is_ok ? TROUBLE_GARBAGE : TROUBLE_NO_MECHANISM);
	if (login->is_cancelled && !is_ok)
		return judge_cancelled(login);
	enum login_status status = verdict_judge(&login->verdict, reply);
	if (status == LOGIN_OK)
		return on_ok(login, out);
	login->step = STEP_DONE;
	return status;
}

static enum login_status
on_tagged(struct login *login, const struct reply *reply, struct outbuf *out)
{
	if (!span_equal(reply->tag, span_str(login->tag)))
		return give_up(login, TROUBLE_GARBAGE);
	switch (login->step) {
	case STEP_CAPABILITY:
		return proceed(login, out);
	case STEP_ID:
		return put_credentials(login, out);
	case STEP_ARGUMENTS:
	case STEP_MESSAGE:
	case STEP_EXCHANGE:
	case STEP_CLIENT:
		return on_verdict(login, reply, out);
	case STEP_CAPABILITY_AFTER:
		login->step = STEP_DONE;
		return LOGIN_OK;
	case STEP_GREETING:
	case STEP_DONE:
		break;
	}
	return give_up(login, TROUBLE_GARBAGE);
}

static enum login_status
on_reply(struct login *login, const struct reply *reply, struct outbuf *out)
{
	if (reply->kind == REPLY_BYE)
		return give_up(login, TROUBLE_BYE);
	if (login->step == STEP_GREETING)
		return on_greeting(login, reply, out);
	switch (reply->kind) {
	case REPLY_CAPABILITY:
		on_list(login, reply->text);
		return LOGIN_WAIT;
	case REPLY_OK:
	case REPLY_UNTAGGED:
		return LOGIN_WAIT;
	case REPLY_CONTINUE:
		return on_continue(login, reply->text, out);
	case REPLY_TAGGED_OK:
	case REPLY_TAGGED_NO:
	case REPLY_TAGGED_BAD:
		return on_tagged(login, reply, out);
	case REPLY_PREAUTH:
	case REPLY_BYE:
	case REPLY_GARBAGE:
		break;
	}
	return give_up(login, TROUBLE_GARBAGE);
}

enum login_status
login_connected(struct login *login, struct outbuf *out)
{
	const struct login_params *params = &login->params;
	if (params->backend->client_ip == CLIENT_IP_PROXY_V1)
		proxyhdr_write_v1(out, &params->client, &params->local);
	else if (params->backend->client_ip == CLIENT_IP_PROXY_V2)
		proxyhdr_write_v2(
		    out, &params->client, &params->local, &params->tls);
	if (out->overflow)
		return give_up(login, TROUBLE_MEMORY);
	return LOGIN_WAIT;
}

enum login_status
login_feed(struct login *login, struct span *in, struct outbuf *out)
{
	enum login_status status = LOGIN_WAIT;
	ENSURE(login->step != STEP_DONE);
	while (status == LOGIN_WAIT) {
		struct reply reply;
		switch (reply_read(&login->reader, in, &reply)) {
		case REPLY_MORE:
			return LOGIN_WAIT;
		case REPLY_TOO_MUCH:
			return give_up(login, TROUBLE_TOO_MUCH);
		case REPLY_READY:
			break;
		}
		status = on_reply(login, &reply, out);
		if (out->overflow)
			return give_up(login, TROUBLE_MEMORY);
	}
	return status;
}

enum login_status
login_respond(struct login *login, struct span line, struct outbuf *out)
{
	struct secret octets = {NULL, 0};
	ENSURE(login->step == STEP_CLIENT);
	login->is_cancelled = span_equal(line, span_str("*"));
	if (!login->is_cancelled && (line.len > COMMAND_AUTH_MAX ||
					!imap_base64_decode(line, &octets))) {
		login->step = STEP_DONE;
		return LOGIN_BAD_RESPONSE;
	}
	if (login->is_cancelled)
		outbuf_putc(out, '*');
	else
		imap_base64_encode(out, span_secret(&octets));
	outbuf_puts(out, "\r\n");
	secret_wipe(&octets);
	login->has_sent = true;
	login->step = STEP_EXCHANGE;
	return out->overflow ? give_up(login, TROUBLE_MEMORY) : LOGIN_WAIT;
}

enum login_status
login_eof(struct login *login)
{
	return give_up(login, TROUBLE_CLOSED);
}

enum login_status
login_timeout(struct login *login)
{
	return give_up(login, TROUBLE_TIMEOUT);
}

bool
login_has_begun(const struct login *login)
{
	return login->has_begun;
}

bool
login_sent_credentials(const struct login *login)
{
	return login->has_sent;
}

bool
login_is_preparing(const struct login *login)
{
	return login->step <= STEP_EXCHANGE && !login->has_sent;
}

struct span
login_challenge(const struct login *login)
{
	return span_secret(&login->challenge);
}

enum login_trouble
login_trouble(const struct login *login)
{
	return login->trouble;
}

const char *
login_code(const struct login *login)
{
	return login->verdict.name;
}

void
login_write_verdict(
    const struct login *login, const char *tag, struct outbuf *out)
{
	verdict_write(&login->verdict, tag, out);
}
