/* SPDX-License-Identifier: ISC */
/*
 * See reply.h. Used by the login dialogue and by health checks.
 *
 * Invariant: line[0..len) is the part of the current line that was read; a
 * literal stands in it as "" and its octets are only counted. What is returned
 * does not depend on where the reads split.
 */
#include "backends/reply.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/imaplex.h"
#include "proxy/base/parse.h"

void
reply_reader_init(struct reply_reader *reader, size_t max_total)
{
	*reader = (struct reply_reader){.max_total = max_total};
}

void
reply_reader_fini(struct reply_reader *reader)
{
	free(reader->line);
	reader->line = NULL;
	reader->len = 0;
}

/* Cuts the next word off *text, and the space behind it. */
static struct span
next_word(struct span *text)
{
	const uint8_t *space =
	    text->len > 0 ? memchr(text->data, ' ', text->len) : NULL;
	size_t len = space != NULL ? (size_t)(space - text->data) : text->len;
	struct span word = span_of(text->data, len);
	span_advance(text, space != NULL ? len + 1 : len);
	return word;
}

/* resp-text: an optional code in brackets, then text. */
static void
parse_resp_text(struct span text, struct reply *reply)
{
	const uint8_t *end = text.len > 0 && text.data[0] == '['
				 ? memchr(text.data, ']', text.len)
				 : NULL;
	if (end != NULL) {
		size_t len = (size_t)(end - text.data);
		reply->code = span_of(text.data + 1, len - 1);
		span_advance(&text, len + 1);
		if (text.len > 0 && text.data[0] == ' ')
			span_advance(&text, 1);
	}
	reply->text = text;
}

static void
parse_untagged(struct span text, struct reply *reply)
{
	static const struct {
		const char *word;
		enum reply_kind kind;
	} words[] = {
	    {"OK", REPLY_OK},
	    {"PREAUTH", REPLY_PREAUTH},
	    {"BYE", REPLY_BYE},
	    {"CAPABILITY", REPLY_CAPABILITY},
	};
	struct span rest = text;
	struct span word = next_word(&rest);
	if (!imap_is_atom(word))
		return;
	reply->kind = REPLY_UNTAGGED;
	reply->text = text;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (span_equal_nocase(word, span_str(words[i].word)))
			reply->kind = words[i].kind;
	if (reply->kind == REPLY_CAPABILITY)
		reply->text = rest;
	else if (reply->kind != REPLY_UNTAGGED)
		parse_resp_text(rest, reply);
}

static void
parse_tagged(struct span tag, struct span rest, struct reply *reply)
{
	struct span word = next_word(&rest);
	if (!imap_is_tag(tag))
		return;
	if (span_equal_nocase(word, span_str("OK")))
		reply->kind = REPLY_TAGGED_OK;
	else if (span_equal_nocase(word, span_str("NO")))
		reply->kind = REPLY_TAGGED_NO;
	else if (span_equal_nocase(word, span_str("BAD")))
		reply->kind = REPLY_TAGGED_BAD;
	else
		return;
	reply->tag = tag;
	parse_resp_text(rest, reply);
}

static struct reply
parse_line(struct span line)
{
	struct reply reply = {.kind = REPLY_GARBAGE};
	if (line.len == 0 || memchr(line.data, '\0', line.len) != NULL)
		return reply;
	struct span rest = line;
	struct span first = next_word(&rest);
	if (span_equal(first, span_str("+"))) {
		reply.kind = REPLY_CONTINUE;
		reply.text = rest;
	} else if (span_equal(first, span_str("*"))) {
		parse_untagged(rest, &reply);
	} else {
		parse_tagged(first, rest, &reply);
	}
	return reply;
}

/* Text of a status response may end like a literal, but isn't one. */
static bool
may_have_literal(const struct reply *reply)
{
	struct span rest = reply->text;
	if (reply->kind != REPLY_UNTAGGED)
		return false;
	struct span word = next_word(&rest);
	return !span_equal_nocase(word, span_str("NO")) &&
	       !span_equal_nocase(word, span_str("BAD"));
}

enum literal_check {
	LITERAL_NONE,
	LITERAL_OPEN,
	LITERAL_BAD,
};

