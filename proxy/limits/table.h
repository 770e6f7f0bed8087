/* SPDX-License-Identifier: ISC */
/* What limiter.c lends to decide.c and logins.c; for nobody else. */
#ifndef LIMITS_TABLE_H
#define LIMITS_TABLE_H

#include "proxy/limits/limiter.h"

enum limiter_add {
	ADD_GOOD,
	ADD_OVER,
	ADD_NO_ROOM,
};

/* One connection more on the next rung of the hold, which has to be released
 * whatever comes back. OVER: more than limit are there now. */
enum limiter_add limiter_hold_rung(struct limiter *limiter,
    struct limiter_hold *hold, const struct rung *rung, uint64_t limit,
    uint64_t now_ms);

/* One more before login on that rung; returns how many there are now. */
uint32_t limiter_hold_preauth(
    struct limiter *limiter, const struct limiter_hold *hold, uint32_t rung);

/* The entry that is held on a rung; NULL: none. It cannot be evicted. */
struct limiter_entry *limiter_held(const struct limiter *limiter,
    const struct limiter_hold *hold, uint32_t rung);

#endif
