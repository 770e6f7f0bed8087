/* SPDX-License-Identifier: ISC */
/*
 * The limiter: one table of prefixes (and users) in a shared area, written by
 * all workers without a lock, of constant size whatever arrives.
 *
 *   set = keys, one line | connects (GCRA), one line | LIMITER_WAYS entries
 *   key = a keyed hash; entry = rates (GCRA) | ban, login | columns, two per
 *   slot | marks, in its last octets
 *
 * Glossary
 *   rung    a prefix an address counts for (ladder.h)
 *   GCRA    a rate as one word: the time at which the bucket is full again
 *   column  connections, and those before login, that one worker holds here;
 *           its only writer is that worker (the master, once it is dead)
 *   live    with a column that is not zero; never evicted, as a ban isn't
 *   hold    what a connection has added to columns, to be taken back
 *
 * Eviction: whoever adds to a column reads the key again and takes it back if
 * that changed; whoever evicts swaps the key for a mark of its own by CAS, sums
 * the columns again and restores the key if they aren't zero. All of it is
 * seq_cst, so one of the two sees the other.
 *
 * Pure. Times are CLOCK_MONOTONIC in ms. Every number in the area may have been
 * forged by a worker in a stranger's hands: nothing in it is used as an index.
 */
#ifndef LIMITS_LIMITER_H
#define LIMITS_LIMITER_H

#include "proxy/base/siphash.h"
#include "proxy/limits/ladder.h"

#define LIMITER_NONE UINT32_MAX

struct limiter_area;

/* A process's own view of the area. */
struct limiter {
	struct limiter_area *area;
	uint8_t *sets;
	size_t stride; /* of entries */
	size_t set_size;
	uint32_t n_sets;
	uint32_t n_slots;
	uint32_t slot; /* LIMITER_NONE: only looks, or is the master */
	struct siphash_key key;
	_Atomic uint64_t *evictions; /* counts ours; NULL: nobody's */
};

/* What a connection holds, a member per rung. Zeroed: nothing. */
struct limiter_hold {
	uint32_t entries[LADDER_MAX]; /* LIMITER_NONE: the table was full */
	uint8_t n;		      /* rungs; 0: nothing is held */
	bool preauth;		      /* counts as not logged in */
};

enum limiter_verdict {
	LIMITER_ADMIT,
	LIMITER_BANNED,
	LIMITER_CONNECTIONS,
	LIMITER_RATE,
	LIMITER_FULL, /* no room in the table, and overflow = refuse */
};

size_t limiter_area_size(uint32_t table_entries, uint32_t n_slots);

/* A zeroed area becomes an empty table. key: random. */
void limiter_area_init(struct limiter_area *area, uint32_t table_entries,
    uint32_t n_slots, const uint8_t key[SIPHASH_KEY_LEN]);

/* False: the area is not of that size. slot: LIMITER_NONE reads only. */
bool limiter_attach(struct limiter *limiter, void *area, size_t size,
    uint32_t n_slots, uint32_t slot);

/* By the master once the worker is dead: what it held and was changing. */
void limiter_clear_slot(struct limiter *limiter, uint32_t slot);

/*
 * One connection more from addr: bans, connections and rate, each on all rungs
 * or on none. Whatever the verdict with `force` (observe), else for ADMIT,
 * *out_hold has to be released; it counts nothing as before login yet.
 * *out_overflows: rungs for which there was no room.
 */
enum limiter_verdict limiter_enter(struct limiter *limiter,
    const struct config *config, const struct addr *addr, uint64_t now_ms,
    bool force, struct limiter_hold *out_hold, uint32_t *out_overflows);

/* The same question without an answer in the table. */
enum limiter_verdict limiter_peek(const struct limiter *limiter,
    const struct config *config, const struct addr *addr, uint64_t now_ms);

/* Counts as not logged in. False: too many on some rung, and then (without
 * force) it isn't counted: ask again later. */
bool limiter_begin_preauth(struct limiter *limiter, const struct config *config,
    const struct addr *addr, bool force, struct limiter_hold *hold);
void limiter_end_preauth(struct limiter *limiter, struct limiter_hold *hold);

/* Everything; the hold is empty then. */
void limiter_release(struct limiter *limiter, struct limiter_hold *hold);

/* How many that hold with it are not logged in, on the rung where they are most
 * for its factor; 0: no entry. */
uint32_t limiter_weight(const struct limiter *limiter,
    const struct config *config, const struct limiter_hold *hold);

/* A login in the last day from the hold's first rung. */
bool limiter_is_known(const struct limiter *limiter,
    const struct limiter_hold *hold, uint64_t now_ms);

/* Handshakes of this slot, and of all. */
void limiter_handshaking(struct limiter *limiter, int change);
uint32_t limiter_total_handshaking(const struct limiter *limiter);

/*
 * How many handshakes of this slot are too many when `coming` more begin. The
 * cap is the gateway's, and whoever has more than its share of it gives way: so
 * the crowd goes, in whichever worker it is.
 */
uint32_t limiter_handshakes_over(const struct limiter *limiter,
    const struct config *config, uint32_t coming);

/* This slot has more than its share of the cap: it may have to give way at any
 * time, for what begins elsewhere. */
bool limiter_handshakes_many(
    const struct limiter *limiter, const struct config *config);

/*
 * May a full handshake go on? Below the gateway's rate anyone's may. Above,
 * whoever's prefix logged in during the last day, up to twice the rate also
 * prefixes that do few handshakes. hold may be empty (exempt).
 */
bool limiter_full_handshake(struct limiter *limiter,
    const struct config *config, const struct limiter_hold *hold,
    uint64_t now_ms);

/* By hand: for ban_ms; 0 ends it. False: no room. */
bool limiter_ban(struct limiter *limiter, const struct rung *rung,
    uint64_t now_ms, uint64_t ban_ms);

#endif
