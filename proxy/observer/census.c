/* SPDX-License-Identifier: ISC */
/* See census.h. Called by the observer's main. */
#include "proxy/observer/census.h"

#include "proxy/limits/table.h"

/* A few milliseconds of work when all are in use. */
#define PART 65536

void
census_tick(
    struct census *census, const struct limiter *limiter, uint64_t now_ms)
{
	uint32_t n = limiter->area == NULL ? 0 : limiter_n_entries(limiter);
	for (uint32_t i = 0; i < PART && census->next < n; i++) {
		const struct limiter_entry *entry =
		    limiter_at(limiter, census->next++);
		if (entry == NULL)
			continue;
		bool is_user = atomic_load(&entry->kind) == LIMITER_USER;
		census->counted.users += is_user;
		census->counted.prefixes += !is_user;
		census->counted.bans += limiter_ban_left(entry, now_ms) > 0;
	}
	if (census->next < n)
		return;
	census->found = census->counted;
	census->counted = (struct census_counts){0};
	census->next = 0;
}
