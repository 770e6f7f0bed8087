/* SPDX-License-Identifier: ISC */
/* needs: proxy/observer/census.c */
/* needs: proxy/limits/limiter.c proxy/limits/decide.c proxy/limits/ladder.c */
/* needs: proxy/limits/victim.c */
/* needs: proxy/base/siphash.c proxy/base/span.c proxy/base/addr.c */
/* needs: proxy/base/parse.c proxy/base/ensure.c */
/*
 * What the limiter's table holds is found in rounds, and who had to go is
 * counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy/observer/census.h"
#include "test/support/limits_image.h"

#define ENTRIES 131072 /* two ticks */
#define NOW	UINT64_C(1000000)

static struct limiter_entry *
claim(struct limiter *limiter, uint32_t number)
{
	struct rung rung = {
	    .name = number, .family = ADDR_IPV4, .bits = 32, .factor = 1};
	uint64_t hash = limiter_rung_hash(limiter, &rung);
	return limiter_claim(limiter, hash, &rung, NOW);
}

static void
a_round_counts_all(void **state)
{
	size_t size;
	struct limiter limiter;
	struct census census = {0};
	_Atomic uint64_t evictions = 0;
	void *area = limits_area_new(ENTRIES, 1, &size);
	(void)state;
	assert_true(limiter_attach(&limiter, area, size, 1, 0));
	limiter.evictions = &evictions;
	for (uint32_t i = 0; i < 1000; i++)
		atomic_store(&claim(&limiter, i)->ban_s, i < 10 ? UINT32_C(2000)
							 : i < 20
							     ? UINT32_C(999)
							     : 0);
	for (uint64_t user = 0; user < 7; user++)
		assert_non_null(limiter_claim(&limiter,
		    limiter_user_hash(&limiter, span_of(&user, 8)), NULL, NOW));
	census_tick(&census, &limiter, NOW);
	assert_int_equal(census.found.prefixes, 0);
	census_tick(&census, &limiter, NOW);
	assert_int_equal(census.found.prefixes, 1000);
	assert_int_equal(census.found.users, 7);
	assert_int_equal(census.found.bans, 10);
	assert_int_equal(atomic_load(&evictions), 0);
	free(area);
}

/* Whoever came and is not there any more was evicted. */
static void
who_had_to_go_is_counted(void **state)
{
	size_t size;
	struct limiter limiter;
	struct census census = {0};
	_Atomic uint64_t evictions = 0;
	void *area = limits_area_new(1024, 1, &size);
	(void)state;
	assert_true(limiter_attach(&limiter, area, size, 1, 0));
	limiter.evictions = &evictions;
	for (uint32_t i = 0; i < 5000; i++)
		assert_non_null(claim(&limiter, i));
	census_tick(&census, &limiter, NOW);
	assert_true(census.found.prefixes > 900);
	assert_int_equal(census.found.prefixes + atomic_load(&evictions), 5000);
	free(area);
}

static void
no_table_is_no_fault(void **state)
{
	struct census census = {0};
	struct limiter limiter = {.area = NULL};
	(void)state;
	census_tick(&census, &limiter, NOW);
	assert_int_equal(census.found.prefixes, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_round_counts_all),
	    cmocka_unit_test(who_had_to_go_is_counted),
	    cmocka_unit_test(no_table_is_no_fault),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
