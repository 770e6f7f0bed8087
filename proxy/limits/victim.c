/* SPDX-License-Identifier: ISC */
/*
 * Whose place in the table a newcomer takes. What an entry owes for connections
 * stands beside the keys of its set and is the least that it is worth, so most
 * entries need not be looked at. Called by limiter.c.
 */
#include "proxy/limits/gcra.h"
#include "proxy/limits/set.h"

#define DAY_S 86400
/* What a login is worth when entries compete for a place: an offender's debt
 * of a minute. */
#define LOGIN_WORTH_NS (60000 * GCRA_NS)

static uint64_t
debt(const _Atomic uint64_t *word, uint64_t now_ns)
{
	uint64_t full = atomic_load_explicit(word, memory_order_relaxed);

	return full > now_ns ? full - now_ns : 0;
}

/* Some slot is changing it. */
static bool
is_marked(const struct limiter *limiter, uint32_t index)
{
	uint64_t key = atomic_load(key_at(limiter, index));

	return key != 0 && key <= LIMITER_MARK_MAX;
}

/* What it owes in ns; UINT64_MAX: it must stay. */
static uint64_t
worth(const struct limiter *limiter, uint32_t index, uint64_t now_ms)
{
	const struct limiter_entry *entry = entry_at(limiter, index);
	uint64_t now_ns = now_ms * GCRA_NS;
	uint32_t login_s =
	    atomic_load_explicit(&entry->login_s, memory_order_relaxed);

	if (limiter_connections(limiter, entry) != 0 ||
	    limiter_ban_left(entry, now_ms) > 0)
		return UINT64_MAX;
	uint64_t ns = debt(limiter_connects_at(limiter, index), now_ns) +
		      debt(&entry->failures, now_ns);
	if (login_s != 0 && now_ms / 1000 < (uint64_t)login_s + DAY_S)
		ns += LOGIN_WORTH_NS;
	return ns;
}

/* The ways of a set by their connects: no branch depends on them, as what comes
 * in a flood is random. The last bits are the way's. */
struct order {
	uint64_t words[LIMITER_WAYS];
};

static inline uint64_t
aged(const _Atomic uint64_t *connects, uint32_t way)
{
	uint64_t full =
	    atomic_load_explicit(&connects[way], memory_order_relaxed);

	return (full & ~(uint64_t)(LIMITER_WAYS - 1)) | way;
}

static inline uint64_t
older(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static struct order
order_of(const struct limiter *limiter, uint32_t first)
{
	const _Atomic uint64_t *connects = limiter_connects_at(limiter, first);
	struct order order;

	for (uint32_t way = 0; way < LIMITER_WAYS; way++)
		order.words[way] = aged(connects, way);
	return order;
}

static uint32_t
earliest(const struct order *order)
{
	uint64_t least = UINT64_MAX;

	for (uint32_t way = 0; way < LIMITER_WAYS; way++)
		least = older(order->words[way], least);
	return (uint32_t)least % LIMITER_WAYS;
}

uint32_t
victim_guess(const struct limiter *limiter, uint32_t first)
{
	uint32_t index = find_key(limiter, first, 0);

	if (index != LIMITER_NONE)
		return index;
	const _Atomic uint64_t *at = limiter_connects_at(limiter, first);
	uint64_t lower = older(
	    older(aged(at, 0), aged(at, 1)), older(aged(at, 2), aged(at, 3)));
	uint64_t upper = older(
	    older(aged(at, 4), aged(at, 5)), older(aged(at, 6), aged(at, 7)));
	return first + (uint32_t)older(lower, upper) % LIMITER_WAYS;
}

bool
victim_is_it(const struct limiter *limiter, uint32_t index, uint64_t now_ms)
{
	return atomic_load(key_at(limiter, index)) == 0 ||
	       (!is_marked(limiter, index) &&
		   worth(limiter, index, now_ms) ==
		       debt(limiter_connects_at(limiter, index),
			   now_ms * GCRA_NS));
}

/* Free, and nobody is just taking something back. */
static uint32_t
find_free(const struct limiter *limiter, uint32_t first)
{
	uint32_t index = find_key(limiter, first, 0);

	if (index == LIMITER_NONE ||
	    limiter_connections(limiter, entry_at(limiter, index)) != 0)
		return LIMITER_NONE;
	return index;
}

/*
 * Whoever owes least goes, of those whoever connected longest ago. What is owed
 * for connections stands beside the keys and is the least that an entry is
 * worth: beginning with the earliest, most entries need not be looked at.
 */
uint32_t
victim_choose(const struct limiter *limiter, uint32_t first, uint64_t now_ms)
{
	uint32_t victim = find_free(limiter, first);
	uint64_t least = UINT64_MAX;

	if (victim != LIMITER_NONE)
		return victim;
	struct order order = order_of(limiter, first);
	for (int i = 0; i < LIMITER_WAYS; i++) {
		uint32_t way = earliest(&order);
		uint64_t at_least =
		    debt(limiter_connects_at(limiter, first + way),
			now_ms * GCRA_NS);
		if (least <= at_least)
			break;
		order.words[way] = UINT64_MAX;
		if (is_marked(limiter, first + way))
			continue;
		uint64_t value = worth(limiter, first + way, now_ms);
		if (value < least) {
			least = value;
			victim = first + way;
		}
		if (value == at_least)
			break;
	}
	return victim;
}
