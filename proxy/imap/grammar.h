/* SPDX-License-Identifier: ISC */
/*
 * The grammar of the commands before login, for command.c alone, which knows
 * about lines and literals: it gives this one the octets of a line that are
 * neither its end nor inside a literal.
 */
#ifndef IMAP_GRAMMAR_H
#define IMAP_GRAMMAR_H

#include "proxy/imap/command.h"

enum grammar_state {
	STATE_TAG,
	STATE_NAME,
	STATE_ARG, /* before the first octet of a string */
	STATE_ATOM,
	STATE_QUOTED,
	STATE_ESCAPED, /* behind a backslash in a quoted string */
	STATE_LITERAL, /* behind the brace of a literal */
	STATE_AFTER,   /* behind a string that others follow */
	STATE_MECHANISM,
	STATE_INITIAL,
	STATE_ID, /* NIL or an opening parenthesis */
	STATE_NIL,
	STATE_END,  /* nothing may follow */
	STATE_SKIP, /* unknown or rejected: up to the end of the command */
};

/* Grows by doubling; wiped when it moves and when it is dropped. */
struct collected {
	uint8_t *data;
	size_t len;
	size_t cap;
};

struct grammar {
	struct command command;
	enum grammar_state state;
	bool is_rejected; /* a syntax error was seen */
	/* MORE, NO_MEMORY, or TOO_LONG (a string of an ID). */
	enum command_status failure;
	size_t n_word; /* octets of the tag, name, mechanism or NIL */
	char name[sizeof("AUTHENTICATE")];
	struct collected pending; /* of the current string */
	size_t n_strings;	  /* complete strings of LOGIN or ID */
	size_t string_len;	  /* octets of the current string of an ID */
	char key[sizeof("version")];
	char *value; /* where the current value of an ID is kept, or NULL */
};

/* Wipes what is there; a new command begins. */
void grammar_start(struct grammar *grammar);
void grammar_wipe_secrets(struct grammar *grammar);

/* The command is wrong; the rest of it is skipped. */
void grammar_reject(struct grammar *grammar);

/* An octet of the line, when the state is not STATE_LITERAL. */
void grammar_octet(struct grammar *grammar, uint8_t c);

/* Octets of a string, and its end; called for literals in STATE_LITERAL. */
void grammar_string(struct grammar *grammar, struct span octets);
void grammar_end_string(struct grammar *grammar);

/* The line ended: brings the state to STATE_END or STATE_SKIP. */
void grammar_end_line(struct grammar *grammar);

/* Adds to `pending`; sets `failure` when there is no memory. */
void grammar_collect(struct grammar *grammar, struct span octets);
void grammar_drop_pending(struct grammar *grammar);

#endif
