/* SPDX-License-Identifier: ISC */
/*
 * What stream.c, hello.c and failure.c share; for nobody else.
 *
 * BoringSSL's callbacks find their stream as engine->current, which is set for
 * the time of one call: no SSL holds a pointer back, which saves an allocation
 * per connection.
 */
#ifndef TLS_ENGINE_H
#define TLS_ENGINE_H

#include <openssl/ssl.h>

#include "tls/stream.h"

#define TLS_FIRST_MAX 16

struct tls_engine {
	SSL_CTX *ctx;
	BIO_METHOD *method;
	BIO *bio; /* shared by all streams; reads in, writes out */
	tls_key_submit *submit;
	tls_admit *admit; /* NULL: every full handshake */
	void *arg;
	const struct config *config;
	const struct tickets_area *tickets;
	struct tls_backends *backends; /* of an engine whose streams connect */
	struct tls_section *sections;  /* of config, by index */
	uint32_t n_sections;
	/* Valid inside a call only. */
	struct tls_stream *current;
	struct span *in;
	struct outbuf *out;
};

/* Of a callback's SSL. */
static inline struct tls_engine *
engine_of(const SSL *ssl)
{
	return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

enum key_wait {
	KEY_NOT_ASKED,
	KEY_WAITING,
	KEY_ANSWERED
};

/* Exists from the first octet to the end of the handshake. */
struct tls_handshake {
	uint8_t first[TLS_FIRST_MAX]; /* octets, to name what is not TLS */
	uint8_t n_first;
	bool strict_alpn;
	uint16_t ring; /* TICKET_RINGS: no tickets */
	enum key_wait wait;
	uint8_t spki[SPKI_HASH_LEN];
	uint64_t request_id;
	uint16_t key_status;
	uint16_t signature_len;
	uint8_t *signature; /* malloc'ed by tls_stream_key_done() */
};

struct tls_stream {
	struct tls_engine *engine;
	SSL *ssl; /* NULL until the first octet */
	struct tls_handshake *handshake;
	struct client_identity *identity; /* of a verified client */
	const char *why;		  /* a refused certificate; static */
	struct tls_expected *expected;	  /* it connects; NULL: it accepts */
	char *sni; /* only when SSL_get_servername() is not lower case */
	uint64_t id;
	uint32_t listen; /* or the section of the backend, */
	uint32_t epoch;	 /* and of which snapshot */
	uint32_t error;	 /* of BoringSSL's queue; 0: none */
	uint8_t failure; /* enum tls_failure */
	uint8_t alert;
	uint8_t observed; /* TLS_OBSERVED_ bits */
	bool alert_received : 1;
	bool finished : 1;
	bool closed : 1;
	bool close_sent : 1;
};

/* hello.c: what a ClientHello settles. Sets the callbacks on the SSL_CTX,
 * whose app data must be the engine. */
void hello_install(SSL_CTX *ctx);

/* failure.c */
enum tls_failure failure_of(uint32_t error, struct span first);

#endif
