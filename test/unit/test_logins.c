/* SPDX-License-Identifier: ISC */
/* needs: proxy/limits/limiter.c proxy/limits/decide.c proxy/limits/ladder.c */
/* needs: proxy/limits/victim.c */
/* needs: proxy/limits/logins.c proxy/base/siphash.c proxy/base/span.c */
/* needs: proxy/base/addr.c proxy/base/parse.c proxy/base/ensure.c */
/* Failed logins: what counts, how long a login waits, who is banned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "proxy/limits/logins.h"
#include "test/support/limits_image.h"

struct rig {
	struct limits_image image;
	struct limiter limiter;
	uint64_t now_ms;
	void *area;
};

struct client {
	struct addr addr;
	struct limiter_hold hold;
};

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	size_t size;
	ENSURE(rig != NULL);
	limits_image_init(&rig->image);
	rig->image.config.limits.auth_failures_per_ip =
	    (struct config_rate){5, 600000};
	rig->image.config.limits.auth_failures_per_user =
	    (struct config_rate){5, 600000};
	rig->area = limits_area_new(1024, 1, &size);
	ENSURE(limiter_attach(&rig->limiter, rig->area, size, 1, 0));
	rig->now_ms = 100000000;
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;
	free(rig->area);
	free(rig);
	return 0;
}

static void
arrive(struct rig *rig, const char *text, struct client *client)
{
	uint32_t overflows;
	assert_true(addr_parse_ip(span_str(text), &client->addr));
	assert_int_equal(
	    limiter_enter(&rig->limiter, &rig->image.config, &client->addr,
		rig->now_ms, false, &client->hold, &overflows),
	    LIMITER_ADMIT);
}

static struct login_try
attempt(const char *user, const char *password, bool is_token)
{
	return (struct login_try){.user = span_str(user),
	    .password = span_str(password),
	    .is_token = is_token};
}

static uint32_t
delay(struct rig *rig, const struct client *client, const char *user)
{
	struct login_try login = attempt(user, "x", false);
	return logins_delay(&rig->limiter, &rig->image.config, &client->addr,
	    &client->hold, &login, rig->now_ms);
}

static bool
wrong(struct rig *rig, const struct client *client, const char *user,
    const char *password, bool is_token)
{
	struct login_try login = attempt(user, password, is_token);
	return logins_failed(&rig->limiter, &rig->image.config, &client->addr,
	    &client->hold, &login, rig->now_ms);
}

static bool
succeed(struct rig *rig, const struct client *client, const char *user)
{
	return logins_good(&rig->limiter, &rig->image.config, &client->addr,
	    &client->hold, span_str(user), rig->now_ms);
}

/* A failure of a user of its own, so that only the prefix counts. */
static bool
fail_fresh(struct rig *rig, const struct client *client, int n)
{
	char user[32];
	snprintf(user, sizeof(user), "user%d", n);
	return wrong(rig, client, user, "wrong", false);
}

static void
test_delays_then_a_ban(void **state)
{
	static const uint32_t wanted[] = {
	    0, 0, 0, 0, 0, 2000, 4000, 8000, 15000};
	struct rig *rig = *state;
	struct client client;
	arrive(rig, "192.0.2.1", &client);
	for (int i = 0; i < 9; i++) {
		assert_int_equal(delay(rig, &client, "other"), wanted[i]);
		assert_int_equal(fail_fresh(rig, &client, i), i == 8);
	}
	assert_int_equal(delay(rig, &client, "other"), LOGIN_BANNED);
	struct limiter_hold hold;
	uint32_t overflows;
	assert_int_equal(
	    limiter_enter(&rig->limiter, &rig->image.config, &client.addr,
		rig->now_ms, false, &hold, &overflows),
	    LIMITER_BANNED);
	rig->now_ms += 601000;
	assert_int_equal(delay(rig, &client, "other"), 0);
}

