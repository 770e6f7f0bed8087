/* SPDX-License-Identifier: ISC */
/* needs: backends/balance.c backends/view.c backends/hash.c backends/pool.c */
/* needs: proxy/base/addr.c */
/* needs: proxy/base/parse.c proxy/base/span.c proxy/base/ensure.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/balance.h"
#include "backends/hash.h"
#include "config/config.h"

#define N 8

/* A table of up to N backends, all in the pool "mail", named a, b, c ... */
struct world {
	struct backends_area *area;
	struct load_area *loads[2];
	struct pool_view view;
	struct balance_request request;
	struct backend_ref tried[BALANCE_TRIES_MAX];
};

static int
set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	world->area = calloc(1, backends_area_size(N));
	backends_area_init(world->area, N);
	for (int i = 0; i < 2; i++) {
		world->loads[i] = calloc(1, load_area_size(N));
		load_area_init(world->loads[i], N);
	}
	world->request = (struct balance_request){.balance = BALANCE_LEAST,
	    .min_available = 1,
	    .random = 1,
	    .loads = world->loads,
	    .n_loads = 2,
	    .tried = world->tried};
	*state = world;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *world = *state;
	pool_view_fini(&world->view);
	free(world->area);
	free(world->loads[0]);
	free(world->loads[1]);
	free(world);
	return 0;
}

static void
put(struct world *world, uint32_t index, enum backend_state state,
    uint32_t weight, uint32_t tier)
{
	struct backend backend = {.pool = "mail",
	    .generation = 1,
	    .state = state,
	    .weight = weight,
	    .tier = tier};
	backend.name[0] = (char)('a' + index);
	backends_area_write(world->area, index, &backend);
}

static void
put_max(struct world *world, uint32_t index, uint32_t max_connections)
{
	struct backend backend;
	assert_true(backends_area_read(world->area, index, &backend));
	backend.max_connections = max_connections;
	backends_area_write(world->area, index, &backend);
}

/* The letter of the chosen one; lower case d, f, t: why there is none. */
static char
choose(struct world *world)
{
	struct backend_ref ref;

	assert_true(pool_view_update(&world->view, world->area, "mail"));
	switch (balance_choose(&world->view, &world->request, &ref)) {
	case BALANCE_CHOSEN:
		return (char)('A' + ref.index);
	case BALANCE_ALL_DOWN:
		return 'd';
	case BALANCE_ALL_FULL:
	case BALANCE_NO_QUEUE:
		return 'f';
	case BALANCE_ALL_TRIED:
		return 't';
	}
	return '?';
}

static void
try(struct world *world, uint32_t index)
{
	world->tried[world->request.n_tried++] = (struct backend_ref){index, 1};
}

static void
test_only_usable_states(void **state)
{
	struct world *world = *state;
	assert_int_equal('d', choose(world));
	assert_false(pool_view_is_available(&world->view));
	put(world, 0, BACKEND_DOWN, 1, 0);
	put(world, 1, BACKEND_MISCONFIGURED, 1, 0);
	put(world, 2, BACKEND_DRAINING, 1, 0);
	assert_int_equal('d', choose(world));
	assert_false(pool_view_is_available(&world->view));
	put(world, 3, BACKEND_UNCHECKED, 1, 0);
	assert_int_equal('D', choose(world));
	assert_true(pool_view_is_available(&world->view));
	put(world, 4, BACKEND_UP, 1, 0);
	for (world->request.random = 0; world->request.random < 50;
	     world->request.random++)
		assert_int_equal('E', choose(world));
}

static void
test_only_its_pool(void **state)
{
	struct world *world = *state;
	struct backend other = {
	    .pool = "mail2", .state = BACKEND_UP, .weight = 1};
	backends_area_write(world->area, 0, &other);
	assert_int_equal('d', choose(world));
}

static void
test_least_counts_all_workers(void **state)
{
	struct world *world = *state;
	put(world, 0, BACKEND_UP, 1, 0);
	put(world, 1, BACKEND_UP, 1, 0);
	world->loads[0]->active[0] = 3;
	world->loads[0]->active[1] = 1;
	assert_int_equal('B', choose(world));
	world->loads[1]->active[1] = 3;
	assert_int_equal('A', choose(world));
}

static void
test_least_is_per_weight(void **state)
{
	struct world *world = *state;
	put(world, 0, BACKEND_UP, 3, 0);
	put(world, 1, BACKEND_UP, 1, 0);
	for (uint32_t i = 0; i < 400; i++) {
		world->request.random = i * 7919;
		world->loads[0]->active[choose(world) - 'A']++;
	}
	assert_int_equal(300, world->loads[0]->active[0]);
	assert_int_equal(100, world->loads[0]->active[1]);
}

