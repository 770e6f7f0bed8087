/* SPDX-License-Identifier: ISC */
/*
 * The server's side of a SASL exchange with a client (RFC 4422, RFC 4616 PLAIN,
 * draft-murchison-sasl-login LOGIN, RFC 7628 OAUTHBEARER, XOAUTH2 as Google
 * documents it): collects credentials; it decides nothing.
 */
#ifndef IMAP_SASL_H
#define IMAP_SASL_H

#include "config/config.h"
#include "proxy/imap/command.h"

enum credentials_kind {
	CREDENTIALS_NONE,
	/* user, authzid, password: the command LOGIN, PLAIN, LOGIN. */
	CREDENTIALS_PASSWORD,
	/* token is the first response, decoded: XOAUTH2, OAUTHBEARER. */
	CREDENTIALS_TOKEN,
	/* Relayed line by line; with has_initial token is the first response,
	 * decoded. */
	CREDENTIALS_RELAYED,
};

struct credentials {
	enum credentials_kind kind;
	char mechanism[MECHANISM_NAME_MAX + 1]; /* "LOGIN" is the command's name
						   when from_command */
	bool from_command; /* the LOGIN command, not AUTHENTICATE */
	bool has_initial;
	struct secret user; /* empty when it cannot be read (a mechanism that we
			       relay; SCRAM's n= is read) */
	struct secret authzid;
	struct secret password;
	struct secret token;
};

void credentials_wipe(struct credentials *credentials);

enum sasl_status {
	SASL_CHALLENGE, /* send "+ " and the base64 in out_challenge */
	SASL_DONE,	/* credentials are complete */
	SASL_CANCELLED, /* "*": tagged BAD */
	SASL_BAD,	/* bad base64 or bad message: tagged BAD */
	SASL_UNKNOWN,	/* mechanism not offered: tagged NO */
	SASL_NO_MEMORY,
};

struct sasl {
	int step;
	struct credentials credentials;
};

/*
 * Begins with an AUTHENTICATE command (sasl is overwritten; sasl_fini() is due
 * whatever comes back). `allowed` is config_listen.mechanisms.
 * With MECHANISM_NAMED nothing is relayed but SCRAM, whose user can be read.
 * Never offered whatever it says: ANONYMOUS, EXTERNAL, names ending in -PLUS.
 * out_challenge: at least 64 octets of room; base64, may be empty.
 */
enum sasl_status sasl_start(struct sasl *sasl, const struct command *command,
    uint32_t allowed, struct outbuf *out_challenge);

/* A response line of the client, in answer to SASL_CHALLENGE. */
enum sasl_status sasl_respond(
    struct sasl *sasl, struct span line, struct outbuf *out_challenge);

/*
 * A client's line of a relayed exchange: where the mechanism says a user in it
 * (CRAM-MD5, SCRAM) and none is known yet, the credentials get the name, for
 * events. Nothing else of it is kept.
 */
void sasl_note_relayed(struct credentials *credentials, struct span line);

void sasl_fini(struct sasl *sasl);

/* PLAIN's message (RFC 4616 section 2) of credentials, appended to a secret. */
bool sasl_plain_message(
    const struct credentials *credentials, struct secret *out_message);

#endif
