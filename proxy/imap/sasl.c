/* SPDX-License-Identifier: ISC */
/*
 * See sasl.h. Called by the session with AUTHENTICATE commands and the lines
 * behind them.
 *
 * Invariant: a user, authzid or password that was accepted has no NUL, and
 * what a message was decoded into is wiped or owned by `credentials`.
 */
#include "proxy/imap/sasl.h"

#include <string.h>

#include "proxy/base/imaplex.h"

void
credentials_wipe(struct credentials *credentials)
{
	secret_wipe(&credentials->user);
	secret_wipe(&credentials->authzid);
	secret_wipe(&credentials->password);
	secret_wipe(&credentials->token);
	*credentials = (struct credentials){.kind = CREDENTIALS_NONE};
}

void
sasl_fini(struct sasl *sasl)
{
	credentials_wipe(&sasl->credentials);
	sasl->step = 0;
}

bool
sasl_plain_message(
    const struct credentials *credentials, struct secret *out_message)
{
	const struct span nul = span_of("", 1);
	return secret_append(out_message, span_secret(&credentials->authzid)) &&
	       secret_append(out_message, nul) &&
	       secret_append(out_message, span_secret(&credentials->user)) &&
	       secret_append(out_message, nul) &&
	       secret_append(out_message, span_secret(&credentials->password));
}

/*
 * Cuts what stands before `separator` off *text, and the separator. False:
 * there is none.
 */
static bool
cut(struct span *text, uint8_t separator, struct span *out_before)
{
	const uint8_t *end =
	    text->len > 0 ? memchr(text->data, separator, text->len) : NULL;
	if (end == NULL)
		return false;
	*out_before = span_of(text->data, (size_t)(end - text->data));
	span_advance(text, out_before->len + 1);
	return true;
}

static bool
cut_prefix(struct span *text, const char *prefix)
{
	size_t len = strlen(prefix);
	if (text->len < len || memcmp(text->data, prefix, len) != 0)
		return false;
	span_advance(text, len);
	return true;
}

static bool
has_nul(struct span text)
{
	return text.len > 0 && memchr(text.data, '\0', text.len) != NULL;
}

static enum sasl_status
keep(struct secret *secret, struct span octets)
{
	return secret_set(secret, octets) ? SASL_DONE : SASL_NO_MEMORY;
}

/* saslname of RFC 5801 section 4: "=2C" is a comma, "=3D" an equals sign. */
static enum sasl_status
keep_saslname(struct secret *secret, struct span name)
{
	enum sasl_status status = keep(secret, name);
	if (status != SASL_DONE)
		return status;
	size_t len = 0;
	while (name.len > 0) {
		uint8_t c = name.data[0];
		if (cut_prefix(&name, "=2C"))
			c = ',';
		else if (cut_prefix(&name, "=3D"))
			c = '=';
		else if (c == '=' || c == '\0')
			return SASL_BAD;
		else
			span_advance(&name, 1);
		secret->data[len++] = c;
	}
	explicit_bzero(secret->data + len, secret->len - len);
	secret->len = len;
	return SASL_DONE;
}

/* RFC 4616 section 2: [authzid] NUL authcid NUL passwd. */
static enum sasl_status
read_plain(struct credentials *credentials, struct span message)
{
	struct span authzid, user;
	if (!cut(&message, '\0', &authzid) || !cut(&message, '\0', &user) ||
	    user.len == 0 || has_nul(message))
		return SASL_BAD;
	if (!secret_set(&credentials->authzid, authzid) ||
	    !secret_set(&credentials->user, user) ||
	    !secret_set(&credentials->password, message))
		return SASL_NO_MEMORY;
	return SASL_DONE;
}

/* "user=" name ^A "auth=" value ^A ^A. */
static enum sasl_status
read_xoauth2(struct credentials *credentials, struct span message)
{
	struct span user, auth;
	if (has_nul(message) || !cut_prefix(&message, "user=") ||
	    !cut(&message, 0x01, &user) || user.len == 0 ||
	    !cut_prefix(&message, "auth=") || !cut(&message, 0x01, &auth) ||
	    !span_equal(message, span_str("\x01")))
		return SASL_BAD;
	return keep(&credentials->user, user);
}

