/* SPDX-License-Identifier: ISC */
/* See tls_load.h. */
#include "test/support/tls_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
load_setup(void **state)
{
	struct loaded *f = calloc(1, sizeof(*f));
	char roots[300];

	test_dir_make(f->dir);
	f->ca = test_cert_make(&(struct test_cert_spec){
	    .type = TEST_P256, .cn = "Test CA", .is_ca = true});
	f->good = test_cert_make(&(struct test_cert_spec){.type = TEST_P256,
	    .cn = "good",
	    .san = "DNS:Mail.Test,DNS:*.wild.test",
	    .issuer = &f->ca});
	test_chain_write(f->dir, "a.pem",
	    (const struct test_cert *const[]){&f->good, &f->ca}, 2);
	test_key_write(f->dir, "a.key", &f->good);
	test_chain_write(
	    f->dir, "roots.pem", (const struct test_cert *const[]){&f->ca}, 1);
	snprintf(roots, sizeof(roots), "%s/roots.pem", f->dir);
	setenv("SSL_CERT_FILE", roots, 1);
	*state = f;
	return 0;
}

static void
load_forget(struct loaded *f)
{
	builder_free(f->builder);
	f->builder = NULL;
	key_image_free(&f->keys);
	problems_free(&f->problems);
}

int
load_teardown(void **state)
{
	struct loaded *f = *state;

	load_forget(f);
	test_cert_free(&f->ca);
	test_cert_free(&f->good);
	test_dir_remove(f->dir);
	free(f);
	return 0;
}

/* Loads [certificate a] from a.pem and a.key with more keys in `extra`. */
void
load_over(struct loaded *f, const char *extra, const struct config *running,
    const struct key_image *running_keys)
{
	char text[2048];

	load_forget(f);
	snprintf(text, sizeof(text),
	    "[listen l]\naddress = 127.0.0.1:9001\ntls = t\npool = p\n"
	    "[tls t]\n[pool p]\n"
	    "[backend b]\npool = p\naddress = 127.0.0.1:143\n"
	    "[certificate a]\nchain = %s/a.pem\nkey = %s/a.key\n%s\n",
	    f->dir, f->dir, extra);
	f->builder = config_load_text("t.conf", span_str(text), &f->problems);
	if (f->builder == NULL)
		fprintf(stderr, "%s", f->problems.errors);
	assert_non_null(f->builder);
	problems_free(&f->problems);
	f->ok = certificates_load(f->builder, "t.conf", running, running_keys,
	    &f->problems, &f->keys);
}

const struct config_certificate *
load_first(const struct loaded *f)
{
	return config_certificate_at(builder_config(f->builder), 0);
}

void
load_fails(struct loaded *f, const char *extra, const char *why)
{
	load_over(f, extra, NULL, NULL);
	assert_false(f->ok);
	assert_false(load_first(f)->usable);
	assert_int_equal(f->keys.len, 0);
	assert_int_equal(f->problems.n_errors, 2); /* and the listener's */
	if (strstr(f->problems.errors, why) == NULL)
		fprintf(stderr, "%s", f->problems.errors);
	assert_non_null(strstr(f->problems.errors, why));
	assert_non_null(strstr(f->problems.errors, "t.conf:10: [certificate "
						   "a]: "));
	assert_non_null(strstr(f->problems.errors, f->dir));
	assert_non_null(strstr(f->problems.errors, "[listen l]"));
}

void
load_serves(struct loaded *f, const char *extra, const char *warning)
{
	load_over(f, extra, NULL, NULL);
	if (f->problems.errors != NULL)
		fprintf(stderr, "%s", f->problems.errors);
	assert_true(f->ok);
	assert_int_equal(f->problems.n_errors, 0);
	assert_true(load_first(f)->usable);
	if (warning == NULL && f->problems.warnings != NULL)
		fprintf(stderr, "%s", f->problems.warnings);
	if (warning == NULL)
		assert_int_equal(f->problems.n_warnings, 0);
	else
		assert_non_null(strstr(f->problems.warnings, warning));
}

/* A leaf of the spec by the test CA, with its key, as a.pem and a.key. */
void
load_put_leaf(struct loaded *f, struct test_cert_spec spec)
{
	struct test_cert leaf;

	spec.cn = "leaf";
	if (spec.san == NULL)
		spec.san = "DNS:mail.test";
	if (spec.issuer == NULL)
		spec.issuer = &f->ca;
	leaf = test_cert_make(&spec);
	test_chain_write(f->dir, "a.pem",
	    (const struct test_cert *const[]){&leaf, &f->ca}, 2);
	test_key_write(f->dir, "a.key", &leaf);
	test_cert_free(&leaf);
}

const char *
load_name(const struct loaded *f, uint32_t i)
{
	const struct config *config = builder_config(f->builder);
	const struct text *names = config_items(config, load_first(f)->names);

	return config_text(config, names[i]);
}
