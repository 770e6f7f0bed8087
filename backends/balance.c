/* SPDX-License-Identifier: ISC */
/*
 * The choice of a backend. Members are sorted by (tier, index): a choice is
 * two straight passes, the first over states only (how far do the tiers reach,
 * and is anything up?), the second over the load of those that qualify.
 * Called by a worker for every login.
 */
#include "backends/balance.h"

#include <stdlib.h>
#include <string.h>

#include "config/config.h"

/* ---- the view ---------------------------------------------------------- */

static int
compare_members(const void *left, const void *right)
{
	const struct member *a = left, *b = right;

	if (a->tier != b->tier)
		return a->tier < b->tier ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static uint32_t
collect_members(
    const struct backends_area *area, const char *pool, struct member *members)
{
	struct backend backend;
	uint32_t n = 0;

	for (uint32_t i = 0; i < area->n_entries; i++) {
		if (!backends_area_read(area, i, &backend) ||
		    strcmp(backend.pool, pool) != 0)
			continue;
		members[n++] = (struct member){.index = i,
		    .generation = backend.generation,
		    .state = backend.state,
		    .weight = backend.weight > 0 ? backend.weight : 1,
		    .tier = backend.tier,
		    .max_connections = backend.max_connections};
	}
	return n;
}

/* Both are sorted, so this is one walk. A member that moved to another tier
 * competes with others there and starts without credit. */
static void
keep_credits(const struct pool_view *view, struct member *members, uint32_t n)
{
	uint32_t old = 0;

	for (uint32_t i = 0; i < n; i++) {
		while (old < view->n_members &&
		       compare_members(&view->members[old], &members[i]) < 0)
			old++;
		if (old == view->n_members)
			return;
		const struct member *was = &view->members[old];
		if (was->index == members[i].index &&
		    was->generation == members[i].generation)
			members[i].credit = was->credit;
	}
}

bool
pool_view_update(
    struct pool_view *view, const struct backends_area *area, const char *pool)
{
	/* Read before the entries: what changes meanwhile is seen next time. */
	uint64_t change =
	    atomic_load_explicit(&area->change, memory_order_acquire);
	size_t max = area->n_entries > 0 ? area->n_entries : 1;
	struct member *members = calloc(max, sizeof(*members));
	if (members == NULL)
		return false;
	uint32_t n = collect_members(area, pool, members);
	struct member *fitting =
	    realloc(members, (n > 0 ? n : 1) * sizeof(*members));
	if (fitting != NULL)
		members = fitting;
	qsort(members, n, sizeof(*members), compare_members);
	keep_credits(view, members, n);
	free(view->members);
	view->members = members;
	view->n_members = n;
	view->change = change;
	return true;
}

void
pool_view_fini(struct pool_view *view)
{
	free(view->members);
	*view = (struct pool_view){.n_members = 0};
}

static bool
is_usable(const struct member *member)
{
	return member->state == BACKEND_UP ||
	       member->state == BACKEND_UNCHECKED;
}

bool
pool_view_is_available(const struct pool_view *view)
{
	for (uint32_t i = 0; i < view->n_members; i++)
		if (is_usable(&view->members[i]))
			return true;
	return false;
}

/* ---- the choice -------------------------------------------------------- */

static bool
was_tried(const struct balance_request *request, const struct member *member)
{
	for (uint32_t i = 0; i < request->n_tried; i++)
		if (request->tried[i].index == member->index &&
		    request->tried[i].generation == member->generation)
			return true;
	return false;
}

static bool
is_candidate(const struct balance_request *request, const struct member *member,
    uint32_t state)
{
	return member->state == state && !was_tried(request, member);
}

/* Who takes part: the first `end` members, those in `state`. */
struct scope {
	uint32_t end;
	uint32_t state;
	bool has_candidates;
	bool has_usable; /* tried ones included */
};

/*
 * A tier that has fewer than min_available members up lets the next one take
 * part. A member that failed this login does not count as up; a full one does,
 * or the reserve would become ordinary capacity.
 */
static struct scope
find_scope(const struct pool_view *view, const struct balance_request *request)
{
	struct scope scope = {.state = BACKEND_UNCHECKED};
	uint32_t n_up = 0;

	for (uint32_t i = 0; i < view->n_members; i++) {
		const struct member *member = &view->members[i];
		if (i > 0 && member->tier != member[-1].tier) {
			if (n_up > 0 && n_up >= request->min_available)
				return scope;
			n_up = 0;
		}
		scope.end = i + 1;
		if (!is_usable(member))
			continue;
		scope.has_usable = true;
		if (was_tried(request, member))
			continue;
		scope.has_candidates = true;
		if (member->state == BACKEND_UP) {
			scope.state = BACKEND_UP;
			n_up++;
		}
	}
	return scope;
}

static bool
is_full(const struct member *member, uint32_t active)
{
	return member->max_connections != 0 &&
	       active >= member->max_connections;
}

/* SplitMix64, by Sebastiano Vigna (public domain): ties need no more. */
static uint64_t
next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static struct member *
choose_least(struct pool_view *view, const struct balance_request *request,
    const struct scope *scope)
{
	struct member *best = NULL;
	uint64_t random = request->random, best_active = 0;
	uint64_t n_ties = 0;

	for (uint32_t i = 0; i < scope->end; i++) {
		struct member *member = &view->members[i];
		if (!is_candidate(request, member, scope->state))
			continue;
		uint32_t active = backend_active(
		    request->loads, request->n_loads, member->index);
		if (is_full(member, active))
			continue;
		/* active / weight, compared without dividing. */
		uint64_t mine = best ? (uint64_t)active * best->weight : 0;
		uint64_t its = best_active * member->weight;
		if (best != NULL && mine > its)
			continue;
		n_ties = best != NULL && mine == its ? n_ties + 1 : 1;
		if (n_ties > 1 && next_random(&random) % n_ties != 0)
			continue;
		best = member;
		best_active = active;
	}
	return best;
}

/* Each turn gives every member its weight and takes the sum from the one that
 * has most: 5, 1, 1 gives a a b a c a a. */
static struct member *
choose_round_robin(struct pool_view *view,
    const struct balance_request *request, const struct scope *scope)
{
	struct member *best = NULL;
	int64_t total = 0;

	for (uint32_t i = 0; i < scope->end; i++) {
		struct member *member = &view->members[i];
		if (!is_candidate(request, member, scope->state))
			continue;
		if (member->max_connections != 0 &&
		    is_full(member, backend_active(request->loads,
					request->n_loads, member->index)))
			continue;
		member->credit += member->weight;
		total += member->weight;
		if (best == NULL || member->credit > best->credit)
			best = member;
	}
	if (best != NULL)
		best->credit -= total;
	return best;
}

enum balance_result
balance_choose(struct pool_view *view, const struct balance_request *request,
    struct backend_ref *out_ref)
{
	struct scope scope = find_scope(view, request);
	struct member *member;

	if (!scope.has_usable)
		return BALANCE_ALL_DOWN;
	if (!scope.has_candidates)
		return BALANCE_ALL_TRIED;
	if (request->balance == BALANCE_ROUND_ROBIN)
		member = choose_round_robin(view, request, &scope);
	else
		member = choose_least(view, request, &scope);
	if (member == NULL)
		return BALANCE_ALL_FULL;
	*out_ref = (struct backend_ref){member->index, member->generation};
	return BALANCE_CHOSEN;
}
