/* SPDX-License-Identifier: ISC */
/*
 * Counters of a worker that have a label or a duration: part of the slot area.
 * Every set of labels is closed; what a peer brings that is not in it is
 * "other", so nothing a peer sends becomes a label.
 */
#ifndef IPC_TALLY_H
#define IPC_TALLY_H

#include <stdatomic.h>
#include <stdint.h>

/* Standard names; RFC 9325 suites first. */
#define TALLY_CIPHERS(X)                                                   \
	X(AES_128_GCM, "TLS_AES_128_GCM_SHA256")                           \
	X(AES_256_GCM, "TLS_AES_256_GCM_SHA384")                           \
	X(CHACHA20, "TLS_CHACHA20_POLY1305_SHA256")                        \
	X(ECDSA_AES_128, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")        \
	X(ECDSA_AES_256, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")        \
	X(ECDSA_CHACHA20, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256") \
	X(RSA_AES_128, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")            \
	X(RSA_AES_256, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384")            \
	X(RSA_CHACHA20, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256")     \
	X(OTHER, "other")

/* "none": a resumed TLS 1.2 session has no key exchange. */
#define TALLY_GROUPS(X)             \
	X(X25519, "X25519")         \
	X(P256, "P-256")            \
	X(P384, "P-384")            \
	X(P521, "P-521")            \
	X(HYBRID, "X25519MLKEM768") \
	X(NONE, "")                 \
	X(OTHER, "other")

#define TALLY_VERDICTS(X)             \
	X(OK, "ok")                   \
	X(FAILED, "failed")           \
	X(REFUSED, "refused")         \
	X(UNAVAILABLE, "unavailable") \
	X(OTHER, "other")

#define TALLY_MECHANISMS(X)           \
	X(LOGIN, "LOGIN")             \
	X(PLAIN, "PLAIN")             \
	X(XOAUTH2, "XOAUTH2")         \
	X(OAUTHBEARER, "OAUTHBEARER") \
	X(OTHER, "other")

#define X(name, text) TALLY_CIPHER_##name,
enum tally_cipher {
	TALLY_CIPHERS(X) TALLY_CIPHER_MAX
};
#undef X
#define X(name, text) TALLY_GROUP_##name,
enum tally_group {
	TALLY_GROUPS(X) TALLY_GROUP_MAX
};
#undef X
#define X(name, text) TALLY_VERDICT_##name,
enum tally_verdict {
	TALLY_VERDICTS(X) TALLY_VERDICT_MAX
};
#undef X
#define X(name, text) TALLY_MECHANISM_##name,
enum tally_mechanism {
	TALLY_MECHANISMS(X) TALLY_MECHANISM_MAX
};
#undef X

/* Upper bounds in microseconds; what is slower is in one bucket more. */
#define TALLY_BOUNDS                                                          \
	{                                                                     \
		100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, \
		    250000, 500000, 1000000, 2500000, 5000000, 10000000,      \
		    30000000                                                  \
	}
#define TALLY_BUCKETS 18

struct tally_time {
	_Atomic uint64_t sum_us;
	_Atomic uint64_t counts[TALLY_BUCKETS]; /* not cumulative */
};

#define TALLY_BACKENDS 4096 /* max_backends of the configuration at most */

struct tally {
	_Atomic uint64_t ciphers[TALLY_CIPHER_MAX];
	_Atomic uint64_t groups[TALLY_GROUP_MAX];
	_Atomic uint64_t logins[TALLY_VERDICT_MAX][TALLY_MECHANISM_MAX];
	struct tally_time handshake; /* from accept, or the PROXY header */
	struct tally_time login;     /* from the credentials to the verdict */
	struct tally_time connect;   /* to a backend, TCP only */
	struct tally_time key;	     /* from the request to the answer */
	struct tally_time lag;	     /* of the loop's timer behind its plan */
	_Atomic uint64_t backend_failures[TALLY_BACKENDS]; /* by entry */
	/* The same: left alone until then (CLOCK_MONOTONIC, ms), as it wants
	 * TLS for logins. */
	_Atomic uint64_t backend_untrusting[TALLY_BACKENDS];
};

/* The writer is one thread: a plain add, readable anywhere. */
static inline void
slot_add(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, value + n, memory_order_relaxed);
}

void tally_time_add(struct tally_time *time, uint64_t us);
void tally_handshake(
    struct tally *tally, const char *cipher, const char *group);
void tally_login(
    struct tally *tally, const char *verdict, const char *mechanism);
void tally_backend_failure(struct tally *tally, uint32_t entry);
void tally_backend_untrusting(
    struct tally *tally, uint32_t entry, uint64_t until_ms);

/* The labels, and the bounds, by index. */
const char *tally_cipher_name(unsigned int i);
const char *tally_group_name(unsigned int i);
const char *tally_verdict_name(unsigned int i);
const char *tally_mechanism_name(unsigned int i);
uint64_t tally_bound_us(unsigned int i); /* i < TALLY_BUCKETS - 1 */

#endif
