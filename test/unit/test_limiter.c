/* SPDX-License-Identifier: ISC */
/* needs: proxy/limits/limiter.c proxy/limits/decide.c proxy/limits/ladder.c */
/* needs: proxy/limits/victim.c */
/* needs: proxy/base/siphash.c proxy/base/span.c proxy/base/addr.c */
/* needs: proxy/base/parse.c proxy/base/ensure.c */
/*
 * The limiter against an exact reference: random connections of random
 * addresses at random times from four workers, some of which die. Nobody under
 * a limit is refused, nobody gets in over one, and nothing is left behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <time.h>

#include "test/support/limits_image.h"

#define N_SLOTS	    4
#define N_RUNGS	    4096 /* of the reference, an open table */
#define N_HOLDS	    4000
#define EVENTS	    2000000
#define CONNECTIONS 9
#define PREAUTH	    5
#define RATE	    20
#define BURST	    12

/* --- the reference -------------------------------------------------------- */

struct count {
	struct rung rung;
	uint32_t connections;
	uint32_t preauth;
	uint64_t level_ns; /* what has not leaked out at at_ns */
	uint64_t at_ns;
};

struct open {
	bool used;
	uint32_t slot;
	struct addr addr;
	struct limiter_hold hold;
	bool preauth;
};

struct model {
	struct limits_image image;
	struct limiter limiters[N_SLOTS];
	struct count counts[N_RUNGS];
	struct open open[N_HOLDS];
	uint64_t now_ms;
	unsigned seed;
	uint64_t verdicts[5];
	uint64_t preauth_refused;
};

static unsigned
roll(struct model *model, unsigned n)
{
	return (unsigned)rand_r(&model->seed) % n;
}

static struct count *
count_of(struct model *model, const struct rung *rung)
{
	uint64_t at = (rung->name ^ rung->bits ^ rung->name >> 29) *
		      UINT64_C(0x9e3779b97f4a7c15);
	for (at >>= 40;; at++) {
		struct count *count = &model->counts[at % N_RUNGS];
		if (count->rung.bits == 0)
			count->rung = *rung;
		if (count->rung.name == rung->name &&
		    count->rung.bits == rung->bits &&
		    count->rung.family == rung->family)
			return count;
	}
}

static uint64_t
leaked(const struct count *count, uint64_t now_ns)
{
	uint64_t gone = now_ns - count->at_ns;
	return count->level_ns > gone ? count->level_ns - gone : 0;
}

static enum limiter_verdict
expect(struct model *model, const struct rung *rungs, uint32_t n)
{
	uint64_t now_ns = model->now_ms * 1000000;
	for (uint32_t i = 0; i < n; i++)
		if (count_of(model, &rungs[i])->connections + 1 >
		    CONNECTIONS * rungs[i].factor)
			return LIMITER_CONNECTIONS;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t cost = UINT64_C(1000000000) / RATE / rungs[i].factor;
		if (leaked(count_of(model, &rungs[i]), now_ns) + cost >
		    cost * BURST * rungs[i].factor)
			return LIMITER_RATE;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct count *count = count_of(model, &rungs[i]);
		uint64_t cost = UINT64_C(1000000000) / RATE / rungs[i].factor;
		count->level_ns = leaked(count, now_ns) + cost;
		count->at_ns = now_ns;
		count->connections++;
	}
	return LIMITER_ADMIT;
}

/* Few prefixes, so that every limit is met all the time. */
static struct addr
random_address(struct model *model)
{
	struct addr addr = {.family = ADDR_IPV4, .ip = {192, 0, 2}};
	unsigned kind = roll(model, 8);
	if (kind < 4) {
		addr.ip[3] = (uint8_t)roll(model, 40);
		return addr;
	}
	addr = (struct addr){.family = ADDR_IPV6, .ip = {0x20, 1, 0xd, 0xb8}};
	if (kind == 4) { /* 6to4 of the same */
		addr.ip[0] = 0x20;
		addr.ip[1] = 2;
		addr.ip[2] = 192;
		addr.ip[3] = 0;
		addr.ip[4] = 2;
		addr.ip[5] = (uint8_t)roll(model, 40);
		return addr;
	}
	addr.ip[5] = (uint8_t)roll(model, 3); /* the /48 */
	addr.ip[6] = (uint8_t)roll(model, 3); /* the /56 */
	addr.ip[7] = (uint8_t)roll(model, 5); /* the /64 */
	addr.ip[15] = (uint8_t)roll(model, 256);
	return addr;
}

