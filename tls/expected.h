/* SPDX-License-Identifier: ISC */
/* What backend.c and stream.c share; for nobody else. */
#ifndef TLS_EXPECTED_H
#define TLS_EXPECTED_H

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "config/config.h"
#include "tls/sign.h"

/* Of one stream, until its handshake is over. */
struct tls_expected {
	X509_STORE *store; /* a reference; NULL: the pin alone decides */
	const char *why;   /* it was refused; static */
	struct addr ip;	   /* ADDR_NONE: the name counts */
	bool has_pin;
	uint8_t pin[SPKI_HASH_LEN];
	char name[256]; /* in its certificate, and for SNI; may be empty */
	/* What we show when it asks; n is 0 when we have none. */
	struct sign_chain chain;
	uint32_t key_type; /* enum config_key_type */
	uint32_t key_bits;
	uint8_t spki[SPKI_HASH_LEN];
	SSL_SESSION *session; /* to resume; NULL: none */
};

/* Makes the SSL one that connects, with its SNI. */
bool expected_open(const struct tls_expected *expected, SSL *ssl);
/* The handshake is over, or the stream is. */
struct tls_stream;
void expected_end(struct tls_stream *stream, bool finished);

/* stream.c: what both kinds of engine have; NULL: out of memory. */
struct tls_engine;
struct tls_engine *engine_new(void);

#endif
