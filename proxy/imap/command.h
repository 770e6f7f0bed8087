/* SPDX-License-Identifier: ISC */
/*
 * A streaming parser of what a client may say before login (RFC 9051 sections
 * 6.1 and 6.2, RFC 2971, RFC 7888, RFC 4959). The result never depends on where
 * reads split.
 *
 * Glossary: a *command* is a tag, a name and arguments up to CRLF (a bare LF is
 * tolerated); a *literal* is {n}, {n+} or {n-} and n octets, which are data
 * even in a command that is rejected.
 */
#ifndef IMAP_COMMAND_H
#define IMAP_COMMAND_H

#include "proxy/base/span.h"

#define COMMAND_TAG_MAX	    64
#define COMMAND_LINE_MAX    8192  /* octets of one line without its literals */
#define COMMAND_AUTH_MAX    12288 /* an AUTHENTICATE command or response line */
#define COMMAND_LITERAL_MAX 4096  /* RFC 7888 section 4 */
#define COMMAND_ID_MAX	    65536 /* octets of one ID command, all together */
#define MECHANISM_NAME_MAX  20	  /* RFC 4422 section 3.1 */
#define CLIENT_ID_MAX	    64	  /* octets kept of a client's ID values */

enum command_kind {
	COMMAND_UNKNOWN, /* anything else: tagged BAD */
	COMMAND_CAPABILITY,
	COMMAND_NOOP,
	COMMAND_LOGOUT,
	COMMAND_ID,
	COMMAND_STARTTLS,
	COMMAND_LOGIN,
	COMMAND_AUTHENTICATE,
};

/* Of the client's ID; empty when not given. Octets as sent, truncated. */
struct client_id {
	char name[CLIENT_ID_MAX + 1];
	char version[CLIENT_ID_MAX + 1];
	char os[CLIENT_ID_MAX + 1];
};

struct command {
	enum command_kind kind;
	char tag[COMMAND_TAG_MAX + 1]; /* empty: none could be read */
	struct secret user; /* LOGIN; free of NUL, CR and LF allowed */
	struct secret password;
	char mechanism[MECHANISM_NAME_MAX + 1]; /* AUTHENTICATE; upper case */
	bool has_initial;
	struct secret initial; /* as sent: base64, or "=" */
	struct client_id id;
};

enum command_status {
	COMMAND_MORE,	  /* all input consumed, nothing complete */
	COMMAND_READY,	  /* a command or a response line is complete */
	COMMAND_CONTINUE, /* send a continuation request, then feed on */
	COMMAND_BAD,   /* syntax error, command consumed: tagged BAD ("*" when
			  the tag is empty) */
	COMMAND_LIMIT, /* {n} too large: tagged NO, no continuation; goes on */
	COMMAND_TOO_LONG,  /* a line or {n+} over its limit: BYE and close */
	COMMAND_HTTP,	   /* the first command is an HTTP request: close */
	COMMAND_NO_MEMORY, /* close */
};

struct command_parser; /* opaque; one allocation per login phase */

struct command_parser *command_parser_new(void);

/* Wipes everything that was read. */
void command_parser_free(struct command_parser *parser);

/*
 * Consumes *in up to the end of one command. After READY, BAD or LIMIT the
 * next call starts a new command; `command_parser_command()` stays valid
 * until then. Octets behind a command are never consumed with it.
 */
enum command_status command_feed(
    struct command_parser *parser, struct span *in);

/* The last command; the caller may move secrets out of it. */
struct command *command_parser_command(struct command_parser *parser);

/*
 * Consumes one response line of an AUTHENTICATE exchange; READY: the line
 * without its end is in out_line until the next call. MORE, READY, TOO_LONG
 * and NO_MEMORY only.
 */
enum command_status command_feed_response(
    struct command_parser *parser, struct span *in, struct span *out_line);

#endif
