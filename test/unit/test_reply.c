/* SPDX-License-Identifier: ISC */
/* needs: backends/reply.c proxy/base/imaplex.c proxy/base/parse.c */
/* needs: proxy/base/span.c proxy/base/ensure.c */
/*
 * The reader of a backend's lines: every script at once, octet by octet, and
 * at every split in two.
 */
#include "backends/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const kinds[] = {"OK", "PREAUTH", "BYE", "CAPABILITY",
    "UNTAGGED", "CONTINUE", "TAGGED_OK", "TAGGED_NO", "TAGGED_BAD", "GARBAGE"};

static void
put_part(struct outbuf *out, struct span part)
{
	outbuf_putc(out, '|');
	outbuf_put(out, part);
}

/* False: nothing more can be read. */
static bool
feed(struct reply_reader *reader, struct span in, struct outbuf *out)
{
	while (in.len > 0) {
		struct reply reply;
		switch (reply_read(reader, &in, &reply)) {
		case REPLY_MORE:
			assert_int_equal(in.len, 0);
			break;
		case REPLY_TOO_MUCH:
			outbuf_puts(out, "TOO_MUCH;");
			return false;
		case REPLY_READY:
			outbuf_puts(out, kinds[reply.kind]);
			put_part(out, reply.tag);
			put_part(out, reply.code);
			put_part(out, reply.text);
			outbuf_putc(out, ';');
			break;
		}
	}
	return true;
}

static void
check_split(struct span script, size_t split, size_t piece, size_t max_total,
    const char *wanted)
{
	static char text[65536];
	struct outbuf out;
	struct reply_reader reader;
	outbuf_init(&out, text, sizeof(text) - 1);
	reply_reader_init(&reader, max_total);
	bool goes_on = feed(&reader, span_of(script.data, split), &out);
	span_advance(&script, split);
	while (goes_on && script.len > 0) {
		size_t n = piece < script.len ? piece : script.len;
		goes_on = feed(&reader, span_of(script.data, n), &out);
		span_advance(&script, n);
	}
	reply_reader_fini(&reader);
	text[out.len] = '\0';
	assert_string_equal(text, wanted);
}

static void
check(struct span script, size_t max_total, const char *wanted)
{
	check_split(script, 0, script.len, max_total, wanted);
	check_split(script, 0, 1, max_total, wanted);
	for (size_t i = 1; i < script.len && script.len < 1000; i++)
		check_split(script, i, script.len, max_total, wanted);
}

struct row {
	const char *script;
	const char *wanted;
};

static void
check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check(span_str(rows[i].script), 0, rows[i].wanted);
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof(rows[0]))

static void
test_status(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    {"* OK hello\r\n", "OK|||hello;"},
	    {"* ok [CAPABILITY IMAP4rev1 ID] ready\n",
		"OK||CAPABILITY IMAP4rev1 ID|ready;"},
	    {"* OK\r\n", "OK|||;"},
	    {"* PREAUTH [X] y\r\n", "PREAUTH||X|y;"},
	    {"* BYE [UNAVAILABLE]\r\n", "BYE||UNAVAILABLE|;"},
	    {"* OK [x\r\n", "OK|||[x;"},
	    {"* OK [] x\r\n", "OK|||x;"},
	    {"* OK text {5}\r\n", "OK|||text {5};"},
	    {"s1 OK done\r\n", "TAGGED_OK|s1||done;"},
	    {"s1 no [ALERT] over [quota]\r\n",
		"TAGGED_NO|s1|ALERT|over [quota];"},
	    {"s1 BAD\r\n", "TAGGED_BAD|s1||;"},
	    {"s1 OK {5}\r\n", "TAGGED_OK|s1||{5};"},
	    {"* NO {5}\r\n* BAD {5}\r\n",
		"UNTAGGED|||NO {5};UNTAGGED|||BAD {5};"},
	};
	CHECK_ROWS(rows);
}

static void
test_others(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    {"+ \r\n+\r\n+ abc=\r\n",
		"CONTINUE|||;CONTINUE|||;CONTINUE|||abc=;"},
	    {"* CAPABILITY IMAP4rev1 ID\r\n", "CAPABILITY|||IMAP4rev1 ID;"},
	    {"* CAPABILITY\r\n", "CAPABILITY|||;"},
	    {"* 5 EXISTS\r\n", "UNTAGGED|||5 EXISTS;"},
	    {"* ID NIL\r\n", "UNTAGGED|||ID NIL;"},
	};
	CHECK_ROWS(rows);
}

