/* SPDX-License-Identifier: ISC */
/* needs: tls/ */
/* needs: config/load.c config/check.c config/schema.c config/builder.c */
/* needs: config/draft.c config/value.c config/value_list.c */
/* needs: config/value_format.c proxy/base/span.c proxy/base/addr.c */
/* needs: proxy/base/parse.c proxy/base/ensure.c */
/* libs: boringssl inih */
/* The [tls] section, and the table of names, from hand-made images. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "config/load.h"
#include "tls/names.h"
#include "tls/policy.h"

/* Checks [tls t] with the keys; the caller frees both. */
static struct builder *
check(const char *keys, struct problems *problems)
{
	char text[2048];
	struct builder *builder;

	*problems = (struct problems){NULL, NULL, 0, 0};
	snprintf(text, sizeof(text),
	    "[listen l]\naddress = 127.0.0.1:9001\ntls = t\npool = p\n"
	    "[certificate a]\nchain = /a.pem\nkey = /a.key\n"
	    "[pool p]\n[backend b]\npool = p\naddress = 127.0.0.1:143\n"
	    "[tls t]\n%s\n",
	    keys);
	builder = config_load_text("t.conf", span_str(text), problems);
	if (builder == NULL)
		fprintf(stderr, "%s", problems->errors);
	assert_non_null(builder);
	problems_free(problems);
	policy_check(builder, "t.conf", problems);
	return builder;
}

static void
expect_versions(const char *keys, uint16_t min, uint16_t max)
{
	struct problems problems;
	struct builder *builder = check(keys, &problems);
	const struct config_tls *tls =
	    config_tls_at(builder_config(builder), 0);

	assert_int_equal(problems.n_errors, 0);
	assert_int_equal(tls->min_version, min);
	assert_int_equal(tls->max_version, max);
	problems_free(&problems);
	builder_free(builder);
}

static void
expect_error(const char *keys, unsigned line, const char *why)
{
	char start[32];
	struct problems problems;
	struct builder *builder = check(keys, &problems);

	assert_int_equal(problems.n_errors, 1);
	if (strstr(problems.errors, why) == NULL)
		fprintf(stderr, "%s", problems.errors);
	assert_non_null(strstr(problems.errors, why));
	snprintf(start, sizeof(start), "t.conf:%u: [tls t]: ", line);
	assert_non_null(strstr(problems.errors, start));
	problems_free(&problems);
	builder_free(builder);
}

static void
test_presets(void **state)
{
	(void)state;
	expect_versions("", TLS1_2_VERSION, TLS1_3_VERSION);
	expect_versions("preset = modern", TLS1_3_VERSION, TLS1_3_VERSION);
	expect_versions("max_version = 1.2", TLS1_2_VERSION, TLS1_2_VERSION);
	expect_versions("preset = modern\nmin_version = 1.2", TLS1_2_VERSION,
	    TLS1_3_VERSION);
	expect_versions("ciphers = ECDHE-RSA-AES256-GCM-SHA384", TLS1_2_VERSION,
	    TLS1_3_VERSION);
}

static void
test_errors(void **state)
{
	(void)state;
	expect_error("preset = modern\nmax_version = 1.2", 12,
	    "min_version is above max_version");
	expect_error(
	    "ciphers = NO-SUCH-SUITE", 13, "ciphers = NO-SUCH-SUITE: ");
	expect_error("ciphers = AES128-GCM-SHA256", 13, "only ECDHE");
	expect_error("ciphers = ECDHE-PSK-AES128-CBC-SHA", 13, "only ECDHE");
	expect_error(
	    "groups = X25519:nonsense", 13, "groups = X25519:nonsense");
	expect_error(
	    "sigalgs = rsa_pkcs1_sha1", 13, "sigalgs = rsa_pkcs1_sha1");
	expect_error("sni = lax\nclient_certificates = required", 14,
	    "client_certificates: expected client_ca or client_pins");
}

static void
test_defaults_are_accepted(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_with_buffers_method());

	(void)state;
	assert_int_equal(
	    SSL_CTX_set_strict_cipher_list(ctx, policy_default_ciphers()), 1);
	assert_int_equal(
	    SSL_CTX_set1_curves_list(ctx, policy_default_groups()), 1);
	SSL_CTX_free(ctx);
}

