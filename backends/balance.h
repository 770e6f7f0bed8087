/* SPDX-License-Identifier: ISC */
/*
 * Who is next: a pure choice among the members of a pool. The worker keeps one
 * view per pool, made anew when the backends area's `change` moved.
 */
#ifndef BACKENDS_BALANCE_H
#define BACKENDS_BALANCE_H

#include "backends/pool.h"

#define BALANCE_TRIES_MAX 3 /* backends tried for one login (PROTOCOL 1.17) */

/* One member as the choice sees it. */
struct member {
	uint32_t index;
	uint32_t generation;
	uint32_t state;
	uint32_t weight;
	uint32_t tier;
	uint32_t max_connections;
	int64_t credit; /* smooth weighted round robin */
};

struct pool_view {
	uint64_t change; /* of the area, when this was made */
	uint32_t n_members;
	struct member *members; /* heap, owned */
	/* What all members' capability lists have in common; see
	 * proxy/imap/capability.h. Filled by the worker. */
	char capabilities[BACKEND_CAPABILITIES_MAX];
};

struct backend_ref {
	uint32_t index;
	uint32_t generation;
};

enum balance_result {
	BALANCE_CHOSEN,
	BALANCE_ALL_DOWN,  /* nothing is up (or unchecked): wait, or say so */
	BALANCE_ALL_FULL,  /* some are up, all at max_connections */
	BALANCE_ALL_TRIED, /* what is up was tried for this login already */
};

/* Makes the view of the named pool from the area; keeps credits of members
 * that stay. False: out of memory, the view is as before. */
bool pool_view_update(
    struct pool_view *view, const struct backends_area *area, const char *pool);
void pool_view_fini(struct pool_view *view);

/* At least one member is up or unchecked. */
bool pool_view_is_available(const struct pool_view *view);

struct balance_request {
	uint32_t balance;	/* enum config_balance: least or round_robin */
	uint32_t min_available; /* of a tier, before the next is used too */
	uint64_t random;
	struct load_area *const *loads;
	uint32_t n_loads;
	const struct backend_ref *tried;
	uint32_t n_tried;
};

/*
 * Up members before unchecked ones; never down, misconfigured, draining, full
 * or tried. The lowest tier serves; the next one too while fewer than
 * min_available of the tier before are up and not tried (a full one is up: the
 * next tier is a reserve against failures). least: fewest sessions per weight,
 * ties at random. round_robin: smooth weighted.
 */
enum balance_result balance_choose(struct pool_view *view,
    const struct balance_request *request, struct backend_ref *out_ref);

#endif
