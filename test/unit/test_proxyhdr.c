/* SPDX-License-Identifier: ISC */
/* needs: backends/proxyhdr.c proxy/base/addr.c proxy/base/parse.c */
/* needs: proxy/base/span.c proxy/base/ensure.c */
/*
 * The rules of HAProxy's proxy-protocol.txt; every case is also read at every
 * place where it could be cut off.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "backends/proxyhdr.h"

#define SIGNATURE	"\r\n\r\n\0\r\nQUIT\n"
#define IPV4		"\xc0\0\2\1\xc6\x33\x64\2\x30\x39\x03\xe1"
#define OCTETS(literal) span_of(literal, sizeof(literal) - 1)

/* Copies to the heap, so that a sanitizer sees a read behind the end. */
static enum proxyhdr_result
parse(struct span in, struct proxyhdr *out_header, size_t *out_len)
{
	uint8_t *copy = malloc(in.len + 1);
	assert_non_null(copy);
	memcpy(copy + 1, in.data, in.len);
	enum proxyhdr_result result =
	    proxyhdr_parse(span_of(copy + 1, in.len), out_header, out_len);
	free(copy);
	return result;
}

static struct proxyhdr
assert_complete(struct span in)
{
	struct proxyhdr header;
	size_t len;

	for (size_t cut = 0; cut < in.len; cut++)
		assert_int_equal(
		    PROXYHDR_MORE, parse(span_of(in.data, cut), &header, &len));
	assert_int_equal(PROXYHDR_COMPLETE, parse(in, &header, &len));
	assert_int_equal(in.len, len);

	uint8_t longer[PROXYHDR_MAX + 8];
	assert_true(in.len <= PROXYHDR_MAX);
	memcpy(longer, in.data, in.len);
	memcpy(longer + in.len, "\x16\3\1PROXY", 8);
	assert_int_equal(PROXYHDR_COMPLETE,
	    parse(span_of(longer, in.len + 8), &header, &len));
	assert_int_equal(in.len, len);
	return header;
}

/* Bad from its first `at` octets on, a valid beginning before. */
static void
assert_bad_at(struct span in, size_t at)
{
	struct proxyhdr header;
	size_t len;

	for (size_t cut = 0; cut <= in.len; cut++) {
		enum proxyhdr_result result =
		    parse(span_of(in.data, cut), &header, &len);
		assert_int_equal(
		    cut < at ? PROXYHDR_MORE : PROXYHDR_BAD, result);
		assert_int_equal(ADDR_NONE, header.client.family);
		assert_int_equal(0, len);
	}
}

static void
assert_addr(const char *wanted, const struct addr *addr)
{
	char text[ADDR_TEXT_MAX];
	assert_string_equal(wanted, addr_text(addr, text));
}

static void
test_v1_reads_addresses(void **state)
{
	(void)state;
	struct proxyhdr h = assert_complete(
	    OCTETS("PROXY TCP4 192.0.2.1 198.51.100.2 12345 993\r\n"));
	assert_addr("192.0.2.1:12345", &h.client);
	assert_addr("198.51.100.2:993", &h.local);
	assert_false(h.is_local);
	h = assert_complete(
	    OCTETS("PROXY TCP4 255.255.255.255 0.0.0.0 0 65535\r\n"));
	assert_addr("255.255.255.255:0", &h.client);
	h = assert_complete(OCTETS("PROXY TCP6 2001:DB8::1 "
				   "2001:0db8:0000:0000:0000:0000:0000:0002 "
				   "1 993\r\n"));
	assert_addr("[2001:db8::1]:1", &h.client);
	assert_addr("[2001:db8::2]:993", &h.local);
	assert_complete(OCTETS("PROXY TCP6 :: 1:2:3:4:5:6:7:: 1 2\r\n"));
}

static void
test_v1_unmaps(void **state)
{
	(void)state;
	struct proxyhdr h = assert_complete(
	    OCTETS("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6402 1 2\r\n"));
	assert_addr("192.0.2.1:1", &h.client);
	assert_addr("198.51.100.2:2", &h.local);
}