static void
test_the_same_password_counts_once(void **state)
{
	struct rig *rig = *state;
	struct client client;
	arrive(rig, "192.0.2.1", &client);
	for (int i = 0; i < 1000; i++)
		assert_false(wrong(rig, &client, "anna", "old", false));
	assert_int_equal(delay(rig, &client, "anna"), 0);
	/* Another password, or another user with it, does. */
	for (int i = 0; i < 4; i++) {
		char password[16];
		snprintf(password, sizeof(password), "guess%d", i);
		wrong(rig, &client, "anna", password, false);
	}
	assert_int_equal(delay(rig, &client, "anna"), 2000);
	assert_int_equal(delay(rig, &client, "berta"), 2000);
}

/* The last sixteen are remembered, however many there were. */
static void
test_many_passwords(void **state)
{
	struct rig *rig = *state;
	struct client client;
	char password[16];
	arrive(rig, "192.0.2.1", &client);
	rig->image.config.limits.auth_failures_per_ip.count = 2000;
	rig->image.config.limits.auth_failures_per_user.count = 991;
	for (int i = 0; i < 990; i++) {
		snprintf(password, sizeof(password), "guess%d", i);
		wrong(rig, &client, "anna", password, false);
		snprintf(
		    password, sizeof(password), "guess%d", i < 16 ? 0 : i - 15);
		wrong(rig, &client, "anna", password, false);
	}
	assert_int_equal(delay(rig, &client, "anna"), 0);
	for (int i = 0; i < 10; i++)
		wrong(rig, &client, "anna", "guess1", false);
	assert_int_equal(delay(rig, &client, "anna"), 2000);
}

static void
test_office(void **state)
{
	struct rig *rig = *state;
	struct client client;
	arrive(rig, "192.0.2.1", &client);
	rig->image.config.limits.auth_failures_per_ip.count = 20;
	for (int round = 0; round < 200; round++)
		for (int phone = 0; phone < 11; phone++) {
			char user[16];
			snprintf(user, sizeof(user), "user%d", phone);
			assert_false(wrong(rig, &client, user, "old", false));
		}
	assert_int_equal(delay(rig, &client, "boss"), 0);
}

/* More phones than an entry remembers pairs, as behind a carrier's address:
 * what they repeat is known of their users. */
static void
test_carrier(void **state)
{
	struct rig *rig = *state;
	struct client client;
	bool banned = false;
	arrive(rig, "192.0.2.1", &client);
	assert_false(succeed(rig, &client, "boss"));
	for (int minute = 0; minute < 300; minute += 5) {
		for (int phone = 0; phone < 100; phone++) {
			char user[16];
			snprintf(user, sizeof(user), "user%d", phone);
			banned =
			    wrong(rig, &client, user, "old", false) || banned;
		}
		rig->now_ms += 300000;
	}
	assert_false(banned);
	assert_int_equal(delay(rig, &client, "boss"), 0);
	/* What is new counts as ever. */
	for (int i = 0; i < 5; i++)
		(void)fail_fresh(rig, &client, i);
	assert_int_equal(delay(rig, &client, "boss"), 2000);
}

/* A name in other letters is no other user: most servers fold it. */
static void
test_case_of_a_user(void **state)
{
	static const char *const forms[] = {
	    "anna", "Anna", "aNNa", "ANNA", "annA", "AnnA"};
	struct rig *rig = *state;
	struct client client;
	for (int i = 0; i < 6; i++) {
		char address[32], password[16];
		snprintf(address, sizeof(address), "198.51.100.%d", i);
		snprintf(password, sizeof(password), "guess%d", i);
		arrive(rig, address, &client);
		assert_false(wrong(rig, &client, forms[i], password, false));
	}
	arrive(rig, "198.51.100.99", &client);
	assert_true(delay(rig, &client, "anna") > 0);
	assert_true(delay(rig, &client, "aNnA") > 0);
	assert_int_equal(delay(rig, &client, "bnna"), 0);
}

/* Logins that were on their way when somebody banned by hand. */
static void
test_a_ban_is_never_shortened(void **state)
{
	struct rig *rig = *state;
	struct client client;
	struct rung rungs[LADDER_MAX];
	arrive(rig, "192.0.2.1", &client);
	ladder_rungs(&rig->image.config, &client.addr, rungs);
	assert_true(limiter_ban(
	    &rig->limiter, &rungs[0], rig->now_ms, UINT64_C(86400000)));
	for (int i = 0; i < 20; i++)
		(void)fail_fresh(rig, &client, i);
	rig->now_ms += UINT64_C(86300000);
	assert_int_equal(delay(rig, &client, "anna"), LOGIN_BANNED);
}

