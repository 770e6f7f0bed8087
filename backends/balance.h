/* SPDX-License-Identifier: ISC */
/*
 * Who is next: a pure choice among the members of a pool.
 */
#ifndef BACKENDS_BALANCE_H
#define BACKENDS_BALANCE_H

#include "backends/load.h"
#include "backends/view.h"

#define BALANCE_TRIES_MAX 3 /* backends tried for one login */

enum balance_result {
	BALANCE_CHOSEN,
	BALANCE_ALL_DOWN,  /* nothing is up (or unchecked): wait, or say so */
	BALANCE_ALL_FULL,  /* some are up, all at max_connections */
	BALANCE_NO_QUEUE,  /* the same, and too many wait already */
	BALANCE_ALL_TRIED, /* what is up was tried for this login already */
};

struct balance_request {
	uint32_t balance;	/* enum config_balance */
	uint32_t min_available; /* of a tier, before the next is used too */
	uint64_t random;
	uint64_t now_ms;
	uint64_t slow_start_ms;
	/* source, user: hash of the client or user; 0 is random */
	uint64_t key;
	struct backend_ref live; /* user: where its sessions are */
	bool has_live;
	uint64_t only; /* hash of the name of the only one to use; 0: all */
	struct load_area *const *loads;
	uint32_t n_loads;
	const struct backend_ref *tried;
	uint32_t n_tried;
};

/*
 * Up members before unchecked and ejected ones; never down, misconfigured,
 * draining, full or tried. The lowest tier serves; the next one too while fewer
 * than min_available of the tier before are up, not tried and back for longer
 * than slow_start (a full one is up: the next tier is a reserve against
 * failures). Whoever comes back begins with a tenth of its weight.
 *
 * least: fewest sessions per weight, ties at random. round_robin: smooth
 * weighted. source, user: rendezvous hashing; nobody moves to a backend before
 * it is back for slow_start. source goes on to the next when the backend is
 * full, user does not: two backends on one mail store corrupt its indexes. For
 * the same reason a user goes where its sessions are, even if that is being
 * drained.
 */
enum balance_result balance_choose(struct pool_view *view,
    const struct balance_request *request, struct backend_ref *out_ref);

/* Another member could take the login at once if the chosen one, of which all
 * is in the request but itself, cannot. A user with sessions at the chosen one
 * is not to be sent elsewhere in haste. */
bool balance_has_other(const struct pool_view *view,
    const struct balance_request *request, struct backend_ref chosen);

/* At most this many sessions can be added now; UINT32_MAX: no limit. */
uint32_t balance_room(
    const struct pool_view *view, const struct balance_request *request);

#endif
