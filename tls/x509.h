/* SPDX-License-Identifier: ISC */
/* What the judge of our certificates and the one of clients' have in common. */
#ifndef TLS_X509_H
#define TLS_X509_H

#include <openssl/x509.h>

#include "config/config.h"

/* Seconds since 1970; false: not a time. */
bool x509_time(const ASN1_TIME *when, int64_t *out);

/* SHA-256 of the SubjectPublicKeyInfo. */
bool x509_hash_spki(X509 *certificate, uint8_t out[SPKI_HASH_LEN]);

/* With SHA-1 or older. */
bool x509_is_signed_weakly(X509 *certificate);

bool x509_is_self_issued(X509 *certificate);

#endif
