/* SPDX-License-Identifier: ISC */
/*
 * Builds the trees of networks.h. Path-compressed: a node has a prefix, is a
 * member or only a fork, and its children's prefixes are longer and differ in
 * the bit behind it. Node 0 is the root of IPv4, node 1 that of IPv6. Called by
 * the master.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/base/ensure.h"
#include "proxy/base/parse.h"
#include "proxy/limits/networks.h"
#include "proxy/limits/tree_bits.h"

struct tree {
	struct config_network *nodes;
	uint32_t n;
	uint32_t cap;
};

/* Pointers into the nodes die here. */
static uint32_t
add_node(struct tree *tree, const uint8_t ip[16], uint32_t bits)
{
	if (tree->n == tree->cap) {
		tree->cap = tree->cap == 0 ? 64 : tree->cap * 2;
		tree->nodes =
		    realloc(tree->nodes, tree->cap * sizeof(*tree->nodes));
		ENSURE(tree->nodes != NULL);
	}
	struct config_network *node = &tree->nodes[tree->n];
	*node = (struct config_network){.bits = (uint8_t)bits};
	for (uint32_t i = 0; i < bits; i++)
		node->ip[i / 8] |= (uint8_t)(tree_bit_at(ip, i) << (7 - i % 8));
	return tree->n++;
}

/* A node with the bits that both have, in the place of the child. */
static uint32_t
fork_at(struct tree *tree, uint32_t parent, uint32_t side, uint32_t common)
{
	uint32_t child = tree->nodes[parent].child[side];
	uint8_t ip[16];

	memcpy(ip, tree->nodes[child].ip, sizeof(ip));
	uint32_t fork = add_node(tree, ip, common);
	tree->nodes[fork].child[tree_bit_at(ip, common)] = child;
	tree->nodes[parent].child[side] = fork;
	return fork;
}

static void
insert(struct tree *tree, const struct prefix *prefix)
{
	const uint8_t *ip = prefix->addr.ip;
	uint32_t at = prefix->addr.family == ADDR_IPV4 ? 0 : 1;

	while (tree->nodes[at].bits < prefix->bits) {
		if (tree->nodes[at].is_member)
			return; /* inside another one */
		uint32_t side = tree_bit_at(ip, tree->nodes[at].bits);
		uint32_t child = tree->nodes[at].child[side];
		if (child == 0) {
			child = add_node(tree, ip, prefix->bits);
			tree->nodes[at].child[side] = child;
		}
		uint32_t bits = tree->nodes[child].bits;
		uint32_t common = tree_common_bits(ip, tree->nodes[child].ip,
		    bits < prefix->bits ? bits : prefix->bits);
		at = common < bits ? fork_at(tree, at, side, common) : child;
	}
	tree->nodes[at].is_member = 1;
}

static void
begin(struct tree *tree)
{
	static const uint8_t zeros[16];

	*tree = (struct tree){.n = 0};
	add_node(tree, zeros, 0);
	add_node(tree, zeros, 0);
}

/* The image's own list of prefixes; it does not move meanwhile. */
static void
insert_items(
    struct tree *tree, const struct config *config, struct items prefixes)
{
	const struct prefix *prefix = config_items(config, prefixes);

	for (uint32_t i = 0; i < prefixes.n; i++)
		insert(tree, &prefix[i]);
}

static struct span
next_line(struct span *text)
{
	const uint8_t *end =
	    text->len == 0 ? NULL : memchr(text->data, '\n', text->len);
	size_t len = end == NULL ? text->len : (size_t)(end - text->data);
	struct span line = span_of(text->data, len);

	span_advance(text, len + (end != NULL));
	for (size_t i = 0; i < line.len; i++)
		if (line.data[i] == '#' || line.data[i] == ';' ||
		    line.data[i] == '\r')
			line.len = i;
	return parse_trim(line);
}

static void
insert_file(struct tree *tree, struct span text, const char *path,
    struct problems *problems)
{
	uint32_t n = 0;

	for (uint32_t number = 1; text.len > 0; number++) {
		struct span line = next_line(&text);
		struct prefix prefix;
		if (line.len == 0)
			continue;
		if (++n > NETWORKS_MAX) {
			problems_error(problems, "%s:%u: more than %u networks",
			    path, number, (unsigned)NETWORKS_MAX);
			return;
		}
		if (prefix_parse(line, &prefix))
			insert(tree, &prefix);
		else
			problems_error(problems,
			    "%s:%u: expected one network, such as "
			    "192.0.2.0/24 or 2001:db8::/32",
			    path, number);
	}
}

static struct items
finish(struct tree *tree, struct builder *builder)
{
	struct items items = builder_items(builder, tree->nodes, tree->n,
	    sizeof(*tree->nodes), _Alignof(struct config_network));

	free(tree->nodes);
	return items;
}

static struct items
build(struct builder *builder, struct items prefixes, struct span text,
    struct text path, struct problems *problems)
{
	const struct config *config = builder_config(builder);
	struct tree tree;

	if (prefixes.n == 0 && text.len == 0)
		return (struct items){0, 0};
	begin(&tree);
	insert_items(&tree, config, prefixes);
	insert_file(&tree, text, config_text(config, path), problems);
	return finish(&tree, builder);
}

void
networks_build(struct builder *builder, const struct networks_files *files,
    struct problems *problems)
{
	struct config_limits limits = builder_config(builder)->limits;
	uint32_t n = builder_config(builder)->listens.n;
	struct items exempt = build(builder, limits.exempt, files->exempt,
	    limits.exempt_file, problems);
	struct items deny = build(
	    builder, limits.deny, files->deny, limits.deny_file, problems);

	builder_config(builder)->limits.exempt_tree = exempt;
	builder_config(builder)->limits.deny_tree = deny;
	for (uint32_t i = 0; i < n; i++) {
		struct config_listen listen =
		    *config_listen_at(builder_config(builder), i);
		listen.allow_tree = build(builder, listen.allow,
		    files->allow[i], listen.allow_file, problems);
		memcpy(builder->data + builder_config(builder)->listens.off +
			   i * sizeof(listen),
		    &listen, sizeof(listen));
	}
}
