/* SPDX-License-Identifier: ISC */
/* needs: tls/ proxy/base/ config/load.c config/check.c config/schema.c */
/* needs: config/builder.c config/draft.c config/value.c */
/* needs: config/value_list.c config/value_format.c */
/* needs: test/support/tls_files.c */
/* libs: boringssl inih */
/* The ring of a fleet: the same from the same secret and hour, and from no
 * other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/support/tls_files.h"
#include "tls/ticket_secret.h"

#define HOUR UINT64_C(3600000)

struct ring_keys {
	struct ticket_key keys[3];
};

static struct ring_keys
derive(uint8_t secret, const char *policy, uint64_t rotation_ms, uint64_t slice)
{
	struct ticket_secret given = {.is_given = true};
	struct ticket_ring ring = {.valid = 0};
	struct ring_keys out;

	memset(given.prk, secret, sizeof(given.prk));
	ticket_ring_derive(&ring, &given, span_str(policy), rotation_ms, slice);
	assert_true(ticket_ring_read(&ring, out.keys));
	return out;
}

static bool
is_same(const struct ticket_key *a, const struct ticket_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void
test_slices(void **state)
{
	struct ring_keys now = derive(1, "public", HOUR, 1000);
	struct ring_keys again = derive(1, "public", HOUR, 1000);
	struct ring_keys next = derive(1, "public", HOUR, 1001);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_true(is_same(&now.keys[i], &again.keys[i]));
	/* An hour later everything has moved by one place. */
	assert_true(
	    is_same(&now.keys[TICKET_CURRENT], &next.keys[TICKET_PREVIOUS]));
	assert_true(
	    is_same(&now.keys[TICKET_NEXT], &next.keys[TICKET_CURRENT]));
	assert_false(is_same(&now.keys[TICKET_NEXT], &next.keys[TICKET_NEXT]));
}

/* Gateways of one fleet may be of different versions: what they derive must
 * stay the same. Computed by another implementation of RFC 5869: HKDF-Expand,
 * SHA-256, PRK 32 octets of 1, info "sallyport ticket 1", octet 6, "public",
 * 3600000 and 1000 as 64-bit numbers, then "name", "aes" or "hmac". */
static void
test_known_answer(void **state)
{
	static const char wanted[] =
	    "e9ca00729c8e7e22d32bec90cc3635edb7dd6f448f9727d43ae719531d4cdf11"
	    "513cc03817b82eaaf73f2f5d8fe26ccc56a6947cf279de6ad52b4ae6b6373aeb"
	    "bae3d7c9bbdb97e57b54ae74cc6b3ec4";
	struct ring_keys keys = derive(1, "public", HOUR, 1000);
	char hex[2 * sizeof(struct ticket_key) + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(struct ticket_key); i++)
		snprintf(hex + 2 * i, 3, "%02x",
		    ((const uint8_t *)&keys.keys[TICKET_CURRENT])[i]);
	assert_string_equal(hex, wanted);
}

/* Nothing in common with a ring of anything else. */
static void
test_separation(void **state)
{
	struct ring_keys ours = derive(1, "public", HOUR, 1000);
	struct ring_keys others[] = {
	    derive(2, "public", HOUR, 1000),
	    derive(1, "private", HOUR, 1000),
	    derive(1, "public", HOUR + 1000, 1000),
	    derive(1, "publi", HOUR, 1000),
	    derive(1, "public", HOUR, 1003),
	};

	(void)state;
	for (size_t n = 0; n < sizeof(others) / sizeof(*others); n++) {
		for (int i = 0; i < 9; i++) {
			const struct ticket_key *a = &ours.keys[i / 3];
			const struct ticket_key *b = &others[n].keys[i % 3];

			assert_memory_not_equal(
			    a->name, b->name, sizeof(a->name));
			assert_memory_not_equal(a->aes, b->aes, 32);
			assert_memory_not_equal(a->hmac, b->hmac, 32);
		}
	}
	assert_memory_not_equal(ours.keys[0].aes, ours.keys[0].hmac, 32);
}

/* Clocks a minute apart at any time of the day: what one seals the other
 * opens. */
static void
test_clocks(void **state)
{
	uint64_t rotation_ms = 2 * 60 * 1000;

	(void)state;
	for (uint64_t ms = 1700000000000; ms < 1700000000000 + HOUR;
	     ms += 7919) {
		uint64_t ahead = ticket_slice(ms + 60000, rotation_ms);
		uint64_t behind = ticket_slice(ms, rotation_ms);
		struct ring_keys a = derive(1, "p", rotation_ms, ahead);
		struct ring_keys b = derive(1, "p", rotation_ms, behind);
		int found = 0;

		for (int i = 0; i < 3; i++) {
			found += is_same(&a.keys[TICKET_CURRENT], &b.keys[i]);
			found += is_same(&b.keys[TICKET_CURRENT], &a.keys[i]);
		}
		assert_int_equal(found, 2);
	}
}

static struct builder *
load_config(const char *dir)
{
	char text[2048];
	struct problems problems = {NULL, NULL, 0, 0};
	struct builder *builder;

	snprintf(text, sizeof(text),
	    "[listen l]\naddress = 127.0.0.1:9001\ntls = t\npool = p\n"
	    "[certificate a]\nchain = /a.pem\nkey = /a.key\n"
	    "[pool p]\n[backend b]\npool = p\naddress = 127.0.0.1:143\n"
	    "[tls t]\nticket_secret = %s/secret\n",
	    dir);
	builder = config_load_text("t.conf", span_str(text), &problems);
	assert_non_null(builder);
	problems_free(&problems);
	return builder;
}

static void
test_files(void **state)
{
	char dir[256];
	struct builder *builder;
	struct problems faults = {NULL, NULL, 0, 0};
	struct ticket_secrets running, fresh;

	(void)state;
	test_dir_make(dir);
	builder = load_config(dir);
	assert_false(ticket_secrets_load(
	    &running, builder_config(builder), "t.conf", NULL, NULL, &faults));
	assert_int_equal(faults.n_errors, 1);
	test_file_write(dir, "secret", "0123456789012345678901234567890", 31);
	assert_false(ticket_secrets_load(
	    &running, builder_config(builder), "t.conf", NULL, NULL, &faults));
	assert_non_null(strstr(faults.errors, "too short"));
	test_file_write(dir, "secret", "01234567890123456789012345678901", 32);
	assert_true(ticket_secrets_load(
	    &running, builder_config(builder), "t.conf", NULL, NULL, &faults));
	assert_true(running.of[0].is_given);
	/* A fault of the file leaves what ran. */
	test_file_write(dir, "secret", "", 0);
	assert_true(ticket_secrets_load(&fresh, builder_config(builder),
	    "t.conf", builder_config(builder), &running, &faults));
	assert_memory_equal(&fresh, &running, sizeof(fresh));
	assert_int_equal(faults.n_errors, 3);
	ticket_secrets_wipe(&running);
	assert_false(running.of[0].is_given);
	problems_free(&faults);
	builder_free(builder);
	test_dir_remove(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_slices),
	    cmocka_unit_test(test_known_answer),
	    cmocka_unit_test(test_separation),
	    cmocka_unit_test(test_clocks),
	    cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
