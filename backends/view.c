/* SPDX-License-Identifier: ISC */
/*
 * See view.h. Members are sorted by (tier, index). Where only numbers of a
 * member changed, which is nearly always, they are taken over in place; where
 * one came, went or moved, the view is made anew from the whole area.
 */
#include "backends/view.h"

#include <stdlib.h>
#include <string.h>

#include "backends/hash.h"

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
		members[i].hash = hash_member(members[i].name + number);
	}
}

/* What may change without it becoming another one, or moving. */
static void
take_over(struct member *member, const struct backend *backend)
{
	member->state = backend->state;
	member->admin = backend->admin;
	member->weight = backend->weight > 0 ? backend->weight : 1;
	member->max_connections = backend->max_connections;
	member->recovered_ms = backend->recovered_ms;
	member->capabilities = hash_octets(span_str(backend->capabilities));
}

static struct member
member_of(uint32_t index, const struct backend *backend)
{
	char text[ENDPOINT_TEXT_MAX];
	struct member member = {.index = index,
	    .generation = backend->generation,
	    .tier = backend->tier,
	    .name = hash_octets(span_str(backend->name)),
	    .hash =
		hash_octets(span_str(endpoint_text(&backend->endpoint, text)))};

	take_over(&member, backend);
	return member;
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

static bool
make_anew(
    struct pool_view *view, const struct backends_area *area, const char *pool)
{
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
	view->is_made = view->is_new = view->has_new_lists = true;
	return true;
}

static struct member *
find(const struct pool_view *view, uint32_t index)
{
	for (uint32_t i = 0; i < view->n_members; i++)
		if (view->members[i].index == index)
			return &view->members[i];
	return NULL;
}

/* False: it came, went, or stands elsewhere now. */
static bool
take_change(struct pool_view *view, const struct backends_area *area,
    const char *pool, uint32_t index)
{
	struct backend backend;
	struct member *member = find(view, index);
	bool is_ours = backends_area_read(area, index, &backend) &&
		       strcmp(backend.pool, pool) == 0;

	if (member == NULL || !is_ours)
		return member == NULL && !is_ours;
	if (member->generation != backend.generation ||
	    member->tier != backend.tier)
		return false;
	uint64_t capabilities = member->capabilities;
	take_over(member, &backend);
	if (member->capabilities != capabilities)
		view->has_new_lists = true;
	return true;
}

enum news {
	NEWS_NONE,
	NEWS_ENTRY,
	NEWS_TOO_MANY, /* all are to be read */
};

/*
 * The next change behind the *seen ones, and adds it to them. A place is
 * overwritten before the change that it is for is counted: what was read is
 * good if it was not yet the oldest one afterwards.
 */
static enum news
next_change(
    const struct backends_area *area, uint64_t *seen, uint32_t *out_index)
{
	if (*seen == atomic_load(&area->change))
		return NEWS_NONE;
	*out_index = atomic_load(&area->changed[*seen % BACKENDS_CHANGES]);
	uint64_t change = atomic_load(&area->change);
	if (change - *seen < BACKENDS_CHANGES) {
		++*seen;
		return NEWS_ENTRY;
	}
	*seen = change;
	return NEWS_TOO_MANY;
}

bool
pool_view_update(
    struct pool_view *view, const struct backends_area *area, const char *pool)
{
	uint32_t index;

	/* Counted as seen before the entries are read: what changes meanwhile
	 * is news the next time. */
	for (;;) {
		switch (next_change(area, &view->seen, &index)) {
		case NEWS_NONE:
			return view->is_made || make_anew(view, area, pool);
		case NEWS_ENTRY:
			view->is_made = view->is_made &&
					take_change(view, area, pool, index);
			break;
		case NEWS_TOO_MANY:
			view->is_made = false;
			break;
		}
	}
}

void
pool_view_fini(struct pool_view *view)
{
	free(view->members);
	*view = (struct pool_view){.n_members = 0};
}

bool
pool_view_is_available(const struct pool_view *view)
{
	for (uint32_t i = 0; i < view->n_members; i++)
		if (member_is_alive(&view->members[i]))
			return true;
	return false;
}
