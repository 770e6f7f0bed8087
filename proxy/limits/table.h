/* SPDX-License-Identifier: ISC */
/*
 * The limiter's table from inside: for those who decide with it and those who
 * show it. limiter.h says how it works.
 */
#ifndef LIMITS_TABLE_H
#define LIMITS_TABLE_H

#include <stdatomic.h>

#include "proxy/limits/limiter.h"

#define LIMITER_WAYS  8
#define LIMITER_MARKS 16
#define LIMITER_SLOTS 64
#define LIMITER_GROUP 64 /* sets that share one `used` flag */

enum limiter_kind {
	LIMITER_PREFIX = 1,
	LIMITER_USER,
};

/* A key: 0 is free, a small one is the mark of the slot (from 1; the master's
 * is the last) that is changing the entry, any other is a hash. */
#define LIMITER_MARK_MAX (LIMITER_SLOTS + 1)

/* What is needed to admit or evict is in its first 64 octets while there are
 * at most six slots. */
struct limiter_entry {
	_Atomic uint64_t handshakes; /* GCRA, ns: full handshakes; of a user:
					its last four wrong passwords, keyed
					hashes of 16 bits */
	_Atomic uint64_t failures;   /* GCRA, ns: failed logins */
	_Atomic uint32_t ban_s;	     /* banned until; 0: not */
	_Atomic uint32_t login_s;    /* of the last good login; 0: none */
	_Atomic uint64_t name;	     /* of a prefix: struct rung; 0 of a user */
	_Atomic uint8_t kind;	     /* enum limiter_kind */
	_Atomic uint8_t family;
	_Atomic uint8_t bits;
	_Atomic uint8_t n_marks;    /* written so far; the last 16 count */
	_Atomic uint16_t columns[]; /* [slot][connections, before login] */
};

struct limiter_area {
	uint32_t n_sets;
	uint32_t n_slots;
	uint8_t key[SIPHASH_KEY_LEN];
	_Atomic uint64_t handshakes; /* GCRA, ns: of the whole gateway */
	_Atomic uint32_t handshaking[LIMITER_SLOTS]; /* one writer each */
	/* One octet per LIMITER_GROUP sets, then the sets at a multiple of 64:
	 * a group never used is never read, so it costs no memory. */
	_Atomic uint8_t used[];
};

/* The entry of a rung or a user; NULL: none. */
struct limiter_entry *limiter_find(
    const struct limiter *limiter, uint64_t hash);
uint64_t limiter_rung_hash(
    const struct limiter *limiter, const struct rung *rung);
/* In whatever case: most servers fold it, and guessers know that. */
uint64_t limiter_user_hash(const struct limiter *limiter, struct span user);

/* Finds or makes it; NULL: no room. rung is NULL for a user. */
struct limiter_entry *limiter_claim(struct limiter *limiter, uint64_t hash,
    const struct rung *rung, uint64_t now_ms);

/* The entries one by one: index < limiter_n_entries(). NULL: not in use. */
struct limiter_entry *limiter_at(const struct limiter *limiter, uint32_t index);
uint32_t limiter_n_entries(const struct limiter *limiter);

/* GCRA, ns: new connections of a prefix; the last touch of a user. Beside the
 * keys, as it says who is evicted. */
_Atomic uint64_t *limiter_connects(
    const struct limiter *limiter, const struct limiter_entry *entry);
_Atomic uint64_t *limiter_connects_at(
    const struct limiter *limiter, uint32_t index);

/* LIMITER_MARKS keyed hashes. Of a prefix: wrong passwords counted already; of
 * a user: prefixes it logged in from. */
_Atomic uint16_t *limiter_marks(
    const struct limiter *limiter, const struct limiter_entry *entry);

/* Where a hash is, or whose place it would take: a hint, nothing holds it. */
struct limiter_place {
	uint64_t hash;
	uint32_t index;
	bool found;
	bool is_charged; /* limiter_hold_rung() made it */
};

/* Tells the processor that its set is about to be looked at. */
void limiter_expect(const struct limiter *limiter, uint64_t hash);
/* And then that the entry will be. */
struct limiter_place limiter_look(const struct limiter *limiter, uint64_t hash);
/* The entry, if it is there; NULL: it wasn't, or isn't any longer. */
struct limiter_entry *limiter_seen(
    const struct limiter *limiter, const struct limiter_place *place);

/* Sums over the slots. */
uint32_t limiter_connections(
    const struct limiter *limiter, const struct limiter_entry *entry);
uint32_t limiter_preauth(
    const struct limiter *limiter, const struct limiter_entry *entry);

/* Ban of an entry in ms that are left; 0: none. */
uint64_t limiter_ban_left(const struct limiter_entry *entry, uint64_t now_ms);

enum limiter_add {
	ADD_GOOD,
	ADD_OVER,
	ADD_NO_ROOM,
};

/* One connection more on the next rung of the hold, which has to be released
 * whatever comes back. OVER: more than limit are there now. An entry that has
 * to be made for it is made with one connection of so many ns in its rate. */
enum limiter_add limiter_hold_rung(struct limiter *limiter,
    struct limiter_hold *hold, struct limiter_place *place,
    const struct rung *rung, uint64_t limit, uint64_t interval_ns,
    uint64_t now_ms);

/* One more before login on that rung; returns how many there are now. */
uint32_t limiter_hold_preauth(
    struct limiter *limiter, const struct limiter_hold *hold, uint32_t rung);

/* The entry that is held on a rung; NULL: none. It cannot be evicted. */
struct limiter_entry *limiter_held(const struct limiter *limiter,
    const struct limiter_hold *hold, uint32_t rung);

#endif
