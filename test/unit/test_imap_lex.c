/* SPDX-License-Identifier: ISC */
/* needs: proxy/base/imaplex.c proxy/base/span.c proxy/base/ensure.c */
/* The lexical rules of IMAP and strict base64. */
#include "proxy/base/imaplex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
test_characters(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		bool special = c <= 0x20 || c >= 0x7f ||
			       (c != 0 && strchr("(){%*\"\\]", c) != NULL);
		assert_int_equal(imap_is_atom_char((uint8_t)c), !special);
		assert_int_equal(
		    imap_is_astring_char((uint8_t)c), !special || c == ']');
		assert_int_equal(imap_is_tag_char((uint8_t)c),
		    (!special || c == ']') && c != '+');
	}
	assert_true(imap_is_tag(span_str("a.1]")));
	assert_false(imap_is_tag(span_str("a+1")));
	assert_false(imap_is_tag(span_str("")));
	assert_true(imap_is_atom(span_str("LITERAL+")));
	assert_false(imap_is_atom(span_str("a b")));
	assert_false(imap_is_atom(span_str("")));
}

static void
test_words(void **state)
{
	(void)state;
	struct span text = span_str("  a bc  ");
	struct span word;
	assert_true(imap_next_word(&text, &word));
	assert_true(span_equal(word, span_str("a")));
	assert_true(imap_next_word(&text, &word));
	assert_true(span_equal(word, span_str("bc")));
	assert_false(imap_next_word(&text, &word));
	text = span_of(NULL, 0);
	assert_false(imap_next_word(&text, &word));
}

static void
test_quoted(void **state)
{
	(void)state;
	char data[32];
	struct outbuf out;
	outbuf_init(&out, data, sizeof(data));
	imap_put_quoted(&out, span_str("a \"b\\"));
	assert_true(span_equal(outbuf_span(&out), span_str("\"a \\\"b\\\\\"")));
	outbuf_init(&out, data, sizeof(data));
	imap_put_quoted(&out, span_of(NULL, 0));
	assert_true(span_equal(outbuf_span(&out), span_str("\"\"")));
	assert_true(imap_is_quotable(span_str("\x01\x7f")));
	assert_false(imap_is_quotable(span_str("a\r")));
	assert_false(imap_is_quotable(span_str("a\n")));
	assert_false(imap_is_quotable(span_str("\x80")));
	assert_false(imap_is_quotable(span_of("\0", 1)));
}

static void
test_base64_vectors(void **state)
{
	(void)state;
	/* RFC 4648 section 10. */
	static const char *const rows[][2] = {{"", ""}, {"f", "Zg=="},
	    {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="},
	    {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"},
	    {"\xff\xfe\xfb", "//77"}, {"\xfb\xef\xbe", "++++"}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char data[32];
		struct outbuf out;
		struct secret octets = {NULL, 0};
		outbuf_init(&out, data, sizeof(data));
		imap_base64_encode(&out, span_str(rows[i][0]));
		assert_true(
		    span_equal(outbuf_span(&out), span_str(rows[i][1])));
		assert_true(imap_base64_decode(span_str(rows[i][1]), &octets));
		assert_true(
		    span_equal(span_secret(&octets), span_str(rows[i][0])));
		assert_int_equal(octets.data[octets.len], 0);
		secret_wipe(&octets);
	}
}

static void
test_base64_strict(void **state)
{
	(void)state;
	static const char *const rows[] = {"Z", "Zg",
	    "Zg=", "Zg===", "Z===", "=",
	    "==", "===", "====", "Zh==", "Zm9=", "Zg==Zg==", "Zm9v\n", " Zm9v",
	    "Zm 9v", "Zm-v", "Zm_v", "Zm9v=", "Zm9v====", "*", "\xc3\xa4zz",
	    "Z=g=", "Zg=a"};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct secret octets = {NULL, 0};
		assert_false(imap_base64_decode(span_str(rows[i]), &octets));
		assert_null(octets.data);
	}
	struct secret octets = {NULL, 0};
	assert_false(imap_base64_decode(span_of("Zm9\0", 4), &octets));
}

/* Every text of four digits either decodes to what encodes to it, or not. */
static void
test_base64_bijection(void **state)
{
	(void)state;
	static const char digits[] = "AQgwZf09+/=-";
	size_t n = sizeof(digits) - 1;
	for (size_t i = 0; i < n * n * n * n; i++) {
		char text[4] = {digits[i % n], digits[i / n % n],
		    digits[i / n / n % n], digits[i / n / n / n]};
		char data[8];
		struct outbuf out;
		struct secret octets = {NULL, 0};
		if (!imap_base64_decode(span_of(text, 4), &octets))
			continue;
		outbuf_init(&out, data, sizeof(data));
		imap_base64_encode(&out, span_secret(&octets));
		assert_true(span_equal(outbuf_span(&out), span_of(text, 4)));
		secret_wipe(&octets);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_characters),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_quoted),
	    cmocka_unit_test(test_base64_vectors),
	    cmocka_unit_test(test_base64_strict),
	    cmocka_unit_test(test_base64_bijection),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
