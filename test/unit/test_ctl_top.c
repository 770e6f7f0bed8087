/* SPDX-License-Identifier: ISC */
/* `ctl top`: rates out of two answers, the busiest first. */
/* needs: proxy/master/ctl_top.c proxy/base/parse.c proxy/base/span.c */
/* needs: proxy/base/ensure.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy/master/ctl_top.h"

static void
add(struct top_rows *rows, const char *name, const char *sessions,
    const char *in, const char *out)
{
	struct ctl_member members[] = {{"user", name, true},
	    {"sessions", sessions, false}, {"in", in, false},
	    {"out", out, false}};
	top_rows_add(rows, members, 4);
}

static void
busiest_first(void **state)
{
	struct top_rows before = {0}, now = {0};
	(void)state;
	add(&before, "zoe", "1", "100", "100");
	add(&before, "anna", "2", "5000", "0");
	add(&now, "anna", "2", "4000", "0");	 /* a session of hers ended */
	add(&now, "new", "9", "99999", "99999"); /* no rate yet */
	add(&now, "zoe", "1", "600", "1100");
	top_rows_compare(&now, &before, 500);
	assert_int_equal(now.n, 3);
	assert_string_equal(now.list[0].name, "zoe");
	assert_int_equal(now.list[0].in_rate, 1000);
	assert_int_equal(now.list[0].out_rate, 2000);
	assert_string_equal(now.list[1].name, "new");
	assert_int_equal(now.list[2].in_rate, 0);
	top_rows_free(&before);
	top_rows_free(&now);
}

static void
other_lines_are_ignored(void **state)
{
	struct top_rows rows = {0};
	struct ctl_member end[] = {{"end", "true", false}};
	(void)state;
	top_rows_add(&rows, end, 1);
	assert_int_equal(rows.n, 0);
	add(&rows, "x", "-1", "99999999999999999999999", "1");
	assert_int_equal(rows.list[0].sessions, 0);
	assert_int_equal(rows.list[0].in, 0);
	top_rows_compare(&rows, &(struct top_rows){0}, 0);
	top_rows_free(&rows);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(busiest_first),
	    cmocka_unit_test(other_lines_are_ignored),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
