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

#include "backends/hash.h"
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

/* Members of one name are addresses of one section: by address. */
static int
compare_names(const void *left, const void *right)
{
	const struct member *a = left, *b = right;

	if (a->name != b->name)
		return a->name < b->name ? -1 : 1;
	return a->hash < b->hash ? -1 : a->hash > b->hash;
}

/*
 * Gateways at several sites may know a backend by different addresses, so its
 * name alone counts; only where one name has several do they make a
 * difference, by their order.
 */
static void
number_names(struct member *members, uint32_t n)
{
	uint64_t number = 0;

	qsort(members, n, sizeof(*members), compare_names);
	for (uint32_t i = 0; i < n; i++) {
		bool again = i > 0 && members[i].name == members[i - 1].name;
		number = again ? number + 1 : 0;
		members[i].hash = members[i].name + number;
	}
}

static struct member
member_of(uint32_t index, const struct backend *backend)
{
	char text[ENDPOINT_TEXT_MAX];

	return (struct member){.index = index,
	    .generation = backend->generation,
	    .state = backend->state,
	    .admin = backend->admin,
	    .weight = backend->weight > 0 ? backend->weight : 1,
	    .tier = backend->tier,
	    .max_connections = backend->max_connections,
	    .recovered_ms = backend->recovered_ms,
	    .name = hash_octets(span_str(backend->name)),
	    .hash =
		hash_octets(span_str(endpoint_text(&backend->endpoint, text)))};
}

static uint32_t
collect_members(
    const struct backends_area *area, const char *pool, struct member *members)
{
	struct backend backend;
	uint32_t n = 0;

	for (uint32_t i = 0; i < area->n_entries; i++)
		if (backends_area_read(area, i, &backend) &&
		    strcmp(backend.pool, pool) == 0)
			members[n++] = member_of(i, &backend);
	number_names(members, n);
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
	       member->state == BACKEND_UNCHECKED ||
	       member->state == BACKEND_EJECTED;
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
is_ref(const struct member *member, struct backend_ref ref)
{
	return member->index == ref.index &&
	       member->generation == ref.generation;
}

static bool
was_tried(const struct balance_request *request, const struct member *member)
{
	for (uint32_t i = 0; i < request->n_tried; i++)
		if (is_ref(member, request->tried[i]))
			return true;
	return false;
}

static bool
is_wanted(const struct balance_request *request, const struct member *member)
{
	return request->only == 0 || member->name == request->only;
}

static bool
is_allowed(const struct balance_request *request, const struct member *member)
{
	return is_wanted(request, member) && !was_tried(request, member);
}

/* It was never away, or is back for long enough. */
static bool
is_stable(const struct balance_request *request, const struct member *member)
{
	return member->recovered_ms == 0 ||
	       request->now_ms - member->recovered_ms >= request->slow_start_ms;
}

/* Who takes part: of the first `end` members those that are up, or, when none
 * is, those that may be. */
struct scope {
	uint32_t end;
	bool has_up;
	bool has_stable;
	bool has_candidates;
	bool has_usable; /* tried ones included */
};

static bool
is_candidate(const struct balance_request *request, const struct scope *scope,
    const struct member *member)
{
	return is_usable(member) &&
	       (member->state == BACKEND_UP) == scope->has_up &&
	       is_allowed(request, member);
}

/*
 * A tier that has fewer than min_available members up lets the next one take
 * part. A member that failed this login does not count as up; a full one does,
 * or the reserve would become ordinary capacity. One that has just come back
 * takes part and doesn't count, so that a tier which flaps is not alone.
 */
static struct scope
find_scope(const struct pool_view *view, const struct balance_request *request)
{
	struct scope scope = {.end = 0};
	uint32_t n_stable = 0;

	for (uint32_t i = 0; i < view->n_members; i++) {
		const struct member *member = &view->members[i];
		if (i > 0 && member->tier != member[-1].tier) {
			if (n_stable > 0 && n_stable >= request->min_available)
				return scope;
			n_stable = 0;
		}
		scope.end = i + 1;
		if (!is_usable(member) || !is_wanted(request, member))
			continue;
		scope.has_usable = true;
		if (was_tried(request, member))
			continue;
		scope.has_candidates = true;
		if (member->state != BACKEND_UP)
			continue;
		scope.has_up = true;
		if (!is_stable(request, member))
			continue;
		scope.has_stable = true;
		n_stable++;
	}
	return scope;
}

#define WEIGHT_UNIT 256
#define RAMP_BEGIN  10 /* a tenth */

/* In units of 1/256, growing while the member comes back. */
static uint64_t
weight_now(const struct balance_request *request, const struct member *member)
{
	uint64_t full = (uint64_t)member->weight * WEIGHT_UNIT;
	uint64_t least = full / RAMP_BEGIN;

	if (is_stable(request, member))
		return full;
	uint64_t age_ms = request->now_ms - member->recovered_ms;
	return least + (full - least) * age_ms / request->slow_start_ms;
}

static bool
is_full(const struct member *member, uint32_t active)
{
	return member->max_connections != 0 &&
	       active >= member->max_connections;
}

static uint64_t
next_random(uint64_t *state)
{
	return hash_mix(*state += UINT64_C(0x9e3779b97f4a7c15));
}

static struct member *
choose_least(struct pool_view *view, const struct balance_request *request,
    const struct scope *scope)
{
	struct member *best = NULL;
	uint64_t random = request->random, best_active = 0;
	uint64_t best_weight = 1, n_ties = 0;

	for (uint32_t i = 0; i < scope->end; i++) {
		struct member *member = &view->members[i];
		if (!is_candidate(request, scope, member))
			continue;
		uint32_t active = backend_active(
		    request->loads, request->n_loads, member->index);
		if (is_full(member, active))
			continue;
		/* active / weight, compared without dividing; with the session
		 * to come, or an empty one would take all while it ramps. */
		uint64_t weight = weight_now(request, member);
		uint64_t mine = ((uint64_t)active + 1) * best_weight;
		uint64_t its = (best_active + 1) * weight;
		if (best != NULL && mine > its)
			continue;
		n_ties = best != NULL && mine == its ? n_ties + 1 : 1;
		if (n_ties > 1 && next_random(&random) % n_ties != 0)
			continue;
		best = member;
		best_active = active;
		best_weight = weight;
	}
	return best;
}

static bool
is_member_full(
    const struct balance_request *request, const struct member *member)
{
	return member->max_connections != 0 &&
	       is_full(member, backend_active(request->loads, request->n_loads,
				   member->index));
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
		if (!is_candidate(request, scope, member))
			continue;
		if (is_member_full(request, member))
			continue;
		int64_t weight = (int64_t)weight_now(request, member);
		member->credit += weight;
		total += weight;
		if (best == NULL || member->credit > best->credit)
			best = member;
	}
	if (best != NULL)
		best->credit -= total;
	return best;
}

