/* SPDX-License-Identifier: ISC */
/*
 * See limiter.h. This file is the table: finding, claiming, evicting, columns.
 * Who is evicted stands in victim.c, what is decided in decide.c and logins.c.
 *
 * Invariant: a key that is a slot's mark is changed by that slot only, until
 * the master frees it; columns are never written but by adding and taking back,
 * and by whoever fills the entry behind its mark.
 * Two slots that claim the same key at the same time may both succeed: sums go
 * over all entries of a set with the key, so no connection is lost, and the
 * later one is given up as soon as it is seen.
 */
#include "proxy/limits/limiter.h"

#include <string.h>

#include "proxy/base/ensure.h"
#include "proxy/limits/gcra.h"
#include "proxy/limits/set.h"

#define MARKS_SIZE  (LIMITER_MARKS * sizeof(uint16_t))
#define CLAIM_TRIES 8
#define USER_MAX    320 /* RFC 5321: 64 @ 255; longer ones are cut */

static size_t
stride_of(uint32_t n_slots)
{
	size_t size = sizeof(struct limiter_entry) +
		      (size_t)n_slots * 2 * sizeof(uint16_t) + MARKS_SIZE;

	return (size + LINE - 1) / LINE * LINE;
}

static size_t
set_size_of(uint32_t n_slots)
{
	return SET_HEAD + LIMITER_WAYS * stride_of(n_slots);
}

static uint32_t
sets_of(uint32_t table_entries)
{
	return (table_entries + LIMITER_WAYS - 1) / LIMITER_WAYS;
}

static size_t
sets_offset(uint32_t n_sets)
{
	size_t n_groups = n_sets / LIMITER_GROUP + 1;

	return (sizeof(struct limiter_area) + n_groups + SET_HEAD - 1) /
	       SET_HEAD * SET_HEAD;
}

size_t
limiter_area_size(uint32_t table_entries, uint32_t n_slots)
{
	uint32_t n_sets = sets_of(table_entries);

	return sets_offset(n_sets) + (size_t)n_sets * set_size_of(n_slots);
}

void
limiter_area_init(struct limiter_area *area, uint32_t table_entries,
    uint32_t n_slots, const uint8_t key[SIPHASH_KEY_LEN])
{
	ENSURE(n_slots > 0 && n_slots <= LIMITER_SLOTS);
	area->n_sets = sets_of(table_entries);
	area->n_slots = n_slots;
	memcpy(area->key, key, SIPHASH_KEY_LEN);
}

bool
limiter_attach(struct limiter *limiter, void *area, size_t size,
    uint32_t n_slots, uint32_t slot)
{
	*limiter = (struct limiter){.area = area,
	    .n_slots = n_slots,
	    .slot = slot,
	    .stride = stride_of(n_slots),
	    .set_size = set_size_of(n_slots)};
	if (size < sizeof(struct limiter_area) || n_slots == 0 ||
	    n_slots > LIMITER_SLOTS || limiter->area->n_slots != n_slots)
		return false;
	limiter->n_sets = limiter->area->n_sets;
	if (limiter->n_sets == 0 || limiter->n_sets > size / LINE ||
	    limiter_area_size(limiter->n_sets * LIMITER_WAYS, n_slots) > size)
		return false;
	limiter->sets = (uint8_t *)area + sets_offset(limiter->n_sets);
	limiter->key = siphash_key_of(limiter->area->key);
	return true;
}

/* --- entries -------------------------------------------------------------- */

uint32_t
limiter_n_entries(const struct limiter *limiter)
{
	return limiter->n_sets * LIMITER_WAYS;
}

_Atomic uint64_t *
limiter_connects_at(const struct limiter *limiter, uint32_t index)
{
	return key_at(limiter, index) + LIMITER_WAYS;
}

_Atomic uint64_t *
limiter_connects(
    const struct limiter *limiter, const struct limiter_entry *entry)
{
	size_t at = (size_t)((const uint8_t *)entry - limiter->sets);
	size_t way = (at % limiter->set_size - SET_HEAD) / limiter->stride;

	return limiter_connects_at(
	    limiter, (uint32_t)(at / limiter->set_size * LIMITER_WAYS + way));
}

_Atomic uint16_t *
limiter_marks(const struct limiter *limiter, const struct limiter_entry *entry)
{
	return (_Atomic uint16_t *)(void *)((uint8_t *)entry + limiter->stride -
					    MARKS_SIZE);
}

static _Atomic uint8_t *
used_flag(const struct limiter *limiter, uint32_t index)
{
	return &limiter->area->used[index / LIMITER_WAYS / LIMITER_GROUP];
}

