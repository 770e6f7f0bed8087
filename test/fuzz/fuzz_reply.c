/* SPDX-License-Identifier: ISC */
/* needs: backends/reply.c proxy/base/imaplex.c proxy/base/parse.c */
/* needs: proxy/base/span.c proxy/base/ensure.c */
/*
 * The reader of a backend's lines: the replies don't depend on where reads
 * split, no part of one has a line's end, and the bounds hold. The first octet
 * chooses how the rest is split.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/reply.h"
#include "proxy/base/ensure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TOTAL_MAX 4096

/* A trace is a sum: equal traces, equal replies (but for collisions). */
struct trace {
	uint64_t sum;
	size_t n_replies;
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
add_part(struct trace *trace, struct span part)
{
	ENSURE(part.len <= REPLY_LINE_MAX);
	ENSURE(part.len == 0 || memchr(part.data, '\n', part.len) == NULL);
	add(trace, part.data, part.len);
}

static void
feed(struct reply_reader *reader, struct span in, struct trace *trace)
{
	while (in.len > 0 && !trace->is_over) {
		struct reply reply;
		size_t before = in.len;
		switch (reply_read(reader, &in, &reply)) {
		case REPLY_MORE:
			ENSURE(in.len == 0);
			break;
		case REPLY_TOO_MUCH:
			trace->is_over = true;
			break;
		case REPLY_READY:
			ENSURE(in.len < before);
			trace->n_replies++;
			add(trace, &reply.kind, sizeof(reply.kind));
			add_part(trace, reply.tag);
			add_part(trace, reply.code);
			add_part(trace, reply.text);
			break;
		}
		ENSURE(reader->total <= TOTAL_MAX);
	}
}

static struct trace
run(struct span in, size_t piece)
{
	struct trace trace = {.sum = 14695981039346656037U};
	struct reply_reader reader;
	reply_reader_init(&reader, TOTAL_MAX);
	while (in.len > 0 && !trace.is_over) {
		size_t n = piece < in.len ? piece : in.len;
		uint8_t *copy = malloc(n);
		ENSURE(copy != NULL);
		memcpy(copy, in.data, n);
		feed(&reader, span_of(copy, n), &trace);
		free(copy);
		span_advance(&in, n);
	}
	reply_reader_fini(&reader);
	return trace;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct span in = span_of(data + 1, size - 1);
	struct trace whole = run(in, SIZE_MAX);
	struct trace pieces = run(in, data[0] % 64U + 1);
	ENSURE(whole.sum == pieces.sum);
	ENSURE(whole.n_replies == pieces.n_replies);
	ENSURE(whole.is_over == pieces.is_over);
	(void)reply_capabilities(in);
	return 0;
}