static void
test_v1_unknown(void **state)
{
	(void)state;
	struct proxyhdr h = assert_complete(OCTETS("PROXY UNKNOWN\r\n"));
	assert_int_equal(ADDR_NONE, h.client.family);
	assert_false(h.is_local);
	uint8_t line[110];
	memset(line, 'x', sizeof(line));
	memcpy(line, "PROXY UNKNOWN ", 14);
	memcpy(line + 105, "\r\n", 2);
	assert_complete(span_of(line, 107));
	memcpy(line + 105, "x\r\n", 3);
	assert_bad_at(span_of(line, 108), 106);
	assert_bad_at(OCTETS("PROXY UNKNOWNx\r\n"), 14);
	assert_bad_at(OCTETS("PROXY UNKNOWN a\tb\r\n"), 16);
	assert_bad_at(OCTETS("PROXY UNKNOWN a\nb\r\n"), 16);
	assert_bad_at(OCTETS("PROXY UNKNOWN \0\r\n"), 15);
}

static void
test_v1_is_strict(void **state)
{
	(void)state;
	assert_bad_at(OCTETS("GET / HTTP/1.0\r\n"), 1);
	assert_bad_at(OCTETS("PROXY  TCP4 "), 7);
	assert_bad_at(OCTETS("PROXY TCP5 "), 10);
	assert_bad_at(OCTETS("proxy TCP4 "), 1);
	assert_bad_at(OCTETS("PROXY UDP4 "), 8);
	assert_bad_at(OCTETS("PROXY TCP4  192.0.2.1"), 12);
	assert_bad_at(OCTETS("PROXY TCP4 256.0.2.1 "), 14);
	assert_bad_at(OCTETS("PROXY TCP4 192.0.02.1 "), 19);
	assert_bad_at(OCTETS("PROXY TCP4 192.0.2 "), 19);
	assert_bad_at(OCTETS("PROXY TCP4 192.0.2.1.1 "), 21);
	assert_bad_at(OCTETS("PROXY TCP4 ::1 "), 12);
	assert_bad_at(OCTETS("PROXY TCP6 1.2.3.4 "), 13);
	assert_bad_at(OCTETS("PROXY TCP6 1::2::3 "), 17);
	assert_bad_at(OCTETS("PROXY TCP6 12345::3 "), 16);
	assert_bad_at(OCTETS("PROXY TCP6 fe80::1%eth0 "), 19);
	assert_bad_at(OCTETS("PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n"), 29);
	assert_bad_at(OCTETS("PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n"), 32);
	assert_bad_at(OCTETS("PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n"), 28);
	assert_bad_at(OCTETS("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n"), 31);
	assert_bad_at(OCTETS("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n"), 31);
	assert_bad_at(OCTETS("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rx"), 32);
	assert_bad_at(OCTETS("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n"), 29);
	assert_bad_at(OCTETS("PROXY TCP4\r\n"), 11);
}

/* ---- version 2 --------------------------------------------------------- */

static struct span
v2(uint8_t *buf, uint8_t command, uint8_t family, struct span body)
{
	memcpy(buf, SIGNATURE, 12);
	buf[12] = command;
	buf[13] = family;
	buf[14] = (uint8_t)(body.len >> 8);
	buf[15] = (uint8_t)body.len;
	memcpy(buf + 16, body.data, body.len);
	return span_of(buf, 16 + body.len);
}

static void
test_v2_reads_addresses(void **state)
{
	(void)state;
	uint8_t buf[600];
	struct proxyhdr h = assert_complete(v2(buf, 0x21, 0x11, OCTETS(IPV4)));
	assert_addr("192.0.2.1:12345", &h.client);
	assert_addr("198.51.100.2:993", &h.local);
	h = assert_complete(v2(buf, 0x21, 0x21,
	    OCTETS("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
		   "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1"
		   "\0\1\3\xe1")));
	assert_addr("[2001:db8::1]:1", &h.client);
	assert_addr("192.0.2.1:993", &h.local);
}

static void
test_v2_other_families(void **state)
{
	(void)state;
	uint8_t buf[600], body[300] = {0};
	struct proxyhdr h =
	    assert_complete(v2(buf, 0x21, 0x31, span_of(body, 216)));
	assert_int_equal(ADDR_NONE, h.client.family);
	h = assert_complete(v2(buf, 0x21, 0x12, OCTETS(IPV4)));
	assert_int_equal(ADDR_NONE, h.client.family);
	h = assert_complete(v2(buf, 0x21, 0x00, OCTETS("")));
	assert_int_equal(ADDR_NONE, h.client.family);
	assert_complete(v2(buf, 0x21, 0x00, OCTETS("anything")));
	assert_bad_at(v2(buf, 0x21, 0x31, span_of(body, 215)), 16);
	assert_bad_at(v2(buf, 0x21, 0x41, OCTETS(IPV4)), 14);
	assert_bad_at(v2(buf, 0x21, 0x13, OCTETS(IPV4)), 14);
}

