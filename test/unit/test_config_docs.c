/* SPDX-License-Identifier: ISC */
/* needs: config/builder.c config/check.c config/draft.c config/load.c */
/* needs: config/print.c config/schema.c config/value.c */
/* needs: config/value_format.c config/value_list.c */
/* needs: proxy/base/addr.c proxy/base/ensure.c proxy/base/parse.c */
/* needs: proxy/base/span.c */
/* libs: inih */
/*
 * The manual page and the sample say of every key what the table says, and
 * the sample loads, as it is and with every default in it taken literally.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/load.h"
#include "config/schema.h"

#define TEXT_MAX (256 * 1024)

/* The file, found from where this one was compiled. Freed by the caller. */
static char *
read_file(const char *name)
{
	static const char here[] = __FILE__;
	char path[4096];
	size_t top = sizeof(here) - sizeof("test/unit/test_config_docs.c");

	snprintf(path, sizeof(path), "%.*s%s", (int)top, here, name);
	FILE *file = fopen(path, "r");
	if (file == NULL)
		print_error("%s can't be opened\n", path);
	assert_non_null(file);
	char *text = calloc(1, TEXT_MAX);
	assert_non_null(text);
	size_t len = fread(text, 1, TEXT_MAX, file);
	assert_true(len > 0 && len < TEXT_MAX);
	fclose(file);
	return text;
}

/* The part of text from `from` on up to `to`, or to the end. */
static char *
cut(const char *text, const char *from, const char *to)
{
	const char *start = strstr(text, from);

	if (start == NULL)
		print_error("no %s\n", from);
	assert_non_null(start);
	const char *end = strstr(start + strlen(from), to);
	return end == NULL ? strdup(start)
			   : strndup(start, (size_t)(end - start));
}

static void
assert_says(const char *part, const struct row *row, const char *format,
    const char *value)
{
	char want[512];

	snprintf(want, sizeof(want), "%s%s", format, value);
	if (strstr(part, want) == NULL)
		print_error("%s: no \"%s\" in\n%s\n", row->key, want, part);
	assert_non_null(strstr(part, want));
}

static void
check_entry(const char *page_section, const struct row *row)
{
	char start[128];

	snprintf(start, sizeof(start), "\n.It Ic %s\n", row->key);
	char *entry = cut(page_section, start, "\n.It Ic ");
	assert_says(entry, row, row->what, "\n");
	if (row->def == NULL)
		assert_says(entry, row, "Must be given.", "");
	else if (row->def[0] == '\0')
		assert_says(entry, row, "The default is empty.", "");
	else
		assert_says(entry, row, "The default is\n.Ql ", row->def);
	assert_int_equal(strstr(entry, "A change takes a restart.") != NULL,
	    row->reload == RESTART);
	for (const struct word *w = row->words; w != NULL && w->text; w++)
		if (w->text[0] != '\0')
			assert_says(entry, row, ".Cm ", w->text);
	free(entry);
}

static void
test_manual_page(void **state)
{
	char start[64];
	char *page = read_file("config/sallyport.conf.5");

	(void)state;
	for (enum section_type type = 0; type < SECTION_TYPES; type++) {
		const struct section *section = schema_section(type);
		snprintf(start, sizeof(start), "\n.Ss [%s%s]\n", section->name,
		    section->is_many ? " NAME" : "");
		char *part = cut(page, start, "\n.Ss ");
		for (uint32_t i = 0; i < section->n_rows; i++)
			check_entry(part, &section->rows[i]);
		free(part);
	}
	free(page);
}

static void
check_sample_key(const char *part, const struct row *row)
{
	char given[512], commented[512];

	snprintf(given, sizeof(given), "\n%s = ", row->key);
	snprintf(commented, sizeof(commented), "\n#%s =%s%s\n", row->key,
	    row->def != NULL && row->def[0] != '\0' ? " " : "",
	    row->def != NULL ? row->def : "");
	if (!strstr(part, given) && !strstr(part, commented))
		print_error("the sample lacks %s", commented);
	assert_true(strstr(part, given) || strstr(part, commented));
}

static void
test_sample_has_every_key(void **state)
{
	char start[64];
	char *sample = read_file("config/sallyport.conf");

	(void)state;
	for (enum section_type type = 0; type < SECTION_TYPES; type++) {
		const struct section *section = schema_section(type);
		snprintf(start, sizeof(start), "\n[%s%s", section->name,
		    section->is_many ? " " : "]");
		char *part = cut(sample, start, "\n[");
		for (uint32_t i = 0; i < section->n_rows; i++)
			check_sample_key(part, &section->rows[i]);
		free(part);
	}
	free(sample);
}

static char *
load_and_print(const char *text)
{
	struct problems problems = {0};
	char *printed = NULL;
	size_t len;
	struct builder *builder =
	    config_load_text("sample", span_str(text), &problems);

	if (builder == NULL)
		print_error("%s", problems.errors);
	assert_non_null(builder);
	assert_int_equal(problems.n_warnings, 0);
	FILE *file = open_memstream(&printed, &len);
	assert_non_null(file);
	config_print(builder_config(builder), file);
	fclose(file);
	builder_free(builder);
	problems_free(&problems);
	return printed;
}

static void
test_sample_loads(void **state)
{
	char *sample = read_file("config/sallyport.conf");
	char *as_it_is = load_and_print(sample);

	(void)state;
	for (char *at = sample; (at = strstr(at, "\n#")) != NULL; at += 2)
		memmove(at + 1, at + 2, strlen(at + 2) + 1);
	char *with_defaults = load_and_print(sample);
	assert_string_equal(as_it_is, with_defaults);
	free(as_it_is);
	free(with_defaults);
	free(sample);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_manual_page),
	    cmocka_unit_test(test_sample_has_every_key),
	    cmocka_unit_test(test_sample_loads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