static bool
is_used(const struct limiter *limiter, uint32_t index)
{
	return atomic_load_explicit(
		   used_flag(limiter, index), memory_order_relaxed) != 0;
}

struct limiter_entry *
limiter_at(const struct limiter *limiter, uint32_t index)
{
	if (!is_used(limiter, index) ||
	    atomic_load(key_at(limiter, index)) <= LIMITER_MARK_MAX)
		return NULL;
	return entry_at(limiter, index);
}

static uint64_t
hash_key(uint64_t hash)
{
	return hash <= LIMITER_MARK_MAX ? hash + LIMITER_MARK_MAX + 1 : hash;
}

uint64_t
limiter_rung_hash(const struct limiter *limiter, const struct rung *rung)
{
	uint64_t rest = LIMITER_PREFIX | (uint64_t)rung->family << 8 |
			(uint64_t)rung->bits << 16;

	return hash_key(siphash_short(&limiter->key, rung->name, rest, 11));
}

uint64_t
limiter_user_hash(const struct limiter *limiter, struct span user)
{
	/* Another key than that of prefixes, so that nothing can collide. */
	struct siphash_key key = {
	    limiter->key.k0 ^ LIMITER_USER, limiter->key.k1};
	uint8_t folded[USER_MAX];
	size_t len = user.len < USER_MAX ? user.len : USER_MAX;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = user.data[i];
		folded[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
	}
	return hash_key(siphash(&key, span_of(folded, len)));
}

static uint32_t
find(const struct limiter *limiter, uint64_t hash)
{
	return find_key(limiter, set_of(limiter, hash), hash);
}

struct limiter_entry *
limiter_find(const struct limiter *limiter, uint64_t hash)
{
	uint32_t index = find(limiter, hash);

	return index == LIMITER_NONE ? NULL : entry_at(limiter, index);
}

void
limiter_expect(const struct limiter *limiter, uint64_t hash)
{
	const uint8_t *set = set_at(limiter, set_of(limiter, hash));

	__builtin_prefetch(set, 1);
	__builtin_prefetch(set + LINE, 1);
}

struct limiter_place
limiter_look(const struct limiter *limiter, uint64_t hash)
{
	uint32_t index = find(limiter, hash);
	struct limiter_place place = {
	    .hash = hash, .index = index, .found = index != LIMITER_NONE};

	if (!place.found)
		place.index = victim_guess(limiter, set_of(limiter, hash));
	__builtin_prefetch(entry_at(limiter, place.index), 1);
	return place;
}

struct limiter_entry *
limiter_seen(const struct limiter *limiter, const struct limiter_place *place)
{
	return place->found &&
		       atomic_load(key_at(limiter, place->index)) == place->hash
		   ? entry_at(limiter, place->index)
		   : NULL;
}

static uint32_t
sum_column(const struct limiter *limiter, const struct limiter_entry *entry,
    uint32_t which)
{
	uint32_t sum = 0;

	for (uint32_t slot = 0; slot < limiter->n_slots; slot++)
		sum += atomic_load(&entry->columns[2 * slot + which]);
	return sum;
}

uint32_t
limiter_connections(
    const struct limiter *limiter, const struct limiter_entry *entry)
{
	return sum_column(limiter, entry, 0);
}

uint32_t
limiter_preauth(
    const struct limiter *limiter, const struct limiter_entry *entry)
{
	return sum_column(limiter, entry, 1);
}

uint64_t
limiter_ban_left(const struct limiter_entry *entry, uint64_t now_ms)
{
	uint64_t until_ms = (uint64_t)atomic_load_explicit(
				&entry->ban_s, memory_order_relaxed) *
			    1000;

	return until_ms > now_ms ? until_ms - now_ms : 0;
}

/* --- claiming and evicting ------------------------------------------------ */

static uint64_t
own_mark(const struct limiter *limiter)
{
	return limiter->slot == LIMITER_NONE ? LIMITER_MARK_MAX
					     : limiter->slot + 1;
}

/* True: the entry is ours to fill, its key is our mark. */
static bool
evict(struct limiter *limiter, uint32_t index)
{
	const struct limiter_entry *entry = entry_at(limiter, index);
	uint64_t key = atomic_load(key_at(limiter, index));

	if (key != 0 && key <= LIMITER_MARK_MAX)
		return false;
	if (!atomic_compare_exchange_strong(
		key_at(limiter, index), &key, own_mark(limiter)))
		return false;
	if (limiter_connections(limiter, entry) == 0 &&
	    limiter_preauth(limiter, entry) == 0)
		return true;
	atomic_store(key_at(limiter, index), key);
	return false;
}

