/* SPDX-License-Identifier: ISC */
/* needs: backends/health.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "backends/health.h"

/* One letter a check: g good, b bad, m misconfigured; the wanted state after
 * each: U up, D down, M misconfigured. A changed state must be announced. */
static void
assert_course(
    const char *checks, const char *states, uint32_t rise, uint32_t fall)
{
	struct health health = {.state = BACKEND_UNCHECKED};
	enum backend_state before = health.state;

	for (size_t i = 0; checks[i] != '\0'; i++) {
		enum health_outcome outcome = checks[i] == 'g' ? HEALTH_GOOD
					      : checks[i] == 'b'
						  ? HEALTH_BAD
						  : HEALTH_MISCONFIGURED;
		enum backend_state wanted = states[i] == 'U' ? BACKEND_UP
					    : states[i] == 'D'
						? BACKEND_DOWN
						: BACKEND_MISCONFIGURED;
		bool changed = health_note(&health, outcome, rise, fall);
		assert_int_equal(wanted, health.state);
		assert_int_equal(wanted != before, changed);
		before = wanted;
	}
}

static void
test_first_check_decides(void **state)
{
	(void)state;
	assert_course("g", "U", 3, 3);
	assert_course("b", "D", 3, 3);
	assert_course("m", "M", 3, 3);
}

static void
test_fall_counts_in_a_row(void **state)
{
	(void)state;
	assert_course("gbbgbbb", "UUUUUUD", 2, 3);
	assert_course("gb", "UD", 2, 1);
}

static void
test_rise_counts_in_a_row(void **state)
{
	(void)state;
	assert_course("bgbgg", "DDDDU", 2, 3);
	assert_course("bg", "DU", 1, 3);
}

static void
test_misconfigured_at_once(void **state)
{
	(void)state;
	assert_course("gm", "UM", 2, 3);
	assert_course("bm", "DM", 2, 3);
	assert_course("mgg", "MMU", 2, 3);
	assert_course("mbbb", "MMMD", 2, 3);
	assert_course("mgmgg", "MMMMU", 2, 3);
}

static void
test_every_state_has_a_name(void **state)
{
	(void)state;
	assert_string_equal("unused", backend_state_name(BACKEND_UNUSED));
	assert_string_equal("up", backend_state_name(BACKEND_UP));
	assert_string_equal("draining", backend_state_name(BACKEND_DRAINING));
}

/* The times of `n` checks, as parts of [least, most]: each tenth of the range
 * comes up, and nothing lies outside. */
static void
assert_spread(
    bool has_been_checked, uint64_t interval_ms, uint64_t least, uint64_t most)
{
	unsigned parts[10] = {0};
	uint64_t random = 1, next;

	for (int i = 0; i < 10000; i++) {
		random = random * UINT64_C(6364136223846793005) +
			 UINT64_C(1442695040888963407);
		next = health_next_check_ms(
		    interval_ms, has_been_checked, random >> 16);
		assert_in_range(next, least, most);
		parts[(next - least) * 10 / (most - least + 1)]++;
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(parts[i], 700, 1300);
}

static void
test_checks_are_spread(void **state)
{
	(void)state;
	/* 10 % to either side; the second one anywhere in an interval. */
	assert_spread(true, 5000, 4500, 5500);
	assert_spread(true, 60000, 54000, 66000);
	assert_spread(false, 5000, 1, 5000);
	/* The shortest that can be configured, at both ends. */
	assert_int_equal(90, health_next_check_ms(100, true, 0));
	assert_int_equal(110, health_next_check_ms(100, true, 20));
	assert_int_equal(1, health_next_check_ms(100, false, 0));
	assert_int_equal(100, health_next_check_ms(100, false, 99));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_first_check_decides),
	    cmocka_unit_test(test_fall_counts_in_a_row),
	    cmocka_unit_test(test_rise_counts_in_a_row),
	    cmocka_unit_test(test_misconfigured_at_once),
	    cmocka_unit_test(test_checks_are_spread),
	    cmocka_unit_test(test_every_state_has_a_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
