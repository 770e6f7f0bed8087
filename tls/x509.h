/* SPDX-License-Identifier: ISC */
/* What the judges of our certificates, of clients' and of backends' have in
 * common. */
#ifndef TLS_X509_H
#define TLS_X509_H

#include <openssl/pool.h>
#include <openssl/x509.h>

#include "config/config.h"

/* Seconds since 1970; false: not a time. */
bool x509_time(const ASN1_TIME *when, int64_t *out);

/* SHA-256 of the SubjectPublicKeyInfo. */
bool x509_hash_spki(X509 *certificate, uint8_t out[SPKI_HASH_LEN]);

/* With SHA-1 or older. */
bool x509_is_signed_weakly(X509 *certificate);

bool x509_is_self_issued(X509 *certificate);

/* After a PEM reader returned NULL: because there is nothing more to read, and
 * not because of damage. */
bool x509_pem_ended(void);

/* What a peer sent, leaf first; NULL: one cannot be parsed, or out of memory.
 * For sk_X509_pop_free(). */
STACK_OF(X509) * x509_parse_chain(const STACK_OF(CRYPTO_BUFFER) * chain);

/* As the configuration writes pins. */
void x509_spki_text(
    const uint8_t spki[SPKI_HASH_LEN], char out[2 * SPKI_HASH_LEN + 1]);

#endif
