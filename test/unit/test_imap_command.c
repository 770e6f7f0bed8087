/* SPDX-License-Identifier: ISC */
/* needs: proxy/imap/command.c proxy/imap/grammar.c proxy/base/imaplex.c */
/* needs: proxy/base/span.c proxy/base/ensure.c */
/*
 * The parser of commands before login: one row is one script and what must
 * come out of it; every script is fed at once, octet by octet, and at every
 * split in two.
 */
#include "proxy/imap/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TRACE_MAX 65536

static void
put_text(struct outbuf *out, struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] > 0x20 && text.data[i] < 0x7f)
			outbuf_putc(out, (char)text.data[i]);
		else
			outbuf_printf(out, "\\%02x", text.data[i]);
}

static void
trace_command(const struct command *command, struct outbuf *out)
{
	static const char *const kinds[] = {"UNKNOWN", "CAPABILITY", "NOOP",
	    "LOGOUT", "ID", "STARTTLS", "LOGIN", "AUTHENTICATE"};
	outbuf_printf(out, "%s %s", command->tag, kinds[command->kind]);
	if (command->kind == COMMAND_LOGIN) {
		outbuf_putc(out, ' ');
		put_text(out, span_secret(&command->user));
		outbuf_putc(out, ' ');
		put_text(out, span_secret(&command->password));
	} else if (command->kind == COMMAND_AUTHENTICATE) {
		outbuf_printf(out, " %s", command->mechanism);
		if (command->has_initial)
			outbuf_putc(out, ' ');
		put_text(out, span_secret(&command->initial));
	} else if (command->kind == COMMAND_ID) {
		outbuf_putc(out, ' ');
		put_text(out, span_str(command->id.name));
		outbuf_putc(out, '|');
		put_text(out, span_str(command->id.version));
		outbuf_putc(out, '|');
		put_text(out, span_str(command->id.os));
	}
	outbuf_putc(out, ';');
}

/* False: the parser is through with the connection. */
static bool
trace_status(struct command_parser *parser, enum command_status status,
    struct outbuf *out)
{
	switch (status) {
	case COMMAND_MORE:
		return true;
	case COMMAND_READY:
		trace_command(command_parser_command(parser), out);
		return true;
	case COMMAND_CONTINUE:
		outbuf_puts(out, "+;");
		return true;
	case COMMAND_BAD:
		outbuf_printf(
		    out, "BAD %s;", command_parser_command(parser)->tag);
		return true;
	case COMMAND_LIMIT:
		outbuf_printf(
		    out, "LIMIT %s;", command_parser_command(parser)->tag);
		return true;
	case COMMAND_TOO_LONG:
		outbuf_puts(out, "TOO_LONG;");
		return false;
	case COMMAND_HTTP:
		outbuf_puts(out, "HTTP;");
		return false;
	case COMMAND_NO_MEMORY:
		outbuf_puts(out, "NO_MEMORY;");
		return false;
	}
	return false;
}

static bool
feed(struct command_parser *parser, struct span in, struct outbuf *out)
{
	while (in.len > 0)
		if (!trace_status(parser, command_feed(parser, &in), out))
			return false;
	return true;
}

/* Feeds pieces of the given length behind a first one of `split`. */
static void
run_split(struct span script, size_t split, size_t piece, struct outbuf *out)
{
	struct command_parser *parser = command_parser_new();
	bool goes_on = feed(parser, span_of(script.data, split), out);
	span_advance(&script, split);
	while (goes_on && script.len > 0) {
		size_t n = piece < script.len ? piece : script.len;
		/* A copy of exact size, so that a read past it is found. */
		uint8_t *copy = malloc(n);
		assert_non_null(copy);
		memcpy(copy, script.data, n);
		goes_on = feed(parser, span_of(copy, n), out);
		free(copy);
		span_advance(&script, n);
	}
	command_parser_free(parser);
}