static void
test_tokens_never_ban(void **state)
{
	struct rig *rig = *state;
	struct client client;
	arrive(rig, "192.0.2.1", &client);
	for (int i = 0; i < 100; i++)
		assert_false(wrong(rig, &client, "", "", true));
	assert_int_equal(delay(rig, &client, "anna"), 2000);
	/* Nor where passwords have led to one that is over. */
	rig->image.config.limits.auth_ban_ms = 1000;
	for (int i = 0; i < 9; i++)
		(void)fail_fresh(rig, &client, i);
	assert_int_equal(delay(rig, &client, "anna"), LOGIN_BANNED);
	rig->now_ms += 2000;
	assert_false(wrong(rig, &client, "", "", true));
	assert_int_equal(delay(rig, &client, "anna"), 15000);
}

static void
test_a_known_prefix_is_never_banned(void **state)
{
	struct rig *rig = *state;
	struct client client;
	arrive(rig, "192.0.2.1", &client);
	assert_false(succeed(rig, &client, "anna"));
	for (int i = 0; i < 100; i++)
		assert_false(fail_fresh(rig, &client, i));
	assert_int_equal(delay(rig, &client, "anna"), 15000);
	rig->now_ms += UINT64_C(86400) * 1000;
	bool banned = false;
	for (int i = 0; i < 10; i++)
		banned = fail_fresh(rig, &client, 1000 + i) || banned;
	assert_true(banned);
}

static void
test_users_are_delayed_where_they_are_not_known(void **state)
{
	struct rig *rig = *state;
	struct client home, bot;
	arrive(rig, "192.0.2.1", &home);
	succeed(rig, &home, "anna");
	for (int i = 0; i < 30; i++) {
		char address[32], password[16];
		snprintf(address, sizeof(address), "198.51.100.%d", i);
		snprintf(password, sizeof(password), "guess%d", i);
		arrive(rig, address, &bot);
		assert_false(wrong(rig, &bot, "anna", password, false));
	}
	arrive(rig, "198.51.100.99", &bot);
	assert_int_equal(delay(rig, &bot, "anna"), 15000);
	assert_int_equal(delay(rig, &bot, "berta"), 0);
	assert_int_equal(delay(rig, &home, "anna"), 0);
}

static void
test_new_prefix_of_a_user(void **state)
{
	struct rig *rig = *state;
	struct client a, b;
	arrive(rig, "192.0.2.1", &a);
	arrive(rig, "2001:db8::1", &b);
	assert_false(succeed(rig, &a, "anna")); /* the first is learnt */
	assert_false(succeed(rig, &a, "anna"));
	assert_true(succeed(rig, &b, "anna"));
	assert_false(succeed(rig, &b, "anna"));
	assert_false(succeed(rig, &a, "anna"));
	arrive(rig, "2001:db8::2", &b); /* the same /64 */
	assert_false(succeed(rig, &b, "anna"));
}

static void
test_exempt_counts_nothing(void **state)
{
	struct rig *rig = *state;
	struct client client = {
	    .addr = {.family = ADDR_IPV4, .ip = {127, 0, 0, 1}}};
	for (int i = 0; i < 100; i++)
		assert_false(fail_fresh(rig, &client, i));
	assert_int_equal(delay(rig, &client, "anna"), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_delays_then_a_ban),
	    TEST(test_the_same_password_counts_once),
	    TEST(test_many_passwords),
	    TEST(test_office),
	    TEST(test_carrier),
	    TEST(test_case_of_a_user),
	    TEST(test_a_ban_is_never_shortened),
	    TEST(test_tokens_never_ban),
	    TEST(test_a_known_prefix_is_never_banned),
	    TEST(test_users_are_delayed_where_they_are_not_known),
	    TEST(test_new_prefix_of_a_user),
	    TEST(test_exempt_counts_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
