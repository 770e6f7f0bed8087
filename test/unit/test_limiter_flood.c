/* SPDX-License-Identifier: ISC */
/* needs: proxy/limits/limiter.c proxy/limits/decide.c proxy/limits/ladder.c */
/* needs: proxy/limits/logins.c proxy/base/siphash.c proxy/base/span.c */
/* needs: proxy/base/addr.c proxy/base/parse.c proxy/base/ensure.c */
/*
 * A million distinct IPv6 addresses (ten at SCALE=10) against the table of the
 * defaults: its size is what it was, who was found before stays limited, and
 * the last decision costs what the first did.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <time.h>

#include "proxy/limits/logins.h"
#include "test/support/limits_image.h"

#define FLOOD 1000000u

static unsigned
scale(void)
{
	const char *text = getenv("SCALE");
	int n = text == NULL ? 1 : (int)strtol(text, NULL, 10);
	return n < 1 ? 1 : (unsigned)n;
}

static uint64_t
now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

struct rig {
	struct limits_image image;
	struct limiter limiter;
	uint64_t now_ms;
};

static bool
visit(struct rig *rig, const struct addr *addr)
{
	struct limiter_hold hold;
	uint32_t overflows;
	bool good = limiter_enter(&rig->limiter, &rig->image.config, addr,
			rig->now_ms, false, &hold, &overflows) == LIMITER_ADMIT;
	if (good)
		limiter_release(&rig->limiter, &hold);
	return good;
}

static void
spend_burst(struct rig *rig, const struct addr *addr)
{
	int n = 0;
	while (visit(rig, addr))
		n++;
	assert_int_equal(n, 500);
}

static struct addr
flood_address(uint64_t i)
{
	struct addr addr = {.family = ADDR_IPV6, .ip = {0x2a}};
	uint64_t name = i * UINT64_C(0x9e3779b97f4a7c15);
	memcpy(addr.ip + 1, &name, 7);
	return addr;
}

static void
test_flood(void **state)
{
	struct rig rig = {.now_ms = 9000000};
	size_t size;
	void *area = limits_area_new(262144, 2, &size);
	struct addr offender = {.family = ADDR_IPV4, .ip = {192, 0, 2, 1}};
	struct addr banned = {.family = ADDR_IPV4, .ip = {192, 0, 2, 2}};
	struct rung rungs[LADDER_MAX];
	(void)state;
	limits_image_init(&rig.image);
	assert_true(limiter_attach(&rig.limiter, area, size, 2, 0));
	spend_burst(&rig, &offender);
	ladder_rungs(&rig.image.config, &banned, rungs);
	assert_true(limiter_ban(&rig.limiter, &rungs[0], rig.now_ms, 1000000));
	uint64_t n = (uint64_t)FLOOD * scale();
	uint64_t began = now_ns();
	for (uint64_t i = 0; i < n; i++) {
		struct addr addr = flood_address(i);
		visit(&rig, &addr);
		/* 2,000 a second would leave the offender time to recover:
		 * this is a flood within its burst. */
		if (i % 1000 == 0 && i < 5000000)
			rig.now_ms++;
	}
	uint64_t took = (now_ns() - began) / n;
	print_message("%lu MB, %lu ns a decision over three rungs\n",
	    (unsigned long)(size >> 20), (unsigned long)took);
	/* Whatever time passed: it has not got its burst back. */
	int admitted = 0;
	for (int i = 0; i < 500; i++)
		admitted += visit(&rig, &offender);
	assert_true(admitted <= 50 * (int)(rig.now_ms - 9000000) / 1000 + 1);
	assert_false(visit(&rig, &banned));
	free(area);
}

/* Whoever knows the key could fill one set: it stays eight ways long. */
static void
test_one_crowded_set(void **state)
{
	struct rig rig = {.now_ms = 9000000};
	size_t size;
	void *area = limits_area_new(8, 2, &size);
	(void)state;
	limits_image_init(&rig.image);
	assert_true(limiter_attach(&rig.limiter, area, size, 2, 0));
	uint64_t began = now_ns();
	for (uint64_t i = 0; i < 100000; i++) {
		struct addr addr = flood_address(i);
		visit(&rig, &addr);
	}
	print_message("%lu ns a decision when all collide\n",
	    (unsigned long)((now_ns() - began) / 100000));
	free(area);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_flood),
	    cmocka_unit_test(test_one_crowded_set),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