static void
check_trace(struct span script, size_t split, size_t piece, const char *wanted)
{
	static char text[TRACE_MAX];
	struct outbuf out;
	outbuf_init(&out, text, sizeof(text) - 1);
	run_split(script, split, piece, &out);
	assert_false(out.overflow);
	text[out.len] = '\0';
	assert_string_equal(text, wanted);
}

static void
check(struct span script, const char *wanted)
{
	check_trace(script, 0, script.len, wanted);
	check_trace(script, 0, 1, wanted);
	if (script.len > 2000)
		return;
	for (size_t i = 1; i < script.len; i++)
		check_trace(script, i, script.len, wanted);
}

struct row {
	const char *script;
	const char *wanted;
};

static void
check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check(span_str(rows[i].script), rows[i].wanted);
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof(rows[0]))

static void
test_simple_commands(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    {"a1 NOOP\r\n", "a1 NOOP;"},
	    {"a1 noop\n", "a1 NOOP;"},
	    {"1 CAPABILITY\r\n2 LOGOUT\r\n", "1 CAPABILITY;2 LOGOUT;"},
	    {". StartTLS\r\n", ". STARTTLS;"},
	    {"a]b NOOP\r\n", "a]b NOOP;"},
	    {"a1 SELECT inbox\r\na2 NOOP\r\n", "a1 UNKNOWN;a2 NOOP;"},
	    {"a1 UID\r\n", "a1 UNKNOWN;"},
	    {"a1 AUTHENTICATEE X\r\n", "a1 UNKNOWN;"},
	    {"a1 AUTHENTICATEEEEEEEEEEEEEEEEEEEEEE X\r\n", "a1 UNKNOWN;"},
	};
	CHECK_ROWS(rows);
}

static void
test_syntax_errors(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    {"\r\n", "BAD ;"},
	    {"\n\na NOOP\n", "BAD ;BAD ;a NOOP;"},
	    {"a1\r\n", "BAD a1;"},
	    {"a1 \r\n", "BAD a1;"},
	    {"a1  NOOP\r\n", "BAD a1;"},
	    {" NOOP\r\n", "BAD ;"},
	    {"a+1 NOOP\r\n", "BAD ;"},
	    {"* NOOP\r\n", "BAD ;"},
	    {"a\"1 NOOP\r\n", "BAD ;"},
	    {"\xc3\xa4 NOOP\r\n", "BAD ;"},
	    {"a1 NOOP x\r\n", "BAD a1;"},
	    {"a1 NO\rOP\r\n", "BAD a1;"},
	    {"a1 NOOP\r\r\n", "BAD a1;"},
	    {"a1\rNOOP\r\na2 NOOP\r\n", "BAD a1;a2 NOOP;"},
	    {"a1 LOGIN\r\n", "BAD a1;"},
	    {"a1 LOGIN u\r\n", "BAD a1;"},
	    {"a1 LOGIN u p x\r\n", "BAD a1;"},
	    {"a1 LOGIN  u p\r\n", "BAD a1;"},
	    {"a1 LOGIN (u) p\r\n", "BAD a1;"},
	    {"a1 LOGIN u p\x7f\r\n", "BAD a1;"},
	    {"a1 LOGIN u \xc3\xa4\r\n", "BAD a1;"},
	    {"a1 AUTHENTICATE\r\n", "BAD a1;"},
	    {"a1 AUTHENTICATE \r\n", "BAD a1;"},
	    {"a1 AUTHENTICATE PLAIN a b\r\n", "BAD a1;"},
	    {"a1 AUTHENTICATE PLA.IN\r\n", "BAD a1;"},
	    {"a1 AUTHENTICATE ABCDEFGHIJKLMNOPQRSTU\r\n", "BAD a1;"},
	    {"a1 ID\r\n", "BAD a1;"},
	    {"a1 ID NILL\r\n", "BAD a1;"},
	    {"a1 ID (\"a\")\r\n", "BAD a1;"},
	    {"a1 ID (\"a\" \"b\"\r\n", "BAD a1;"},
	    {"a1 ID (\"a\" \"b\") x\r\n", "BAD a1;"},
	    {"a1 ID (NIL NIL)\r\n", "BAD a1;"},
	    {"a1 ID (a b)\r\n", "BAD a1;"},
	};
	CHECK_ROWS(rows);
}

