/* SPDX-License-Identifier: ISC */
/*
 * See command.h. Used by the session before a login is decided.
 *
 * Two machines look at every octet of a line: the grammar (grammar.c) and the
 * tail, which asks only whether the line ends like a literal. The second one
 * never sleeps, so a literal is found in a command that is rejected, too, and
 * its octets are never taken for a command.
 *
 * Invariant: what the parser does with an octet depends on the octets before
 * it, never on how many of them came at once.
 */
#include "proxy/imap/command.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/imap/grammar.h"

enum tail_state {
	TAIL_NONE,
	TAIL_OPEN,   /* { and digits */
	TAIL_SIGN,   /* {n+ or {n- */
	TAIL_CLOSED, /* a whole {n}, {n+} or {n-} */
};

struct tail {
	enum tail_state state;
	bool is_sync;
	bool has_overflow;
	size_t n_digits;
	uint64_t value;
};

struct command_parser {
	struct grammar grammar;
	struct tail tail;
	bool is_first;	     /* no command was completed yet */
	bool is_done;	     /* the next call starts a new command */
	bool has_cr;	     /* the last octet was a CR */
	size_t line_len;     /* octets of the command, literals only in an ID */
	size_t literal_left; /* octets of a literal still to come */
	bool is_http_method; /* the tag of the first command is one */
	size_t http_matched; /* octets of "HTTP/" */
	bool line_is_done;   /* a response line was returned */
};

struct command_parser *
command_parser_new(void)
{
	struct command_parser *parser = calloc(1, sizeof(*parser));
	if (parser == NULL)
		return NULL;
	parser->is_first = true;
	parser->grammar.failure = COMMAND_MORE;
	grammar_start(&parser->grammar);
	return parser;
}

void
command_parser_free(struct command_parser *parser)
{
	if (parser == NULL)
		return;
	grammar_wipe_secrets(&parser->grammar);
	free(parser);
}

struct command *
command_parser_command(struct command_parser *parser)
{
	return &parser->grammar.command;
}

static void
start_command(struct command_parser *parser)
{
	grammar_start(&parser->grammar);
	parser->tail = (struct tail){.state = TAIL_NONE};
	parser->is_done = false;
	parser->has_cr = false;
	parser->line_len = 0;
	parser->literal_left = 0;
	parser->is_http_method = false;
	parser->line_is_done = false;
}

/* READY, BAD or LIMIT. */
static enum command_status
finish(struct command_parser *parser, enum command_status status)
{
	parser->is_done = true;
	parser->is_first = false;
	if (status != COMMAND_READY)
		grammar_wipe_secrets(&parser->grammar);
	return status;
}

/* Nothing more is parsed. */
static enum command_status
fail(struct command_parser *parser, enum command_status status)
{
	grammar_wipe_secrets(&parser->grammar);
	parser->grammar.failure = status;
	return status;
}

static size_t
line_max(const struct command_parser *parser)
{
	enum command_kind kind = parser->grammar.command.kind;
	if (kind == COMMAND_ID)
		return COMMAND_ID_MAX;
	return kind == COMMAND_AUTHENTICATE ? COMMAND_AUTH_MAX
					    : COMMAND_LINE_MAX;
}

static void
tail_digit(struct tail *tail, uint8_t c)
{
	uint64_t digit = (uint64_t)(c - '0');
	tail->n_digits++;
	/* number64 has 63 bits (RFC 9051 section 9). */
	if (tail->value > (INT64_MAX - digit) / 10)
		tail->has_overflow = true;
	else
		tail->value = tail->value * 10 + digit;
}

static void
tail_octet(struct tail *tail, uint8_t c)
{
	bool has_number = tail->state == TAIL_OPEN && tail->n_digits > 0;
	if (c == '{') {
		*tail = (struct tail){.state = TAIL_OPEN, .is_sync = true};
	} else if (tail->state == TAIL_OPEN && c >= '0' && c <= '9') {
		tail_digit(tail, c);
	} else if (has_number && (c == '+' || c == '-')) {
		tail->state = TAIL_SIGN;
		tail->is_sync = false;
	} else if ((has_number || tail->state == TAIL_SIGN) && c == '}') {
		tail->state = TAIL_CLOSED;
	} else if (tail->state != TAIL_CLOSED || c != '\r') {
		tail->state = TAIL_NONE;
	}
}

static bool
is_too_large(const struct command_parser *parser)
{
	const struct tail *tail = &parser->tail;
	if (tail->has_overflow || tail->value > COMMAND_LITERAL_MAX)
		return true;
	return parser->grammar.command.kind == COMMAND_ID &&
	       tail->value > line_max(parser) - parser->line_len;
}

/*
 * The line ended in a literal. In a command that is rejected {n+} is skipped,
 * while {n} ends it: without a continuation no octets follow.
 */
static enum command_status
begin_literal(struct command_parser *parser)
{
	struct grammar *grammar = &parser->grammar;
	struct tail tail = parser->tail;
	bool is_wanted = grammar->state == STATE_LITERAL;
	if (is_too_large(parser) && !tail.is_sync)
		return fail(parser, COMMAND_TOO_LONG);
	if (tail.is_sync && (!is_wanted || tail.has_overflow))
		return finish(parser, COMMAND_BAD);
	if (is_too_large(parser))
		return finish(parser, COMMAND_LIMIT);
	if (!is_wanted && grammar->state != STATE_SKIP)
		grammar_reject(grammar);
	parser->tail = (struct tail){.state = TAIL_NONE};
	parser->literal_left = (size_t)tail.value;
	if (is_wanted && parser->literal_left == 0)
		grammar_end_string(grammar);
	return tail.is_sync ? COMMAND_CONTINUE : COMMAND_MORE;
}