static void
test_v2_local_is_skipped(void **state)
{
	(void)state;
	uint8_t buf[600], body[520] = {0};
	struct proxyhdr h = assert_complete(v2(buf, 0x20, 0x00, OCTETS("")));
	assert_true(h.is_local);
	h = assert_complete(v2(buf, 0x20, 0x11, OCTETS(IPV4 "\1\xff\xff")));
	assert_true(h.is_local);
	assert_int_equal(ADDR_NONE, h.client.family);
	assert_complete(v2(buf, 0x20, 0xff, span_of(body, 520)));
}

static void
test_v2_bounds(void **state)
{
	(void)state;
	uint8_t buf[1000], body[800] = {0};
	/* One TLV (NOOP) that fills it. */
	memcpy(body, IPV4, 12);
	body[12] = 4;
	body[13] = 505 >> 8;
	body[14] = 505 & 255;
	assert_complete(v2(buf, 0x21, 0x11, span_of(body, 520)));
	body[14]++;
	assert_bad_at(v2(buf, 0x21, 0x11, span_of(body, 521)), 16);
	assert_bad_at(v2(buf, 0x20, 0x00, span_of(body, 768)), 15);
	assert_bad_at(v2(buf, 0x21, 0x11, span_of(body, 11)), 16);
	assert_bad_at(v2(buf, 0x22, 0x11, OCTETS(IPV4)), 13);
	assert_bad_at(v2(buf, 0x11, 0x11, OCTETS(IPV4)), 13);
	assert_bad_at(OCTETS("\r\n\r\n\0\r\nQUIX"), 11);
}

static void
test_v2_tlvs_tile(void **state)
{
	(void)state;
	uint8_t buf[600];
	assert_complete(
	    v2(buf, 0x21, 0x11, OCTETS(IPV4 "\1\0\4imap\4\0\0\2\0\1x")));
	/* One octet over, one short, and a stump of a head. */
	assert_bad_at(v2(buf, 0x21, 0x11, OCTETS(IPV4 "\1\0\5imap")), 31);
	assert_bad_at(v2(buf, 0x21, 0x11, OCTETS(IPV4 "\1\0\3imap")), 31);
	assert_bad_at(v2(buf, 0x21, 0x11, OCTETS(IPV4 "\1\0")), 28 - 12);
}

static void
test_v2_crc32c(void **state)
{
	(void)state;
	uint8_t buf[600];
	/* Computed with another implementation over these very octets. */
	struct span good =
	    v2(buf, 0x21, 0x11, OCTETS(IPV4 "\3\0\4\x00\x00\x00\x00\4\0\1x"));
	static const uint8_t crc[4] = {0x80, 0x2b, 0xa4, 0x04};
	memcpy(buf + 31, crc, 4);
	assert_complete(good);
	for (size_t i = 12; i < good.len; i++) {
		struct proxyhdr h;
		size_t len;
		/* Another type of TLV: then there is no checksum. */
		if (i == 28)
			continue;
		buf[i] ^= 0x40;
		assert_int_not_equal(PROXYHDR_COMPLETE, parse(good, &h, &len));
		buf[i] ^= 0x40;
	}
	assert_bad_at(v2(buf, 0x21, 0x11, OCTETS(IPV4 "\3\0\3\0\0\0")), 31);
}

/* ---- writing ----------------------------------------------------------- */

static struct addr
address(const char *text)
{
	struct addr addr;
	assert_true(addr_parse(span_str(text), &addr));
	return addr;
}

static void
assert_v1(const char *wanted, struct addr client, struct addr local)
{
	char buf[200];
	struct outbuf out;
	outbuf_init(&out, buf, sizeof(buf));
	proxyhdr_write_v1(&out, &client, &local);
	assert_int_equal(strlen(wanted), out.len);
	assert_memory_equal(wanted, buf, out.len);
}

