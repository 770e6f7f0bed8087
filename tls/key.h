/* SPDX-License-Identifier: ISC */
/*
 * The seam to the keeper: what a worker asks for and what comes back, as plain
 * messages. No private key is ever in a worker or in the monitor. The keeper
 * signs only what TLS has to have signed, which it recognises by its form. With
 * a key of a listener, what a server signs:
 * - TLS 1.3 CertificateVerify (RFC 8446 section 4.4.3): 64 spaces, "TLS 1.3,
 *   server CertificateVerify", 0, a hash of 32 or 48 octets;
 * - TLS 1.2 ServerKeyExchange (RFC 8422 section 5.4): two randoms of 32 octets
 *   and ServerECDHParams of a named curve that tile the rest.
 * With a key that is for backends, what a client signs:
 * - TLS 1.3 CertificateVerify, the same with "TLS 1.3, client
 *   CertificateVerify";
 * - TLS 1.2 CertificateVerify (RFC 5246 section 7.4.8): the messages of the
 *   handshake from ClientHello to ClientKeyExchange, which tile it. Hence the
 *   whole of it comes here, not its hash, in which nothing can be seen.
 */
#ifndef TLS_KEY_H
#define TLS_KEY_H

#include <stddef.h>

#include <openssl/base.h>

#include "config/config.h"

#define KEY_INPUT_MAX	  32768 /* a handshake of TLS 1.2 with two chains */
#define KEY_SIGNATURE_MAX 512	/* RSA-4096 */
#define KEY_REPLIES_MAX	  16	/* in one message */

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

enum key_form {
	KEY_FORM_NONE,
	KEY_FORM_SERVER_13,
	KEY_FORM_SERVER_12,
	KEY_FORM_CLIENT_13,
	KEY_FORM_CLIENT_12
};

/* Between processes both are cut behind the octets in use. */
static inline size_t
key_request_size(const struct key_request *request)
{
	return offsetof(struct key_request, input) + request->len;
}

static inline size_t
key_reply_size(const struct key_reply *reply)
{
	return offsetof(struct key_reply, signature) + reply->len;
}

/* What came is one, when n octets came. */
static inline bool
key_request_is_whole(const struct key_request *request, size_t n)
{
	return n >= offsetof(struct key_request, input) &&
	       request->len <= KEY_INPUT_MAX && n == key_request_size(request);
}

/* A message of the keeper is one reply or several, one behind the other. */
#define KEY_REPLIES_SIZE (KEY_REPLIES_MAX * sizeof(struct key_reply))

/* Which of the four forms above it has, to the last octet. */
enum key_form key_form_of(struct span input);

/* The keeper's side: a set of keys from the keys memfd, which is a sequence
 * of {uint32_t len; DER of the PKCS#8 key}. KEY_FOR_BACKENDS in len: it signs
 * as a client only, others as a server only. NULL: malformed. Owns copies. */
#define KEY_FOR_BACKENDS (UINT32_C(1) << 31)
struct key_set;
struct key_set *key_set_new(struct span image);
void key_set_free(struct key_set *set); /* wipes */
size_t key_set_count(const struct key_set *set);

/* Checks the request and signs; out_reply is always filled. `set` is tried
 * first, then `old` (may be NULL). */
void key_sign(const struct key_set *set, const struct key_set *old,
    const struct key_request *request, struct key_reply *out_reply);

#endif
