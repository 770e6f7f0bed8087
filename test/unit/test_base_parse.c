/* SPDX-License-Identifier: ISC */
/* needs: proxy/base/parse.c proxy/base/span.c proxy/base/ensure.c */
/* Numbers, durations, sizes, rates and lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/base/parse.h"

#define UNTOUCHED 12345

static void
test_u64(void **state)
{
	static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "0x1",
	    "18446744073709551616", "100000000000000000000", "1a"};
	uint64_t n = UNTOUCHED;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(parse_u64(span_str(bad[i]), 0, UINT64_MAX, &n));
	assert_false(parse_u64(span_str("4"), 5, 9, &n));
	assert_false(parse_u64(span_str("10"), 5, 9, &n));
	assert_int_equal(n, UNTOUCHED);
	assert_true(
	    parse_u64(span_str("18446744073709551615"), 0, UINT64_MAX, &n));
	assert_true(n == UINT64_MAX);
	assert_true(parse_u64(span_str("007"), 7, 7, &n));
	assert_int_equal(n, 7);
}

static void
assert_duration(const char *text, uint64_t want)
{
	uint64_t ms;

	assert_true(parse_duration(span_str(text), &ms));
	assert_int_equal(ms, want);
}

static void
test_durations(void **state)
{
	static const char *const bad[] = {"", "5", "s", "5 s", "-5s", "5S",
	    "5sm", "1.5s", "00", "99999999999999999999d",
	    "18446744073709551615h"};
	uint64_t ms = UNTOUCHED;

	(void)state;
	assert_duration("0", 0);
	assert_duration("250ms", 250);
	assert_duration("30s", 30000);
	assert_duration("35m", 2100000);
	assert_duration("12h", 43200000);
	assert_duration("7d", 604800000);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(parse_duration(span_str(bad[i]), &ms));
	assert_int_equal(ms, UNTOUCHED);
}

static void
test_rates(void **state)
{
	static const char *const bad[] = {"", "50", "/s", "0/s", "5/", "5/0",
	    "5/0s", "5/x", "5/s/s", "-5/s", "4294967296/s"};
	uint64_t n = UNTOUCHED, ms = UNTOUCHED;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(parse_rate(span_str(bad[i]), &n, &ms));
	assert_int_equal(n, UNTOUCHED);
	assert_int_equal(ms, UNTOUCHED);
	assert_true(parse_rate(span_str("50/s"), &n, &ms));
	assert_int_equal(n * 1000000 + ms, 50001000);
	assert_true(parse_rate(span_str("20/10m"), &n, &ms));
	assert_int_equal(n, 20);
	assert_int_equal(ms, 600000);
}

static void
test_lists(void **state)
{
	static const char *const items[] = {"a", "b", "", "c", "d"};
	struct span text = span_str(" a, b,,c\td, "), item;

	(void)state;
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		assert_true(parse_next_item(&text, &item));
		assert_true(span_equal(item, span_str(items[i])));
	}
	assert_false(parse_next_item(&text, &item));
	text = span_of(NULL, 0);
	assert_false(parse_next_item(&text, &item));
	assert_int_equal(parse_trim(span_str(" \t ")).len, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_u64),
	    cmocka_unit_test(test_durations),
	    cmocka_unit_test(test_rates),
	    cmocka_unit_test(test_lists),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
