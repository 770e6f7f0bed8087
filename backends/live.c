/* SPDX-License-Identifier: ISC */
/*
 * See live.h. A set-associative table: a user's entries are in one bucket.
 * Invariant: an entry's backend changes only while its key is 0, so a reader
 * that sees the same key before and after has read what belongs to it; the
 * count of sessions is in the same word as the backend.
 */
#include "backends/live.h"

#include "proxy/base/ensure.h"

#define SESSIONS_PER_BUCKET                              \
	2 /* of 8 ways: one in 4000 buckets is too small \
	   */
#define COUNT_BITS 20
#define COUNT_MAX  ((UINT64_C(1) << COUNT_BITS) - 1)

_Static_assert(COUNT_BITS + 12 + 32 == 64, "an index below 4096, a generation");

static uint64_t
pack(struct backend_ref ref, uint64_t count)
{
	return (uint64_t)ref.generation << 32 |
	       (uint64_t)(ref.index & 0xfff) << COUNT_BITS | count;
}

static struct backend_ref
ref_of(uint64_t where)
{
	return (struct backend_ref){
	    (uint32_t)(where >> COUNT_BITS) & 0xfff, (uint32_t)(where >> 32)};
}

uint32_t
live_buckets(uint32_t n_sessions)
{
	uint32_t n = 1;

	while (n < n_sessions / SESSIONS_PER_BUCKET)
		n *= 2;
	return n;
}

size_t
live_size(uint32_t n_buckets)
{
	return (size_t)n_buckets * LIVE_WAYS * sizeof(struct live_entry);
}

static struct live_entry *
bucket(const struct live_tables *tables, struct live_entry *table, uint64_t key)
{
	return &table[(key & (tables->n_buckets - 1)) * LIVE_WAYS];
}

/* For the writer: the entry of this user at this backend. */
static struct live_entry *
find_own(const struct live_tables *tables, uint64_t key, struct backend_ref ref)
{
	struct live_entry *at = bucket(tables, tables->own, key);

	for (int i = 0; i < LIVE_WAYS; i++)
		if (atomic_load_explicit(&at[i].key, memory_order_relaxed) ==
			key &&
		    (atomic_load_explicit(&at[i].where, memory_order_relaxed) &
			~COUNT_MAX) == pack(ref, 0))
			return &at[i];
	return NULL;
}

static struct live_entry *
find_free(const struct live_tables *tables, uint64_t key)
{
	struct live_entry *at = bucket(tables, tables->own, key);

	for (int i = 0; i < LIVE_WAYS; i++)
		if (atomic_load_explicit(&at[i].key, memory_order_relaxed) == 0)
			return &at[i];
	return NULL;
}

bool
live_add(const struct live_tables *tables, uint64_t key, struct backend_ref ref)
{
	if (tables->n_buckets == 0 || key == 0)
		return false;
	struct live_entry *entry = find_own(tables, key, ref);
	if (entry != NULL) {
		uint64_t where = atomic_load(&entry->where);
		if ((where & COUNT_MAX) == COUNT_MAX)
			return false;
		atomic_store(&entry->where, where + 1);
		return true;
	}
	entry = find_free(tables, key);
	if (entry == NULL)
		return false;
	atomic_store(&entry->where, pack(ref, 1));
	atomic_store(&entry->key, key);
	return true;
}

void
live_remove(
    const struct live_tables *tables, uint64_t key, struct backend_ref ref)
{
	struct live_entry *entry = find_own(tables, key, ref);

	ENSURE(entry != NULL);
	uint64_t where = atomic_load(&entry->where);
	if ((where & COUNT_MAX) > 1)
		atomic_store(&entry->where, where - 1);
	else
		atomic_store(&entry->key, 0);
}

/* Candidates of one search, with the sum over all tables. */
struct tally {
	uint64_t wheres[LIVE_WAYS];
	uint64_t counts[LIVE_WAYS];
	uint32_t n;
};

static void
note(struct tally *tally, uint64_t where)
{
	uint32_t i = 0;

	while (i < tally->n && tally->wheres[i] != (where & ~COUNT_MAX))
		i++;
	if (i == LIVE_WAYS)
		return;
	if (i == tally->n) {
		tally->wheres[i] = where & ~COUNT_MAX;
		tally->counts[i] = 0;
		tally->n++;
	}
	tally->counts[i] += where & COUNT_MAX;
}

static void
search(const struct live_tables *tables, struct live_entry *table, uint64_t key,
    struct tally *tally)
{
	struct live_entry *at = bucket(tables, table, key);

	for (int i = 0; i < LIVE_WAYS; i++) {
		if (atomic_load(&at[i].key) != key)
			continue;
		uint64_t where = atomic_load(&at[i].where);
		if (atomic_load(&at[i].key) == key)
			note(tally, where);
	}
}

bool
live_find(
    const struct live_tables *tables, uint64_t key, struct backend_ref *out_ref)
{
	struct tally tally = {.n = 0};
	uint32_t best = 0;

	if (tables->n_buckets == 0 || key == 0)
		return false;
	for (uint32_t i = 0; i < tables->n_tables; i++)
		if (tables->all[i] != NULL)
			search(tables, tables->all[i], key, &tally);
	for (uint32_t i = 1; i < tally.n; i++)
		if (tally.counts[i] > tally.counts[best] ||
		    (tally.counts[i] == tally.counts[best] &&
			tally.wheres[i] < tally.wheres[best]))
			best = i;
	if (tally.n == 0)
		return false;
	*out_ref = ref_of(tally.wheres[best]);
	return true;
}