static void
test_ties_are_random(void **state)
{
	struct world *world = *state;
	uint32_t count[3] = {0};
	for (uint32_t i = 0; i < 3; i++)
		put(world, i, BACKEND_UP, 1, 0);
	for (uint64_t i = 0; i < 3000; i++) {
		world->request.random = i;
		count[choose(world) - 'A']++;
	}
	for (int i = 0; i < 3; i++)
		assert_in_range(count[i], 850, 1150);
}

static void
test_full_members(void **state)
{
	struct world *world = *state;
	put(world, 0, BACKEND_UP, 1, 0);
	put(world, 1, BACKEND_UP, 1, 0);
	put_max(world, 0, 2);
	put_max(world, 1, 9);
	world->loads[0]->active[0] = 1;
	world->loads[1]->active[0] = 1;
	world->loads[1]->active[1] = 8;
	assert_int_equal('B', choose(world));
	world->loads[1]->active[1] = 9;
	assert_int_equal('f', choose(world));
	world->request.balance = BALANCE_ROUND_ROBIN;
	assert_int_equal('f', choose(world));
	world->loads[1]->active[0] = 0;
	assert_int_equal('A', choose(world));
	/* The next tier is a reserve against failures, not more room. */
	world->loads[1]->active[0] = 1;
	put(world, 2, BACKEND_UP, 1, 1);
	assert_int_equal('f', choose(world));
}

static void
test_tried_members(void **state)
{
	struct world *world = *state;
	put(world, 0, BACKEND_UP, 1, 0);
	put(world, 1, BACKEND_UNCHECKED, 1, 0);
	put(world, 2, BACKEND_UP, 1, 1);
	assert_int_equal('A', choose(world));
	try(world, 0);
	assert_int_equal('C', choose(world));
	try(world, 2);
	assert_int_equal('B', choose(world));
	try(world, 1);
	assert_int_equal('t', choose(world));
	/* Another generation is another backend. */
	world->tried[1].generation = 2;
	assert_int_equal('C', choose(world));
}

/* Whether the one that is chosen could be given up for another. */
static bool
has_other(struct world *world)
{
	struct backend_ref ref;

	choose(world);
	assert_int_equal(BALANCE_CHOSEN,
	    balance_choose(&world->view, &world->request, &ref));
	return balance_has_other(&world->view, &world->request, ref);
}

static void
test_another_one_is_left(void **state)
{
	struct world *world = *state;
	put(world, 0, BACKEND_UP, 1, 0);
	put(world, 1, BACKEND_EJECTED, 1, 0);
	put(world, 2, BACKEND_DOWN, 1, 0);
	put(world, 3, BACKEND_UNCHECKED, 1, 0);
	assert_false(has_other(world));
	/* In any tier, as long as it has room. */
	put(world, 4, BACKEND_UP, 1, 1);
	assert_true(has_other(world));
	put_max(world, 4, 2);
	assert_true(has_other(world));
	world->loads[0]->active[4] = world->loads[1]->active[4] = 1;
	assert_false(has_other(world));
	world->loads[0]->active[4] = 0;
	try(world, 4);
	assert_false(has_other(world));
	world->request.n_tried = 0;
	world->request.only = hash_octets(span_str("a"));
	assert_false(has_other(world));
	world->request.only = 0;
	/* A user stays with its sessions. */
	world->request.has_live = true;
	world->request.live = (struct backend_ref){0, 1};
	assert_false(has_other(world));
	world->request.live = (struct backend_ref){4, 1};
	assert_true(has_other(world));
}

static void
test_tiers(void **state)
{
	struct world *world = *state;
	put(world, 0, BACKEND_UP, 1, 5);
	put(world, 1, BACKEND_UP, 1, 0);
	put(world, 2, BACKEND_DOWN, 1, 0);
	put(world, 3, BACKEND_UP, 1, 2);
	world->loads[0]->active[1] = 1000;
	assert_int_equal('B', choose(world));
	/* Fewer than two in tier 0: tier 2 helps, 5 too as 2 has one. */
	world->request.min_available = 2;
	world->loads[0]->active[0] = 1;
	assert_int_equal('D', choose(world));
	world->loads[0]->active[3] = 2;
	assert_int_equal('A', choose(world));
	world->request.min_available = 1;
	put(world, 1, BACKEND_DOWN, 1, 0);
	assert_int_equal('D', choose(world));
	put(world, 3, BACKEND_DOWN, 1, 2);
	assert_int_equal('A', choose(world));
	/* Up in a later tier is better than not known in the first. */
	put(world, 1, BACKEND_UNCHECKED, 1, 0);
	assert_int_equal('A', choose(world));
	put(world, 0, BACKEND_DOWN, 1, 5);
	assert_int_equal('B', choose(world));
}

