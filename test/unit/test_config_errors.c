/* SPDX-License-Identifier: ISC */
/* needs: config/builder.c config/check.c config/draft.c config/load.c */
/* needs: config/print.c config/schema.c config/value.c */
/* needs: config/value_format.c config/value_list.c */
/* needs: proxy/base/addr.c proxy/base/ensure.c proxy/base/parse.c */
/* needs: proxy/base/span.c */
/* libs: inih */
/*
 * Every way to be wrong, one row each: the text in front of a configuration
 * that is otherwise good, and the line and the words of the only error.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "config/load.h"
#include "config/schema.h"

#define LISTEN	    "[listen a]\n"
#define POOL	    "[pool p]\n"
#define CERTIFICATE "[certificate c]\nchain = /c.pem\nkey = /c.key\n"
#define BACKEND \
	"[backend b]\naddress = mail.example.org:143\nclient_ip = proxy_v2\n"
#define REST LISTEN POOL CERTIFICATE BACKEND

struct example {
	const char *text;
	uint32_t line; /* 0: none is named */
	const char *message;
};

static const struct example examples[] = {
    /* lines */
    {"a = 1\n" REST, 1, "a: a key before the first [section]"},
    {"[gateway]\n\nlog\n" REST, 3, "expected key = value"},
    {"[gateway]\nlog: stderr\n" REST, 2, "expected key = value"},
    {"[gateway]\n= x\n" REST, 2, "expected a key before the ="},
    {"[gateway]\nlog = stderr\n  more\n" REST, 3, "begins with a blank"},
    {"[gateway]\nuser = a\x01\n" REST, 2, "control character"},
    {"[gateway]\nuser = a\rb\n" REST, 2, "control character"},
    {"[gateway]\nuser =;x\n" REST, 2, "can't begin with a semicolon"},
    {REST "log", 9, "expected key = value"},
    /* sections */
    {"[gateway\n" REST, 1, "expected a ]"},
    {"[gateway] x\n" REST, 1, "nothing but a comment"},
    {"[gateway] # x\n" REST, 1, "nothing but a comment"},
    {"[]\n" REST, 1, "[]: unknown section"},
    {"[gatway]\nany = thing\n" REST, 1, "did you mean [gateway]?"},
    {"[Gateway]\n" REST, 1, "did you mean [gateway]?"},
    {"[gateway x]\n" REST, 1, "expected no name"},
    {"[tls]\n[tls t]\n[listen x]\naddress = 127.0.0.1:1\ntls = t\n" POOL
	    CERTIFICATE BACKEND,
	1, "as in [tls NAME]"},
    {"[pool a/b]\n" REST, 1, "a name has 1 to 63"},
    {"[pool a b]\n" REST, 1, "a name has 1 to 63"},
    {"[pool aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]"
     "\n" REST,
	1, "a name has 1 to 63"},
    {"[gateway]\n[limits]\n[gateway]\n" REST, 3, "(first in line 1)"},
    /* keys */
    {"[gateway]\nwrokers = 1\n" REST, 2, "did you mean workers?"},
    {"[gateway]\nweight = 1\n" REST, 2, "it belongs in [backend]"},
    {"[gateway]\nxyzzy = 1\n" REST, 2, "xyzzy: unknown key in [gateway]"},
    {"[gateway]\nworkers = 1\n\nworkers = 1\n" REST, 4, "(first in line 2)"},
    /* values, by type */
    {"[gateway]\nuser =\n" REST, 2, "expected a text"},
    {"[gateway]\nworkers = 65\n" REST, 2, "auto or a number from 1 to 64"},
    {"[gateway]\nworkers = -1\n" REST, 2, "auto or a number from 1 to 64"},
    {"[gateway]\nmax_backends = auto\n" REST, 2, "a number from 1 to 4096"},
    {"[gateway]\nmax_backends = 99999999999999999999\n" REST, 2, "a number"},
    {"[gateway]\nstop_timeout = 20\n" REST, 2,
	"expected a duration such as 30s, from 1s to 1h"},
    {"[gateway]\nstop_timeout = 0s\n" REST, 2, "a duration"},
    {"[gateway]\nstop_timeout = 2h\n" REST, 2, "a duration"},
    /* more is not for Linux: TCP_KEEPIDLE ends at 32767 s */
    {POOL "keepalive = 10h\n" LISTEN CERTIFICATE BACKEND, 2, "from 1s to 9h"},
    {"[gateway]\nlog = here\n" REST, 2, "stderr, syslog or an absolute path"},
    {"[gateway]\nlog_level = loud\n" REST, 2,
	"expected one of error, warn, info, debug"},
    {"[gateway]\ncontrol = x.sock\n" REST, 2, "off or an absolute path"},
    {"[gateway]\ncontrol =\n" REST, 2, "off or an absolute path"},
    {"[limits]\nhandshake_rate = fast\n" REST, 2, "auto or a rate such as"},
    {"[limits]\nconnect_rate_per_ip = 50\n" REST, 2, "a rate such as 50/s"},
    {"[limits]\nipv6_ladder = 65\n" REST, 2, "prefixes and factors"},
    {"[limits]\nipv6_ladder = 64:0\n" REST, 2, "prefixes and factors"},
    {"[limits]\ndeny = 10.0.0.1/8\n" REST, 2, "networks such as"},
    {"[limits]\ndeny = 10.0.0.0/8,,::1\n" REST, 2, "networks such as"},
    {"[tls t]\nmin_version = 1.1\n" REST, 2, "one of TLSv1.2, TLSv1.3"},
    {"[tls t]\ntickets = yes\n" REST, 2, "expected one of off, on"},
    {LISTEN "address = 993\n" POOL CERTIFICATE BACKEND, 2, "addresses such"},
    {LISTEN "address =\n" POOL CERTIFICATE BACKEND, 2, "addresses such"},
    {LISTEN "mechanisms = plain cram\n" POOL CERTIFICATE BACKEND, 2,
	"expected some of plain, login, xoauth2, oauthbearer, other"},
    {LISTEN "certificates = a/b\n" POOL CERTIFICATE BACKEND, 2, "names of"},
    {LISTEN "pool = a/b\n" POOL CERTIFICATE BACKEND, 2, "name of a section"},
    {"[certificate d]\nchain = c.pem\nkey = /k\n" REST, 2, "an absolute path"},
    {"[certificate d]\nchain = /c\nkey =\n" REST, 3, "an absolute path"},
    {"[certificate d]\nchain = /c\n" REST, 1, "[certificate d]: expected key"},
    {"[certificate d]\nchain = /c\nkey = /k\npin = 0g\n" REST, 4,
	"64 hexadecimal digits"},
    {"[certificate d]\nchain = /c\nkey = /k\nnames = a..b\n" REST, 4,
	"host names such as"},
    {POOL "capabilities =\n" LISTEN CERTIFICATE BACKEND, 2,
	"auto or a list of capabilities"},
    {POOL "capabilities = A(\n" LISTEN CERTIFICATE BACKEND, 2,
	"auto or a list of capabilities"},
    {"[backend d]\n" REST, 1, "[backend d]: expected address"},
    {"[backend d]\naddress = h\n" REST, 2, "host:port, [IPv6]:port or unix:"},
    {"[backend d]\naddress = h:0\n" REST, 2, "host:port"},
    {"[backend d]\naddress = ::1:143\n" REST, 2, "host:port"},
    {"[backend d]\naddress = [1.2.3.4]:143\n" REST, 2, "host:port"},
    {"[backend d]\naddress = unix:run\n" REST, 2, "host:port"},
    {BACKEND "source_ip = 1.2.3\n" POOL LISTEN CERTIFICATE, 4, "addresses"},
    {"[gateway]\nmetrics = 127.0.0.1\n" REST, 2, "off or an address"},
    {"[gateway]\naudit_log = x\n" REST, 2, "an absolute path"},
    {POOL LISTEN CERTIFICATE BACKEND "backend_tls = verify\n", 9,
	"expected backend_tls_ca"},
    {POOL LISTEN CERTIFICATE BACKEND "backend_tls = pin\n", 9,
	"expected backend_tls_pin"},
    {"[limits]\nipv6_ladder = 64, 60, 56, 52, 48\n" REST, 2,
	"expected at most 4 prefixes"},
    {"[tls t]\nclient_pins = 00\n" REST, 2, "hexadecimal digits"},
    /* rules over several keys */
    {POOL CERTIFICATE BACKEND, 0, "at least one [listen NAME]"},
    {LISTEN POOL BACKEND, 0, "at least one [certificate NAME]"},
    {LISTEN CERTIFICATE BACKEND, 0, "at least one [pool NAME]"},
    {LISTEN "tls = x\n" POOL CERTIFICATE BACKEND, 2, "no section [tls x]"},
    {LISTEN "certificates = c x\n" POOL CERTIFICATE BACKEND, 2,
	"no section [certificate x]"},
    {"[tls x]\n[tls y]\n" REST, 3,
	"tls: expected the name of one of the 2 [tls] sections"},
    {"[backend d]\naddress = h:1\npool = x\n" REST, 3, "no section [pool x]"},
    {"[pool q]\n[pool p]\n[listen a]\npool = q\n" CERTIFICATE BACKEND
     "pool = p\n",
	1, "at least one [backend NAME] with pool = q"},
    {LISTEN "proxy_protocol = required\n" POOL CERTIFICATE BACKEND, 2,
	"expected proxy_from"},
    {LISTEN "login_command = off\nmechanisms =\n" POOL CERTIFICATE BACKEND, 2,
	"nobody could log in"},
    {LISTEN "address = 127.0.0.1:1, 127.0.0.1:1\n" POOL CERTIFICATE BACKEND, 2,
	"127.0.0.1:1 is also taken by 127.0.0.1:1"},
    {"[listen x]\naddress = 127.0.0.1:993\n" REST, 3,
	"0.0.0.0:993 is also taken by 127.0.0.1:993"},
    {LISTEN "address = [::ffff:127.0.0.1]:1\n" POOL CERTIFICATE BACKEND, 2,
	"write [::ffff:127.0.0.1]:1 as 127.0.0.1:1"},
    {"[tls t]\nmin_version = 1.3\nmax_version = 1.2\n" REST, 3,
	"max_version is below min_version"},
    {"[backend d]\naddress = unix:/x\nsource_ip = ::1\n" REST, 3,
	"a Unix socket has no source address"},
    {"[gateway]\nmax_backends = 1\n[backend d]\naddress = h:1\n" REST, 2,
	"there are 2 [backend] sections"},
};