/* What the grammar does not have, and clients send all the same. */
static void
test_liberties(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    {"a NOOP \r\n", "a NOOP;"},
	    {"a CAPABILITY  \n", "a CAPABILITY;"},
	    {"a LOGIN u p \r\n", "a LOGIN u p;"},
	    {"a LOGIN \"u\" \"p\"  \r\n", "a LOGIN u p;"},
	    {"a LOGIN u {1+}\r\np \r\n", "a LOGIN u p;"},
	    {"a LOGIN u p x\r\n", "BAD a;"},
	    {"a LOGIN u \r\n", "BAD a;"},
	    {"a LOGIN u*master %p\r\n", "a LOGIN u*master %p;"},
	    {"a LOGIN DOMAIN\\u \\p\r\n", "a LOGIN DOMAIN\\u \\p;"},
	    {"a LOGIN u\"x p\r\n", "BAD a;"},
	    {"a LOGIN u p{8+}\r\nb NOOP\r\n\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a AUTHENTICATE PLAIN \r\n", "a AUTHENTICATE PLAIN;"},
	    {"a ID NIL \r\n", "a ID ||;"},
	};
	CHECK_ROWS(rows);
}

static void
test_login(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    {"a LOGIN u p\r\n", "a LOGIN u p;"},
	    {"a LOGIN u] ]p\r\n", "a LOGIN u] ]p;"},
	    {"a LOGIN \"u \\\"x\\\\\" \"\"\r\n", "a LOGIN u\\20\"x\\ ;"},
	    {"a LOGIN \"\xc3\xa4\" \"{3+}\"\r\n", "a LOGIN \\c3\\a4 {3+};"},
	    {"a LOGIN {3}\r\nu r {2}\r\np\"\r\n", "+;+;a LOGIN u\\20r p\";"},
	    {"a LOGIN {3+}\r\nu\r\n {2-}\np\n\nb NOOP\n",
		"a LOGIN u\\0d\\0a p\\0a;b NOOP;"},
	    {"a LOGIN {0}\r\n {0+}\r\n\r\n", "+;a LOGIN  ;"},
	    {"a LOGIN {0001+}\r\nx y\r\n", "a LOGIN x y;"},
	    {"a LOGIN u {1}\r\npb NOOP\r\n", "+;BAD a;"},
	    {"a LOGIN {1+}\r\nxy z\r\n", "BAD a;"},
	    {"a LOGIN \"u\"x p\r\n", "BAD a;"},
	    {"a LOGIN u \"p\\x\"\r\n", "BAD a;"},
	    {"a LOGIN u \"p\r\nb NOOP\r\n", "BAD a;b NOOP;"},
	    {"a LOGIN u \"p\rq\"\r\n", "BAD a;"},
	};
	CHECK_ROWS(rows);
}

