/* SPDX-License-Identifier: ISC */
/* needs: tls/ */
/* needs: config/load.c config/check.c config/schema.c config/builder.c */
/* needs: config/draft.c config/value.c config/value_list.c */
/* needs: config/value_format.c proxy/base/span.c proxy/base/addr.c */
/* needs: proxy/base/parse.c proxy/base/ensure.c */
/* needs: test/support/tls_files.c test/support/tls_load.c */
/* libs: boringssl inih */
/* A load over what runs: what served before serves on; and several at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/support/tls_load.h"
#include "tls/key.h"
#include "tls/names.h"
#include "tls/policy.h"

/* Runs what was loaded last; the caller frees both. */
static struct builder *
take_running(struct loaded *f, struct key_image *out_keys)
{
	struct builder *running = f->builder;

	*out_keys = f->keys;
	f->builder = NULL;
	f->keys = (struct key_image){0};
	return running;
}

static void
test_old_one_serves_on(void **state)
{
	struct loaded *f = *state;
	struct builder *running;
	struct key_image keys;
	struct config_certificate old;

	load_serves(f, "", NULL);
	running = take_running(f, &keys);
	old = *config_certificate_at(builder_config(running), 0);
	test_file_write(f->dir, "a.pem", "", 0);
	load_over(f, "", builder_config(running), &keys);
	assert_true(f->ok);
	assert_int_equal(f->problems.n_errors, 1);
	assert_non_null(strstr(f->problems.errors, "serves on"));
	assert_true(load_first(f)->usable);
	assert_memory_equal(load_first(f)->spki, old.spki, SPKI_HASH_LEN);
	assert_int_equal(load_first(f)->ders.n, 2);
	assert_int_equal(load_first(f)->not_after, old.not_after);
	assert_string_equal(load_name(f, 0), "mail.test");
	assert_int_equal(f->keys.len, keys.len);
	assert_memory_equal(f->keys.data, keys.data, keys.len);
	/* Nobody of another name inherits it. */
	builder_free(running);
	key_image_free(&keys);
}

/* The k-th key is the k-th usable certificate's, faults in between or not. */
static void
test_keys_keep_their_order(void **state)
{
	struct loaded *f = *state;
	struct builder *running;
	struct key_image keys;
	struct key_set *set;
	char extra[2048];
	const struct config *config;

	load_put_leaf(f, (struct test_cert_spec){.type = TEST_P384});
	test_chain_write(f->dir, "c.pem",
	    (const struct test_cert *const[]){&f->good, &f->ca}, 2);
	test_key_write(f->dir, "c.key", &f->good);
	snprintf(extra, sizeof(extra),
	    "[certificate none]\nchain = %s/none\nkey = %s/none\n"
	    "[certificate c]\nchain = %s/c.pem\nkey = %s/c.key\n",
	    f->dir, f->dir, f->dir, f->dir);
	load_over(f, extra, NULL, NULL);
	assert_true(f->ok);
	assert_int_equal(f->problems.n_errors, 1);
	running = take_running(f, &keys);
	test_file_write(f->dir, "c.key", "", 0);
	load_over(f, extra, builder_config(running), &keys);
	assert_true(f->ok);
	config = builder_config(f->builder);
	assert_true(config_certificate_at(config, 2)->usable);
	assert_false(config_certificate_at(config, 1)->usable);
	assert_int_equal(config_listen_at(config, 0)->certificates.n, 2);
	set = key_set_new(span_of(f->keys.data, f->keys.len));
	assert_int_equal(key_set_count(set), 2);
	key_set_free(set);
	assert_memory_equal(f->keys.data, keys.data, keys.len);
	builder_free(running);
	key_image_free(&keys);
}

/* One after the other: each is loaded over the one before. */
static void
test_renewals_are_counted(void **state)
{
	static const struct {
		bool is_new;	/* a leaf is put there first */
		bool is_broken; /* and then spoiled */
		uint32_t renewals;
		bool is_loaded_now;
	} steps[] = {{false, false, 0, false}, {true, false, 1, true},
	    {false, false, 1, false}, {true, true, 1, false},
	    {true, false, 2, true}};
	struct loaded *f = *state;

	load_serves(f, "", NULL);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct key_image keys;
		struct config_certificate *old =
		    (void *)(uintptr_t)load_first(f);

		old->loaded = 1000;
		struct builder *running = take_running(f, &keys);
		if (steps[i].is_new)
			load_put_leaf(
			    f, (struct test_cert_spec){.type = TEST_P256});
		if (steps[i].is_broken)
			test_file_write(f->dir, "a.key", "", 0);
		load_over(f, "", builder_config(running), &keys);
		assert_true(load_first(f)->usable);
		assert_int_equal(load_first(f)->renewals, steps[i].renewals);
		assert_int_equal(
		    load_first(f)->loaded != 1000, steps[i].is_loaded_now);
		builder_free(running);
		key_image_free(&keys);
	}
}

static void
test_twins_ecdsa_first(void **state)
{
	struct loaded *f = *state;
	const struct config *config;
	const struct sni_slot *slot;
	char extra[1024];

	test_chain_write(f->dir, "c.pem",
	    (const struct test_cert *const[]){&f->good, &f->ca}, 2);
	test_key_write(f->dir, "c.key", &f->good);
	load_put_leaf(f, (struct test_cert_spec){.type = TEST_RSA_2048});
	snprintf(extra, sizeof(extra),
	    "[certificate c]\nchain = %s/c.pem\nkey = %s/c.key\n", f->dir,
	    f->dir);
	load_serves(f, extra, NULL);
	config = builder_config(f->builder);
	slot = sni_find(
	    config, config_listen_at(config, 0), span_str("mail.test"));
	assert_int_equal(slot->n_certificates, 2);
	assert_int_equal(slot->certificates[0], 1);
	assert_int_equal(slot->certificates[1], 0);
	slot = sni_default(config, config_listen_at(config, 0));
	assert_int_equal(slot->n_certificates, 2);
	assert_int_equal(slot->certificates[0], 1);
	slot = sni_find(
	    config, config_listen_at(config, 0), span_str("a.wild.test"));
	assert_int_equal(slot->n_certificates, 1);
}

static void
test_print(void **state)
{
	struct loaded *f = *state;
	char *text;
	size_t len;
	FILE *file;

	load_put_leaf(f, (struct test_cert_spec){.until = 50L * 86400 + 3600});
	load_serves(f, "", NULL);
	problems_free(&f->problems);
	policy_check(f->builder, "t.conf", &f->problems);
	assert_int_equal(f->problems.n_errors, 0);
	file = open_memstream(&text, &len);
	policy_print(builder_config(f->builder), file);
	fclose(file);
	assert_non_null(strstr(text, "[listen l] with [tls t]: TLS 1.2 to "
				     "TLS 1.3\n"));
	assert_non_null(strstr(text, "50 days left"));
	assert_non_null(strstr(text, "for mail.test\n"));
	free(text);
}

int
main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, load_setup, load_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_old_one_serves_on),
	    TEST(test_keys_keep_their_order),
	    TEST(test_renewals_are_counted),
	    TEST(test_twins_ecdsa_first),
	    TEST(test_print),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
