/* SPDX-License-Identifier: ISC */
/* See span.h. Invariant of an outbuf: len <= cap. */
#include "proxy/base/span.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/ensure.h"

struct span
span_of(const void *data, size_t len)
{
	return (struct span){data, len};
}

struct span
span_str(const char *text)
{
	return span_of(text, strlen(text));
}

struct span
span_secret(const struct secret *secret)
{
	return span_of(secret->data, secret->len);
}

void
span_advance(struct span *span, size_t n)
{
	ENSURE(n <= span->len);
	if (n == 0)
		return;
	span->data += n;
	span->len -= n;
}

bool
span_equal(struct span a, struct span b)
{
	return a.len == b.len &&
	       (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

bool
span_equal_nocase(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower(a.data[i]) != lower(b.data[i]))
			return false;
	return true;
}

void
outbuf_init(struct outbuf *out, void *data, size_t cap)
{
	*out = (struct outbuf){.data = data, .cap = cap};
}

size_t
outbuf_room(const struct outbuf *out)
{
	return out->cap - out->len;
}

void
outbuf_put(struct outbuf *out, struct span bytes)
{
	if (out->overflow || bytes.len > outbuf_room(out)) {
		out->overflow = true;
		return;
	}
	if (bytes.len == 0)
		return;
	memcpy(out->data + out->len, bytes.data, bytes.len);
	out->len += bytes.len;
}

void
outbuf_puts(struct outbuf *out, const char *text)
{
	outbuf_put(out, span_str(text));
}

void
outbuf_putc(struct outbuf *out, char c)
{
	outbuf_put(out, span_of(&c, 1));
}

void
outbuf_printf(struct outbuf *out, const char *format, ...)
{
	if (out->overflow)
		return;
	va_list args;
	va_start(args, format);
	/* vsnprintf needs room for a NUL that is not kept. */
	int n = vsnprintf(
	    (char *)out->data + out->len, outbuf_room(out), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= outbuf_room(out))
		out->overflow = true;
	else
		out->len += (size_t)n;
}

struct span
outbuf_span(const struct outbuf *out)
{
	return span_of(out->data, out->len);
}

bool
secret_set(struct secret *secret, struct span bytes)
{
	secret_wipe(secret);
	return secret_append(secret, bytes);
}

bool
secret_append(struct secret *secret, struct span bytes)
{
	/* No realloc: it could leave a copy behind that nobody wipes. */
	uint8_t *data = malloc(secret->len + bytes.len + 1);
	if (data == NULL)
		return false;
	if (secret->len > 0)
		memcpy(data, secret->data, secret->len);
	if (bytes.len > 0)
		memcpy(data + secret->len, bytes.data, bytes.len);
	size_t len = secret->len + bytes.len;
	data[len] = '\0';
	secret_wipe(secret);
	*secret = (struct secret){data, len};
	return true;
}

void
secret_wipe(struct secret *secret)
{
	if (secret->data != NULL) {
		explicit_bzero(secret->data, secret->len + 1);
		free(secret->data);
	}
	*secret = (struct secret){NULL, 0};
}