static void
change_preauth(struct model *model, struct open *open, bool begin)
{
	struct rung rungs[LADDER_MAX];
	uint32_t n = ladder_rungs(&model->image.config, &open->addr, rungs);
	bool good = true;
	struct limiter *limiter = &model->limiters[open->slot];
	for (uint32_t i = 0; i < n; i++)
		if (count_of(model, &rungs[i])->preauth + 1 >
		    PREAUTH * rungs[i].factor)
			good = false;
	if (begin)
		assert_int_equal(
		    limiter_begin_preauth(limiter, &model->image.config,
			&open->addr, false, &open->hold),
		    good);
	else
		limiter_end_preauth(limiter, &open->hold);
	if (begin && !good) {
		model->preauth_refused++;
		return;
	}
	open->preauth = begin;
	for (uint32_t i = 0; i < n; i++)
		count_of(model, &rungs[i])->preauth += begin ? 1 : UINT32_MAX;
}

static void
connect_one(struct model *model, struct open *open)
{
	struct rung rungs[LADDER_MAX];
	uint32_t overflows;
	open->addr = random_address(model);
	open->slot = roll(model, N_SLOTS);
	uint32_t n = ladder_rungs(&model->image.config, &open->addr, rungs);
	enum limiter_verdict wanted = expect(model, rungs, n);
	enum limiter_verdict peeked = limiter_peek(&model->limiters[0],
	    &model->image.config, &open->addr, model->now_ms);
	enum limiter_verdict got =
	    limiter_enter(&model->limiters[open->slot], &model->image.config,
		&open->addr, model->now_ms, false, &open->hold, &overflows);
	assert_int_equal(overflows, 0);
	assert_int_equal(got, wanted);
	assert_int_equal(peeked == LIMITER_ADMIT, wanted == LIMITER_ADMIT);
	model->verdicts[got]++;
	open->used = got == LIMITER_ADMIT;
	open->preauth = false;
	if (open->used)
		change_preauth(model, open, true);
}

static void
forget(struct model *model, struct open *open)
{
	struct rung rungs[LADDER_MAX];
	uint32_t n = ladder_rungs(&model->image.config, &open->addr, rungs);
	for (uint32_t i = 0; i < n; i++) {
		struct count *count = count_of(model, &rungs[i]);
		count->connections--;
		count->preauth -= open->preauth;
	}
	open->used = false;
}

/* kill -9: the worker gives nothing back, the master clears its columns. */
static void
kill_worker(struct model *model, uint32_t slot)
{
	for (int i = 0; i < N_HOLDS; i++)
		if (model->open[i].used && model->open[i].slot == slot)
			forget(model, &model->open[i]);
	limiter_clear_slot(&model->limiters[slot], slot);
}

static void
one_event(struct model *model)
{
	struct open *open = &model->open[roll(model, N_HOLDS)];
	if (roll(model, 200) == 0)
		model->now_ms += roll(model, 20);
	if (roll(model, 100000) == 0)
		kill_worker(model, roll(model, N_SLOTS));
	if (!open->used) {
		connect_one(model, open);
	} else if (open->preauth && roll(model, 2) == 0) {
		change_preauth(model, open, false);
	} else {
		limiter_release(&model->limiters[open->slot], &open->hold);
		forget(model, open);
	}
}

static unsigned
scale(void)
{
	const char *text = getenv("SCALE");
	int n = text == NULL ? 1 : (int)strtol(text, NULL, 10);
	return n < 1 ? 1 : (unsigned)n;
}

static void
assert_empty(const struct limiter *limiter)
{
	for (uint32_t i = 0; i < limiter_n_entries(limiter); i++) {
		const struct limiter_entry *entry = limiter_at(limiter, i);
		if (entry == NULL)
			continue;
		assert_int_equal(limiter_connections(limiter, entry), 0);
		assert_int_equal(limiter_preauth(limiter, entry), 0);
	}
}

