/* SPDX-License-Identifier: ISC */
/* needs: backends/live.c proxy/base/ensure.c */
/* The table of users and their sessions against a plain count. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "backends/live.h"

#define N_TABLES   3
#define N_USERS	   40
#define N_BACKENDS 4

static int
set_up(void **state)
{
	struct live_tables *tables = calloc(1, sizeof(*tables));

	tables->n_tables = N_TABLES;
	tables->n_buckets = live_buckets(256);
	for (int i = 0; i < N_TABLES; i++)
		tables->all[i] = calloc(1, live_size(tables->n_buckets));
	*state = tables;
	return 0;
}

static int
tear_down(void **state)
{
	struct live_tables *tables = *state;

	for (int i = 0; i < N_TABLES; i++)
		free(tables->all[i]);
	free(tables);
	return 0;
}

static void
test_random_schedule(void **state)
{
	struct live_tables *tables = *state;
	unsigned counts[N_TABLES][N_USERS][N_BACKENDS] = {0};
	unsigned seed = 7;

	for (int step = 0; step < 100000; step++) {
		unsigned t = (unsigned)rand_r(&seed) % N_TABLES;
		unsigned u = (unsigned)rand_r(&seed) % N_USERS;
		unsigned b = (unsigned)rand_r(&seed) % N_BACKENDS;
		struct backend_ref ref = {b, 100 + b}, found = {0, 0};
		uint64_t key = (u + 1) * UINT64_C(0x9e3779b97f4a7c15);
		tables->own = tables->all[t];
		if (counts[t][u][b] > 0 && rand_r(&seed) % 2) {
			live_remove(tables, key, ref);
			counts[t][u][b]--;
		} else if (counts[t][u][b] < 4 && live_add(tables, key, ref)) {
			counts[t][u][b]++;
		}
		unsigned sums[N_BACKENDS] = {0}, most = 0;
		for (unsigned i = 0; i < N_TABLES; i++)
			for (unsigned j = 0; j < N_BACKENDS; j++)
				sums[j] += counts[i][u][j];
		for (unsigned j = 0; j < N_BACKENDS; j++)
			most = sums[j] > most ? sums[j] : most;
		assert_int_equal(most > 0, live_find(tables, key, &found));
		if (most == 0)
			continue;
		assert_int_equal(most, sums[found.index]);
		assert_int_equal(100 + found.index, found.generation);
	}
}

static void
test_full_bucket_forgets(void **state)
{
	struct live_tables *tables = *state;
	struct backend_ref ref = {1, 1};
	uint64_t step = tables->n_buckets;

	tables->own = tables->all[0];
	for (uint64_t i = 1; i <= LIVE_WAYS; i++)
		assert_true(live_add(tables, i * step, ref));
	assert_false(live_add(tables, 100 * step, ref));
	assert_false(live_find(tables, 100 * step, &ref));
	live_remove(tables, step, ref);
	assert_true(live_add(tables, 100 * step, ref));
}

static void
test_no_tables(void **state)
{
	struct live_tables none = {.n_tables = 0};
	struct backend_ref ref = {0, 0};
	(void)state;

	assert_false(live_add(&none, 1, ref));
	assert_false(live_find(&none, 1, &ref));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(test_random_schedule),
	    TEST(test_full_bucket_forgets),
	    TEST(test_no_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