/*
 * gs2-header of RFC 5801 section 4, without channel binding; *message is then
 * behind it. The name is empty when there is none.
 */
static bool
cut_gs2_header(struct span *message, struct span *out_authzid)
{
	struct span flag, authzid;
	if (!cut(message, ',', &flag) || !cut(message, ',', &authzid))
		return false;
	if (!span_equal(flag, span_str("n")) &&
	    !span_equal(flag, span_str("y")))
		return false;
	if (authzid.len > 0 && !cut_prefix(&authzid, "a="))
		return false;
	*out_authzid = authzid;
	return true;
}

/* RFC 7628 section 3.1: gs2-header ^A *(key "=" value ^A) ^A. */
static enum sasl_status
read_oauthbearer(struct credentials *credentials, struct span message)
{
	struct span user, pair;
	if (has_nul(message) || !cut_gs2_header(&message, &user) ||
	    !cut_prefix(&message, "\x01"))
		return SASL_BAD;
	do {
		if (!cut(&message, 0x01, &pair))
			return SASL_BAD;
	} while (pair.len > 0);
	if (message.len > 0)
		return SASL_BAD;
	return keep_saslname(&credentials->user, user);
}

/* SCRAM's first message (RFC 5802 section 7). */
static bool
read_scram_user(struct credentials *credentials, struct span message)
{
	struct span authzid, user;
	return cut_gs2_header(&message, &authzid) &&
	       cut_prefix(&message, "n=") && cut(&message, ',', &user) &&
	       keep_saslname(&credentials->user, user) == SASL_DONE;
}

/* CRAM-MD5's response: the name, a space, 32 hexadecimal digits (RFC 2195
 * section 2). */
static bool
read_cram_user(struct credentials *credentials, struct span message)
{
	const size_t digest = 33;
	if (message.len <= digest ||
	    message.data[message.len - digest] != ' ' || has_nul(message))
		return false;
	message.len -= digest;
	return keep(&credentials->user, message) == SASL_DONE;
}

/* What cannot be read is the backend's to refuse. */
static void
read_relayed_user(struct credentials *credentials, struct span message)
{
	bool good = false;
	if (strncmp(credentials->mechanism, "SCRAM-", 6) == 0)
		good = read_scram_user(credentials, message);
	else if (strcmp(credentials->mechanism, "CRAM-MD5") == 0)
		good = read_cram_user(credentials, message);
	if (!good)
		secret_wipe(&credentials->user);
}

void
sasl_note_relayed(struct credentials *credentials, struct span line)
{
	struct secret message = {NULL, 0};
	if (credentials->kind != CREDENTIALS_RELAYED ||
	    credentials->user.len > 0)
		return;
	if (imap_base64_decode(line, &message))
		read_relayed_user(credentials, span_secret(&message));
	secret_wipe(&message);
}

enum mechanism_step {
	STEP_FIRST,
	STEP_LOGIN_PASSWORD,
};

static enum sasl_status
read_login(struct sasl *sasl, struct span message, struct outbuf *out_challenge)
{
	struct credentials *credentials = &sasl->credentials;
	if (has_nul(message))
		return SASL_BAD;
	if (sasl->step == STEP_LOGIN_PASSWORD)
		return keep(&credentials->password, message);
	if (message.len == 0)
		return SASL_BAD;
	if (keep(&credentials->user, message) != SASL_DONE)
		return SASL_NO_MEMORY;
	sasl->step = STEP_LOGIN_PASSWORD;
	imap_base64_encode(out_challenge, span_str("Password:"));
	return SASL_CHALLENGE;
}

static enum sasl_status
read_token(struct credentials *credentials, struct secret *message,
    enum sasl_status (*read)(struct credentials *, struct span))
{
	enum sasl_status status = read(credentials, span_secret(message));
	credentials->kind = CREDENTIALS_TOKEN;
	credentials->has_initial = true;
	credentials->token = *message;
	*message = (struct secret){NULL, 0};
	return status;
}