static enum command_status
end_line(struct command_parser *parser)
{
	struct grammar *grammar = &parser->grammar;
	parser->has_cr = false;
	if (parser->tail.state == TAIL_CLOSED)
		return begin_literal(parser);
	grammar_end_line(grammar);
	return finish(
	    parser, grammar->is_rejected ? COMMAND_BAD : COMMAND_READY);
}

/* The tag of the first command is complete. */
static bool
is_http_method(const struct command_parser *parser)
{
	static const char *const methods[] = {"GET", "POST", "HEAD", "PUT",
	    "OPTIONS", "CONNECT", "PRI", "TRACE", "DELETE", "PATCH"};
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(parser->grammar.command.tag, methods[i]) == 0)
			return parser->is_first;
	return false;
}

/* Tags like GET are legal; only what follows makes it HTTP. */
static bool
is_http(struct command_parser *parser, uint8_t c)
{
	static const char wanted[] = "HTTP/";
	const struct grammar *grammar = &parser->grammar;
	if (!parser->is_http_method)
		return false;
	if (grammar->state == STATE_NAME && grammar->n_word == 0 &&
	    (c == '/' || c == '*'))
		return true;
	if (c == wanted[parser->http_matched])
		parser->http_matched++;
	else
		parser->http_matched = c == wanted[0] ? 1 : 0;
	return wanted[parser->http_matched] == '\0';
}

static void
step(struct command_parser *parser, uint8_t c)
{
	struct grammar *grammar = &parser->grammar;
	bool is_tag = grammar->state == STATE_TAG;
	if (grammar->state != STATE_LITERAL)
		grammar_octet(grammar, c);
	else if (parser->tail.state == TAIL_NONE || c == '{')
		grammar_reject(grammar); /* not {n}, {n+} or {n-} */
	if (is_tag && grammar->state == STATE_NAME)
		parser->is_http_method = is_http_method(parser);
}

static enum command_status
line_octet(struct command_parser *parser, uint8_t c)
{
	if (++parser->line_len > line_max(parser))
		return fail(parser, COMMAND_TOO_LONG);
	if (c == '\n')
		return end_line(parser);
	tail_octet(&parser->tail, c);
	if (parser->has_cr)
		grammar_reject(&parser->grammar); /* a CR inside the line */
	parser->has_cr = c == '\r';
	if (parser->has_cr)
		return COMMAND_MORE;
	if (is_http(parser, c))
		return fail(parser, COMMAND_HTTP);
	step(parser, c);
	return COMMAND_MORE;
}

static void
literal_octets(struct command_parser *parser, struct span *in)
{
	struct grammar *grammar = &parser->grammar;
	size_t n =
	    in->len < parser->literal_left ? in->len : parser->literal_left;
	if (grammar->command.kind == COMMAND_ID)
		parser->line_len += n;
	if (grammar->state == STATE_LITERAL)
		grammar_string(grammar, span_of(in->data, n));
	span_advance(in, n);
	parser->literal_left -= n;
	if (parser->literal_left == 0 && grammar->state == STATE_LITERAL)
		grammar_end_string(grammar);
}

enum command_status
command_feed(struct command_parser *parser, struct span *in)
{
	struct grammar *grammar = &parser->grammar;
	if (parser->is_done)
		start_command(parser);
	enum command_status status = grammar->failure;
	while (status == COMMAND_MORE && in->len > 0) {
		if (parser->literal_left > 0) {
			literal_octets(parser, in);
		} else {
			uint8_t c = in->data[0];
			span_advance(in, 1);
			status = line_octet(parser, c);
		}
		if (grammar->failure != COMMAND_MORE)
			status = fail(parser, grammar->failure);
	}
	return status;
}

/* Up to and with a line feed; *out_ended tells whether there was one. */
static enum command_status
take_response(struct command_parser *parser, struct span *in, bool *out_ended)
{
	struct grammar *grammar = &parser->grammar;
	const uint8_t *end = memchr(in->data, '\n', in->len);
	size_t n = end != NULL ? (size_t)(end - in->data) : in->len;
	size_t consumed = end != NULL ? n + 1 : n;
	if (grammar->pending.len + consumed > COMMAND_AUTH_MAX)
		return fail(parser, COMMAND_TOO_LONG);
	grammar_collect(grammar, span_of(in->data, n));
	if (grammar->failure != COMMAND_MORE)
		return fail(parser, grammar->failure);
	span_advance(in, consumed);
	*out_ended = end != NULL;
	return COMMAND_MORE;
}

enum command_status
command_feed_response(
    struct command_parser *parser, struct span *in, struct span *out_line)
{
	struct collected *pending = &parser->grammar.pending;
	bool has_ended = false;
	if (parser->line_is_done)
		grammar_drop_pending(&parser->grammar);
	parser->line_is_done = false;
	if (parser->grammar.failure != COMMAND_MORE || in->len == 0)
		return parser->grammar.failure;
	enum command_status status = take_response(parser, in, &has_ended);
	if (status != COMMAND_MORE || !has_ended)
		return status;
	if (pending->len > 0 && pending->data[pending->len - 1] == '\r')
		pending->len--;
	*out_line = span_of(pending->data, pending->len);
	parser->line_is_done = true;
	return COMMAND_READY;
}
