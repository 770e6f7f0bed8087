/* SPDX-License-Identifier: ISC */
/* needs: proxy/imap/command.c proxy/imap/grammar.c proxy/base/imaplex.c */
/* needs: proxy/base/span.c proxy/base/ensure.c */
/*
 * The parser of commands: what comes out does not depend on where reads split,
 * strings have no NUL, tags and mechanisms are valid. The first octet chooses
 * how the rest is split; a line behind AUTHENTICATE is read as a response when
 * its highest bit is set.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/base/ensure.h"
#include "proxy/base/imaplex.h"
#include "proxy/imap/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct trace {
	uint64_t sum;
	bool with_responses;
	bool in_response;
	bool is_over;
};

static void
add(struct trace *trace, const void *data, size_t len)
{
	const uint8_t *octets = data;
	for (size_t i = 0; i < len; i++)
		trace->sum = (trace->sum ^ octets[i]) * 1099511628211U;
	trace->sum = (trace->sum ^ len) * 1099511628211U;
}

static void
add_secret(struct trace *trace, const struct secret *secret)
{
	ENSURE(secret->len <= COMMAND_AUTH_MAX);
	ENSURE(secret->len == 0 ||
	       memchr(secret->data, '\0', secret->len) == NULL);
	add(trace, secret->data, secret->len);
}

static void
add_command(struct trace *trace, const struct command *command, bool is_ready)
{
	struct span tag = span_str(command->tag);
	ENSURE(tag.len <= COMMAND_TAG_MAX);
	ENSURE(tag.len == 0 ? !is_ready : imap_is_tag(tag));
	ENSURE(is_ready || command->password.data == NULL);
	add(trace, tag.data, tag.len);
	add(trace, &command->kind, sizeof(command->kind));
	add(trace, command->mechanism, strlen(command->mechanism));
	add(trace, &command->has_initial, sizeof(command->has_initial));
	add(trace, &command->id, sizeof(command->id));
	add_secret(trace, &command->user);
	add_secret(trace, &command->password);
	add_secret(trace, &command->initial);
}

static void
on_status(struct command_parser *parser, enum command_status status,
    struct trace *trace)
{
	const struct command *command = command_parser_command(parser);
	if (status != COMMAND_MORE)
		add(trace, &status, sizeof(status));
	switch (status) {
	case COMMAND_MORE:
	case COMMAND_CONTINUE:
		break;
	case COMMAND_READY:
		trace->in_response = trace->with_responses &&
				     command->kind == COMMAND_AUTHENTICATE;
		add_command(trace, command, true);
		break;
	case COMMAND_BAD:
	case COMMAND_LIMIT:
		add_command(trace, command, false);
		break;
	case COMMAND_TOO_LONG:
	case COMMAND_HTTP:
	case COMMAND_NO_MEMORY:
		trace->is_over = true;
		break;
	}
}

static void
feed_response(
    struct command_parser *parser, struct span *in, struct trace *trace)
{
	struct span line = span_of(NULL, 0);
	enum command_status status = command_feed_response(parser, in, &line);
	ENSURE(line.len < COMMAND_AUTH_MAX);
	if (status == COMMAND_READY)
		add(trace, line.data, line.len);
	trace->in_response = status == COMMAND_MORE;
	trace->is_over = status == COMMAND_TOO_LONG;
}

static void
feed(struct command_parser *parser, struct span in, struct trace *trace)
{
	while (in.len > 0 && !trace->is_over) {
		size_t before = in.len;
		if (trace->in_response)
			feed_response(parser, &in, trace);
		else
			on_status(parser, command_feed(parser, &in), trace);
		ENSURE(in.len < before || trace->is_over);
	}
}

static struct trace
run(struct span in, size_t piece, bool with_responses)
{
	struct trace trace = {
	    .sum = 14695981039346656037U,
	    .with_responses = with_responses,
	};
	struct command_parser *parser = command_parser_new();
	ENSURE(parser != NULL);
	while (in.len > 0 && !trace.is_over) {
		size_t n = piece < in.len ? piece : in.len;
		uint8_t *copy = malloc(n);
		ENSURE(copy != NULL);
		memcpy(copy, in.data, n);
		feed(parser, span_of(copy, n), &trace);
		free(copy);
		span_advance(&in, n);
	}
	command_parser_free(parser);
	return trace;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct span in = span_of(data + 1, size - 1);
	bool with_responses = (data[0] & 0x80) != 0;
	struct trace whole = run(in, SIZE_MAX, with_responses);
	struct trace pieces = run(in, data[0] % 64U + 1, with_responses);
	ENSURE(whole.sum == pieces.sum);
	ENSURE(whole.is_over == pieces.is_over);
	return 0;
}