static void
test_against_the_reference(void **state)
{
	size_t size;
	void *area = limits_area_new(8192, N_SLOTS, &size);
	struct model *model = calloc(1, sizeof(*model));
	(void)state;
	assert_non_null(model);
	limits_image_init(&model->image);
	struct config_limits *limits = &model->image.config.limits;
	limits->connections_per_ip = CONNECTIONS;
	limits->preauth_per_ip = PREAUTH;
	limits->connect_rate_per_ip = (struct config_rate){RATE, 1000};
	limits->connect_burst_per_ip = BURST;
	model->now_ms = 1000000;
	model->seed = 4;
	for (uint32_t i = 0; i < N_SLOTS; i++)
		assert_true(limiter_attach(
		    &model->limiters[i], area, size, N_SLOTS, i));
	for (uint64_t i = 0; i < (uint64_t)EVENTS * scale(); i++)
		one_event(model);
	assert_true(model->verdicts[LIMITER_ADMIT] > 10000);
	assert_true(model->verdicts[LIMITER_CONNECTIONS] > 10000);
	assert_true(model->verdicts[LIMITER_RATE] > 1000);
	assert_true(model->preauth_refused > 1000);
	for (uint32_t i = 0; i < N_SLOTS; i++)
		kill_worker(model, i);
	assert_empty(&model->limiters[0]);
	free(model);
	free(area);
}

/* --- single rules --------------------------------------------------------- */

struct bench {
	struct limits_image image;
	struct limiter limiter;
	void *area;
	uint64_t now_ms;
};

static void
bench_init(struct bench *bench, uint32_t entries)
{
	size_t size;
	limits_image_init(&bench->image);
	bench->area = limits_area_new(entries, 2, &size);
	bench->now_ms = 5000000;
	assert_true(limiter_attach(&bench->limiter, bench->area, size, 2, 0));
}

static enum limiter_verdict
enter(struct bench *bench, const char *text, bool force,
    struct limiter_hold *hold)
{
	struct addr addr;
	uint32_t overflows;
	assert_true(addr_parse_ip(span_str(text), &addr));
	return limiter_enter(&bench->limiter, &bench->image.config, &addr,
	    bench->now_ms, force, hold, &overflows);
}

static struct rung
first_rung(struct bench *bench, const char *text)
{
	struct rung rungs[LADDER_MAX];
	struct addr addr;
	assert_true(addr_parse_ip(span_str(text), &addr));
	ladder_rungs(&bench->image.config, &addr, rungs);
	return rungs[0];
}

static void
test_one_address_in_many_forms(void **state)
{
	static const char *const forms[] = {"192.0.2.1", "::ffff:192.0.2.1",
	    "64:ff9b::192.0.2.1", "2002:c000:0201::5"};
	struct bench bench;
	(void)state;
	bench_init(&bench, 1024);
	bench.image.config.limits.connections_per_ip = 4;
	struct limiter_hold holds[5];
	for (int i = 0; i < 4; i++)
		assert_int_equal(
		    enter(&bench, forms[i], false, &holds[i]), LIMITER_ADMIT);
	for (int i = 0; i < 4; i++)
		assert_int_equal(enter(&bench, forms[i], false, &holds[4]),
		    LIMITER_CONNECTIONS);
	limiter_release(&bench.limiter, &holds[0]);
	assert_int_equal(
	    enter(&bench, forms[3], false, &holds[0]), LIMITER_ADMIT);
	free(bench.area);
}

static void
test_rotation_is_caught(void **state)
{
	struct bench bench;
	(void)state;
	bench_init(&bench, 65536);
	bench.image.config.limits.connections_per_ip = 10;
	/* The octet that rotates, and how many get in: inside a /64, a /56 and
	 * a /48 the limit times 1, 4 and 16. */
	static const int octets[] = {15, 7, 6};
	static const int admitted[] = {10, 40, 160};
	for (int kind = 0; kind < 3; kind++) {
		int n = 0;
		for (int i = 0; i < 1000; i++) {
			struct addr addr = {.family = ADDR_IPV6,
			    .ip = {0x20, 1, 0xd, 0xb8, 0, (uint8_t)kind}};
			struct limiter_hold hold;
			uint32_t overflows;
			addr.ip[octets[kind]] = (uint8_t)i;
			n += limiter_enter(&bench.limiter, &bench.image.config,
				 &addr, bench.now_ms, false, &hold,
				 &overflows) == LIMITER_ADMIT;
		}
		assert_int_equal(n, admitted[kind]);
	}
	free(bench.area);
}