/* Smuggling: no octet of a literal is a command. */
static void
test_smuggling(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    {"a SELECT {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n", "a UNKNOWN;c NOOP;"},
	    {"a FOO {8-}\r\nb NOOP\r\n {8+}\r\nb NOOP\r\n x\r\nc NOOP\r\n",
		"a UNKNOWN;c NOOP;"},
	    {"a NOOP {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a LOGIN (x {8+}\r\nb NOOP\r\n y\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a LOGIN u p {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a LOGIN u ~{8+}\r\nb NOOP\r\n\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a LOGIN u \"x{8+}\r\nb NOOP\r\n\"\r\nc NOOP\r\n",
		"BAD a;c NOOP;"},
	    {"a LOGIN u {1}{8+}\r\nb NOOP\r\n\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a ID (x {8+}\r\nb NOOP\r\n)\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a AUTHENTICATE {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n",
		"BAD a;c NOOP;"},
	    {"a AUTHENTICATE PLAIN {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n",
		"BAD a;c NOOP;"},
	    {"{8+}\r\nb NOOP\r\n\r\nc NOOP\r\n", "BAD ;c NOOP;"},
	    {"a+ {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n", "BAD ;c NOOP;"},
	    {"a FOO {8+}\r\r\nb NOOP\r\n\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a FOO {0+}\r\nb NOOP\r\nc NOOP\r\n", "a UNKNOWN;c NOOP;"},
	    /* Without a continuation nothing follows {n}. */
	    {"a SELECT {8}\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a NOOP {8}\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a LOGIN u p {8}\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a SELECT {99999}\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    /* Not a literal. */
	    {"a LOGIN u {+5}\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a LOGIN u {-5}\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a LOGIN u { 5}\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a LOGIN u {5 }\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a LOGIN u {5++}\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a LOGIN u {0x5}\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a LOGIN u {}\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a LOGIN u {+}\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a LOGIN u {5\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a LOGIN u {5} \r\nc NOOP\r\n", "BAD a;c NOOP;"},
	    {"a LOGIN u {5}\rx\r\nc NOOP\r\n", "BAD a;c NOOP;"},
	};
	CHECK_ROWS(rows);
}

static void
test_literal_limits(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    {"a LOGIN u {4097}\r\nb NOOP\r\n", "LIMIT a;b NOOP;"},
	    {"a LOGIN u {4096}\r\nb NOOP\r\n", "+;"},
	    {"a LOGIN u {4097+}\r\nb NOOP\r\n", "TOO_LONG;"},
	    {"a LOGIN u {4097-}\r\nb NOOP\r\n", "TOO_LONG;"},
	    {"a FOO {4097+}\r\nb NOOP\r\n", "TOO_LONG;"},
	    {"a ID (\"name\" {4097})\r\nb NOOP\r\n", "BAD a;b NOOP;"},
	    {"a ID (\"name\" {4097}\r\nb NOOP\r\n", "LIMIT a;b NOOP;"},
	    {"a LOGIN u {9223372036854775807}\r\n", "LIMIT a;"},
	    {"a LOGIN u {9223372036854775808}\r\n", "BAD a;"},
	    {"a LOGIN u {18446744073709551617}\r\n", "BAD a;"},
	    {"a LOGIN u {18446744073709551617+}\r\nb", "TOO_LONG;"},
	    {"a LOGIN u {99999999999999999999999999999999}\r\n", "BAD a;"},
	};
	CHECK_ROWS(rows);
}

static void
test_nul(void **state)
{
	(void)state;
	static const char in_literal[] =
	    "a LOGIN {3+}\r\nu\0r p\r\nb LOGIN u {2}\r\n\0x\r\nc NOOP\r\n";
	check(span_of(in_literal, sizeof(in_literal) - 1),
	    "BAD a;+;BAD b;c NOOP;");
	static const char in_quoted[] = "a LOGIN u \"\0\"\r\nb NOOP\r\n";
	check(span_of(in_quoted, sizeof(in_quoted) - 1), "BAD a;b NOOP;");
	static const char in_line[] = "\0 NOOP\r\na N\0OP\r\nb NOOP\0\r\n";
	check(span_of(in_line, sizeof(in_line) - 1), "BAD ;BAD a;BAD b;");
	static const char in_id[] =
	    "a ID (\"name\" {3+}\r\na\0b \"os\" {2+}\r\n\r\n)\r\nb NOOP\r\n";
	check(span_of(in_id, sizeof(in_id) - 1), "BAD a;b NOOP;");
}

