/* SPDX-License-Identifier: ISC */
/* needs: backends/view.c backends/hash.c backends/pool.c proxy/base/addr.c */
/* needs: proxy/base/parse.c proxy/base/span.c proxy/base/ensure.c */
/* A view that follows an area is the view that is made of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/view.h"

#define N	  40
#define ROUNDS	  3000
#define N_CHANGES 200000

static struct backends_area *
area_new(void)
{
	struct backends_area *area = calloc(1, backends_area_size(N));

	assert_non_null(area);
	backends_area_init(area, N);
	return area;
}

static unsigned
roll(unsigned *seed, unsigned n)
{
	return (unsigned)rand_r(seed) % n;
}

/* Mostly what a check changes, sometimes all that can. */
static void
change_one(struct backends_area *area, unsigned *seed)
{
	uint32_t index = roll(seed, N);
	struct backend backend;

	backends_area_peek(area, index, &backend);
	backend.state = roll(seed, BACKEND_EJECTED + 1);
	backend.latency_us = roll(seed, 1000);
	backend.recovered_ms = roll(seed, 3);
	if (roll(seed, 8) == 0)
		backend.weight = roll(seed, 5);
	if (roll(seed, 8) == 0)
		backend.max_connections = roll(seed, 5);
	if (roll(seed, 8) == 0)
		snprintf(backend.capabilities, sizeof(backend.capabilities),
		    "IMAP4rev1 X%u", roll(seed, 3));
	if (roll(seed, 30) == 0)
		backend.tier = roll(seed, 3);
	if (roll(seed, 30) == 0) {
		backend.generation++;
		snprintf(
		    backend.name, sizeof(backend.name), "b%u", roll(seed, N));
		snprintf(
		    backend.pool, sizeof(backend.pool), "p%u", roll(seed, 2));
	}
	backends_area_write(area, index, &backend);
}

static void
assert_same(const struct pool_view *view, const struct pool_view *fresh)
{
	assert_int_equal(view->n_members, fresh->n_members);
	for (uint32_t i = 0; i < view->n_members; i++) {
		const struct member *a = &view->members[i];
		const struct member *b = &fresh->members[i];
		assert_int_equal(a->index, b->index);
		assert_int_equal(a->generation, b->generation);
		assert_int_equal(a->state, b->state);
		assert_int_equal(a->weight, b->weight);
		assert_int_equal(a->tier, b->tier);
		assert_int_equal(a->max_connections, b->max_connections);
		assert_int_equal(a->recovered_ms, b->recovered_ms);
		assert_int_equal(a->name, b->name);
		assert_int_equal(a->hash, b->hash);
		assert_int_equal(a->capabilities, b->capabilities);
	}
}

static void
test_follows(void **state)
{
	struct backends_area *area = area_new();
	struct pool_view view = {.seen = 0};
	unsigned seed = 7;

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		/* Nothing, a few, or more than are listed. */
		unsigned n = roll(&seed, 20) == 0 ? 2 * BACKENDS_CHANGES
						  : roll(&seed, 4);
		while (n-- > 0)
			change_one(area, &seed);
		struct pool_view fresh = {.seen = 0};
		assert_true(pool_view_update(&view, area, "p1"));
		assert_true(pool_view_update(&fresh, area, "p1"));
		assert_same(&view, &fresh);
		pool_view_fini(&fresh);
	}
	pool_view_fini(&view);
	free(area);
}

/* It is told when what all members can do may be something else. */
static void
test_new_lists(void **state)
{
	struct backends_area *area = area_new();
	struct pool_view view = {.seen = 0};
	struct backend backend = {.pool = "p",
	    .state = BACKEND_UP,
	    .generation = 1,
	    .capabilities = "A"};

	(void)state;
	backends_area_write(area, 3, &backend);
	assert_true(pool_view_update(&view, area, "p"));
	assert_true(view.has_new_lists);
	view.has_new_lists = false;
	backend.state = BACKEND_DOWN;
	backends_area_write(area, 3, &backend);
	assert_true(pool_view_update(&view, area, "p"));
	assert_int_equal(BACKEND_DOWN, view.members[0].state);
	assert_false(view.has_new_lists);
	backend.capabilities[0] = 'B';
	backends_area_write(area, 3, &backend);
	assert_true(pool_view_update(&view, area, "p"));
	assert_true(view.has_new_lists);
	view.has_new_lists = false;
	backend.state = BACKEND_UNUSED;
	backends_area_write(area, 3, &backend);
	assert_true(pool_view_update(&view, area, "p"));
	assert_int_equal(0, view.n_members);
	assert_true(view.has_new_lists);
	pool_view_fini(&view);
	free(area);
}

static void *
change_many(void *arg)
{
	struct backends_area *area = arg;
	struct backend backend = {
	    .pool = "p", .state = BACKEND_UP, .generation = 1};
	unsigned seed = 3;

	for (uint32_t i = 1; i <= N_CHANGES; i++) {
		backend.weight = i;
		backends_area_write(area, roll(&seed, N), &backend);
	}
	return NULL;
}

/* While the writer, another process, is at it: nothing is missed. */
static void
test_follows_at_the_same_time(void **state)
{
	struct backends_area *area = area_new();
	struct pool_view view = {.seen = 0}, fresh = {.seen = 0};
	pthread_t writer;

	(void)state;
	assert_int_equal(0, pthread_create(&writer, NULL, change_many, area));
	while (view.seen < N_CHANGES)
		assert_true(pool_view_update(&view, area, "p"));
	assert_int_equal(0, pthread_join(writer, NULL));
	assert_true(pool_view_update(&fresh, area, "p"));
	assert_same(&view, &fresh);
	pool_view_fini(&view);
	pool_view_fini(&fresh);
	free(area);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_follows),
	    cmocka_unit_test(test_new_lists),
	    cmocka_unit_test(test_follows_at_the_same_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