#define SET(field, value) \
	atomic_store_explicit(&entry->field, (value), memory_order_relaxed)

/* All but the columns, which whoever is taking back still writes, and the marks
 * that are not written yet. */
static void
fill(struct limiter_entry *entry, const struct rung *rung)
{
	SET(handshakes, 0);
	SET(failures, 0);
	SET(ban_s, 0);
	SET(login_s, 0);
	SET(kind, rung == NULL ? LIMITER_USER : LIMITER_PREFIX);
	SET(family, rung == NULL ? (uint8_t)ADDR_NONE : rung->family);
	SET(bits, rung == NULL ? 0 : rung->bits);
	SET(name, rung == NULL ? 0 : rung->name);
	SET(n_marks, 0);
}

static void
count_eviction(struct limiter *limiter)
{
	_Atomic uint64_t *n = limiter->evictions;

	/* Of this slot alone. */
	if (n != NULL)
		atomic_store_explicit(n,
		    atomic_load_explicit(n, memory_order_relaxed) + 1,
		    memory_order_relaxed);
}

/* What a new entry begins with. */
struct beginning {
	const struct rung *rung; /* NULL: a user */
	uint64_t connects;
	uint16_t own; /* connections of this slot */
};

/* Puts the hash in the place of whoever is there. While the key is our mark,
 * nobody else counts here. */
static bool
replace(struct limiter *limiter, uint32_t index, uint64_t hash,
    const struct beginning *with)
{
	struct limiter_entry *entry = entry_at(limiter, index);

	if (!is_used(limiter, index))
		atomic_store(used_flag(limiter, index), 1);
	bool in_use = atomic_load(key_at(limiter, index)) != 0;
	if (!evict(limiter, index))
		return false;
	if (in_use)
		count_eviction(limiter);
	fill(entry, with->rung);
	atomic_store_explicit(limiter_connects_at(limiter, index),
	    with->connects, memory_order_relaxed);
	if (with->own > 0)
		SET(columns[2 * limiter->slot], with->own);
	atomic_store(key_at(limiter, index), hash);
	return true;
}

/* LIMITER_NONE: no room. */
static uint32_t
claim(struct limiter *limiter, struct limiter_place *place,
    const struct beginning *with, uint64_t now_ms)
{
	uint64_t hash = place->hash;
	uint32_t index = place->index;

	place->is_charged = false;
	if (limiter_seen(limiter, place) != NULL)
		return index;
	place->is_charged = !place->found &&
			    victim_is_it(limiter, index, now_ms) &&
			    replace(limiter, index, hash, with);
	for (int i = 0; i < CLAIM_TRIES && !place->is_charged; i++) {
		index = find(limiter, hash);
		if (index != LIMITER_NONE)
			return index;
		index = victim_choose(limiter, set_of(limiter, hash), now_ms);
		if (index == LIMITER_NONE)
			return LIMITER_NONE;
		place->is_charged = replace(limiter, index, hash, with);
	}
	return place->is_charged ? index : LIMITER_NONE;
}

/* Another slot made the same entry at the same time: the first one stays. */
static void
give_up(struct limiter *limiter, uint32_t index)
{
	if (evict(limiter, index))
		atomic_store(key_at(limiter, index), 0);
}

struct limiter_entry *
limiter_claim(struct limiter *limiter, uint64_t hash, const struct rung *rung,
    uint64_t now_ms)
{
	struct limiter_place place = limiter_look(limiter, hash);
	struct beginning with = {.rung = rung};
	uint32_t index = claim(limiter, &place, &with, now_ms);

	if (index == LIMITER_NONE)
		return NULL;
	uint32_t first = find(limiter, hash);
	if (first != LIMITER_NONE && first != index) {
		give_up(limiter, index);
		index = first;
	}
	return entry_at(limiter, index);
}

/* --- columns -------------------------------------------------------------- */

/* What the entries of these ways hold. */
static uint32_t
sum_ways(const struct limiter *limiter, uint32_t first, uint32_t ways,
    uint32_t which)
{
	uint32_t sum = 0;

	for (; ways != 0; ways &= ways - 1)
		sum += sum_column(limiter,
		    entry_at(limiter, first + (uint32_t)__builtin_ctz(ways)),
		    which);
	return sum;
}

static _Atomic uint16_t *
own_column(const struct limiter *limiter, uint32_t index, uint32_t which)
{
	ENSURE(limiter->slot < limiter->n_slots);
	return &entry_at(limiter, index)->columns[2 * limiter->slot + which];
}

