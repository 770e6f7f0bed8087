/* SPDX-License-Identifier: ISC */
/* needs: config/ proxy/base/ */
/* libs: inih */
/* The route file: rules, errors with their lines, who goes where. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/route.h"

static const char base[] = "[listen imaps]\npool = mail\n"
			   "[certificate m]\nchain = /c\nkey = /k\n"
			   "[pool mail]\n[pool old]\n"
			   "[backend a]\npool = mail\naddress = 127.0.0.1:1\n"
			   "[backend b]\npool = mail\naddress = 127.0.0.1:2\n"
			   "[backend o]\npool = old\naddress = 127.0.0.1:3\n";

static struct builder *
load(const char *text, struct problems *problems)
{
	struct builder *builder =
	    config_load_text("test", span_str(base), problems);
	char *copy = strdup(text);

	assert_non_null(builder);
	route_load_text(builder, 0, "routes", span_str(copy), problems);
	free(copy);
	return builder;
}

static char
find(struct builder *builder, const char *user)
{
	const struct config *config = builder_config(builder);
	struct route route = route_find(config, 0, span_str(user));

	if (route.backend != CONFIG_NONE)
		return config_text(
		    config, config_backend_at(config, route.backend)->name)[0];
	return (char)('0' + route.pool);
}

static void
test_rules(void **state)
{
	struct problems problems = {0};
	struct builder *builder = load("# moved\n"
				       "ann@Example.org  backend b\r\n"
				       "\n"
				       "\t@example.org\tpool old\n"
				       "bob backend o",
	    &problems);
	(void)state;

	assert_int_equal(0, problems.n_errors);
	assert_int_equal('b', find(builder, "ann@example.ORG"));
	assert_int_equal('1', find(builder, "Ann@example.org"));
	assert_int_equal('1', find(builder, "x@EXAMPLE.org"));
	assert_int_equal('o', find(builder, "bob"));
	assert_int_equal('0', find(builder, "bob@example.net"));
	assert_int_equal('0', find(builder, ""));
	builder_free(builder);
	problems_free(&problems);
}

static void
test_many(void **state)
{
	struct problems problems = {0};
	size_t size = 50000 * 40, len = 0;
	char *text = malloc(size);
	(void)state;

	for (int i = 0; i < 50000; i++)
		len += (size_t)snprintf(text + len, size - len,
		    "u%d@example.org backend %c\n", i, i % 2 ? 'a' : 'b');
	struct builder *builder = load(text, &problems);
	assert_int_equal(0, problems.n_errors);
	for (int i = 0; i < 50000; i++) {
		char user[32];
		snprintf(user, sizeof(user), "u%d@EXAMPLE.org", i);
		assert_int_equal(i % 2 ? 'a' : 'b', find(builder, user));
	}
	assert_int_equal('0', find(builder, "u50000@example.org"));
	builder_free(builder);
	problems_free(&problems);
	free(text);
}

static void
test_errors(void **state)
{
	struct problems problems = {0};
	struct builder *builder = load("ann backend nobody\n"
				       "ann\n"
				       "ann server a\n"
				       "ann pool old now\n"
				       "bob pool old\n"
				       "bob backend a\n",
	    &problems);
	(void)state;

	assert_int_equal(5, problems.n_errors);
	assert_non_null(strstr(problems.errors, "routes:1: no section"));
	assert_non_null(strstr(problems.errors, "routes:2: expected"));
	assert_non_null(strstr(problems.errors, "routes:3: expected"));
	assert_non_null(strstr(problems.errors, "routes:4: expected"));
	assert_non_null(strstr(problems.errors, "two rules"));
	assert_int_equal('0', find(builder, "bob"));
	builder_free(builder);
	problems_free(&problems);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rules),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
