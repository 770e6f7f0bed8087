/* SPDX-License-Identifier: ISC */
/*
 * The login dialogue with a backend, pure: swallow its greeting, learn its
 * capabilities, identify the client, replay the credentials, watch for the
 * tagged verdict, learn the capabilities after login. Everything written to
 * the backend is written anew from parsed values.
 *
 * The PROXY header is the first thing in the first output when the backend
 * wants one; nothing else is sent before its greeting.
 */
#ifndef IMAP_LOGIN_H
#define IMAP_LOGIN_H

#include "backends/proxyhdr.h"
#include "backends/reply.h"
#include "proxy/imap/sasl.h"

#define LOGIN_TEXT_MAX 512 /* of a backend's text that a client sees */
/* Octets from a backend before the verdict. */
#define LOGIN_UNTAGGED_MAX 65536

/* Everything the dialogue needs to know; the pointers live as long as it. */
struct login_params {
	const struct backend *backend;	 /* a copy that the session holds */
	struct credentials *credentials; /* wiped by the session, not here */
	const struct client_id *client_id;
	struct addr client;
	struct addr local; /* where the client connected to */
	const char *session_id;
	struct proxyhdr_tls tls;
};

enum login_status {
	LOGIN_WAIT,	 /* write out, feed what comes */
	LOGIN_CHALLENGE, /* send "+ " + base64 in login->challenge to the
			    client, then login_respond() with its line */
	LOGIN_OK,	 /* relay: what is left in `in` is the session's */
	LOGIN_FAILED,	 /* NO without a code, or with AUTHENTICATIONFAILED
			    (RFC 5530 section 3): a failed login, it counts */
	LOGIN_REFUSED,	 /* another NO: passed on, never counted */
	LOGIN_RETRY, /* trouble before the credentials were sent: `trouble` */
	LOGIN_LOST,  /* trouble after: NO [UNAVAILABLE] */
	LOGIN_MISCONFIGURED, /* LOGINDISABLED or PRIVACYREQUIRED */
	LOGIN_BAD_RESPONSE, /* a client line was not "*" or base64, or "*" ended
			       a relayed exchange: tagged BAD; the backend is to
			       be closed */
};

enum login_trouble {
	TROUBLE_NONE,
	TROUBLE_CLOSED,
	TROUBLE_TIMEOUT,
	TROUBLE_GARBAGE,
	TROUBLE_PREAUTH,
	TROUBLE_BYE,
	TROUBLE_TOO_MUCH,
	TROUBLE_NO_MECHANISM, /* this backend cannot take these credentials */
	TROUBLE_MEMORY,
};

struct login; /* opaque; wiped and freed when the verdict is known */

struct login *login_new(const struct login_params *params);
void login_free(struct login *login);

/* The connection is made: writes the PROXY header, if any. */
enum login_status login_connected(struct login *login, struct outbuf *out);

/* Bytes of the backend; consumes up to the verdict, never behind it. */
enum login_status login_feed(
    struct login *login, struct span *in, struct outbuf *out);

/* The client's line in answer to LOGIN_CHALLENGE, without its end. */
enum login_status login_respond(
    struct login *login, struct span line, struct outbuf *out);

/* The backend ended or reset the connection. RETRY or LOST. */
enum login_status login_eof(struct login *login);

/* A deadline passed. RETRY before the credentials were sent, else LOST. */
enum login_status login_timeout(struct login *login);

/* True once the backend heard of the client, by LOGIN, AUTHENTICATE or an ID of
 * its own: from then on what it does may be the client's doing. */
bool login_has_begun(const struct login *login);

/* True once an octet of the credentials went to this backend. */
bool login_sent_credentials(const struct login *login);

/* The backend has yet to greet, list, ask for a literal or a response: another
 * one can take the login as long as this is so. */
bool login_is_preparing(const struct login *login);

struct span login_challenge(const struct login *login); /* base64 */
enum login_trouble login_trouble(const struct login *login);
const char *login_trouble_name(enum login_trouble trouble);

/* After OK, FAILED or REFUSED: the response code (upper case, may be empty)
 * for events; lives as long as the login. */
const char *login_code(const struct login *login);

/*
 * Writes to the client what the verdict says: [untagged CAPABILITY and] the
 * tagged line with the backend's code and text, filtered (verdict.h).
 * For OK, FAILED and REFUSED; at most 4 KB.
 */
void login_write_verdict(
    const struct login *login, const char *tag, struct outbuf *out);

#endif