static bool
add_one(struct limiter *limiter, uint32_t index, uint32_t which)
{
	_Atomic uint16_t *column = own_column(limiter, index, which);

	if (atomic_load_explicit(column, memory_order_relaxed) == UINT16_MAX)
		return false;
	atomic_fetch_add(column, 1);
	return true;
}

static void
take_one(struct limiter *limiter, uint32_t index, uint32_t which)
{
	_Atomic uint16_t *column = own_column(limiter, index, which);
	uint16_t n = atomic_load_explicit(column, memory_order_relaxed);

	/* Nobody else writes there, and whoever reads it a little later keeps
	 * the entry. Zero: a stranger wrote there. */
	if (n != 0)
		atomic_store_explicit(
		    column, (uint16_t)(n - 1), memory_order_release);
}

/* All that the hash holds, ours among it; 0: another has its place now, or had
 * it before, and ours is taken back. */
static uint32_t
settle(struct limiter *limiter, uint64_t hash, uint32_t index)
{
	uint32_t first = index - index % LIMITER_WAYS;
	uint32_t own = 1u << index % LIMITER_WAYS;
	uint32_t ways = ways_with(limiter, first, hash);

	if ((ways & (0 - ways)) == own)
		return sum_ways(limiter, first, ways, 0);
	take_one(limiter, index, 0);
	if (ways & own)
		give_up(limiter, index);
	return 0;
}

enum limiter_add
limiter_hold_rung(struct limiter *limiter, struct limiter_hold *hold,
    struct limiter_place *place, const struct rung *rung, uint64_t limit,
    uint64_t interval_ns, uint64_t now_ms)
{
	uint32_t *held = &hold->entries[hold->n++];
	struct beginning with = {rung, now_ms * GCRA_NS + interval_ns, 1};

	for (int i = 0; i < CLAIM_TRIES; i++) {
		*held = claim(limiter, place, &with, now_ms);
		if (*held == LIMITER_NONE)
			return ADD_NO_ROOM;
		if (!place->is_charged && !add_one(limiter, *held, 0)) {
			*held = LIMITER_NONE;
			return ADD_OVER;
		}
		uint32_t n = settle(limiter, place->hash, *held);
		if (n > 0)
			return n > limit ? ADD_OVER : ADD_GOOD;
	}
	*held = LIMITER_NONE;
	return ADD_NO_ROOM;
}

struct limiter_entry *
limiter_held(const struct limiter *limiter, const struct limiter_hold *hold,
    uint32_t rung)
{
	if (rung >= hold->n || hold->entries[rung] == LIMITER_NONE)
		return NULL;
	return entry_at(limiter, hold->entries[rung]);
}

uint32_t
limiter_hold_preauth(
    struct limiter *limiter, const struct limiter_hold *hold, uint32_t rung)
{
	uint32_t index = hold->entries[rung];

	if (index == LIMITER_NONE)
		return 0;
	/* There is room: no column of these exceeds that of connections. */
	(void)add_one(limiter, index, 1);
	uint32_t first = index - index % LIMITER_WAYS;
	uint64_t key = atomic_load(key_at(limiter, index));
	return sum_ways(limiter, first, ways_with(limiter, first, key), 1);
}

void
limiter_end_preauth(struct limiter *limiter, struct limiter_hold *hold)
{
	for (uint32_t i = 0; hold->preauth && i < hold->n; i++)
		if (hold->entries[i] != LIMITER_NONE)
			take_one(limiter, hold->entries[i], 1);
	hold->preauth = false;
}

void
limiter_release(struct limiter *limiter, struct limiter_hold *hold)
{
	limiter_end_preauth(limiter, hold);
	for (uint32_t i = 0; i < hold->n; i++)
		if (hold->entries[i] != LIMITER_NONE)
			take_one(limiter, hold->entries[i], 0);
	hold->n = 0;
}

static void
clear_entry(struct limiter *limiter, uint32_t index, uint32_t slot)
{
	struct limiter_entry *entry = entry_at(limiter, index);
	uint64_t mark = slot + 1;

	atomic_store(&entry->columns[2 * slot], 0);
	atomic_store(&entry->columns[2 * slot + 1], 0);
	atomic_compare_exchange_strong(key_at(limiter, index), &mark, 0);
}

void
limiter_clear_slot(struct limiter *limiter, uint32_t slot)
{
	ENSURE(slot < limiter->n_slots);
	for (uint32_t i = 0; i < limiter_n_entries(limiter); i++)
		if (is_used(limiter, i))
			clear_entry(limiter, i, slot);
	atomic_store(&limiter->area->handshaking[slot], 0);
}
