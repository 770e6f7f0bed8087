/* SPDX-License-Identifier: ISC */
/*
 * See grammar.h. One function per state looks at one octet.
 *
 * Invariant: `pending` holds what was read of the current string, and nothing
 * else holds a secret but `command`.
 */
#include "proxy/imap/grammar.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/imaplex.h"

static void
drop(struct collected *pending)
{
	if (pending->data != NULL)
		explicit_bzero(pending->data, pending->cap);
	free(pending->data);
	*pending = (struct collected){NULL, 0, 0};
}

/* Keeps one octet more than asked for, for the NUL of a secret. */
static bool
collect(struct collected *pending, struct span octets)
{
	size_t need = pending->len + octets.len + 1;
	if (need > pending->cap) {
		size_t cap = pending->cap == 0 ? 64 : pending->cap;
		while (cap < need)
			cap *= 2;
		uint8_t *data = malloc(cap);
		if (data == NULL)
			return false;
		size_t len = pending->len;
		if (len > 0)
			memcpy(data, pending->data, len);
		drop(pending);
		*pending = (struct collected){data, len, cap};
	}
	if (octets.len > 0)
		memcpy(pending->data + pending->len, octets.data, octets.len);
	pending->len += octets.len;
	return true;
}

void
grammar_collect(struct grammar *grammar, struct span octets)
{
	if (!collect(&grammar->pending, octets))
		grammar->failure = COMMAND_NO_MEMORY;
}

/* The octets move, so no copy of them stays behind. */
static void
take_pending(struct grammar *grammar, struct secret *out_secret)
{
	grammar_collect(grammar, span_of(NULL, 0));
	if (grammar->failure != COMMAND_MORE)
		return;
	struct collected *pending = &grammar->pending;
	pending->data[pending->len] = '\0';
	secret_wipe(out_secret);
	*out_secret = (struct secret){pending->data, pending->len};
	*pending = (struct collected){NULL, 0, 0};
}

void
grammar_drop_pending(struct grammar *grammar)
{
	drop(&grammar->pending);
}

void
grammar_wipe_secrets(struct grammar *grammar)
{
	secret_wipe(&grammar->command.user);
	secret_wipe(&grammar->command.password);
	secret_wipe(&grammar->command.initial);
	drop(&grammar->pending);
}

void
grammar_start(struct grammar *grammar)
{
	grammar_wipe_secrets(grammar);
	*grammar = (struct grammar){.failure = grammar->failure};
}

void
grammar_reject(struct grammar *grammar)
{
	grammar->state = STATE_SKIP;
	grammar->is_rejected = true;
}

/* Strings of LOGIN and ID. */

static bool
is_id_key(const struct grammar *grammar)
{
	return grammar->n_strings % 2 == 0;
}

static void
put_id(struct grammar *grammar, struct span octets)
{
	size_t max =
	    is_id_key(grammar) ? sizeof(grammar->key) - 1 : CLIENT_ID_MAX;
	char *to = is_id_key(grammar) ? grammar->key : grammar->value;
	for (size_t i = 0; i < octets.len && to != NULL; i++)
		if (grammar->string_len + i < max)
			to[grammar->string_len + i] = (char)octets.data[i];
	grammar->string_len += octets.len;
	if (grammar->string_len > COMMAND_LITERAL_MAX)
		grammar->failure = COMMAND_TOO_LONG;
}

void
grammar_string(struct grammar *grammar, struct span octets)
{
	if (octets.len > 0 && memchr(octets.data, '\0', octets.len) != NULL)
		grammar_reject(grammar);
	else if (grammar->command.kind == COMMAND_ID)
		put_id(grammar, octets);
	else
		grammar_collect(grammar, octets);
}

static void
put_string_octet(struct grammar *grammar, uint8_t c)
{
	grammar_string(grammar, span_of(&c, 1));
}

/* Where the value of the key that was just read is kept. */
static char *
find_value(struct grammar *grammar)
{
	struct client_id *id = &grammar->command.id;
	struct {
		const char *name;
		char *value;
	} kept[] = {
	    {"name", id->name},
	    {"version", id->version},
	    {"os", id->os},
	};
	size_t len = grammar->string_len;
	if (len >= sizeof(grammar->key))
		return NULL;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (!span_equal_nocase(
			span_of(grammar->key, len), span_str(kept[i].name)))
			continue;
		memset(kept[i].value, 0, CLIENT_ID_MAX + 1);
		return kept[i].value;
	}
	return NULL;
}