static void
test_observe_refuses_nothing(void **state)
{
	struct bench bench;
	struct limiter_hold holds[3];
	(void)state;
	bench_init(&bench, 1024);
	bench.image.config.limits.connections_per_ip = 2;
	for (int i = 0; i < 3; i++)
		assert_int_equal(enter(&bench, "192.0.2.1", true, &holds[i]),
		    i < 2 ? LIMITER_ADMIT : LIMITER_CONNECTIONS);
	for (int i = 0; i < 3; i++)
		limiter_release(&bench.limiter, &holds[i]);
	assert_empty(&bench.limiter);
	free(bench.area);
}

static void
test_ban_by_hand(void **state)
{
	struct bench bench;
	struct limiter_hold hold;
	(void)state;
	bench_init(&bench, 1024);
	struct rung rung = first_rung(&bench, "192.0.2.1");
	assert_true(limiter_ban(&bench.limiter, &rung, bench.now_ms, 1000));
	assert_int_equal(
	    enter(&bench, "192.0.2.1", false, &hold), LIMITER_BANNED);
	assert_int_equal(hold.n, 0);
	assert_int_equal(
	    enter(&bench, "192.0.2.2", false, &hold), LIMITER_ADMIT);
	bench.now_ms += 2000;
	assert_int_equal(
	    enter(&bench, "192.0.2.1", false, &hold), LIMITER_ADMIT);
	assert_true(limiter_ban(&bench.limiter, &rung, bench.now_ms, 100000));
	assert_true(limiter_ban(&bench.limiter, &rung, bench.now_ms, 0));
	assert_int_equal(
	    enter(&bench, "192.0.2.1", false, &hold), LIMITER_ADMIT);
	free(bench.area);
}

/* Whoever had used up a slow rate is as full under a faster one, no fuller. */
static void
test_a_rate_that_a_reload_makes_faster(void **state)
{
	struct bench bench;
	struct limiter_hold hold;
	(void)state;
	bench_init(&bench, 1024);
	struct config_limits *limits = &bench.image.config.limits;
	limits->connect_rate_per_ip = (struct config_rate){1, 60000};
	for (int i = 0; i < 500; i++) {
		assert_int_equal(
		    enter(&bench, "192.0.2.1", false, &hold), LIMITER_ADMIT);
		limiter_release(&bench.limiter, &hold);
	}
	limits->connect_rate_per_ip = (struct config_rate){50, 1000};
	assert_int_equal(
	    enter(&bench, "192.0.2.1", false, &hold), LIMITER_RATE);
	bench.now_ms += 1000;
	assert_int_equal(
	    enter(&bench, "192.0.2.1", false, &hold), LIMITER_ADMIT);
	free(bench.area);
}

/* A crowd of one /48 holds most, though each of its /64 holds one. */
static void
test_weight_of_a_rotating_crowd(void **state)
{
	struct bench bench;
	struct limiter_hold hold, family[3];
	char text[64];
	(void)state;
	bench_init(&bench, 8192);
	const struct config *config = &bench.image.config;
	struct addr addr;
	for (int i = 0; i < 320; i++) {
		snprintf(text, sizeof(text), "2001:db8:0:%x::1", i * 16);
		assert_int_equal(
		    enter(&bench, text, false, &hold), LIMITER_ADMIT);
		assert_true(addr_parse_ip(span_str(text), &addr));
		assert_true(limiter_begin_preauth(
		    &bench.limiter, config, &addr, false, &hold));
	}
	for (int i = 0; i < 3; i++) {
		enter(&bench, "2001:db8:1::1", false, &family[i]);
		assert_true(addr_parse_ip(span_str("2001:db8:1::1"), &addr));
		assert_true(limiter_begin_preauth(
		    &bench.limiter, config, &addr, false, &family[i]));
	}
	assert_int_equal(limiter_weight(&bench.limiter, config, &hold), 20);
	assert_int_equal(limiter_weight(&bench.limiter, config, family), 3);
	free(bench.area);
}

