/* SPDX-License-Identifier: ISC */
/* needs: backends/balance.c backends/view.c backends/hash.c backends/pool.c */
/* needs: proxy/base/addr.c proxy/base/parse.c proxy/base/span.c */
/* needs: proxy/base/ensure.c */
/* Balance by user and by source: shares, who moves, what gateways agree on. */
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

#define N	10
#define N_USERS 100000

struct world {
	struct backends_area *area;
	struct load_area *load;
	struct pool_view view;
	struct balance_request request;
};

static int
set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	world->area = calloc(1, backends_area_size(N));
	backends_area_init(world->area, N);
	world->load = calloc(1, load_area_size(N));
	load_area_init(world->load, N);
	world->request = (struct balance_request){.balance = BALANCE_USER,
	    .min_available = 1,
	    .now_ms = 100000,
	    .slow_start_ms = 30000,
	    .loads = &world->load,
	    .n_loads = 1};
	*state = world;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *world = *state;

	pool_view_fini(&world->view);
	free(world->area);
	free(world->load);
	free(world);
	return 0;
}

/* Backend number `number` (its name, weight and address) at an index. */
static struct backend
numbered(uint32_t number)
{
	struct backend backend = {.pool = "mail",
	    .generation = 1,
	    .state = BACKEND_UP,
	    .weight = 1 + number % 4};

	snprintf(backend.name, sizeof(backend.name), "store%u", number);
	backend.endpoint.addr = (struct addr){
	    .family = ADDR_IPV4, .ip = {10, 0, 0, (uint8_t)number}};
	return backend;
}

static void
put(struct world *world, uint32_t index, const struct backend *backend)
{
	backends_area_write(world->area, index, backend);
	assert_true(pool_view_update(&world->view, world->area, "mail"));
}

static void
put_all(struct world *world)
{
	for (uint32_t i = 0; i < N; i++) {
		struct backend backend = numbered(i);
		put(world, i, &backend);
	}
}

static uint64_t
user(uint32_t number)
{
	char name[64];

	snprintf(name, sizeof(name), "user%u@example.org", number);
	return hash_user(span_str(name));
}

/* The number of the chosen backend; `indexes[i]` is its index here. */
static uint32_t
index_for(struct world *world, uint64_t key)
{
	struct backend_ref ref;

	world->request.key = key;
	assert_int_equal(BALANCE_CHOSEN,
	    balance_choose(&world->view, &world->request, &ref));
	return ref.index;
}

static void
test_shares(void **state)
{
	struct world *world = *state;
	uint32_t counts[N] = {0}, sum = 0;
	double worst = 0;

	put_all(world);
	for (uint32_t i = 0; i < N_USERS; i++)
		counts[index_for(world, user(i))]++;
	for (uint32_t i = 0; i < N; i++)
		sum += numbered(i).weight;
	for (uint32_t i = 0; i < N; i++) {
		double share = (double)N_USERS * numbered(i).weight / sum;
		double off = (counts[i] - share) / share;
		off = off < 0 ? -off : off;
		worst = off > worst ? off : worst;
		assert_true(off < 0.03);
	}
	print_message("farthest from its share: %.2f %%\n", worst * 100);
}

static void
test_only_its_own_users_move(void **state)
{
	struct world *world = *state;
	uint8_t *before = malloc(N_USERS);
	uint32_t n_moved = 0, n_its = 0;

	put_all(world);
	for (uint32_t i = 0; i < N_USERS; i++)
		before[i] = (uint8_t)index_for(world, user(i));
	struct backend gone = numbered(3);
	gone.state = BACKEND_DOWN;
	put(world, 3, &gone);
	for (uint32_t i = 0; i < N_USERS; i++) {
		uint32_t now = index_for(world, user(i));
		n_its += before[i] == 3;
		n_moved += before[i] != 3 && now != before[i];
		assert_int_not_equal(3, now);
	}
	assert_true(n_its > 0);
	assert_int_equal(0, n_moved);
	free(before);
}

/* Another site: another order, other addresses of the same names. */
static void
test_gateways_agree(void **state)
{
	struct world *world = *state;
	void *other_state;
	struct world *other;

	set_up(&other_state);
	other = other_state;
	put_all(world);
	for (uint32_t i = 0; i < N; i++) {
		struct backend backend = numbered(N - 1 - i);
		backend.endpoint.addr.ip[1] = 77;
		backend.generation = 9;
		put(other, i, &backend);
	}
	for (uint32_t i = 0; i < N_USERS; i++)
		assert_int_equal(index_for(world, user(i)),
		    N - 1 - index_for(other, user(i)));
	tear_down(&other_state);
}

static void
test_one_name_with_addresses(void **state)
{
	struct world *world = *state;
	uint32_t counts[3] = {0};

	for (uint32_t i = 0; i < 3; i++) {
		struct backend backend = numbered(7);
		backend.weight = 1;
		backend.endpoint.addr.ip[3] = (uint8_t)(i + 1);
		put(world, i, &backend);
	}
	for (uint32_t i = 0; i < 3000; i++)
		counts[index_for(world, user(i))]++;
	for (uint32_t i = 0; i < 3; i++)
		assert_in_range(counts[i], 850, 1150);
}