void
grammar_end_string(struct grammar *grammar)
{
	struct command *command = &grammar->command;
	grammar->state = STATE_AFTER;
	if (command->kind == COMMAND_ID) {
		if (is_id_key(grammar))
			grammar->value = find_value(grammar);
		grammar->string_len = 0;
	} else if (grammar->n_strings == 0) {
		take_pending(grammar, &command->user);
	} else {
		take_pending(grammar, &command->password);
		grammar->state = STATE_END;
	}
	grammar->n_strings++;
}

/*
 * Of an atom that is an argument of LOGIN. Clients send names such as
 * user*master, user%domain and DOMAIN\user bare, and servers take them; the
 * backend is sent a string.
 */
static bool
is_login_char(uint8_t c)
{
	return imap_is_astring_char(c) || c == '%' || c == '*' || c == '\\';
}

static void
step_arg(struct grammar *grammar, uint8_t c)
{
	bool is_id = grammar->command.kind == COMMAND_ID;
	grammar->n_word = 0;
	if (c == '"') {
		grammar->state = STATE_QUOTED;
	} else if (c == '{') {
		grammar->state = STATE_LITERAL;
	} else if (!is_id && is_login_char(c)) {
		grammar->state = STATE_ATOM;
		put_string_octet(grammar, c);
	} else if (is_id && !is_id_key(grammar) && (c == 'N' || c == 'n')) {
		grammar->state = STATE_NIL;
		grammar->n_word = 1;
	} else if (is_id && grammar->n_strings == 0 && c == ')') {
		grammar->state = STATE_END;
	} else {
		grammar_reject(grammar);
	}
}

static void
step_after(struct grammar *grammar, uint8_t c)
{
	if (c == ' ')
		grammar->state = STATE_ARG;
	else if (c == ')' && grammar->command.kind == COMMAND_ID &&
		 is_id_key(grammar))
		grammar->state = STATE_END;
	else
		grammar_reject(grammar);
}

static void
step_atom(struct grammar *grammar, uint8_t c)
{
	if (is_login_char(c)) {
		put_string_octet(grammar, c);
	} else {
		grammar_end_string(grammar);
		if (grammar->state == STATE_AFTER)
			step_after(grammar, c);
		else if (c != ' ')
			grammar_reject(grammar);
	}
}

static void
step_quoted(struct grammar *grammar, uint8_t c)
{
	if (c == '"')
		grammar_end_string(grammar);
	else if (c == '\\')
		grammar->state = STATE_ESCAPED;
	else
		put_string_octet(grammar, c);
}

static void
step_escaped(struct grammar *grammar, uint8_t c)
{
	grammar->state = STATE_QUOTED;
	if (c == '"' || c == '\\')
		put_string_octet(grammar, c);
	else
		grammar_reject(grammar);
}

/* Tag, name and the other commands' arguments. */

static void
end_tag(struct grammar *grammar)
{
	if (grammar->n_word == 0) {
		grammar_reject(grammar);
		return;
	}
	grammar->state = STATE_NAME;
	grammar->n_word = 0;
}

static void
step_tag(struct grammar *grammar, uint8_t c)
{
	if (c == ' ') {
		end_tag(grammar);
	} else if (imap_is_tag_char(c) && grammar->n_word < COMMAND_TAG_MAX) {
		grammar->command.tag[grammar->n_word++] = (char)c;
	} else {
		memset(grammar->command.tag, 0, sizeof(grammar->command.tag));
		grammar_reject(grammar);
	}
}