/* A line that ends in {n} goes on behind n octets. */
static enum literal_check
check_literal(struct span line, size_t *out_start, uint64_t *out_len)
{
	if (line.len == 0 || line.data[line.len - 1] != '}')
		return LITERAL_NONE;
	const uint8_t *open = memrchr(line.data, '{', line.len);
	if (open == NULL)
		return LITERAL_NONE;
	size_t start = (size_t)(open - line.data);
	struct span digits = span_of(open + 1, line.len - start - 2);
	if (!parse_u64(digits, 0, INT64_MAX, out_len))
		return LITERAL_BAD;
	*out_start = start;
	return LITERAL_OPEN;
}

static size_t
budget(const struct reply_reader *reader)
{
	return reader->max_total == 0 ? SIZE_MAX
				      : reader->max_total - reader->total;
}

/* A line ended. MORE: it goes on behind a literal. */
static enum reply_status
finish_line(struct reply_reader *reader, struct reply *out_reply)
{
	struct span line = span_of(reader->line, reader->len);
	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	*out_reply = parse_line(line);
	reader->complete = true;
	if (!may_have_literal(out_reply))
		return REPLY_READY;
	size_t start;
	uint64_t len;
	switch (check_literal(line, &start, &len)) {
	case LITERAL_NONE:
		return REPLY_READY;
	case LITERAL_BAD:
		*out_reply = (struct reply){.kind = REPLY_GARBAGE};
		return REPLY_READY;
	case LITERAL_OPEN:
		break;
	}
	if (len > budget(reader))
		return REPLY_TOO_MUCH;
	memcpy(reader->line + start, "\"\"", 2);
	reader->len = start + 2;
	reader->literal_left = (size_t)len;
	reader->complete = false;
	return REPLY_MORE;
}

static void
skip_literal(struct reply_reader *reader, struct span *in)
{
	size_t n =
	    in->len < reader->literal_left ? in->len : reader->literal_left;
	span_advance(in, n);
	reader->literal_left -= n;
	reader->total += n;
}

/*
 * Takes octets up to and with a line feed; *out_ended tells whether there was
 * one. False: over a limit.
 */
static bool
take_line(struct reply_reader *reader, struct span *in, bool *out_ended)
{
	const uint8_t *end = memchr(in->data, '\n', in->len);
	size_t n = end != NULL ? (size_t)(end - in->data) : in->len;
	size_t consumed = end != NULL ? n + 1 : n;
	if (consumed > budget(reader) || n > REPLY_LINE_MAX - reader->len)
		return false;
	memcpy(reader->line + reader->len, in->data, n);
	reader->len += n;
	reader->total += consumed;
	span_advance(in, consumed);
	*out_ended = end != NULL;
	return true;
}

enum reply_status
reply_read(
    struct reply_reader *reader, struct span *in, struct reply *out_reply)
{
	if (reader->complete) {
		reader->complete = false;
		reader->len = 0;
	}
	if (reader->line == NULL && in->len > 0) {
		reader->line = malloc(REPLY_LINE_MAX);
		if (reader->line == NULL)
			return REPLY_TOO_MUCH;
	}
	while (in->len > 0) {
		bool ended = false;
		skip_literal(reader, in);
		if (in->len == 0)
			break;
		if (!take_line(reader, in, &ended))
			return REPLY_TOO_MUCH;
		if (!ended)
			break;
		enum reply_status status = finish_line(reader, out_reply);
		if (status != REPLY_MORE)
			return status;
	}
	return REPLY_MORE;
}

static uint32_t
capability_bit(struct span word)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} known[] = {
	    {"LOGINDISABLED", CAP_LOGINDISABLED},
	    {"SASL-IR", CAP_SASL_IR},
	    {"LITERAL+", CAP_LITERAL_PLUS},
	    {"LITERAL-", CAP_LITERAL_MINUS},
	    {"IMAP4rev2", CAP_LITERAL_MINUS},
	    {"ID", CAP_ID},
	    {"AUTH=PLAIN", CAP_AUTH_PLAIN},
	    {"AUTH=LOGIN", CAP_AUTH_LOGIN},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (span_equal_nocase(word, span_str(known[i].name)))
			return known[i].bit;
	return 0;
}

uint32_t
reply_capabilities(struct span list)
{
	uint32_t bits = CAP_KNOWN;
	while (list.len > 0)
		bits |= capability_bit(next_word(&list));
	return bits;
}

bool
reply_has_capability(struct span list, const char *word)
{
	while (list.len > 0)
		if (span_equal_nocase(next_word(&list), span_str(word)))
			return true;
	return false;
}

bool
reply_code_is(struct span code, const char *name)
{
	return span_equal_nocase(next_word(&code), span_str(name));
}
