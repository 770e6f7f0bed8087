/* SPDX-License-Identifier: ISC */
/*
 * A rate in one atomic word (generic cell rate algorithm): the time, in ns, at
 * which everything counted so far has leaked out. Each event moves it on by
 * the interval of the rate; a burst is how far it may lie ahead.
 */
#ifndef LIMITS_GCRA_H
#define LIMITS_GCRA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

#define GCRA_NS UINT64_C(1000000)
/* Nothing is counted further ahead than this: ten days. */
#define GCRA_AHEAD_MAX (UINT64_C(864000) * 1000 * GCRA_NS)

/* Of the interval of a rate, that of the rate times factor. */
static inline uint64_t
gcra_share(uint64_t interval, uint64_t factor)
{
	uint64_t ns = factor == 1 ? interval : interval / factor;

	return ns == 0 ? 1 : ns;
}

/* ns per event of rate times factor, at least 1. */
static inline uint64_t
gcra_interval(const struct config_rate *rate, uint64_t factor)
{
	return gcra_share(rate->period_ms * GCRA_NS / rate->count, factor);
}

/* Events that have not leaked out yet, rounded up. */
static inline uint64_t
gcra_level(const _Atomic uint64_t *word, uint64_t interval, uint64_t now_ns)
{
	uint64_t full = atomic_load_explicit(word, memory_order_relaxed);

	return full <= now_ns ? 0 : (full - now_ns - 1) / interval + 1;
}

/* How far ahead a burst may lie. */
static inline uint64_t
gcra_ahead(uint64_t interval, uint64_t burst)
{
	uint64_t ahead;

	if (__builtin_mul_overflow(interval, burst, &ahead) ||
	    ahead > GCRA_AHEAD_MAX)
		return GCRA_AHEAD_MAX;
	return ahead;
}

/* A word that counted under a slower rate is full, and no fuller. */
static inline void
gcra_fit(
    _Atomic uint64_t *word, uint64_t interval, uint64_t burst, uint64_t now_ns)
{
	uint64_t full = atomic_load_explicit(word, memory_order_relaxed);
	uint64_t most = now_ns + gcra_ahead(interval, burst);

	if (full > most)
		atomic_compare_exchange_strong(word, &full, most);
}

/* Counts one event unless more than burst would not have leaked out. */
static inline bool
gcra_take(
    _Atomic uint64_t *word, uint64_t interval, uint64_t burst, uint64_t now_ns)
{
	uint64_t full = atomic_load_explicit(word, memory_order_relaxed);
	uint64_t ahead = gcra_ahead(interval, burst);
	uint64_t next;

	do {
		next = (full > now_ns ? full : now_ns) + interval;
		if (next - now_ns > ahead)
			return false;
	} while (!atomic_compare_exchange_weak(word, &full, next));
	return true;
}

/* Takes back one event that gcra_take() counted. */
static inline void
gcra_give_back(_Atomic uint64_t *word, uint64_t interval)
{
	atomic_fetch_sub(word, interval);
}

#endif
