/* SPDX-License-Identifier: ISC */
/* See route.h. Looked up by sessions; route_file.c makes the table. */
#include "config/route.h"

#include <string.h>

int
route_compare(struct span a, struct span b)
{
	if (a.len != b.len)
		return a.len < b.len ? -1 : 1;
	return a.len == 0 ? 0 : memcmp(a.data, b.data, a.len);
}

static const struct config_route *
search(const struct config *config, struct items rules, struct span key)
{
	const struct config_route *at = config_items(config, rules);
	uint32_t low = 0, high = rules.n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order =
		    route_compare(config_span(config, at[middle].key), key);
		if (order == 0)
			return &at[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

size_t
route_fold(uint8_t *user, size_t len)
{
	size_t at = len;

	for (size_t i = 0; i < len; i++)
		if (user[i] == '@')
			at = i;
	for (size_t i = at; i < len; i++)
		if (user[i] >= 'A' && user[i] <= 'Z')
			user[i] = (uint8_t)(user[i] | 0x20);
	return at;
}

struct route
route_find(const struct config *config, uint32_t pool, struct span user)
{
	struct route here = {pool, CONFIG_NONE};
	struct items rules = config_pool_at(config, pool)->routes;
	uint8_t folded[ROUTE_KEY_MAX];

	if (rules.n == 0 || user.len == 0 || user.len > sizeof(folded))
		return here;
	memcpy(folded, user.data, user.len);
	size_t at = route_fold(folded, user.len);
	const struct config_route *rule =
	    search(config, rules, span_of(folded, user.len));
	if (rule == NULL && at < user.len)
		rule =
		    search(config, rules, span_of(folded + at, user.len - at));
	if (rule == NULL)
		return here;
	return (struct route){rule->pool, rule->backend};
}