static void
assert_one_error(struct span text, uint32_t line, const char *message)
{
	struct problems problems = {0};
	char start[32];

	struct builder *builder = config_load_text("dir/f", text, &problems);
	if (line > 0)
		snprintf(start, sizeof(start), "dir/f:%u: ", line);
	else
		snprintf(start, sizeof(start), "dir/f: ");
	if (builder != NULL || problems.n_errors != 1 ||
	    strncmp(problems.errors, start, strlen(start)) != 0 ||
	    strstr(problems.errors, message) == NULL) {
		print_error("text:\n%.*s\nwanted: %s%s\ngot:\n%s\n",
		    (int)text.len, text.data, start, message,
		    problems.errors ? problems.errors : "no error");
		fail();
	}
	problems_free(&problems);
}

static void
test_examples(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
		assert_one_error(span_str(examples[i].text), examples[i].line,
		    examples[i].message);
}

static void
test_nul(void **state)
{
	static const char text[] = "[gateway]\nuser = a\0b\n" REST;

	(void)state;
	assert_one_error(
	    span_of(text, sizeof(text) - 1), 2, "the line contains a NUL");
}

static void
test_line_length(void **state)
{
	char text[16384];

	(void)state;
	int n = snprintf(
	    text, sizeof(text), "[gateway]\n#%04095d\n#%04096d\n" REST, 1, 2);
	assert_true(n > 0 && (size_t)n < sizeof(text));
	assert_one_error(
	    span_of(text, (size_t)n), 3, "longer than 4096 octets");
}

