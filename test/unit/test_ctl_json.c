/* SPDX-License-Identifier: ISC */
/* What `ctl` makes of the lines of the control socket. */
/* needs: proxy/master/ctl_json.c proxy/master/ctl_table.c */
/* needs: proxy/observer/json.c proxy/base/addr.c proxy/base/parse.c */
/* needs: proxy/base/span.c proxy/base/ensure.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/master/ctl_json.h"
#include "proxy/master/ctl_table.h"
#include "proxy/observer/json.h"

static void
what_the_observer_writes_is_read(void **state)
{
	(void)state;
	char line[4096];
	struct outbuf out;
	outbuf_init(&out, line, sizeof(line));
	json_begin(&out);
	json_text(&out, "user", span_of("a\"b\\c\n\xff{},:", 11));
	json_u64(&out, "count", UINT64_MAX);
	json_i64(&out, "days_left", -3);
	json_bool(&out, "usable", false);
	json_str(&out, "empty", "");
	json_end(&out);
	assert_false(out.overflow);
	line[out.len - 1] = '\0';

	struct ctl_member members[CTL_MEMBERS_MAX];
	size_t n;
	assert_true(ctl_json_parse(line, members, &n));
	assert_int_equal(n, 5);
	assert_string_equal(members[0].key, "user");
	assert_true(members[0].is_text);
	assert_string_equal(members[0].value, "a\"b\\c\\u000a\\u00ff{},:");
	assert_string_equal(members[1].value, "18446744073709551615");
	assert_false(members[1].is_text);
	assert_string_equal(members[2].value, "-3");
	assert_string_equal(members[3].value, "false");
	assert_string_equal(members[4].key, "empty");
	assert_string_equal(members[4].value, "");
}

static void
malformed_lines_are_refused(void **state)
{
	(void)state;
	static const char *const lines[] = {"", "{", "}", "{}", "[]", "{\"a\"}",
	    "{\"a\":}", "{\"a\":1", "{\"a\":1}}", "{\"a\":1,}", "{\"a\":\"b}",
	    "{\"a\":\"b\\\"}", "{\"a\":{\"b\":1}}", "{\"a\":[1]}",
	    "{\"a\":\"\x1b[1m\"}", "{\"a\":\"\xc3\xa4\"}", "{a:1}",
	    " {\"a\":1}", "{\"a\":\"\\", "{\"a\":1 }"};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		/* Of its exact size, so that a sanitizer sees a step too far.
		 */
		char *line = strdup(lines[i]);
		struct ctl_member members[CTL_MEMBERS_MAX];
		size_t n;
		assert_non_null(line);
		if (ctl_json_parse(line, members, &n))
			fail_msg("taken: %s", lines[i]);
		free(line);
	}
}

static void
too_many_members_are_refused(void **state)
{
	(void)state;
	for (size_t n = CTL_MEMBERS_MAX; n <= CTL_MEMBERS_MAX + 1; n++) {
		char line[1024] = "{\"k\":1";
		for (size_t i = 1; i < n; i++)
			memcpy(line + strlen(line), ",\"k\":1", 7);
		memcpy(line + strlen(line), "}", 2);
		struct ctl_member members[CTL_MEMBERS_MAX];
		size_t got;
		assert_int_equal(
		    ctl_json_parse(line, members, &got), n == CTL_MEMBERS_MAX);
	}
}

static void
tables_are_aligned(void **state)
{
	(void)state;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	struct ctl_table table = {0};
	struct ctl_member first[] = {{"name", "a", true},
	    {"sessions", "5", false}, {"state", "up", true}};
	struct ctl_member second[] = {{"name", "longer", true},
	    {"sessions", "12345678901", false}, {"state", "", true}};
	struct ctl_member other[] = {{"what", "x", true}};
	ctl_table_add(&table, first, 3, out);
	ctl_table_add(&table, second, 3, out);
	ctl_table_add(&table, other, 1, out);
	ctl_table_flush(&table, out);
	ctl_table_flush(&table, out);
	fclose(out);
	assert_string_equal(text, "NAME       SESSIONS  STATE\n"
				  "a                 5  up\n"
				  "longer  12345678901  -\n"
				  "\n"
				  "WHAT\n"
				  "x\n");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_the_observer_writes_is_read),
	    cmocka_unit_test(malformed_lines_are_refused),
	    cmocka_unit_test(too_many_members_are_refused),
	    cmocka_unit_test(tables_are_aligned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
