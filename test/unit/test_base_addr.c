/* SPDX-License-Identifier: ISC */
/* needs: proxy/base/addr.c proxy/base/parse.c proxy/base/span.c */
/* needs: proxy/base/ensure.c */
/* Addresses, endpoints and prefixes: what is read, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "proxy/base/addr.h"

static struct addr
ip(const char *text)
{
	struct addr addr;

	assert_true(addr_parse_ip(span_str(text), &addr));
	return addr;
}

static void
test_endpoints(void **state)
{
	static const char *const good[] = {
	    "192.0.2.1:993", "[::]:1", "[2001:db8::1]:65535"};
	static const char *const bad[] = {"", ":", "192.0.2.1",
	    "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:+1",
	    "::1:993", "[::1]", "[::1]:", "[192.0.2.1]:1", "[::1:1",
	    "192.0.2:1", "192.0.2.1:1 ", "[]:1", "[::1%lo]:1"};
	struct addr addr;
	char buf[ADDR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(addr_parse(span_str(good[i]), &addr));
		assert_string_equal(addr_text(&addr, buf), good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(addr_parse(span_str(bad[i]), &addr));
		assert_int_equal(addr.family, ADDR_NONE);
	}
	assert_false(addr_parse(span_of("192.0.2.1\0:1", 12), &addr));
	assert_string_equal(addr_text(&addr, buf), "-");
}

static void
test_prefixes(void **state)
{
	static const char *const bad[] = {"", "/8", "10.0.0.0/", "10.0.0.0/33",
	    "10.0.0.1/8", "::/129", "2001:db8::1/64", "10.0.0.0/-1", "10/8"};
	struct prefix prefix;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(prefix_parse(span_str(bad[i]), &prefix));
	assert_true(prefix_parse(span_str("10.1.0.0/17"), &prefix));
	struct addr inside = ip("10.1.127.255"), outside = ip("10.1.128.0");
	assert_true(prefix_contains(&prefix, &inside));
	assert_false(prefix_contains(&prefix, &outside));
	struct addr v6 = ip("a01::");
	assert_false(prefix_contains(&prefix, &v6));
	assert_true(prefix_parse(span_str("::/0"), &prefix));
	assert_true(prefix_contains(&prefix, &v6));
	assert_false(prefix_contains(&prefix, &inside));
	assert_true(prefix_parse(span_str("::1"), &prefix));
	assert_int_equal(prefix.bits, 128);
}

static void
test_unmap(void **state)
{
	struct addr mapped = ip("::ffff:192.0.2.1"), plain = ip("192.0.2.1");
	struct addr other = ip("::fffe:192.0.2.1"), same = other;

	(void)state;
	assert_false(addr_equal_ip(&mapped, &plain));
	addr_unmap(&mapped);
	assert_true(addr_equal_ip(&mapped, &plain));
	addr_unmap(&other);
	assert_true(addr_equal(&other, &same));
	other.port = 1;
	assert_false(addr_equal(&other, &same));
}

static void
test_sockaddr_round_trip(void **state)
{
	static const char *const texts[] = {"192.0.2.1:993", "[2001:db8::1]:1"};
	struct sockaddr_storage sa;
	struct addr addr, back;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_true(addr_parse(span_str(texts[i]), &addr));
		socklen_t len = addr_to_sockaddr(&addr, &sa);
		assert_int_equal(len, i == 0 ? sizeof(struct sockaddr_in)
					     : sizeof(struct sockaddr_in6));
		assert_true(addr_from_sockaddr((struct sockaddr *)&sa, &back));
		assert_true(addr_equal(&addr, &back));
	}
	sa.ss_family = AF_UNIX;
	assert_false(addr_from_sockaddr((struct sockaddr *)&sa, &back));
	assert_int_equal(back.family, ADDR_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_endpoints),
	    cmocka_unit_test(test_prefixes),
	    cmocka_unit_test(test_unmap),
	    cmocka_unit_test(test_sockaddr_round_trip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
