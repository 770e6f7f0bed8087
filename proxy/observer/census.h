/* SPDX-License-Identifier: ISC */
/*
 * How full the limiter's table is. It may hold millions of entries, so a part
 * is looked at now and then, and what was found is the last whole round.
 */
#ifndef OBSERVER_CENSUS_H
#define OBSERVER_CENSUS_H

#include "proxy/limits/limiter.h"

struct census_counts {
	uint32_t prefixes;
	uint32_t users;
	uint32_t bans;
};

struct census {
	uint32_t next; /* entry */
	struct census_counts counted;
	struct census_counts found;
};

/* Once a second. limiter->area may be NULL. */
void census_tick(
    struct census *census, const struct limiter *limiter, uint64_t now_ms);

#endif