static void
test_sigalgs(void **state)
{
	struct problems problems;
	struct builder *builder =
	    check("sigalgs = rsa_pss_rsae_sha256:ecdsa_secp256r1_sha256:"
		  "ecdsa_secp384r1_sha384",
		&problems);
	const struct config *config = builder_config(builder);
	const struct config_tls *tls = config_tls_at(config, 0);
	uint16_t out[POLICY_SIGALGS_MAX];

	(void)state;
	assert_int_equal(policy_sigalgs(config, tls, KEY_RSA, 2048, out), 1);
	assert_int_equal(out[0], SSL_SIGN_RSA_PSS_RSAE_SHA256);
	assert_int_equal(policy_sigalgs(config, tls, KEY_ECDSA, 384, out), 2);
	assert_int_equal(out[0], SSL_SIGN_ECDSA_SECP384R1_SHA384);
	assert_int_equal(out[1], SSL_SIGN_ECDSA_SECP256R1_SHA256);
	problems_free(&problems);
	builder_free(builder);
}

static void
test_normalise(void **state)
{
	static const char *const bad[] = {"", ".", "a.", ".a", "a..b", "a b",
	    "*.a", "192.0.2.1", "a/b", "\xc3\xa4.test", "2001:db8::1", "[::1]",
	    "a\nb"};
	char out[254];
	char longest[255];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(sni_normalise(span_str(bad[i]), out));
	assert_false(sni_normalise(span_of("a\0b", 3), out));
	assert_true(sni_normalise(span_str("Mail_1.EXAMPLE-2.org"), out));
	assert_string_equal(out, "mail_1.example-2.org");
	memset(longest, 'a', sizeof(longest));
	assert_true(sni_normalise(span_of(longest, 253), out));
	assert_false(sni_normalise(span_of(longest, 254), out));
}

#define MANY 5000

/* An image of a listener with n certificates that have two names each. */
static struct builder *
many_names(uint32_t n)
{
	struct builder *builder = builder_new();
	struct config_listen listen = {.line = 1};
	uint32_t *indexes = calloc(n, sizeof(*indexes));
	struct config_certificate *certificates =
	    calloc(n, sizeof(*certificates));
	uint32_t off;

	for (uint32_t i = 0; i < n; i++) {
		char name[64];
		struct text texts[2];

		snprintf(name, sizeof(name), "mail.host%u.test", i);
		texts[0] = builder_text(builder, span_str(name));
		snprintf(name, sizeof(name), "*.wild%u.test", i);
		texts[1] = builder_text(builder, span_str(name));
		certificates[i].names.n = 2;
		certificates[i].names.off =
		    builder_append(builder, texts, sizeof(texts), 4);
		certificates[i].key_type = KEY_RSA;
		indexes[i] = i;
	}
	listen.certificates.n = n;
	listen.certificates.off =
	    builder_append(builder, indexes, n * sizeof(*indexes), 4);
	off =
	    builder_append(builder, certificates, n * sizeof(*certificates), 8);
	builder_config(builder)->certificates = (struct items){off, n};
	off = builder_append(builder, &listen, sizeof(listen), 8);
	builder_config(builder)->listens = (struct items){off, 1};
	sni_build(builder, 0);
	free(indexes);
	free(certificates);
	return builder;
}

static void
test_many_names(void **state)
{
	struct builder *builder = many_names(MANY);
	const struct config *config = builder_config(builder);
	const struct config_listen *listen = config_listen_at(config, 0);

	(void)state;
	for (uint32_t i = 0; i < MANY; i++) {
		char name[64];
		const struct sni_slot *slot;

		snprintf(name, sizeof(name), "MAIL.host%u.test", i);
		slot = sni_find(config, listen, span_str(name));
		assert_non_null(slot);
		assert_int_equal(slot->certificates[0], i);
		snprintf(name, sizeof(name), "x.wild%u.test", i);
		slot = sni_find(config, listen, span_str(name));
		assert_non_null(slot);
		assert_int_equal(slot->certificates[0], i);
		snprintf(name, sizeof(name), "x.y.wild%u.test", i);
		assert_null(sni_find(config, listen, span_str(name)));
	}
	assert_int_equal(sni_default(config, listen)->certificates[0], 0);
	assert_int_equal(listen->sni.n & (listen->sni.n - 1), 0);
	builder_free(builder);
}

static void
test_no_certificates(void **state)
{
	struct builder *builder = builder_new();
	struct config_listen listen = {.line = 1};
	uint32_t off = builder_append(builder, &listen, sizeof(listen), 8);
	const struct config_listen *l;

	(void)state;
	builder_config(builder)->listens = (struct items){off, 1};
	sni_build(builder, 0);
	l = config_listen_at(builder_config(builder), 0);
	assert_null(sni_default(builder_config(builder), l));
	assert_null(sni_find(builder_config(builder), l, span_str("a.test")));
	builder_free(builder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_presets),
	    cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_defaults_are_accepted),
	    cmocka_unit_test(test_sigalgs),
	    cmocka_unit_test(test_normalise),
	    cmocka_unit_test(test_many_names),
	    cmocka_unit_test(test_no_certificates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
