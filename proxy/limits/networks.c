/* SPDX-License-Identifier: ISC */
/* See networks.h: asks the trees of networks_build.c. Called by admission.c. */
#include "proxy/limits/networks.h"

#include "proxy/limits/tree_bits.h"

bool
networks_contain(
    const struct config *config, struct items tree, const struct addr *addr)
{
	const struct config_network *nodes = config_items(config, tree);
	uint32_t most = addr->family == ADDR_IPV4 ? 32 : 128;
	uint32_t at = addr->family == ADDR_IPV4 ? 0 : 1;

	if (tree.n < 2 || addr->family == ADDR_NONE)
		return false;
	for (;;) {
		const struct config_network *node = &nodes[at];
		if (tree_common_bits(node->ip, addr->ip, node->bits) <
		    node->bits)
			return false;
		if (node->is_member)
			return true;
		if (node->bits >= most)
			return false;
		at = node->child[tree_bit_at(addr->ip, node->bits)];
		if (at == 0)
			return false;
	}
}
