/* SPDX-License-Identifier: ISC */
/*
 * The seam to the keeper: what a worker asks for and what comes back, as plain
 * messages. No private key is ever in a worker. The keeper signs only the two
 * things a TLS server has to sign, which it recognises by their form:
 * - TLS 1.3 CertificateVerify (RFC 8446 section 4.4.3): 64 spaces, "TLS 1.3,
 *   server CertificateVerify", 0, a hash of 32 or 48 octets;
 * - TLS 1.2 ServerKeyExchange (RFC 8422 section 5.4): two randoms of 32 octets
 *   and ServerECDHParams of a named curve that tile the rest.
 */
#ifndef TLS_KEY_H
#define TLS_KEY_H

#include <openssl/base.h>

#include "config/config.h"

#define KEY_INPUT_MAX	  512
#define KEY_SIGNATURE_MAX 512 /* RSA-4096 */

struct key_request {
	uint64_t id; /* random, chosen by the worker */
	uint8_t spki[SPKI_HASH_LEN];
	uint16_t algorithm; /* SSL_SIGN_*: the TLS SignatureScheme */
	uint16_t len;
	uint8_t input[KEY_INPUT_MAX];
};

enum key_status {
	KEY_OK,
	KEY_UNKNOWN,
	KEY_NOT_A_HANDSHAKE,
	KEY_FAILED
};

struct key_reply {
	uint64_t id;
	uint16_t status; /* enum key_status */
	uint16_t len;
	uint8_t signature[KEY_SIGNATURE_MAX];
};

/* True for the two forms above and nothing else. */
bool key_input_is_handshake(struct span input);

/* The keeper's side: a set of keys from the keys memfd, which is a sequence
 * of {uint32_t len; DER of the PKCS#8 key}. NULL: malformed. Owns copies. */
struct key_set;
struct key_set *key_set_new(struct span image);
void key_set_free(struct key_set *set); /* wipes */
size_t key_set_count(const struct key_set *set);

/* Checks the request and signs; out_reply is always filled. `set` is tried
 * first, then `old` (may be NULL). */
void key_sign(const struct key_set *set, const struct key_set *old,
    const struct key_request *request, struct key_reply *out_reply);

#endif