static void
test_write_v1(void **state)
{
	(void)state;
	struct addr v4 = address("192.0.2.1:12345");
	struct addr v6 = address("[2001:db8::1]:993");
	struct addr widest =
	    address("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	struct addr none = {.family = ADDR_NONE};

	assert_v1("PROXY TCP4 192.0.2.1 192.0.2.1 12345 12345\r\n", v4, v4);
	assert_v1("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
	    widest, widest);
	assert_v1("PROXY UNKNOWN\r\n", v4, v6);
	assert_v1("PROXY UNKNOWN\r\n", none, none);
}

static void
test_write_v2_octets(void **state)
{
	(void)state;
	struct addr client = address("192.0.2.1:12345");
	struct addr local = address("198.51.100.2:993");
	struct proxyhdr_tls tls = {.version = "TLSv1.3",
	    .cipher = "ABC",
	    .alpn = "imap",
	    .sni = "mx.example"};
	uint8_t buf[600];
	struct outbuf out;
	struct span wanted = OCTETS(
	    SIGNATURE "\x21\x11\0\x38" IPV4 "\1\0\4imap\2\0\x0amx.example"
		      "\x20\0\x15\1\0\0\0\1\x21\0\7TLSv1.3\x23\0\3"
		      "ABC");

	outbuf_init(&out, buf, sizeof(buf));
	proxyhdr_write_v2(&out, &client, &local, &tls);
	assert_int_equal(wanted.len, out.len);
	assert_memory_equal(wanted.data, buf, out.len);
	/* What the length counts is exactly what follows it. */
	assert_int_equal(out.len - 16, buf[14] << 8 | buf[15]);
	assert_complete(outbuf_span(&out));
}

static void
test_write_v2_mixed(void **state)
{
	(void)state;
	struct addr v4 = address("192.0.2.1:12345");
	struct addr v6 = address("[2001:db8::1]:993");
	uint8_t buf[600];
	struct outbuf out;

	outbuf_init(&out, buf, sizeof(buf));
	proxyhdr_write_v2(&out, &v4, &v6, NULL);
	assert_int_equal(52, out.len);
	assert_int_equal(0x21, buf[13]);
	assert_memory_equal(
	    "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1", buf + 16, 16);
	struct proxyhdr h = assert_complete(outbuf_span(&out));
	assert_true(addr_equal(&v4, &h.client));
	assert_true(addr_equal(&v6, &h.local));
}

static void
test_write_v2_no_address(void **state)
{
	(void)state;
	struct addr none = {.family = ADDR_NONE};
	struct proxyhdr_tls tls = {.version = "TLSv1.2"};
	uint8_t buf[600];
	struct outbuf out;

	outbuf_init(&out, buf, sizeof(buf));
	proxyhdr_write_v2(&out, &none, &none, &tls);
	assert_int_equal(0x21, buf[12]);
	assert_int_equal(0x00, buf[13]);
	struct proxyhdr h = assert_complete(outbuf_span(&out));
	assert_false(h.is_local);
}

/* A client chose the name: too long is left out. And: all or nothing. */
static void
test_write_v2_limits(void **state)
{
	(void)state;
	struct addr v4 = address("192.0.2.1:12345");
	char sni[257], buf[600];
	struct proxyhdr_tls tls = {.version = "TLSv1.3", .sni = sni};
	struct outbuf out;

	memset(sni, 'a', sizeof(sni) - 1);
	sni[256] = '\0';
	outbuf_init(&out, buf, sizeof(buf));
	proxyhdr_write_v2(&out, &v4, &v4, &tls);
	assert_int_equal(16 + 12 + 3 + 5 + 10, out.len);
	sni[255] = '\0';
	outbuf_init(&out, buf, sizeof(buf));
	proxyhdr_write_v2(&out, &v4, &v4, &tls);
	assert_int_equal(16 + 12 + 3 + 5 + 10 + 3 + 255, out.len);
	assert_complete(outbuf_span(&out));

	outbuf_init(&out, buf, 40);
	proxyhdr_write_v2(&out, &v4, &v4, &tls);
	assert_true(out.overflow);
	assert_int_equal(0, out.len);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_v1_reads_addresses),
	    cmocka_unit_test(test_v1_unmaps),
	    cmocka_unit_test(test_v1_unknown),
	    cmocka_unit_test(test_v1_is_strict),
	    cmocka_unit_test(test_v2_reads_addresses),
	    cmocka_unit_test(test_v2_other_families),
	    cmocka_unit_test(test_v2_local_is_skipped),
	    cmocka_unit_test(test_v2_bounds),
	    cmocka_unit_test(test_v2_tlvs_tile),
	    cmocka_unit_test(test_v2_crc32c),
	    cmocka_unit_test(test_write_v1),
	    cmocka_unit_test(test_write_v2_octets),
	    cmocka_unit_test(test_write_v2_mixed),
	    cmocka_unit_test(test_write_v2_no_address),
	    cmocka_unit_test(test_write_v2_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
