/* SPDX-License-Identifier: ISC */
/*
 * A pool as a worker sees it: the members that it has in the backends area,
 * with what a choice among them needs. Kept from login to login; what changed
 * in the area since is taken over before each.
 */
#ifndef BACKENDS_VIEW_H
#define BACKENDS_VIEW_H

#include "backends/pool.h"

struct member {
	uint32_t index;
	uint32_t generation;
	uint32_t state;
	uint32_t admin;
	bool is_removed; /* from the configuration; set by the worker */
	uint32_t weight;
	uint32_t tier;
	uint32_t max_connections;
	int64_t credit;	       /* smooth weighted round robin */
	uint64_t recovered_ms; /* as the entry has it */
	uint64_t name;	       /* hash of the section's name */
	uint64_t hash;	       /* what rendezvous hashing knows it by */
	uint64_t capabilities; /* hash of its list */
};

struct pool_view {
	bool is_made;	    /* false: it is made anew by the next update */
	bool is_new;	    /* for the worker, which clears it */
	bool has_new_lists; /* the same */
	uint64_t seen;	    /* changes of the area */
	uint32_t n_members;
	struct member *members; /* heap, owned */
	/* What all members' capability lists have in common; see
	 * proxy/imap/capability.h. Filled by the worker. */
	char capabilities[BACKEND_CAPABILITIES_MAX];
};

/* Brings the view of the named pool up to date; members that stay keep their
 * credit. False: out of memory, the next update tries again. */
bool pool_view_update(
    struct pool_view *view, const struct backends_area *area, const char *pool);
void pool_view_fini(struct pool_view *view);

/* Up, unchecked or ejected. */
static inline bool
member_is_alive(const struct member *member)
{
	return member->state == BACKEND_UP ||
	       member->state == BACKEND_UNCHECKED ||
	       member->state == BACKEND_EJECTED;
}

static inline bool
member_is_usable(const struct member *member)
{
	return member_is_alive(member) && !member->is_removed;
}

/* At least one member is alive: those that take the place of removed ones are
 * there in a moment. */
bool pool_view_is_available(const struct pool_view *view);

#endif
