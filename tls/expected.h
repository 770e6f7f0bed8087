/* SPDX-License-Identifier: ISC */
/* What backend.c and stream.c share; for nobody else. */
#ifndef TLS_EXPECTED_H
#define TLS_EXPECTED_H

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "config/config.h"

/* Of one stream, until it is freed. */
struct tls_expected {
	X509_STORE *store; /* a reference; NULL: the pin alone decides */
	const char *why;   /* it was refused; static */
	struct addr ip;	   /* ADDR_NONE: the name counts */
	bool has_pin;
	uint8_t pin[SPKI_HASH_LEN];
	char name[256]; /* in its certificate, and for SNI; may be empty */
};

/* Makes the SSL one that connects, with its SNI. */
bool expected_open(const struct tls_expected *expected, SSL *ssl);
void expected_free(struct tls_expected *expected);

/* stream.c: what both kinds of engine have; NULL: out of memory. */
struct tls_engine;
struct tls_engine *engine_new(void);

#endif
