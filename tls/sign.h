/* SPDX-License-Identifier: ISC */
/* A chain to show and a key that the keeper has: what hello.c and backend.c
 * share; for nobody else. */
#ifndef TLS_SIGN_H
#define TLS_SIGN_H

#include <openssl/ssl.h>

#include "config/config.h"

#define SIGN_CHAIN_MAX 16 /* certificate.c loads no more */

/* Copies, or references of one's own: no snapshot is needed any more. */
struct sign_chain {
	CRYPTO_BUFFER *buffers[SIGN_CHAIN_MAX]; /* leaf first */
	size_t n;
};

/* False: out of memory, or there is none. sign_chain_fini() in any case. */
bool sign_chain_init(struct sign_chain *chain, const struct config *config,
    const struct config_certificate *certificate);
void sign_chain_copy(struct sign_chain *to, const struct sign_chain *from);
void sign_chain_fini(struct sign_chain *chain);

/* The SSL shows this chain and asks by its engine's submit for signatures,
 * with the key that its handshake's spki names. */
bool sign_by_keeper(SSL *ssl, const struct sign_chain *chain);

#endif
