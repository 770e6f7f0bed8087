/* SPDX-License-Identifier: ISC */
/*
 * SipHash-2-4 (Aumasson and Bernstein 2012): a keyed hash for tables that
 * strangers fill. Without the key nobody can choose what collides.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stdint.h>

#include "proxy/base/span.h"

#define SIPHASH_KEY_LEN 16

struct siphash_key {
	uint64_t k0;
	uint64_t k1;
};

/* From 16 octets, little-endian as in the reference. */
struct siphash_key siphash_key_of(const uint8_t octets[SIPHASH_KEY_LEN]);

uint64_t siphash(const struct siphash_key *key, struct span data);

/* The same of 15 octets at most: the first eight, then the others, each read as
 * little-endian. */
uint64_t siphash_short(
    const struct siphash_key *key, uint64_t first, uint64_t rest, uint8_t len);

#endif
