/* SPDX-License-Identifier: ISC */
/*
 * See end.h. Invariants: a kept block is NULL or holds at least one octet; a
 * pump moves nothing while its sink owes the kernel, so what one session can
 * hold is bounded by one slab in each direction. Called by session.c, preauth.c
 * and attempt.c.
 */
#include "proxy/session/end.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/ensure.h"

static struct block *
block_new(struct span a, struct span b)
{
	struct block *block = malloc(sizeof(*block) + a.len + b.len);
	if (block == NULL)
		return NULL;
	block->len = a.len + b.len;
	block->off = 0;
	if (a.len > 0)
		memcpy(block->data, a.data, a.len);
	if (b.len > 0)
		memcpy(block->data + a.len, b.data, b.len);
	return block;
}

static struct span
block_span(const struct block *block)
{
	if (block == NULL)
		return span_of(NULL, 0);
	return span_of(block->data + block->off, block->len - block->off);
}

/* Plaintext backends' input may hold tokens in a challenge: always wiped. */
static void
block_free(struct block *block)
{
	if (block == NULL)
		return;
	explicit_bzero(block->data, block->len);
	free(block);
}

void
end_fini(struct end *end)
{
	tls_stream_free(end->tls);
	block_free(end->kept);
	*end = (struct end){.eof = END_OPEN};
}

bool
kept_open(struct block **kept, struct span fresh, struct span *out_in)
{
	if (*kept == NULL) {
		*out_in = fresh;
		return true;
	}
	*out_in = span_of(NULL, 0);
	if (fresh.len > 0) {
		struct block *joined = block_new(block_span(*kept), fresh);
		if (joined == NULL)
			return false;
		block_free(*kept);
		*kept = joined;
	}
	*out_in = block_span(*kept);
	return true;
}

static bool
is_inside(const struct block *block, struct span in)
{
	return block != NULL && in.data >= block->data &&
	       in.data <= block->data + block->len;
}

bool
kept_close(struct block **kept, struct span in)
{
	if (in.len == 0) {
		block_free(*kept);
		*kept = NULL;
		return true;
	}
	if (is_inside(*kept, in)) {
		(*kept)->off = (size_t)(in.data - (*kept)->data);
		return true;
	}
	ENSURE(*kept == NULL);
	*kept = block_new(in, span_of(NULL, 0));
	return *kept != NULL;
}

bool
end_write(struct end *end, struct span plain, struct outbuf *out)
{
	if (end->tls != NULL)
		return tls_stream_write(end->tls, plain, out) == TLS_OK;
	outbuf_put(out, plain);
	return !out->overflow;
}

void
end_finish(struct end *end, bool clean, struct outbuf *out)
{
	if (end->fin_wanted)
		return;
	if (end->tls != NULL && clean)
		tls_stream_close(end->tls, out);
	end->fin_wanted = true;
}

/* Decodes into plain until the input or the room is used up. */
static enum pump_result
decode(struct end *source, struct span *in, struct outbuf *source_out,
    struct outbuf *plain)
{
	enum tls_status status;

	do {
		if (outbuf_room(plain) < TLS_RECORD_MAX)
			return PUMP_BLOCKED;
		status = tls_stream_read(source->tls, in, plain, source_out);
	} while (status == TLS_OK);
	if (status == TLS_FAILED)
		return PUMP_SOURCE_FAILED;
	if (status == TLS_CLOSED && source->eof != END_RESET)
		source->eof = END_CLOSED;
	return PUMP_IDLE;
}

static enum pump_result
move(struct end *source, struct span *in, struct outbuf *source_out,
    struct end *sink, struct outbuf *sink_out, struct outbuf *scratch,
    uint64_t *moved)
{
	struct span plain = *in;
	enum pump_result result = PUMP_IDLE;

	if (source->tls == NULL) {
		*in = span_of(NULL, 0);
	} else if (sink->tls == NULL) {
		size_t before = sink_out->len;
		result = decode(source, in, source_out, sink_out);
		*moved += sink_out->len - before;
		return result;
	} else {
		scratch->len = 0;
		result = decode(source, in, source_out, scratch);
		plain = outbuf_span(scratch);
	}
	*moved += plain.len;
	if (plain.len > 0 && !end_write(sink, plain, sink_out))
		return PUMP_SINK_FAILED;
	return result;
}

enum pump_result
pump_step(struct end *source, struct span *in, struct outbuf *source_out,
    struct end *sink, struct outbuf *sink_out, struct outbuf *scratch,
    uint64_t *moved)
{
	if (sink->fin_wanted)
		return PUMP_ENDED;
	if (sink->owed > 0)
		return PUMP_BLOCKED;
	enum pump_result result =
	    move(source, in, source_out, sink, sink_out, scratch, moved);
	if (result != PUMP_IDLE || source->eof == END_OPEN)
		return result;
	*in = span_of(NULL, 0);
	end_finish(sink, source->eof == END_CLOSED, sink_out);
	return PUMP_ENDED;
}