static void
test_garbage(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    {"\r\n", "GARBAGE|||;"},
	    {"\n", "GARBAGE|||;"},
	    {"*\r\n", "GARBAGE|||;"},
	    {"* \r\n", "GARBAGE|||;"},
	    {"*OK x\r\n", "GARBAGE|||;"},
	    {"+x\r\n", "GARBAGE|||;"},
	    {"s1\r\n", "GARBAGE|||;"},
	    {"s1 FOO x\r\n", "GARBAGE|||;"},
	    {"s+ OK x\r\n", "GARBAGE|||;"},
	    {" OK x\r\n", "GARBAGE|||;"},
	    {"220 mail ESMTP\r\n", "GARBAGE|||;"},
	    {"HTTP/1.1 400 Bad Request\r\n", "GARBAGE|||;"},
	    {"* X {5+}\r\n", "GARBAGE|||;"},
	    {"* X {-5}\r\n", "GARBAGE|||;"},
	    {"* X {99999999999999999999}\r\n", "GARBAGE|||;"},
	    {"* X {}\r\n", "GARBAGE|||;"},
	};
	CHECK_ROWS(rows);
	check(span_of("* OK \0x\r\ns1 OK\r\n", 17), 0,
	    "GARBAGE|||;TAGGED_OK|s1||;");
}

/* What is inside a literal is never a line of its own. */
static void
test_literals(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    {"* X {10}\r\ns1 OK ok\r\n z\r\ns1 NO\r\n",
		"UNTAGGED|||X \"\" z;TAGGED_NO|s1||;"},
	    {"* ID (\"a\" {2}\r\n\r\n {0}\r\n)\r\ns1 OK\r\n",
		"UNTAGGED|||ID (\"a\" \"\" \"\");TAGGED_OK|s1||;"},
	    {"* X {1}\r\n}\r\ns1 OK\r\n", "UNTAGGED|||X \"\";TAGGED_OK|s1||;"},
	    {"* X }\r\n* X \"{5}\"\r\n",
		"UNTAGGED|||X };UNTAGGED|||X \"{5}\";"},
	};
	CHECK_ROWS(rows);
	check(span_of("* X {3}\r\n\0\0\0\r\ns1 OK\r\n", 21), 0,
	    "UNTAGGED|||X \"\";TAGGED_OK|s1||;");
}

static void
test_line_limit(void **state)
{
	(void)state;
	static char line[REPLY_LINE_MAX + 8];
	static char wanted[REPLY_LINE_MAX + 64];
	memset(line, 'x', sizeof(line));
	memcpy(line, "* OK ", 5);
	line[REPLY_LINE_MAX] = '\n';
	memcpy(wanted, "OK|||", 5);
	memset(wanted + 5, 'x', REPLY_LINE_MAX - 5);
	wanted[REPLY_LINE_MAX] = ';';
	check(span_of(line, REPLY_LINE_MAX + 1), 0, wanted);
	line[REPLY_LINE_MAX] = 'x';
	line[REPLY_LINE_MAX + 1] = '\n';
	check(span_of(line, REPLY_LINE_MAX), 0, "");
	check(span_of(line, REPLY_LINE_MAX + 2), 0, "TOO_MUCH;");
	check(span_of(line, REPLY_LINE_MAX + 1), 0, "TOO_MUCH;");
}

static void
test_total_limit(void **state)
{
	(void)state;
	check(span_str("* OK\n* OK\n"), 10, "OK|||;OK|||;");
	check(span_str("* OK\n* OK\n"), 9, "OK|||;TOO_MUCH;");
	check(span_str("* X {4}\nabcd\n"), 13, "UNTAGGED|||X \"\";");
	check(span_str("* X {5}\nabcde\n"), 13, "TOO_MUCH;");
	check(span_str("* X {6}\n"), 13, "TOO_MUCH;");
}

static void
test_capabilities(void **state)
{
	(void)state;
	assert_int_equal(reply_capabilities(span_str("")), CAP_KNOWN);
	assert_int_equal(
	    reply_capabilities(span_str("IMAP4rev1 sasl-ir  LITERAL+ IDX")),
	    CAP_KNOWN | CAP_SASL_IR | CAP_LITERAL_PLUS);
	assert_int_equal(
	    reply_capabilities(span_str("imap4rev2 ID AUTH=PLAIN auth=login")),
	    CAP_KNOWN | CAP_LITERAL_MINUS | CAP_ID | CAP_AUTH_PLAIN |
		CAP_AUTH_LOGIN);
	assert_int_equal(reply_capabilities(span_str("LITERAL- LOGINDISABLED")),
	    CAP_KNOWN | CAP_LITERAL_MINUS | CAP_LOGINDISABLED);
	assert_true(reply_has_capability(span_str("A b C"), "B"));
	assert_false(reply_has_capability(span_str("AB"), "A"));
	assert_false(reply_has_capability(span_str(""), "A"));
	assert_true(reply_code_is(span_str("Capability X"), "CAPABILITY"));
	assert_false(reply_code_is(span_str("CAPABILITYX"), "CAPABILITY"));
	assert_false(reply_code_is(span_str(""), "CAPABILITY"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_status),
	    cmocka_unit_test(test_others),
	    cmocka_unit_test(test_garbage),
	    cmocka_unit_test(test_literals),
	    cmocka_unit_test(test_line_limit),
	    cmocka_unit_test(test_total_limit),
	    cmocka_unit_test(test_capabilities),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
