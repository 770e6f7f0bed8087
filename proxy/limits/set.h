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
find_key(const struct limiter *limiter, uint32_t first, uint64_t key)
{
	const _Atomic uint64_t *keys = key_at(limiter, first);

	for (uint32_t way = 0; way < LIMITER_WAYS; way++)
		if (atomic_load(&keys[way]) == key)
			return first + way;
	return LIMITER_NONE;
}

/* victim.c: whose place a newcomer to the set takes; LIMITER_NONE: all must
 * stay. */
uint32_t victim_choose(
    const struct limiter *limiter, uint32_t first, uint64_t now_ms);

#endif