/* The least cost per weight; a tie is decided by the hash, everywhere alike. */
static struct member *
choose_hashed(struct pool_view *view, const struct balance_request *request,
    const struct scope *scope)
{
	struct member *best = NULL;
	uint64_t key = request->key != 0 ? request->key : request->random;
	uint64_t best_cost = 0;

	for (uint32_t i = 0; i < scope->end; i++) {
		struct member *member = &view->members[i];
		if (!is_candidate(request, scope, member) ||
		    (scope->has_stable && !is_stable(request, member)))
			continue;
		if (request->balance == BALANCE_SOURCE &&
		    is_member_full(request, member))
			continue;
		uint64_t cost = hash_cost(key, member->hash);
		uint64_t mine = best != NULL ? cost * best->weight : 0;
		uint64_t its = best_cost * member->weight;
		if (best != NULL &&
		    (mine > its || (mine == its && member->hash > best->hash)))
			continue;
		best = member;
		best_cost = cost;
	}
	return best;
}

/* Where the user's sessions are, if a login can get there at all. */
static struct member *
find_live(struct pool_view *view, const struct balance_request *request)
{
	for (uint32_t i = 0; request->has_live && i < view->n_members; i++) {
		struct member *member = &view->members[i];
		if (!is_ref(member, request->live))
			continue;
		bool can =
		    is_usable(member) || (member->state == BACKEND_DRAINING &&
					     member->admin == ADMIN_DRAIN);
		return can && is_allowed(request, member) ? member : NULL;
	}
	return NULL;
}

static struct member *
choose_user(struct pool_view *view, const struct balance_request *request,
    const struct scope *scope)
{
	struct member *member = find_live(view, request);

	if (member == NULL)
		member = choose_hashed(view, request, scope);
	return is_member_full(request, member) ? NULL : member;
}

static struct member *
choose(struct pool_view *view, const struct balance_request *request,
    const struct scope *scope)
{
	switch ((enum config_balance)request->balance) {
	case BALANCE_LEAST:
		break;
	case BALANCE_ROUND_ROBIN:
		return choose_round_robin(view, request, scope);
	case BALANCE_SOURCE:
		return choose_hashed(view, request, scope);
	case BALANCE_USER:
		return choose_user(view, request, scope);
	}
	return choose_least(view, request, scope);
}

enum balance_result
balance_choose(struct pool_view *view, const struct balance_request *request,
    struct backend_ref *out_ref)
{
	struct scope scope = find_scope(view, request);
	struct member *member = NULL;

	if (scope.has_candidates)
		member = choose(view, request, &scope);
	else if (request->balance == BALANCE_USER)
		member = find_live(view, request);
	else if (!scope.has_usable)
		return BALANCE_ALL_DOWN;
	if (member == NULL && !scope.has_candidates)
		return scope.has_usable ? BALANCE_ALL_TRIED : BALANCE_ALL_DOWN;
	if (member == NULL)
		return BALANCE_ALL_FULL;
	*out_ref = (struct backend_ref){member->index, member->generation};
	return BALANCE_CHOSEN;
}

bool
balance_has_other(const struct pool_view *view,
    const struct balance_request *request, struct backend_ref chosen)
{
	if (request->has_live && request->live.index == chosen.index &&
	    request->live.generation == chosen.generation)
		return false;
	for (uint32_t i = 0; i < view->n_members; i++) {
		const struct member *member = &view->members[i];
		if (member->state == BACKEND_UP && !is_ref(member, chosen) &&
		    is_allowed(request, member) &&
		    !is_member_full(request, member))
			return true;
	}
	return false;
}

uint32_t
balance_room(
    const struct pool_view *view, const struct balance_request *request)
{
	struct scope scope = find_scope(view, request);
	uint32_t room = 0;

	for (uint32_t i = 0; i < scope.end; i++) {
		const struct member *member = &view->members[i];
		if (!is_candidate(request, &scope, member))
			continue;
		if (member->max_connections == 0)
			return UINT32_MAX;
		uint32_t active = backend_active(
		    request->loads, request->n_loads, member->index);
		if (!is_full(member, active))
			room += member->max_connections - active;
	}
	return room;
}
