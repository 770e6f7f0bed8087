/* SPDX-License-Identifier: ISC */
/*
 * Is this chain with this key fit to serve TLS, or to be shown to a backend?
 * Works on octets and on a time it is given; certificate.c reads the files.
 */
#ifndef TLS_JUDGE_H
#define TLS_JUDGE_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "config/config.h"

#define JUDGE_CHAIN_MAX 16
#define JUDGE_WHY_MAX	256

/* Owned by the caller, released by judged_fini(). All zero is empty. */
struct judged {
	X509 *chain[JUDGE_CHAIN_MAX]; /* leaf first */
	size_t n_chain;
	GENERAL_NAMES *san; /* of the leaf; may be NULL */
	EVP_PKEY *key;
	uint8_t spki[SPKI_HASH_LEN];
	bool is_for_backends; /* set by the caller: it is a client's */
	uint32_t key_type;    /* enum config_key_type */
	uint32_t key_bits;
	int64_t not_before; /* of the leaf, seconds since 1970 */
	int64_t not_after;
};

/* Why not: a sentence without a file name. about_key: the key file's fault. */
struct fault {
	bool about_key;
	char why[JUDGE_WHY_MAX];
};

__attribute__((format(printf, 2, 3))) void fault_set(
    struct fault *fault, const char *format, ...);

/* Parse PEM; false: fault is set. Called in this order, once each. */
bool judged_read_chain(
    struct judged *judged, struct span pem, struct fault *fault);
bool judged_read_key(
    struct judged *judged, struct span pem, struct fault *fault);

/* The verdict; expiry is not a fault. pin: 64 hexadecimal digits or empty. */
bool judged_check(const struct judged *judged, int64_t now, struct span pin,
    struct fault *fault);

bool judged_is_self_signed(const struct judged *judged);

/* The i-th name (below judged_n_names()) of the leaf's SAN in lower case, a
 * leading "*." allowed; false: it cannot be a server name. */
size_t judged_n_names(const struct judged *judged);
bool judged_name(const struct judged *judged, size_t i, char out[254]);

/* A name or "*.parent" in lower case; false: neither. */
bool judge_normalise(struct span name, char out[254]);

/* RFC 9525 section 6.3: equal, or "*.parent" for one label. */
bool judge_matches(const char *pattern, const char *name);

void judged_fini(struct judged *judged);

#endif
