/* SPDX-License-Identifier: ISC */
/*
 * Bytes: a span is read (it owns nothing), an outbuf is written into (fixed
 * capacity, memory owned by whoever set it up), a secret is owned octets that
 * are wiped before their memory is given back.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
	const uint8_t *data;
	size_t len;
};

/*
 * Writing past `cap` writes nothing and sets `overflow`, which stays set:
 * write everything, check once.
 */
struct outbuf {
	uint8_t *data;
	size_t len;
	size_t cap;
	bool overflow;
};

/* len octets and a NUL behind them that is not counted; data may be NULL. */
struct secret {
	uint8_t *data;
	size_t len;
};

struct span span_of(const void *data, size_t len);
struct span span_str(const char *text);
struct span span_secret(const struct secret *secret);

/* Drops the first n octets; n must not exceed the length. */
void span_advance(struct span *span, size_t n);

bool span_equal(struct span a, struct span b);

/* ASCII letters compare without regard to case. */
bool span_equal_nocase(struct span a, struct span b);

void outbuf_init(struct outbuf *out, void *data, size_t cap);
size_t outbuf_room(const struct outbuf *out);
void outbuf_put(struct outbuf *out, struct span bytes);
void outbuf_puts(struct outbuf *out, const char *text);
void outbuf_putc(struct outbuf *out, char c);
void outbuf_printf(struct outbuf *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct span outbuf_span(const struct outbuf *out);

/* Replaces what is there by a copy of bytes. False: out of memory (empty). */
bool secret_set(struct secret *secret, struct span bytes);

/* Adds to the end. False: out of memory, the secret is unchanged. */
bool secret_append(struct secret *secret, struct span bytes);

/* Wipes and frees; the secret is then empty and may be used again. */
void secret_wipe(struct secret *secret);

#endif