/* Above the gateway's rate one /48 has no more than its share either. */
static void
test_handshakes_of_a_rotating_crowd(void **state)
{
	struct bench bench;
	struct limiter_hold hold, fresh;
	char text[64];
	int n = 0;
	(void)state;
	bench_init(&bench, 65536);
	struct config *config = &bench.image.config;
	config->limits.handshake_rate = (struct config_rate){1000, 1000};
	for (int i = 0; i < 4000; i++) {
		snprintf(text, sizeof(text), "2001:db8:0:%x::1", i * 16);
		enter(&bench, text, false, &hold);
		n += limiter_full_handshake(
		    &bench.limiter, config, &hold, bench.now_ms);
	}
	assert_int_equal(n, 1000);
	enter(&bench, "2001:db8:1::1", false, &fresh);
	assert_true(limiter_full_handshake(
	    &bench.limiter, config, &fresh, bench.now_ms));
	free(bench.area);
}

/* A set of live entries is never emptied; overflow says what then. */
static void
test_overflow(void **state)
{
	struct bench bench;
	uint32_t overflows, n_over = 0, n_refused = 0;
	(void)state;
	bench_init(&bench, LIMITER_WAYS); /* one set */
	for (unsigned i = 0; i < 20; i++) {
		struct addr addr = {.family = ADDR_IPV4, .ip = {10, 0, 0}};
		struct limiter_hold hold;
		addr.ip[3] = (uint8_t)i;
		bench.image.config.limits.overflow_refuse = i >= 10;
		n_refused +=
		    limiter_enter(&bench.limiter, &bench.image.config, &addr,
			bench.now_ms, false, &hold, &overflows) == LIMITER_FULL;
		n_over += overflows;
	}
	assert_int_equal(n_over, 20 - LIMITER_WAYS);
	assert_int_equal(n_refused, 10);
	free(bench.area);
}

/* The first eight entries owe a lot or are banned: they outlive a flood. */
static void
test_debt_outlives_a_flood(void **state)
{
	struct bench bench;
	struct limiter_hold hold;
	(void)state;
	bench_init(&bench, LIMITER_WAYS);
	bench.image.config.limits.connect_rate_per_ip =
	    (struct config_rate){1, 60000};
	bench.image.config.limits.connect_burst_per_ip = 3;
	for (int i = 0; i < 4; i++)
		if (enter(&bench, "192.0.2.1", false, &hold) == LIMITER_ADMIT)
			limiter_release(&bench.limiter, &hold);
	for (int i = 0; i < 1000; i++) {
		char text[64];
		snprintf(text, sizeof(text), "10.0.%d.%d", i / 250, i % 250);
		assert_int_equal(
		    enter(&bench, text, false, &hold), LIMITER_ADMIT);
		limiter_release(&bench.limiter, &hold);
	}
	assert_int_equal(
	    enter(&bench, "192.0.2.1", false, &hold), LIMITER_RATE);
	free(bench.area);
}

static void
test_handshake_rate(void **state)
{
	struct bench bench;
	struct limiter_hold known, heavy, fresh;
	(void)state;
	bench_init(&bench, 1024);
	struct config *config = &bench.image.config;
	config->limits.handshake_rate = (struct config_rate){100, 1000};
	enter(&bench, "192.0.2.1", false, &heavy);
	enter(&bench, "192.0.2.2", false, &known);
	enter(&bench, "192.0.2.3", false, &fresh);
	struct rung rung = first_rung(&bench, "192.0.2.2");
	limiter_find(&bench.limiter, limiter_rung_hash(&bench.limiter, &rung))
	    ->login_s = (uint32_t)(bench.now_ms / 1000);
	int n = 0;
	for (int i = 0; i < 1000; i++)
		n += limiter_full_handshake(
		    &bench.limiter, config, &heavy, bench.now_ms);
	assert_int_equal(n, 100);
	assert_true(limiter_full_handshake(
	    &bench.limiter, config, &known, bench.now_ms));
	assert_true(limiter_full_handshake(
	    &bench.limiter, config, &fresh, bench.now_ms));
	assert_false(limiter_full_handshake(
	    &bench.limiter, config, &heavy, bench.now_ms));
	bench.now_ms += 3000;
	assert_true(limiter_full_handshake(
	    &bench.limiter, config, &heavy, bench.now_ms));
	free(bench.area);
}

