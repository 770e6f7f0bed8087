/* SPDX-License-Identifier: ISC */
/* needs: proxy/master/arguments.c */
/* The command line: every mode, and what is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "proxy/master/arguments.h"

#define ARGS_MAX 8

static struct arguments
parse(const char *const *words)
{
	char copies[ARGS_MAX][32];
	char *argv[ARGS_MAX + 1];
	static char path[32];
	int argc = 0;
	for (; words[argc] != NULL; argc++) {
		assert_true(argc < ARGS_MAX);
		strncpy(copies[argc], words[argc], sizeof(copies[0]) - 1);
		copies[argc][sizeof(copies[0]) - 1] = '\0';
		argv[argc] = copies[argc];
	}
	argv[argc] = NULL;
	optind = 0; /* glibc: start anew */
	opterr = 0;
	struct arguments arguments = arguments_parse(argc, argv);
	if (arguments.path != NULL) {
		strncpy(path, arguments.path, sizeof(path) - 1);
		arguments.path = path;
	}
	return arguments;
}

#define PARSE(...) parse((const char *const[]){"sallyport", __VA_ARGS__, NULL})

static void
test_modes(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-c", "f").mode, RUN_GATEWAY);
	assert_int_equal(PARSE("-t", "-c", "f").mode, RUN_CHECK);
	assert_int_equal(PARSE("-c", "f", "-t").mode, RUN_CHECK);
	assert_int_equal(PARSE("-tc", "f").mode, RUN_CHECK);
	assert_int_equal(PARSE("-T", "-c", "f").mode, RUN_PRINT);
	assert_int_equal(PARSE("-V").mode, RUN_VERSION);
	assert_int_equal(PARSE("-h").mode, RUN_HELP);
}

static void
test_path(void **state)
{
	(void)state;
	assert_string_equal(PARSE("-c", "a/b.conf").path, "a/b.conf");
	assert_string_equal(PARSE("-t", "-ca/b.conf").path, "a/b.conf");
	/* There is a default, so -t alone is enough. */
	struct arguments arguments = PARSE("-t");
	assert_int_equal(arguments.mode, RUN_CHECK);
	assert_int_equal(arguments.path[0], '/');
}

static void
test_ctl_is_not_looked_at(void **state)
{
	(void)state;
	assert_int_equal(PARSE("ctl").mode, RUN_CTL);
	assert_int_equal(PARSE("ctl", "--json", "-q").mode, RUN_CTL);
}

static void
test_refused(void **state)
{
	(void)state;
	const char *const nothing[] = {"sallyport", NULL};
	assert_int_equal(parse(nothing).mode, RUN_BAD);
	assert_int_equal(PARSE("-x").mode, RUN_BAD);
	assert_int_equal(PARSE("--help").mode, RUN_BAD);
	assert_int_equal(PARSE("-c").mode, RUN_BAD);
	assert_int_equal(PARSE("-c", "").mode, RUN_BAD);
	assert_int_equal(PARSE("-c", "f", "more").mode, RUN_BAD);
	assert_int_equal(PARSE("-t", "-T").mode, RUN_BAD);
	assert_int_equal(PARSE("-c", "f", "ctl").mode, RUN_BAD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_modes),
	    cmocka_unit_test(test_path),
	    cmocka_unit_test(test_ctl_is_not_looked_at),
	    cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