static void
test_authenticate(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    {"a AUTHENTICATE plain\r\n", "a AUTHENTICATE PLAIN;"},
	    {"a authenticate XOAUTH2 =\r\n", "a AUTHENTICATE XOAUTH2 =;"},
	    {"a AUTHENTICATE SCRAM-SHA-256 biws\r\n",
		"a AUTHENTICATE SCRAM-SHA-256 biws;"},
	    {"a AUTHENTICATE ABCDEFGHIJKLMNOPQRST x_\r\n",
		"a AUTHENTICATE ABCDEFGHIJKLMNOPQRST x_;"},
	};
	CHECK_ROWS(rows);
}

static void
test_id(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    {"a ID NIL\r\n", "a ID ||;"},
	    {"a id nil\r\n", "a ID ||;"},
	    {"a ID ()\r\n", "a ID ||;"},
	    {"a ID (\"name\" \"X Y\" \"Version\" \"1\" \"OS\" NIL)\r\n",
		"a ID X\\20Y|1|;"},
	    {"a ID (\"vendor\" \"v\" \"x-originating-ip\" \"::1\")\r\n",
		"a ID ||;"},
	    {"a ID (\"names\" \"v\" \"versions\" \"w\" \"nam\" \"x\")\r\n",
		"a ID ||;"},
	    {"a ID ({4+}\r\nname {3}\r\n\r\nx {2}\r\nos \"\\\"\")\r\n",
		"+;+;a ID \\0d\\0ax||\";"},
	    {"a ID (\"name\" \"a\" \"name\" nil)\r\n", "a ID ||;"},
	    {"a ID (\"name\" \"\")\r\n", "a ID ||;"},
	};
	CHECK_ROWS(rows);
}

/* RFC 2971: 30 pairs of 30 and 1024 octets are legal. */
static void
test_id_large(void **state)
{
	(void)state;
	static char script[TRACE_MAX * 2];
	char wanted[128];
	struct outbuf out;
	outbuf_init(&out, script, sizeof(script));
	outbuf_puts(&out, "a ID (");
	for (int i = 0; i < 30; i++) {
		char value[1025];
		memset(value, 'a' + i % 26, sizeof(value) - 1);
		value[1024] = '\0';
		if (i == 0)
			outbuf_puts(&out, "\"name\"");
		else
			outbuf_printf(
			    &out, " \"xxxxxxxxxxxxxxxxxxxxxxxxxxxx%02d\"", i);
		outbuf_printf(
		    &out, i % 2 ? " \"%s\"" : " {1024+}\r\n%s", value);
	}
	outbuf_puts(&out, ")\r\nb NOOP\r\n");
	assert_false(out.overflow);
	memset(wanted, 'a', 5 + CLIENT_ID_MAX);
	memcpy(wanted, "a ID ", 5);
	strncpy(wanted + 5 + CLIENT_ID_MAX, "||;b NOOP;", 16);
	check(outbuf_span(&out), wanted);
}

static void
fill(struct outbuf *out, char c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		outbuf_putc(out, c);
}

static void
test_id_too_long(void **state)
{
	(void)state;
	static char script[TRACE_MAX * 2];
	struct outbuf out;
	outbuf_init(&out, script, sizeof(script));
	outbuf_puts(&out, "a ID (\"k\" \"");
	fill(&out, 'x', COMMAND_LITERAL_MAX + 1);
	check(outbuf_span(&out), "TOO_LONG;");

	outbuf_init(&out, script, sizeof(script));
	outbuf_puts(&out, "a ID (\"k\" \"v\"");
	for (int i = 0; i < 15; i++) {
		outbuf_puts(&out, " \"k\" {4096+}\r\n");
		fill(&out, 'x', 4096);
	}
	size_t len = out.len;
	outbuf_puts(&out, " \"k\" {4096+}\r\n");
	check(outbuf_span(&out), "TOO_LONG;");
	out.len = len;
	outbuf_puts(&out, " \"k\" {4096}\r\nb NOOP\r\n");
	check(outbuf_span(&out), "LIMIT a;b NOOP;");
	out.len = len;
	while (out.len < COMMAND_ID_MAX)
		outbuf_puts(&out, " \"k\" NIL");
	check(span_of(script, COMMAND_ID_MAX), "");
	check(span_of(script, COMMAND_ID_MAX + 1), "TOO_LONG;");
}

