/* SPDX-License-Identifier: ISC */
/*
 * Client certificates: who may come in, and as whom. Works on octets, on what a
 * [tls] section says and on a time it is given. Whatever cannot be checked is
 * refused.
 */
#ifndef TLS_CLIENT_CHECK_H
#define TLS_CLIENT_CHECK_H

#include <openssl/pool.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "config/config.h"

/* What verifies for one section; built once per snapshot. */
struct client_store;

/* NULL: the authorities or lists cannot be used, or out of memory. Nobody
 * gets in then. */
struct client_store *client_store_new(
    const struct config *config, const struct config_tls *tls);
void client_store_free(struct client_store *store);

/* A new list of the authorities' names, for the request; NULL: no memory. */
STACK_OF(CRYPTO_BUFFER) * client_store_names(const struct client_store *store);

#define CLIENT_NAME_MAX 64

/*
 * Who a verified certificate says the client is. name is for logs: the first
 * address, else the first host name, else the common name, else the start of
 * the key's hash. users are the values that client_cert_user names, each with a
 * NUL behind it, an empty one at the end.
 */
struct client_identity {
	uint8_t spki[SPKI_HASH_LEN];
	bool is_bound; /* client_cert_user was not off */
	char name[CLIENT_NAME_MAX];
	char users[];
};

struct client_refusal {
	uint8_t alert;
	const char *why; /* static */
};

/* The verdict on the chain that a client sent, leaf first. NULL: refused. The
 * identity is the caller's to free(). */
struct client_identity *client_check(const struct client_store *store,
    const struct config *config, const struct config_tls *tls,
    const STACK_OF(CRYPTO_BUFFER) * chain, int64_t now,
    struct client_refusal *out_refusal);

/* True: not bound, or the user is one of the certificate's, octet by octet. */
bool client_allows_user(
    const struct client_identity *identity, struct span user);

#endif
