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

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_first_check_decides),
	    cmocka_unit_test(test_fall_counts_in_a_row),
	    cmocka_unit_test(test_rise_counts_in_a_row),
	    cmocka_unit_test(test_misconfigured_at_once),
	    cmocka_unit_test(test_every_state_has_a_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
