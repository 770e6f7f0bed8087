/* SPDX-License-Identifier: ISC */
/* needs: proxy/limits/networks.c proxy/limits/networks_build.c */
/* needs: config/builder.c proxy/base/ */
/* Radix trees against the plain list of prefixes that they were built from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proxy/base/ensure.h"
#include "proxy/limits/networks.h"

static struct addr
random_address(unsigned *seed)
{
	struct addr addr = {
	    .family = rand_r(seed) % 2 == 0 ? ADDR_IPV4 : ADDR_IPV6};
	int n = addr.family == ADDR_IPV4 ? 4 : 16;
	/* Few values, so that prefixes nest and meet. */
	for (int i = 0; i < n; i++)
		addr.ip[i] = (uint8_t)(rand_r(seed) % 3 * 85);
	return addr;
}

static struct prefix
random_prefix(unsigned *seed)
{
	struct prefix prefix = {.addr = random_address(seed)};
	unsigned most = prefix.addr.family == ADDR_IPV4 ? 32 : 128;
	prefix.bits = (unsigned)rand_r(seed) % 8 == 0
			  ? most
			  : 6 + (unsigned)rand_r(seed) % (most - 6);
	for (uint32_t bit = prefix.bits; bit < most; bit++)
		prefix.addr.ip[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	return prefix;
}

static struct items
build(struct builder *builder, const struct prefix *prefixes, uint32_t n,
    const char *text, struct problems *problems)
{
	struct networks_files files = {.deny = span_str(text)};
	struct items items = builder_items(
	    builder, prefixes, n, sizeof(*prefixes), _Alignof(struct prefix));
	builder_config(builder)->limits.deny = items;
	builder_config(builder)->limits.deny_file =
	    builder_text(builder, span_str("/deny"));
	networks_build(builder, &files, problems);
	return builder_config(builder)->limits.deny_tree;
}

static void
test_random_sets(void **state)
{
	unsigned seed = 7, n_in = 0;
	(void)state;
	for (int round = 0; round < 300; round++) {
		struct prefix prefixes[40];
		struct problems problems = {0};
		uint32_t n = 1 + (uint32_t)rand_r(&seed) % 40;
		for (uint32_t i = 0; i < n; i++)
			prefixes[i] = random_prefix(&seed);
		struct builder *builder = builder_new();
		struct items tree = build(builder, prefixes, n, "", &problems);
		for (int i = 0; i < 500; i++) {
			struct addr addr = random_address(&seed);
			bool wanted = false;
			for (uint32_t j = 0; j < n; j++)
				wanted = wanted ||
					 prefix_contains(&prefixes[j], &addr);
			n_in += wanted;
			assert_int_equal(
			    networks_contain(
				builder_config(builder), tree, &addr),
			    wanted);
		}
		assert_int_equal(problems.n_errors, 0);
		builder_free(builder);
	}
	assert_true(n_in > 1000);
}

static bool
contains(struct builder *builder, struct items tree, const char *text)
{
	struct addr addr;
	assert_true(addr_parse_ip(span_str(text), &addr));
	return networks_contain(builder_config(builder), tree, &addr);
}

static void
test_file(void **state)
{
	static const char text[] = "# abuse\r\n"
				   "192.0.2.0/24 ; a comment\n"
				   "\n"
				   "  2001:db8::/32\n"
				   "198.51.100.7";
	struct problems problems = {0};
	struct builder *builder = builder_new();
	(void)state;
	struct items tree = build(builder, NULL, 0, text, &problems);
	assert_int_equal(problems.n_errors, 0);
	assert_true(contains(builder, tree, "192.0.2.77"));
	assert_true(contains(builder, tree, "2001:db8:1::1"));
	assert_true(contains(builder, tree, "198.51.100.7"));
	assert_false(contains(builder, tree, "198.51.100.8"));
	assert_false(contains(builder, tree, "2001:db9::1"));
	builder_free(builder);
}

static void
test_errors_name_their_line(void **state)
{
	struct problems problems = {0};
	struct builder *builder = builder_new();
	(void)state;
	build(builder, NULL, 0, "192.0.2.0/24\n192.0.2.1/24\nx y\n", &problems);
	assert_int_equal(problems.n_errors, 2);
	assert_non_null(strstr(problems.errors, "/deny:2: "));
	assert_non_null(strstr(problems.errors, "/deny:3: "));
	problems_free(&problems);
	builder_free(builder);
}

static void
test_everything_and_nothing(void **state)
{
	struct problems problems = {0};
	struct builder *builder = builder_new();
	(void)state;
	struct items none = build(builder, NULL, 0, "", &problems);
	assert_false(contains(builder, none, "192.0.2.1"));
	struct items tree = build(builder, NULL, 0, "0.0.0.0/0\n", &problems);
	assert_true(contains(builder, tree, "255.255.255.255"));
	assert_false(contains(builder, tree, "::"));
	builder_free(builder);
}

/* As many as a blocklist has: two nodes each at most, and quickly there. */
static void
test_many(void **state)
{
	enum {
		N = 100000
	};
	char *text = malloc(N * 24);
	size_t len = 0;
	struct problems problems = {0};
	struct builder *builder = builder_new();
	(void)state;
	assert_non_null(text);
	for (unsigned i = 0; i < N; i++)
		len += (size_t)snprintf(text + len, 24, "%u.%u.%u.0/24\n",
		    1 + i % 200, i / 200 % 256, i / 51200 * 2);
	struct items tree = build(builder, NULL, 0, text, &problems);
	assert_true(tree.n <= 2 * N + 2);
	assert_true(contains(builder, tree, "200.255.0.9"));
	assert_false(contains(builder, tree, "200.255.1.9"));
	free(text);
	builder_free(builder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random_sets),
	    cmocka_unit_test(test_file),
	    cmocka_unit_test(test_errors_name_their_line),
	    cmocka_unit_test(test_everything_and_nothing),
	    cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
