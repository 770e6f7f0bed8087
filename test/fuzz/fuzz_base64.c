/* SPDX-License-Identifier: ISC */
/* needs: proxy/base/imaplex.c proxy/base/span.c proxy/base/ensure.c */
/*
 * Base64: what decodes is what its octets encode to (one text per octets), and
 * what was encoded decodes to the same octets.
 */
#include <stdlib.h>

#include "proxy/base/ensure.h"
#include "proxy/base/imaplex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct outbuf
encode(struct span octets)
{
	struct outbuf out;
	size_t cap = (octets.len + 2) / 3 * 4 + 1;
	outbuf_init(&out, malloc(cap), cap);
	ENSURE(out.data != NULL);
	imap_base64_encode(&out, octets);
	ENSURE(!out.overflow);
	return out;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct secret octets = {NULL, 0};
	if (imap_base64_decode(in, &octets)) {
		struct outbuf text = encode(span_secret(&octets));
		ENSURE(span_equal(outbuf_span(&text), in));
		free(text.data);
	} else {
		ENSURE(octets.data == NULL);
	}
	secret_wipe(&octets);

	struct outbuf text = encode(in);
	ENSURE(imap_base64_decode(outbuf_span(&text), &octets));
	ENSURE(span_equal(span_secret(&octets), in));
	secret_wipe(&octets);
	free(text.data);
	return 0;
}