static enum command_kind
identify(struct span name)
{
	static const struct {
		const char *name;
		enum command_kind kind;
	} known[] = {
	    {"CAPABILITY", COMMAND_CAPABILITY},
	    {"NOOP", COMMAND_NOOP},
	    {"LOGOUT", COMMAND_LOGOUT},
	    {"ID", COMMAND_ID},
	    {"STARTTLS", COMMAND_STARTTLS},
	    {"LOGIN", COMMAND_LOGIN},
	    {"AUTHENTICATE", COMMAND_AUTHENTICATE},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (span_equal_nocase(name, span_str(known[i].name)))
			return known[i].kind;
	return COMMAND_UNKNOWN;
}

/* has_more: a space follows, else the end of the line. */
static void
end_name(struct grammar *grammar, bool has_more)
{
	if (grammar->n_word == 0) {
		grammar_reject(grammar);
		return;
	}
	size_t len = grammar->n_word;
	grammar->command.kind = len < sizeof(grammar->name)
				    ? identify(span_of(grammar->name, len))
				    : COMMAND_UNKNOWN;
	grammar->n_word = 0;
	switch (grammar->command.kind) {
	case COMMAND_UNKNOWN:
		grammar->state = STATE_SKIP;
		return;
	case COMMAND_CAPABILITY:
	case COMMAND_NOOP:
	case COMMAND_LOGOUT:
	case COMMAND_STARTTLS:
		grammar->state = STATE_END;
		break;
	case COMMAND_ID:
		grammar->state = STATE_ID;
		break;
	case COMMAND_LOGIN:
		grammar->state = STATE_ARG;
		break;
	case COMMAND_AUTHENTICATE:
		grammar->state = STATE_MECHANISM;
		break;
	}
	if (!has_more && grammar->state != STATE_END)
		grammar_reject(grammar);
}

static void
step_name(struct grammar *grammar, uint8_t c)
{
	if (c == ' ') {
		end_name(grammar, true);
	} else if (!imap_is_atom_char(c)) {
		grammar_reject(grammar);
	} else {
		if (grammar->n_word < sizeof(grammar->name))
			grammar->name[grammar->n_word] = (char)c;
		grammar->n_word++;
	}
}

/* Upper case, or 0: not allowed in a mechanism (RFC 4422 section 3.1). */
static char
mechanism_char(uint8_t c)
{
	if (c >= 'a' && c <= 'z')
		return (char)(c - 'a' + 'A');
	bool is_valid = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			c == '-' || c == '_';
	return is_valid ? (char)c : '\0';
}

static void
step_mechanism(struct grammar *grammar, uint8_t c)
{
	if (c == ' ' && grammar->n_word > 0) {
		grammar->state = STATE_INITIAL;
		return;
	}
	char upper = mechanism_char(c);
	if (upper == '\0' || grammar->n_word >= MECHANISM_NAME_MAX)
		grammar_reject(grammar);
	else
		grammar->command.mechanism[grammar->n_word++] = upper;
}

/* Whether it is base64 is asked later; here only that it is one word. */
static void
step_initial(struct grammar *grammar, uint8_t c)
{
	if (c > ' ' && c < 0x7f && c != '{') {
		grammar->command.has_initial = true;
		grammar_collect(grammar, span_of(&c, 1));
	} else {
		grammar_reject(grammar);
	}
}

static void
step_id(struct grammar *grammar, uint8_t c)
{
	if (c == '(') {
		grammar->state = STATE_ARG;
	} else if (c == 'N' || c == 'n') {
		grammar->state = STATE_NIL;
		grammar->n_word = 1;
	} else {
		grammar_reject(grammar);
	}
}

/* NIL stands for a value (behind a key) or for the whole list. */
static void
step_nil(struct grammar *grammar, uint8_t c)
{
	char wanted = "NIL"[grammar->n_word];
	if (c != wanted && c != wanted - 'A' + 'a') {
		grammar_reject(grammar);
		return;
	}
	if (++grammar->n_word < 3)
		return;
	if (is_id_key(grammar))
		grammar->state = STATE_END;
	else
		grammar_end_string(grammar);
}

void
grammar_octet(struct grammar *grammar, uint8_t c)
{
	switch (grammar->state) {
	case STATE_TAG:
		step_tag(grammar, c);
		break;
	case STATE_NAME:
		step_name(grammar, c);
		break;
	case STATE_ARG:
		step_arg(grammar, c);
		break;
	case STATE_ATOM:
		step_atom(grammar, c);
		break;
	case STATE_QUOTED:
		step_quoted(grammar, c);
		break;
	case STATE_ESCAPED:
		step_escaped(grammar, c);
		break;
	case STATE_AFTER:
		step_after(grammar, c);
		break;
	case STATE_MECHANISM:
		step_mechanism(grammar, c);
		break;
	case STATE_INITIAL:
		step_initial(grammar, c);
		break;
	case STATE_ID:
		step_id(grammar, c);
		break;
	case STATE_NIL:
		step_nil(grammar, c);
		break;
	case STATE_END:
		/* A blank at the end of a line is nothing. */
		if (c != ' ')
			grammar_reject(grammar);
		break;
	case STATE_LITERAL:
		grammar_reject(grammar);
		break;
	case STATE_SKIP:
		break;
	}
}

void
grammar_end_line(struct grammar *grammar)
{
	if (grammar->state == STATE_NAME)
		end_name(grammar, false);
	else if (grammar->state == STATE_ATOM)
		grammar_end_string(grammar);
	else if (grammar->state == STATE_MECHANISM && grammar->n_word > 0)
		grammar->state = STATE_END;
	else if (grammar->state == STATE_INITIAL) {
		if (grammar->command.has_initial)
			take_pending(grammar, &grammar->command.initial);
		grammar->state = STATE_END;
	}
	if (grammar->state != STATE_END && grammar->state != STATE_SKIP)
		grammar_reject(grammar);
}