static void
test_user_normalised(void **state)
{
	(void)state;
	assert_true(hash_user(span_str("Ann@Example.ORG")) ==
		    hash_user(span_str("Ann@example.org")));
	assert_true(hash_user(span_str("Ann@example.org")) !=
		    hash_user(span_str("ann@example.org")));
	assert_true(
	    hash_user(span_str("a@B@C")) == hash_user(span_str("a@B@c")));
	assert_true(
	    hash_user(span_str("a@B@C")) != hash_user(span_str("a@b@c")));
}

static void
test_client_is_a_prefix(void **state)
{
	struct addr a, b;
	(void)state;

	assert_true(addr_parse_ip(span_str("2001:db8::1"), &a));
	assert_true(addr_parse_ip(span_str("2001:db8::ffff:2"), &b));
	assert_true(hash_client(&a) == hash_client(&b));
	assert_true(addr_parse_ip(span_str("2001:db8:0:1::1"), &b));
	assert_true(hash_client(&a) != hash_client(&b));
	assert_true(addr_parse_ip(span_str("192.0.2.1"), &a));
	assert_true(addr_parse_ip(span_str("192.0.2.2"), &b));
	assert_true(hash_client(&a) != hash_client(&b));
}

static void
set_full(struct world *world, uint32_t index)
{
	struct backend backend = numbered(index);

	backend.max_connections = 1;
	put(world, index, &backend);
	world->load->active[index] = 1;
}

static void
test_user_waits_source_goes_on(void **state)
{
	struct world *world = *state;
	struct backend_ref ref;

	put_all(world);
	uint32_t home = index_for(world, user(5));
	set_full(world, home);
	assert_int_equal(BALANCE_ALL_FULL,
	    balance_choose(&world->view, &world->request, &ref));
	world->request.balance = BALANCE_SOURCE;
	assert_int_not_equal(home, index_for(world, user(5)));
}

static void
test_follows_live_sessions(void **state)
{
	struct world *world = *state;
	struct backend backend;

	put_all(world);
	uint32_t home = index_for(world, user(5)), away = (home + 1) % N;
	world->request.has_live = true;
	world->request.live = (struct backend_ref){away, 1};
	assert_int_equal(away, index_for(world, user(5)));
	/* Drained by hand: its sessions are still there. */
	backend = numbered(away);
	backend.state = BACKEND_DRAINING;
	backend.admin = ADMIN_DRAIN;
	put(world, away, &backend);
	assert_int_equal(away, index_for(world, user(5)));
	assert_int_not_equal(away, index_for(world, user(5)) + N);
	/* Down, or another backend by now: they can't be. */
	backend.state = BACKEND_DOWN;
	put(world, away, &backend);
	assert_int_equal(home, index_for(world, user(5)));
	world->request.live.generation = 2;
	backend.state = BACKEND_UP;
	put(world, away, &backend);
	assert_int_equal(home, index_for(world, user(5)));
}

static void
test_comes_home_when_stable(void **state)
{
	struct world *world = *state;

	put_all(world);
	uint32_t home = index_for(world, user(5));
	struct backend backend = numbered(home);
	backend.recovered_ms = world->request.now_ms - 1000;
	put(world, home, &backend);
	assert_int_not_equal(home, index_for(world, user(5)));
	world->request.now_ms += world->request.slow_start_ms;
	assert_int_equal(home, index_for(world, user(5)));
}

static void
test_only_one(void **state)
{
	struct world *world = *state;
	struct backend_ref ref;

	put_all(world);
	world->request.only = hash_octets(span_str("store4"));
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(4, index_for(world, user(i)));
	struct backend backend = numbered(4);
	backend.state = BACKEND_DOWN;
	put(world, 4, &backend);
	assert_int_equal(BALANCE_ALL_DOWN,
	    balance_choose(&world->view, &world->request, &ref));
}

/* The shortcut must never leave out who would have won. */
static void
test_floor_is_below_cost(void **state)
{
	static const uint64_t edges[] = {0, 1, 2, UINT64_MAX, UINT64_MAX - 1,
	    UINT64_MAX >> 1, (UINT64_MAX >> 1) + 1, UINT64_MAX << 40,
	    UINT64_MAX << 39, ~(UINT64_MAX >> 24)};
	(void)state;
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		assert_true(hash_cost_floor(edges[i]) <= hash_cost(edges[i]));
	for (uint64_t i = 0; i < 1000000; i++) {
		uint64_t draw = hash_mix(i);
		/* Near 1 the two are closest. */
		uint64_t near_one = UINT64_MAX - (draw >> (i % 60));
		assert_true(hash_cost_floor(draw) <= hash_cost(draw));
		assert_true(hash_cost_floor(near_one) <= hash_cost(near_one));
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_shares),
	    TEST(test_floor_is_below_cost),
	    TEST(test_only_its_own_users_move),
	    TEST(test_gateways_agree),
	    TEST(test_one_name_with_addresses),
	    TEST(test_user_normalised),
	    TEST(test_client_is_a_prefix),
	    TEST(test_user_waits_source_goes_on),
	    TEST(test_follows_live_sessions),
	    TEST(test_comes_home_when_stable),
	    TEST(test_only_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
