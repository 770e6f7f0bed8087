/* SPDX-License-Identifier: ISC */
/*
 * What a backend said: lines of an IMAP server before the login is decided
 * (RFC 9051 section 7), read as a stream with bounds.
 */
#ifndef BACKENDS_REPLY_H
#define BACKENDS_REPLY_H

#include "backends/pool.h"
#include "proxy/base/span.h"

#define REPLY_LINE_MAX 8192

enum reply_kind {
	REPLY_OK, /* untagged OK, PREAUTH, BYE: the greeting, or later */
	REPLY_PREAUTH,
	REPLY_BYE,
	REPLY_CAPABILITY, /* "* CAPABILITY ...": list in `text` */
	REPLY_UNTAGGED,	  /* any other untagged data, NO and BAD among it */
	REPLY_CONTINUE,	  /* "+ ...": `text` is what follows */
	REPLY_TAGGED_OK,  /* tag in `tag` */
	REPLY_TAGGED_NO,
	REPLY_TAGGED_BAD,
	REPLY_GARBAGE, /* none of these, or NUL, or a bad literal */
};

/* Spans point into the reader and live until the next call. */
struct reply {
	enum reply_kind kind;
	struct span tag;
	struct span
	    code; /* "UNAVAILABLE", "CAPABILITY IMAP4rev1 ...", or empty */
	struct span text; /* the human-readable rest */
};

enum reply_status {
	REPLY_MORE,	/* everything was consumed, no line is complete */
	REPLY_READY,	/* out_reply is filled */
	REPLY_TOO_MUCH, /* a line over REPLY_LINE_MAX, over `max_total`, or no
			   memory: close */
};

struct reply_reader {
	uint8_t *line; /* heap, REPLY_LINE_MAX, allocated at first need */
	size_t len;
	bool complete; /* the line was returned: the next one starts anew */
	size_t literal_left; /* octets of an untagged literal still to skip */
	size_t total;	     /* octets seen */
	size_t max_total;    /* 0: no bound */
};

void reply_reader_init(struct reply_reader *reader, size_t max_total);
void reply_reader_fini(struct reply_reader *reader);

/*
 * Consumes *in up to the end of one line (a bare LF ends one, too). A literal
 * in untagged data is skipped, it appears as "" in `text`.
 */
enum reply_status reply_read(
    struct reply_reader *reader, struct span *in, struct reply *out_reply);

/* Bits for the capabilities that a dialogue depends on. */
enum backend_capability {
	CAP_LOGINDISABLED = 1 << 0,
	CAP_SASL_IR = 1 << 1,
	CAP_LITERAL_PLUS = 1 << 2,  /* LITERAL+ */
	CAP_LITERAL_MINUS = 1 << 3, /* LITERAL- or IMAP4rev2 */
	CAP_ID = 1 << 4,
	CAP_AUTH_PLAIN = 1 << 5,
	CAP_AUTH_LOGIN = 1 << 6,
	CAP_KNOWN = 1 << 30, /* a list was seen */
};

/* From a list of words separated by spaces. */
uint32_t reply_capabilities(struct span list);

/* True when the list has the word, without regard to case. */
bool reply_has_capability(struct span list, const char *word);

/* The first word of a code is `name`, without regard to case. */
bool reply_code_is(struct span code, const char *name);

#endif