static void
test_all_are_reported(void **state)
{
	struct problems problems = {0};

	(void)state;
	assert_null(config_load_text("f",
	    span_str("x\n[gateway]\nlog = 1\nfoo = 2\n" LISTEN "tls = no\n"),
	    &problems));
	assert_int_equal(problems.n_errors, 7);
	assert_non_null(strstr(problems.errors, "f:1: "));
	assert_non_null(strstr(problems.errors, "f:3: "));
	assert_non_null(strstr(problems.errors, "f:4: "));
	assert_non_null(strstr(problems.errors, "f:6: "));
	problems_free(&problems);
}

static void
assert_warning(const char *text, uint32_t line, const char *message)
{
	struct problems problems = {0};
	char start[32];

	struct builder *builder =
	    config_load_text("f", span_str(text), &problems);
	assert_non_null(builder);
	assert_int_equal(problems.n_warnings, 1);
	snprintf(start, sizeof(start), "f:%u: ", line);
	assert_memory_equal(problems.warnings, start, strlen(start));
	assert_non_null(strstr(problems.warnings, message));
	builder_free(builder);
	problems_free(&problems);
}

static void
test_warnings(void **state)
{
	(void)state;
	assert_warning(POOL "idle_timeout = 29m\n" LISTEN CERTIFICATE BACKEND,
	    2, "below 30m");
	assert_warning(REST "[backend d]\naddress = h:1\n", 9, "client_ip");
	assert_warning(LISTEN "pool = p\n[pool q]\n" POOL CERTIFICATE BACKEND
			      "pool = p\n",
	    3, "no listener uses it");
	assert_warning(LISTEN "proxy_from = ::1\n" POOL CERTIFICATE BACKEND, 2,
	    "no effect");
}

/* What the code takes for granted about every row. */
static void
test_table_is_sane(void **state)
{
	(void)state;
	for (enum section_type type = 0; type < SECTION_TYPES; type++) {
		const struct section *section = schema_section(type);
		for (uint32_t i = 0; i < section->n_rows; i++) {
			const struct row *row = &section->rows[i];
			if (row->type == VALUE_DURATION ||
			    row->type == VALUE_NUMBER)
				assert_true(row->min < row->max);
			assert_true(row->off + row->width <= section->size);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_examples),
	    cmocka_unit_test(test_nul),
	    cmocka_unit_test(test_line_length),
	    cmocka_unit_test(test_all_are_reported),
	    cmocka_unit_test(test_warnings),
	    cmocka_unit_test(test_table_is_sane),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
