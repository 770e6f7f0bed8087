/* SPDX-License-Identifier: ISC */
/* needs: proxy/master/listen.c config/builder.c proxy/base/ */
/*
 * Real sockets on the loopback: who gets a connection is decided by the kernel
 * and our program, and counted by accept(2) on every slot's socket.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/load.h"
#include "proxy/master/listen.h"

#define SLOTS	    5
#define CONNECTIONS 500

static bool
has_ipv6(void)
{
	struct sockaddr_in6 at = {
	    .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool has = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
	if (fd >= 0)
		close(fd);
	return has;
}

/* A port nobody uses, of the family of the text. */
static struct addr
free_address(const char *ip)
{
	struct addr addr;
	struct sockaddr_storage sa;
	assert_true(addr_parse_ip(span_str(ip), &addr));
	socklen_t len = addr_to_sockaddr(&addr, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	close(fd);
	assert_true(addr_from_sockaddr((struct sockaddr *)&sa, &addr));
	return addr;
}

static struct builder *
make_config(const struct addr *addresses, uint32_t n)
{
	struct builder *builder = calloc(1, sizeof(*builder));
	assert_non_null(builder);
	assert_int_equal(
	    builder_append(builder, NULL, sizeof(struct config), 16), 0);
	uint32_t list =
	    builder_append(builder, addresses, n * sizeof(*addresses), 8);
	uint32_t listen =
	    builder_append(builder, NULL, sizeof(struct config_listen), 16);
	struct config *config = builder_config(builder);
	config->gateway.workers = SLOTS;
	config->listens = (struct items){listen, 1};
	struct config_listen *section =
	    (struct config_listen *)(void *)(builder->data + listen);
	section->addresses = (struct items){list, n};
	return builder;
}

static void
dial(const struct addr *addr)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(addr, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	/* A reset: no TIME_WAIT is left behind. */
	struct linger none = {1, 0};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	close(fd);
}

static uint32_t
count_accepted(int fd)
{
	uint32_t n = 0;
	for (;;) {
		int accepted = accept(fd, NULL, NULL);
		if (accepted >= 0) {
			close(accepted);
			n++;
		} else if (errno != ECONNABORTED && errno != EINTR) {
			return n;
		}
	}
}

/* Connects and counts who got how many. */
static void
spread(const struct listeners *listeners, uint32_t address,
    uint32_t out_counts[SLOTS])
{
	memset(out_counts, 0, SLOTS * sizeof(*out_counts));
	for (int i = 0; i < CONNECTIONS; i++) {
		dial(&listeners->addresses[address].addr);
		if (i % 50 == 49)
			for (uint32_t k = 0; k < SLOTS; k++)
				out_counts[k] += count_accepted(
				    listeners_fd(listeners, address, k));
	}
	uint32_t sum = 0;
	for (uint32_t k = 0; k < SLOTS; k++)
		sum += out_counts[k];
	assert_int_equal(sum, CONNECTIONS);
}

/* Every live slot gets about its share (7 standard deviations), others none.
 */
static void
assert_spread(
    const struct listeners *listeners, uint32_t address, const bool live[SLOTS])
{
	uint32_t counts[SLOTS];
	uint32_t n_live = 0;
	for (uint32_t i = 0; i < SLOTS; i++)
		n_live += live[i];
	spread(listeners, address, counts);
	uint32_t share = CONNECTIONS / n_live;
	for (uint32_t i = 0; i < SLOTS; i++) {
		if (!live[i]) {
			assert_int_equal(counts[i], 0);
			continue;
		}
		assert_true(counts[i] * 10 >= share * 3);
		assert_true(counts[i] * 10 <= share * 17);
	}
}

static void
test_steering(void **state)
{
	(void)state;
	struct addr addresses[2] = {free_address("127.0.0.1")};
	uint32_t n = 1;
	if (has_ipv6())
		addresses[n++] = free_address("::1");
	struct builder *builder = make_config(addresses, n);
	struct listeners listeners;
	char why[LISTEN_WHY_MAX] = "";
	assert_true(listeners_open(&listeners, builder_config(builder), why));
	assert_int_equal(listeners.n_addresses, n);

	static const bool sets[][SLOTS] = {
	    {true, true, true, true, true},
	    {true, false, true, false, true},
	    {false, false, false, true, false},
	    {false, true, true, true, true},
	    {true, false, false, false, false},
	};
	for (uint32_t a = 0; a < n; a++)
		for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
			assert_true(listeners_steer(&listeners, sets[i]));
			assert_spread(&listeners, a, sets[i]);
		}
	listeners_close(&listeners);
	builder_free(builder);
}

static void
test_nobody_live_changes_nothing(void **state)
{
	(void)state;
	struct addr address = free_address("127.0.0.1");
	struct builder *builder = make_config(&address, 1);
	struct listeners listeners;
	char why[LISTEN_WHY_MAX] = "";
	assert_true(listeners_open(&listeners, builder_config(builder), why));
	static const bool one[SLOTS] = {false, false, true, false, false};
	static const bool none[SLOTS] = {false};
	assert_true(listeners_steer(&listeners, one));
	assert_true(listeners_steer(&listeners, none));
	assert_spread(&listeners, 0, one);
	listeners_close(&listeners);
	builder_free(builder);
}

static void
test_a_second_instance_is_refused(void **state)
{
	(void)state;
	struct addr address = free_address("127.0.0.1");
	struct builder *builder = make_config(&address, 1);
	struct listeners first, second;
	char why[LISTEN_WHY_MAX] = "", text[ADDR_TEXT_MAX], expected[128];
	assert_true(listeners_open(&first, builder_config(builder), why));
	assert_false(listeners_open(&second, builder_config(builder), why));
	snprintf(expected, sizeof(expected), "%s: address in use",
	    addr_text(&address, text));
	assert_string_equal(why, expected);
	assert_null(second.fds);
	listeners_close(&first);
	/* And is not once the first is gone. */
	assert_true(listeners_open(&second, builder_config(builder), why));
	listeners_close(&second);
	builder_free(builder);
}

static int
option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);
	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void
test_options(void **state)
{
	(void)state;
	struct addr address = free_address("127.0.0.1");
	struct builder *builder = make_config(&address, 1);
	struct listeners listeners;
	char why[LISTEN_WHY_MAX] = "";
	assert_true(listeners_open(&listeners, builder_config(builder), why));
	static const bool first[SLOTS] = {true};
	assert_true(listeners_steer(&listeners, first));
	dial(&address);
	int fd = listeners_fd(&listeners, 0, 0);
	assert_int_equal(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(option(fd, SOL_SOCKET, SO_REUSEPORT), 1);
	int accepted = accept(fd, NULL, NULL);
	assert_true(accepted >= 0);
	assert_int_equal(option(accepted, IPPROTO_TCP, TCP_NODELAY), 1);
	close(accepted);
	/* Non-blocking: nobody else is there. */
	assert_int_equal(accept(fd, NULL, NULL), -1);
	assert_int_equal(errno, EAGAIN);
	listeners_close(&listeners);
	builder_free(builder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_steering),
	    cmocka_unit_test(test_nobody_live_changes_nothing),
	    cmocka_unit_test(test_a_second_instance_is_refused),
	    cmocka_unit_test(test_options),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