/* A decoded message of the client. */
static enum sasl_status
read_message(
    struct sasl *sasl, struct secret *message, struct outbuf *out_challenge)
{
	struct credentials *credentials = &sasl->credentials;
	if (strcmp(credentials->mechanism, "XOAUTH2") == 0)
		return read_token(credentials, message, read_xoauth2);
	if (strcmp(credentials->mechanism, "OAUTHBEARER") == 0)
		return read_token(credentials, message, read_oauthbearer);
	if (credentials->kind == CREDENTIALS_RELAYED) {
		credentials->has_initial = true;
		credentials->token = *message;
		*message = (struct secret){NULL, 0};
		read_relayed_user(
		    credentials, span_secret(&credentials->token));
		return SASL_DONE;
	}
	credentials->kind = CREDENTIALS_PASSWORD;
	if (strcmp(credentials->mechanism, "LOGIN") == 0)
		return read_login(sasl, span_secret(message), out_challenge);
	return read_plain(credentials, span_secret(message));
}

static enum sasl_status
read_line(struct sasl *sasl, struct span line, struct outbuf *out_challenge)
{
	struct secret message = {NULL, 0};
	if (!imap_base64_decode(line, &message))
		return SASL_BAD;
	enum sasl_status status = read_message(sasl, &message, out_challenge);
	secret_wipe(&message);
	return status;
}

/* RFC 4959 section 3: "=" is an empty initial response. */
static struct span
initial_line(const struct command *command)
{
	struct span line = span_secret(&command->initial);
	return span_equal(line, span_str("=")) ? span_of(NULL, 0) : line;
}

static enum sasl_status
start_relayed(struct credentials *credentials, const struct command *command)
{
	credentials->kind = CREDENTIALS_RELAYED;
	credentials->has_initial = command->has_initial;
	if (!command->has_initial)
		return SASL_DONE;
	if (!imap_base64_decode(initial_line(command), &credentials->token))
		return SASL_BAD;
	read_relayed_user(credentials, span_secret(&credentials->token));
	return SASL_DONE;
}

/* 0: never offered, or not a mechanism's name. */
static uint32_t
mechanism_bit(const char *name)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} known[] = {
	    {"PLAIN", MECHANISM_PLAIN},
	    {"LOGIN", MECHANISM_LOGIN},
	    {"XOAUTH2", MECHANISM_XOAUTH2},
	    {"OAUTHBEARER", MECHANISM_OAUTHBEARER},
	    {"ANONYMOUS", 0},
	    {"EXTERNAL", 0},
	};
	size_t len = strlen(name);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(name, known[i].name) == 0)
			return known[i].bit;
	/* The client's channel ends here, so binding to it must fail. */
	bool is_plus = len >= 5 && strcmp(name + len - 5, "-PLUS") == 0;
	return len == 0 || is_plus ? 0 : MECHANISM_OTHER;
}

enum sasl_status
sasl_start(struct sasl *sasl, const struct command *command, uint32_t allowed,
    struct outbuf *out_challenge)
{
	uint32_t bit = mechanism_bit(command->mechanism);
	*sasl = (struct sasl){.step = STEP_FIRST};
	if ((bit & allowed) == 0)
		return SASL_UNKNOWN;
	memcpy(sasl->credentials.mechanism, command->mechanism,
	    sizeof(sasl->credentials.mechanism));
	bool is_scram = strncmp(command->mechanism, "SCRAM-", 6) == 0;
	if (bit == MECHANISM_OTHER && (allowed & MECHANISM_NAMED) && !is_scram)
		return SASL_UNKNOWN;
	/* The name is in the client's first message, which the gateway then
	 * asks for in the backend's stead. */
	if (bit == MECHANISM_OTHER && (allowed & MECHANISM_NAMED) &&
	    !command->has_initial) {
		sasl->credentials.kind = CREDENTIALS_RELAYED;
		return SASL_CHALLENGE;
	}
	if (bit == MECHANISM_OTHER)
		return start_relayed(&sasl->credentials, command);
	if (command->has_initial)
		return read_line(sasl, initial_line(command), out_challenge);
	if (bit == MECHANISM_LOGIN)
		imap_base64_encode(out_challenge, span_str("Username:"));
	return SASL_CHALLENGE;
}

enum sasl_status
sasl_respond(struct sasl *sasl, struct span line, struct outbuf *out_challenge)
{
	if (span_equal(line, span_str("*")))
		return SASL_CANCELLED;
	return read_line(sasl, line, out_challenge);
}
