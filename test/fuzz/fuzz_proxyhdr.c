/* SPDX-License-Identifier: ISC */
/* needs: backends/proxyhdr.c proxy/base/addr.c proxy/base/parse.c */
/* needs: proxy/base/span.c proxy/base/ensure.c */
/*
 * The start of a connection. A cut-off header is MORE until it is decided, and
 * a decision is never taken back; what was read, written anew, reads the same.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/proxyhdr.h"
#include "proxy/base/ensure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* On the heap in its exact size: a read behind it is seen. */
static enum proxyhdr_result
parse(const uint8_t *data, size_t size, struct proxyhdr *out_header,
    size_t *out_len)
{
	uint8_t *copy = malloc(size + 1);
	ENSURE(copy != NULL);
	if (size > 0)
		memcpy(copy + 1, data, size);
	enum proxyhdr_result result =
	    proxyhdr_parse(span_of(copy + 1, size), out_header, out_len);
	free(copy);
	return result;
}

static void
check_again(const struct proxyhdr *header, bool as_v2)
{
	uint8_t room[PROXYHDR_MAX];
	struct outbuf out;
	struct proxyhdr again;
	size_t len;

	outbuf_init(&out, room, sizeof(room));
	if (as_v2)
		proxyhdr_write_v2(&out, &header->client, &header->local, NULL);
	else
		proxyhdr_write_v1(&out, &header->client, &header->local);
	ENSURE(!out.overflow);
	ENSURE(parse(room, out.len, &again, &len) == PROXYHDR_COMPLETE);
	ENSURE(len == out.len);
	/* Version 1 cannot tell two families. */
	if (!as_v2 && header->client.family != header->local.family)
		return;
	ENSURE(addr_equal(&again.client, &header->client));
	ENSURE(addr_equal(&again.local, &header->local));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxyhdr whole, cut;
	size_t whole_len, len;
	enum proxyhdr_result last = PROXYHDR_MORE;

	if (size > 2 * PROXYHDR_MAX)
		size = 2 * PROXYHDR_MAX;
	enum proxyhdr_result result = parse(data, size, &whole, &whole_len);
	for (size_t n = 0; n <= size; n++) {
		enum proxyhdr_result at = parse(data, n, &cut, &len);
		ENSURE(last == PROXYHDR_MORE || at == last);
		ENSURE(at != PROXYHDR_COMPLETE || len <= n);
		ENSURE(at != PROXYHDR_COMPLETE || len == whole_len);
		ENSURE(at == PROXYHDR_COMPLETE ||
		       (len == 0 && cut.client.family == ADDR_NONE));
		last = at;
	}
	ENSURE(last == result);
	ENSURE(result != PROXYHDR_MORE || size < PROXYHDR_MAX);
	if (result != PROXYHDR_COMPLETE)
		return 0;
	ENSURE(whole_len > 0 && whole_len <= PROXYHDR_MAX);
	check_again(&whole, true);
	check_again(&whole, false);
	return 0;
}
