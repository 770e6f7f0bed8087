/* SPDX-License-Identifier: ISC */
/*
 * A TLS client and a server stream in one process, with bytes carried between
 * them by hand, so that a test decides where they split. The keeper is a real
 * key_sign() over the loaded keys.
 */
#ifndef SUPPORT_TLS_CLIENT_H
#define SUPPORT_TLS_CLIENT_H

#include <openssl/ssl.h>

#include "config/load.h"
#include "tls/certificate.h"
#include "tls/stream.h"

/* Zero and NULL: BoringSSL's default, or not sent. */
struct client_options {
	uint16_t min_version;
	uint16_t max_version;
	const char *sni;
	const char *alpn; /* as on the wire: "\4imap" */
	const char *ciphers;
	const char *groups;
	const char *sigalgs; /* that the client verifies; names of RFC 8446 */
	SSL_SESSION *session;
	bool ocsp;
};

/* A configuration with its certificates loaded, keys and engine. */
struct world {
	struct builder *builder;
	struct key_image keys;
	struct key_set *set;
	struct tickets_area *tickets;
	struct tls_engine *engine;
	/* The last request, and how to answer it. */
	struct key_request request;
	unsigned n_requests;
	bool at_once;
	bool refuse;
};

/* text is a configuration; certificates must load. Shares the tickets of
 * `like`, or starts all rings when that is NULL. */
struct world *world_new(const char *text, const struct world *like);
void world_free(struct world *world);

struct pair {
	struct world *world;
	struct tls_stream *stream;
	SSL_CTX *client_ctx;
	SSL *client;
	SSL_SESSION *session;	/* the newest ticket the client was given */
	size_t split;		/* bytes that travel at a time; 0: all */
	enum tls_status status; /* of the last handshake call */
	int client_error; /* of the client's queue, when its handshake failed */
	uint8_t *stash;	  /* octets behind the end of the handshake */
	size_t n_stash;
	struct outbuf out; /* what the server said last */
	uint8_t out_data[96 * 1024];
};

struct pair *pair_new(
    struct world *world, uint32_t listen, const struct client_options *options);
void pair_free(struct pair *pair);

/* Runs both to the end of the handshake, or of what they can do. True: both
 * finished. */
bool pair_handshake(struct pair *pair);

/* Feeds raw octets to the server's handshake. */
enum tls_status pair_feed(struct pair *pair, const void *data, size_t len);

/* What the client has written and not yet been taken; drained. */
size_t pair_from_client(struct pair *pair, uint8_t *out, size_t cap);
void pair_to_client(struct pair *pair, const void *data, size_t len);

/* One message each way after the handshake; true: it arrived unchanged. */
bool pair_echo(struct pair *pair, const void *data, size_t len);

struct tls_info pair_info(const struct pair *pair);

#endif
