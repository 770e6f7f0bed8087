/* SPDX-License-Identifier: ISC */
/*
 * Where things are in the limiter's table; for limiter.c and victim.c. The
 * entries are numbered; the first of a set is a multiple of LIMITER_WAYS.
 */
#ifndef LIMITS_SET_H
#define LIMITS_SET_H

#include "proxy/limits/table.h"

#define LINE	 64
#define SET_HEAD (2 * LINE) /* keys, connects */

_Static_assert(LIMITER_WAYS == 8, "as many as are compared below");
_Static_assert(LIMITER_WAYS * sizeof(uint64_t) == LINE, "a line of keys");

static inline uint8_t *
set_at(const struct limiter *limiter, uint32_t index)
{
	return limiter->sets +
	       (size_t)(index / LIMITER_WAYS) * limiter->set_size;
}

static inline _Atomic uint64_t *
key_at(const struct limiter *limiter, uint32_t index)
{
	return (_Atomic uint64_t *)(void *)set_at(limiter, index) +
	       index % LIMITER_WAYS;
}

static inline struct limiter_entry *
entry_at(const struct limiter *limiter, uint32_t index)
{
	return (void *)(set_at(limiter, index) + SET_HEAD +
			index % LIMITER_WAYS * limiter->stride);
}

/* The first entry of the set where the hash belongs. */
static inline uint32_t
set_of(const struct limiter *limiter, uint64_t hash)
{
	uint64_t set = (hash >> 32) * limiter->n_sets >> 32;

	return (uint32_t)set * LIMITER_WAYS;
}

static inline uint32_t
way_if(const _Atomic uint64_t *keys, uint32_t way, uint64_t key)
{
	return (uint32_t)(atomic_load(&keys[way]) == key) << way;
}

/* A bit per way of the set that has the key. No branch and no loop, as this is
 * most of what a decision does: which way it is nobody can foretell. */
static inline uint32_t
ways_with(const struct limiter *limiter, uint32_t first, uint64_t key)
{
	const _Atomic uint64_t *keys = key_at(limiter, first);

	return way_if(keys, 0, key) | way_if(keys, 1, key) |
	       way_if(keys, 2, key) | way_if(keys, 3, key) |
	       way_if(keys, 4, key) | way_if(keys, 5, key) |
	       way_if(keys, 6, key) | way_if(keys, 7, key);
}

static inline uint32_t
find_key(const struct limiter *limiter, uint32_t first, uint64_t key)
{
	uint32_t ways = ways_with(limiter, first, key);

	return ways == 0 ? LIMITER_NONE : first + (uint32_t)__builtin_ctz(ways);
}

/* victim.c: whose place a newcomer to the set takes; LIMITER_NONE: all must
 * stay. */
uint32_t victim_choose(
    const struct limiter *limiter, uint32_t first, uint64_t now_ms);

/* Who that most likely is, by what stands beside the keys alone; and whether it
 * is. */
uint32_t victim_guess(const struct limiter *limiter, uint32_t first);
bool victim_is_it(
    const struct limiter *limiter, uint32_t index, uint64_t now_ms);

#endif