static void
test_line_limits(void **state)
{
	(void)state;
	static const struct {
		const char *start;
		size_t max;
		const char *status;
	} rows[] = {
	    {"a FOO ", COMMAND_LINE_MAX, "a UNKNOWN;"},
	    {"", COMMAND_LINE_MAX, "BAD ;"},
	    {"a AUTHENTICATE X {", COMMAND_AUTH_MAX, "BAD a;"},
	    {"a AUTHENTICATE A", COMMAND_AUTH_MAX, "BAD a;"},
	};
	static char script[COMMAND_AUTH_MAX + 16];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct outbuf out;
		outbuf_init(&out, script, sizeof(script));
		outbuf_puts(&out, rows[i].start);
		fill(&out, 'x', rows[i].max - out.len);
		check(outbuf_span(&out), "");
		out.len -= 2;
		outbuf_puts(&out, "\r\n");
		check(outbuf_span(&out), rows[i].status);
		out.len -= 2;
		outbuf_puts(&out, "x\r\n");
		check(outbuf_span(&out), "TOO_LONG;");
	}
}

static void
test_tag_limit(void **state)
{
	(void)state;
	char script[128];
	char wanted[128];
	char tag[COMMAND_TAG_MAX + 2];
	memset(tag, 't', sizeof(tag));
	snprintf(script, sizeof(script), "%.*s NOOP\r\n", COMMAND_TAG_MAX, tag);
	snprintf(wanted, sizeof(wanted), "%.*s NOOP;", COMMAND_TAG_MAX, tag);
	check(span_str(script), wanted);
	snprintf(script, sizeof(script), "%.*s NOOP\r\nb NOOP\r\n",
	    COMMAND_TAG_MAX + 1, tag);
	check(span_str(script), "BAD ;b NOOP;");
}

static void
test_http(void **state)
{
	(void)state;
	static const struct row rows[] = {
	    {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP;"},
	    {"PRI * HTTP/2.0\r\n\r\n", "HTTP;"},
	    {"OPTIONS * HTTP/1.1\r\n", "HTTP;"},
	    {"CONNECT mail:993 HTTP/1.1\r\n", "HTTP;"},
	    {"GET http://x/ HTTP/1.0\r\n", "HTTP;"},
	    {"GET http://x/ HHTTP/1.0\r\n", "HTTP;"},
	    {"GET NOOP\r\nGET / HTTP/1.1\r\n", "GET NOOP;GET UNKNOWN;"},
	    {"HEAD LOGIN u p\r\n", "HEAD LOGIN u p;"},
	    {"get / HTTP/1.1\r\n", "get UNKNOWN;"},
	    {"a NOOP\r\nGET / HTTP/1.1\r\n", "a NOOP;GET UNKNOWN;"},
	};
	CHECK_ROWS(rows);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_simple_commands),
	    cmocka_unit_test(test_syntax_errors),
	    cmocka_unit_test(test_liberties),
	    cmocka_unit_test(test_login),
	    cmocka_unit_test(test_smuggling),
	    cmocka_unit_test(test_literal_limits),
	    cmocka_unit_test(test_nul),
	    cmocka_unit_test(test_authenticate),
	    cmocka_unit_test(test_id),
	    cmocka_unit_test(test_id_large),
	    cmocka_unit_test(test_id_too_long),
	    cmocka_unit_test(test_line_limits),
	    cmocka_unit_test(test_tag_limit),
	    cmocka_unit_test(test_http),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
