/* SPDX-License-Identifier: ISC */
/*
 * The choice of a backend. Members are sorted by (tier, index): a choice is
 * two straight passes, the first over states only (how far do the tiers reach,
 * and is anything up?), the second over the load of those that qualify.
 * Called by a worker for every login.
 */
#include "backends/balance.h"

#include "backends/hash.h"
#include "config/config.h"

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
	return member_is_usable(member) &&
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
		if (!member_is_usable(member) || !is_wanted(request, member))
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

/* Knuth's, from a seed that nobody can guess: one in n. */
static bool
is_drawn(uint64_t *state, uint64_t n)
{
	*state = *state * UINT64_C(6364136223846793005) +
		 UINT64_C(1442695040888963407);
	return (*state >> 32) * n >> 32 == 0;
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
		if (n_ties > 1 && !is_drawn(&random, n_ties))
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
		uint64_t draw = hash_draw(key, member->hash);
		/* Of many, most can't win whatever their logarithm is. */
		if (best != NULL && hash_cost_floor(draw) * best->weight >
					best_cost * member->weight)
			continue;
		uint64_t cost = hash_cost(draw);
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
		bool can = member_is_usable(member) ||
			   (member->state == BACKEND_DRAINING &&
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
		if (member->state == BACKEND_UP && !member->is_removed &&
		    !is_ref(member, chosen) && is_allowed(request, member) &&
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
