/* SPDX-License-Identifier: ISC */
/*
 * Hashes that every gateway computes alike: no key, no byte order, no floating
 * point. They decide where a user goes, never how many entries share a bucket
 * of something that an attacker could fill.
 */
#ifndef BACKENDS_HASH_H
#define BACKENDS_HASH_H

#include <stdint.h>

#include "proxy/base/addr.h"
#include "proxy/base/span.h"

uint64_t hash_octets(struct span octets);

/* Spreads every bit over all others. */
uint64_t hash_mix(uint64_t value);

/* A user as named in a login; what follows the last @ in any case. Never 0. */
uint64_t hash_user(struct span user);

/* What stands for one client: an IPv4 address, or an IPv6 /64. Never 0. */
uint64_t hash_client(const struct addr *client);

/*
 * Weighted rendezvous hashing: every member draws a uniform number for the key;
 * the one with the least cost / weight gets it. The cost is -log2 of the number
 * (as a fraction of 2^64), in units of 2^-24: an exponential variable, so
 * shares are as the weights are, and whoever leaves takes nobody else's keys
 * along.
 */
uint64_t hash_member(uint64_t name);
uint64_t hash_draw(uint64_t key, uint64_t member);
uint64_t hash_cost(uint64_t draw);

/* Never more than the cost, and much quicker: -log2(x) >= 1 - x. */
static inline uint64_t
hash_cost_floor(uint64_t draw)
{
	return ~draw >> 40;
}

#endif