static void
assert_turns(struct world *world, const char *wanted)
{
	char turns[32] = "";
	for (size_t i = 0; wanted[i] != '\0'; i++)
		turns[i] = choose(world);
	assert_string_equal(wanted, turns);
}

static void
test_round_robin_is_smooth(void **state)
{
	struct world *world = *state;
	world->request.balance = BALANCE_ROUND_ROBIN;
	put(world, 0, BACKEND_UP, 5, 0);
	put(world, 1, BACKEND_UP, 1, 0);
	put(world, 2, BACKEND_UP, 1, 0);
	assert_turns(world, "AABACAAAABACAA");
}

/* What does not concern a member leaves its turn alone. */
static void
test_round_robin_keeps_turns(void **state)
{
	struct world *world = *state;
	world->request.balance = BALANCE_ROUND_ROBIN;
	put(world, 0, BACKEND_UP, 1, 0);
	put(world, 1, BACKEND_UP, 1, 0);
	put(world, 2, BACKEND_UP, 1, 0);
	assert_turns(world, "AB");
	put(world, 5, BACKEND_DOWN, 1, 0);
	assert_turns(world, "CAB");
	put(world, 2, BACKEND_DOWN, 1, 0);
	assert_turns(world, "ABAB");
}

static void
come_back(struct world *world, uint32_t index, uint64_t recovered_ms)
{
	struct backend backend = {.pool = "mail",
	    .generation = 1,
	    .state = BACKEND_UP,
	    .weight = 1,
	    .recovered_ms = recovered_ms};

	backend.name[0] = (char)('a' + index);
	backends_area_write(world->area, index, &backend);
}

static uint32_t
turns_of(struct world *world, char name, uint32_t n)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < n; i++)
		found += choose(world) == name;
	return found;
}

/* One that came back gets a little, then more, then its whole share. */
static void
test_slow_start(void **state)
{
	struct world *world = *state;

	world->request.slow_start_ms = 1000;
	world->request.balance = BALANCE_ROUND_ROBIN;
	put(world, 0, BACKEND_UP, 1, 0);
	come_back(world, 1, 5000);
	world->request.now_ms = 5000;
	uint32_t first = turns_of(world, 'B', 1100);
	assert_in_range(first, 1, 110);
	world->request.now_ms = 5500;
	uint32_t half = turns_of(world, 'B', 1100);
	assert_in_range(half, 330, 400); /* a third */
	world->request.now_ms = 6000;
	assert_in_range(turns_of(world, 'B', 1100), 540, 560);
	/* by sessions: at half of its weight it has half as many */
	world->request.balance = BALANCE_LEAST;
	world->request.now_ms = 5500;
	world->loads[0]->active[0] = 10;
	world->loads[0]->active[1] = 4;
	assert_int_equal('B', choose(world));
	world->loads[0]->active[1] = 6;
	assert_int_equal('A', choose(world));
}

static void
test_large_pool_is_even(void **state)
{
	(void)state;
	enum {
		MANY = 1000
	};
	struct backends_area *area = calloc(1, backends_area_size(MANY));
	struct load_area *loads[1] = {calloc(1, load_area_size(MANY))};
	struct pool_view view = {.n_members = 0};
	struct balance_request request = {.balance = BALANCE_LEAST,
	    .min_available = 1,
	    .loads = loads,
	    .n_loads = 1};

	backends_area_init(area, MANY);
	load_area_init(loads[0], MANY);
	for (uint32_t i = 0; i < MANY; i++) {
		struct backend backend = {
		    .pool = "mail", .state = BACKEND_UP, .weight = 1 + i % 2};
		backends_area_write(area, i, &backend);
	}
	assert_true(pool_view_update(&view, area, "mail"));
	for (uint32_t i = 0; i < 4 * 1500; i++) {
		struct backend_ref ref;
		request.random = i;
		assert_int_equal(
		    BALANCE_CHOSEN, balance_choose(&view, &request, &ref));
		loads[0]->active[ref.index]++;
	}
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(4 * (1 + i % 2), loads[0]->active[i]);
	pool_view_fini(&view);
	free(area);
	free(loads[0]);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_only_usable_states),
	    TEST(test_only_its_pool),
	    TEST(test_least_counts_all_workers),
	    TEST(test_least_is_per_weight),
	    TEST(test_ties_are_random),
	    TEST(test_full_members),
	    TEST(test_tried_members),
	    TEST(test_another_one_is_left),
	    TEST(test_tiers),
	    TEST(test_round_robin_is_smooth),
	    TEST(test_round_robin_keeps_turns),
	    TEST(test_slow_start),
	    cmocka_unit_test(test_large_pool_is_even),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