/* At the cap whoever has more than its share gives way, and nobody else. */
static void
test_handshakes_over(void **state)
{
	struct bench bench;
	(void)state;
	bench_init(&bench, 1024);
	const struct config *config = &bench.image.config;
	struct limiter other = bench.limiter;
	other.slot = 1;
	limiter_handshaking(&bench.limiter, 999);
	assert_true(limiter_handshakes_many(&bench.limiter, config));
	assert_false(limiter_handshakes_many(&other, config));
	assert_int_equal(limiter_handshakes_over(&bench.limiter, config, 1), 0);
	limiter_handshaking(&bench.limiter, 1);
	assert_int_equal(limiter_handshakes_over(&bench.limiter, config, 1), 1);
	assert_int_equal(limiter_handshakes_over(&other, config, 1), 0);
	limiter_handshaking(&other, 30);
	assert_int_equal(limiter_handshakes_over(&other, config, 1), 0);
	assert_int_equal(
	    limiter_handshakes_over(&bench.limiter, config, 0), 30);
	free(bench.area);
}

/* A forged head must not lead outside the area. */
static void
test_attach_checks_the_size(void **state)
{
	size_t size;
	struct limiter limiter;
	struct limiter_area *area = limits_area_new(1024, 2, &size);
	(void)state;
	assert_true(limiter_attach(&limiter, area, size, 2, 0));
	assert_false(limiter_attach(&limiter, area, size, 3, 0));
	area->n_sets = UINT32_MAX;
	assert_false(limiter_attach(&limiter, area, size, 2, 0));
	area->n_sets = 0;
	assert_false(limiter_attach(&limiter, area, size, 2, 0));
	free(area);
}

static uint64_t
now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Best of some batches: other processes share the machine. */
static void
test_cost_of_a_decision(void **state)
{
	enum {
		BATCH = 20000
	};
	struct bench bench;
	uint64_t best = UINT64_MAX;
	(void)state;
	bench_init(&bench, 262144);
	for (int batch = 0; batch < 20; batch++) {
		uint64_t began = now_ns();
		for (uint32_t i = 0; i < BATCH; i++) {
			struct addr addr = {.family = ADDR_IPV4};
			struct limiter_hold hold;
			uint32_t n = i * 2654435761u, overflows;
			memcpy(addr.ip, &n, 4);
			if (limiter_enter(&bench.limiter, &bench.image.config,
				&addr, bench.now_ms, false, &hold,
				&overflows) == LIMITER_ADMIT)
				limiter_release(&bench.limiter, &hold);
		}
		uint64_t took = (now_ns() - began) / BATCH;
		best = took < best ? took : best;
		bench.now_ms += 1000;
	}
	print_message("a decision: %u ns\n", (unsigned)best);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    defined(__OPTIMIZE__)
	/* A figure for a quiet machine: of check-full only. */
	const char *scale = getenv("SCALE");
	assert_true(best < 300 || scale == NULL || strtol(scale, NULL, 10) < 2);
#endif
	free(bench.area);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_against_the_reference),
	    cmocka_unit_test(test_one_address_in_many_forms),
	    cmocka_unit_test(test_rotation_is_caught),
	    cmocka_unit_test(test_observe_refuses_nothing),
	    cmocka_unit_test(test_ban_by_hand),
	    cmocka_unit_test(test_a_rate_that_a_reload_makes_faster),
	    cmocka_unit_test(test_weight_of_a_rotating_crowd),
	    cmocka_unit_test(test_handshakes_of_a_rotating_crowd),
	    cmocka_unit_test(test_overflow),
	    cmocka_unit_test(test_debt_outlives_a_flood),
	    cmocka_unit_test(test_handshake_rate),
	    cmocka_unit_test(test_handshakes_over),
	    cmocka_unit_test(test_attach_checks_the_size),
	    cmocka_unit_test(test_cost_of_a_decision),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
