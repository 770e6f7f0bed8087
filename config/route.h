/* SPDX-License-Identifier: ISC */
/*
 * The `route` file of a pool: whose login goes elsewhere. One rule a line,
 *
 *     user@example.org   backend b2
 *     @example.org       pool old
 *     # a comment
 *
 * A user's own rule comes before that of the domain. The domain counts in any
 * case, what stands before the @ as it is written. Rules of a pool that a rule
 * leads to are not looked at: one step, no loops.
 */
#ifndef CONFIG_ROUTE_H
#define CONFIG_ROUTE_H

#include "config/load.h"

#define ROUTE_KEY_MAX 512

/* A rule in the image: sorted by key, shorter first, then by octets. */
struct config_route {
	struct text key; /* "user@domain", "user" or "@domain" */
	uint32_t pool;
	uint32_t backend; /* CONFIG_NONE: any of the pool */
};

struct route {
	uint32_t pool;
	uint32_t backend; /* CONFIG_NONE: any of the pool */
};

/* Their order. */
int route_compare(struct span a, struct span b);

/* Lower-cases the domain; returns where the @ is, len without one. */
size_t route_fold(uint8_t *user, size_t len);

/* Where the login goes that came for this pool; without a rule, there. */
struct route route_find(
    const struct config *config, uint32_t pool, struct span user);

/* The rules of the text, into the pool; errors begin "PATH:LINE: ". The path
 * may be a text of the same image: it is done with before that grows. */
void route_load_text(struct builder *builder, uint32_t pool, const char *path,
    struct span text, struct problems *problems);

#endif
