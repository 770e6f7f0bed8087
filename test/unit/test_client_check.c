/* SPDX-License-Identifier: ISC */
/* needs: tls/ config/load.c config/check.c config/schema.c */
/* needs: config/builder.c config/draft.c config/value.c */
/* needs: config/value_list.c config/value_format.c proxy/base/span.c */
/* needs: proxy/base/addr.c proxy/base/parse.c proxy/base/ensure.c */
/* needs: test/support/tls_files.c */
/* libs: boringssl inih */
/* Client certificates: one table of what comes in and what doesn't. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "config/load.h"
#include "test/support/tls_files.h"
#include "tls/client_check.h"
#include "tls/client_load.h"
#include "tls/x509.h"

#define DAY 86400

enum who {
	GOOD,
	EXPIRED,
	NOT_YET,
	REVOKED,
	STRANGER,    /* of another authority */
	SERVER_ONLY, /* extended key usage */
	BY_SHA1,
	NUL_IN_NAME,
	NUL_IN_EMAIL,
	SELF_SIGNED,
	NAMELESS,
	WHO_MAX
};

struct fixture {
	char dir[256];
	struct test_cert ca;
	struct test_cert other_ca;
	struct test_cert certs[WHO_MAX];
};

static struct test_cert
make(const struct test_cert *issuer, const char *cn, const char *san,
    struct test_cert_spec spec)
{
	spec.type = TEST_P256;
	spec.cn = cn;
	spec.san = san;
	spec.issuer = issuer;
	if (spec.eku == NULL)
		spec.eku = "clientAuth";
	return test_cert_make(&spec);
}

/* A name that ends early for whoever reads C strings. */
static void
put_nul(struct test_cert *cert, const struct test_cert *ca, int type)
{
	static const uint8_t email[] = "anna@example.org\0.evil.test";
	static const uint8_t dns[] = "anna.test\0.evil.test";
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	if (type == GEN_EMAIL)
		ASN1_STRING_set(text, email, sizeof(email) - 1);
	else
		ASN1_STRING_set(text, dns, sizeof(dns) - 1);
	GENERAL_NAME_set0_value(name, type, text);
	sk_GENERAL_NAME_push(names, name);
	assert_int_equal(X509_add1_ext_i2d(cert->x509, NID_subject_alt_name,
			     names, 0, X509V3_ADD_REPLACE),
	    1);
	GENERAL_NAMES_free(names);
	assert_true(X509_sign(cert->x509, ca->key, EVP_sha256()) > 0);
}

/* until: seconds from now. */
static void
write_crl(const struct fixture *f, const char *name, long from, long until,
    const struct test_cert *issuer)
{
	char path[300];
	X509_CRL *crl = X509_CRL_new();
	X509_REVOKED *entry = X509_REVOKED_new();
	ASN1_TIME *when = ASN1_TIME_set(NULL, time(NULL) + from);
	FILE *file;

	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x509));
	X509_CRL_set1_lastUpdate(crl, when);
	X509_REVOKED_set_revocationDate(entry, when);
	ASN1_TIME_set(when, time(NULL) + until);
	X509_CRL_set1_nextUpdate(crl, when);
	X509_REVOKED_set_serialNumber(
	    entry, X509_get_serialNumber(f->certs[REVOKED].x509));
	X509_CRL_add0_revoked(crl, entry);
	X509_CRL_sort(crl);
	assert_true(X509_CRL_sign(crl, issuer->key, EVP_sha256()) > 0);
	ASN1_TIME_free(when);
	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	file = fopen(path, "w");
	assert_int_equal(PEM_write_X509_CRL(file, crl), 1);
	fclose(file);
	X509_CRL_free(crl);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct test_cert *ca = &f->ca;
	const char *san = "email:anna@example.org,DNS:anna.test";

	test_dir_make(f->dir);
	f->ca = test_cert_make(&(struct test_cert_spec){
	    .type = TEST_P256, .cn = "Clients", .is_ca = true});
	f->other_ca = test_cert_make(&(struct test_cert_spec){
	    .type = TEST_P256, .cn = "Others", .is_ca = true});
	f->certs[GOOD] = make(ca, "anna", san, (struct test_cert_spec){0});
	f->certs[EXPIRED] = make(ca, "anna", san,
	    (struct test_cert_spec){.from = -9 * DAY, .until = -60});
	f->certs[NOT_YET] = make(ca, "anna", san,
	    (struct test_cert_spec){.from = 600, .until = DAY});
	f->certs[REVOKED] = make(ca, "anna", san, (struct test_cert_spec){0});
	f->certs[STRANGER] =
	    make(&f->other_ca, "anna", san, (struct test_cert_spec){0});
	f->certs[SERVER_ONLY] =
	    make(ca, "anna", san, (struct test_cert_spec){.eku = "serverAuth"});
	f->certs[BY_SHA1] =
	    make(ca, "anna", san, (struct test_cert_spec){.sha1 = true});
	f->certs[NUL_IN_NAME] =
	    make(ca, "anna", san, (struct test_cert_spec){0});
	put_nul(&f->certs[NUL_IN_NAME], ca, GEN_DNS);
	f->certs[NUL_IN_EMAIL] =
	    make(ca, "anna", san, (struct test_cert_spec){0});
	put_nul(&f->certs[NUL_IN_EMAIL], ca, GEN_EMAIL);
	f->certs[SELF_SIGNED] =
	    make(NULL, "anna", san, (struct test_cert_spec){0});
	f->certs[NAMELESS] = make(ca, "", NULL, (struct test_cert_spec){0});
	test_chain_write(
	    f->dir, "ca.pem", (const struct test_cert *const[]){ca}, 1);
	write_crl(f, "good.crl", -3600, DAY, ca);
	write_crl(f, "old.crl", -9 * DAY, -60, ca);
	write_crl(f, "others.crl", -3600, DAY, &f->other_ca);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < WHO_MAX; i++)
		test_cert_free(&f->certs[i]);
	test_cert_free(&f->ca);
	test_cert_free(&f->other_ca);
	test_dir_remove(f->dir);
	free(f);
	return 0;
}

static struct builder *
load(const struct fixture *f, const char *keys, bool *out_ok)
{
	char text[4096];
	char with_dir[2048] = "";
	struct problems problems = {NULL, NULL, 0, 0};
	struct builder *builder;

	for (const char *at = keys; *at != '\0'; at++) {
		size_t len = strlen(with_dir);

		if (*at == '@')
			snprintf(with_dir + len, sizeof(with_dir) - len, "%s",
			    f->dir);
		else
			snprintf(
			    with_dir + len, sizeof(with_dir) - len, "%c", *at);
	}
	snprintf(text, sizeof(text),
	    "[listen l]\naddress = 127.0.0.1:9001\ntls = t\npool = p\n"
	    "[certificate a]\nchain = /a.pem\nkey = /a.key\n"
	    "[pool p]\n[backend b]\npool = p\naddress = 127.0.0.1:143\n"
	    "[tls t]\n%s\n",
	    with_dir);
	builder = config_load_text("t.conf", span_str(text), &problems);
	if (builder == NULL)
		fprintf(stderr, "%s", problems.errors);
	assert_non_null(builder);
	problems_free(&problems);
	*out_ok = client_files_load(builder, "t.conf", NULL, &problems);
	if (!*out_ok)
		assert_int_not_equal(problems.n_errors, 0);
	problems_free(&problems);
	return builder;
}

struct expected {
	const char *keys;
	enum who who;
	uint8_t alert; /* 0: comes in */
	const char *why;
};

static struct client_identity *
check(const struct fixture *f, const char *keys, enum who who,
    struct client_refusal *out)
{
	bool ok;
	struct builder *builder = load(f, keys, &ok);
	const struct config *config = builder_config(builder);
	const struct config_tls *tls = config_tls_at(config, 0);
	struct client_store *store = client_store_new(config, tls);
	STACK_OF(CRYPTO_BUFFER) *chain = sk_CRYPTO_BUFFER_new_null();
	struct client_identity *identity;
	uint8_t *der = NULL;
	int len = i2d_X509(f->certs[who].x509, &der);

	assert_true(ok);
	sk_CRYPTO_BUFFER_push(chain, CRYPTO_BUFFER_new(der, (size_t)len, NULL));
	OPENSSL_free(der);
	identity = client_check(store, config, tls, chain, time(NULL), out);
	sk_CRYPTO_BUFFER_pop_free(chain, CRYPTO_BUFFER_free);
	client_store_free(store);
	builder_free(builder);
	return identity;
}

#define CA	   "client_certificates = required\nclient_ca = @/ca.pem\n"
#define CRL	   CA "client_crl = @/good.crl\n"
#define OLD_CRL	   CA "client_crl = @/old.crl\n"
#define OTHERS_CRL CA "client_crl = @/others.crl\n"
#define WRONG_PIN        \
	"client_pins = " \
	"00000000000000000000000000000000000000000000000000000000000000ff\n"

static const struct expected table[] = {
    {CA, GOOD, 0, NULL},
    {CA, EXPIRED, SSL_AD_CERTIFICATE_EXPIRED, "certificate expired"},
    {CA, NOT_YET, SSL_AD_BAD_CERTIFICATE, "certificate not yet valid"},
    {CA, REVOKED, 0, NULL}, /* nobody gave a list */
    {CA, STRANGER, SSL_AD_UNKNOWN_CA, "unknown authority"},
    {CA, SELF_SIGNED, SSL_AD_UNKNOWN_CA, "unknown authority"},
    {CA, SERVER_ONLY, SSL_AD_UNSUPPORTED_CERTIFICATE, "not for TLS clients"},
    {CA, BY_SHA1, SSL_AD_BAD_CERTIFICATE, "signed with SHA-1"},
    {CA, NUL_IN_NAME, SSL_AD_BAD_CERTIFICATE, "its names hold odd octets"},
    {CA, NUL_IN_EMAIL, SSL_AD_BAD_CERTIFICATE, "its names hold odd octets"},
    {CA, NAMELESS, 0, NULL},
    {CRL, GOOD, 0, NULL},
    {CRL, REVOKED, SSL_AD_CERTIFICATE_REVOKED, "certificate revoked"},
    {CRL, STRANGER, SSL_AD_UNKNOWN_CA, "unknown authority"},
    {OLD_CRL, GOOD, SSL_AD_CERTIFICATE_UNKNOWN, "revocation list expired"},
    {OLD_CRL, REVOKED, SSL_AD_CERTIFICATE_UNKNOWN, "revocation list expired"},
    {OLD_CRL "client_crl_expired = accept\n", GOOD, 0, NULL},
    {OLD_CRL "client_crl_expired = accept\n", REVOKED,
	SSL_AD_CERTIFICATE_REVOKED, "certificate revoked"},
    {OLD_CRL "client_crl_expired = accept\n", EXPIRED,
	SSL_AD_CERTIFICATE_EXPIRED, "certificate expired"},
    {OTHERS_CRL, GOOD, SSL_AD_CERTIFICATE_UNKNOWN,
	"no revocation list of its authority"},
    {OTHERS_CRL "client_crl_expired = accept\n", GOOD,
	SSL_AD_CERTIFICATE_UNKNOWN, "no revocation list of its authority"},
    {CA "client_names = bert.test, anna.test\n", GOOD, 0, NULL},
    {CA "client_names = bert.test\n", GOOD, SSL_AD_ACCESS_DENIED,
	"it has none of the wanted names"},
    {CA "client_names = anna.test\n", NAMELESS, SSL_AD_ACCESS_DENIED,
	"it has none of the wanted names"},
    {CA WRONG_PIN, GOOD, SSL_AD_ACCESS_DENIED, "its key is not pinned"},
    {"client_certificates = required\n" WRONG_PIN, SELF_SIGNED,
	SSL_AD_ACCESS_DENIED, "its key is not pinned"},
    {"client_certificates = required\n" WRONG_PIN, EXPIRED,
	SSL_AD_CERTIFICATE_EXPIRED, "certificate expired"},
};

static void
test_table(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct client_refusal refusal;
		struct client_identity *identity =
		    check(f, table[i].keys, table[i].who, &refusal);

		if ((identity != NULL) != (table[i].alert == 0) ||
		    (identity == NULL && refusal.alert != table[i].alert))
			fprintf(stderr, "row %zu: %s\n", i,
			    identity != NULL ? "came in" : refusal.why);
		assert_int_equal(identity != NULL, table[i].alert == 0);
		if (identity == NULL) {
			assert_int_equal(refusal.alert, table[i].alert);
			assert_string_equal(refusal.why, table[i].why);
		}
		free(identity);
	}
}

static void
test_pins(void **state)
{
	struct fixture *f = *state;
	uint8_t spki[SPKI_HASH_LEN];
	char keys[512] = "client_certificates = required\nclient_pins = ";
	struct client_refusal refusal;
	struct client_identity *identity;

	x509_hash_spki(f->certs[SELF_SIGNED].x509, spki);
	for (size_t i = 0; i < sizeof(spki); i++)
		snprintf(keys + strlen(keys), 3, "%02X", spki[i]);
	identity = check(f, keys, SELF_SIGNED, &refusal);
	assert_non_null(identity);
	assert_memory_equal(identity->spki, spki, sizeof(spki));
	free(identity);
	assert_null(check(f, keys, GOOD, &refusal));
	snprintf(keys + strlen(keys), 40, "\nclient_ca = @/ca.pem\n");
	assert_null(check(f, keys, SELF_SIGNED, &refusal));
	assert_string_equal(refusal.why, "unknown authority");
}

static void
expect_users(const struct fixture *f, const char *kind, enum who who,
    const char *good, const char *bad)
{
	char keys[256];
	struct client_refusal refusal;
	struct client_identity *identity;

	snprintf(keys, sizeof(keys), CA "client_cert_user = %s\n", kind);
	identity = check(f, keys, who, &refusal);
	assert_non_null(identity);
	if (good != NULL)
		assert_true(client_allows_user(identity, span_str(good)));
	assert_false(client_allows_user(identity, span_str(bad)));
	assert_false(client_allows_user(identity, span_of("", 0)));
	free(identity);
}

static void
test_users(void **state)
{
	struct fixture *f = *state;
	struct client_refusal refusal;
	struct client_identity *identity;

	expect_users(f, "email", GOOD, "anna@example.org", "anna");
	expect_users(f, "email", GOOD, "anna@example.org", "Anna@example.org");
	expect_users(f, "email", GOOD, NULL, "anna@example.orgx");
	expect_users(f, "dns", GOOD, "anna.test", "anna@example.org");
	expect_users(f, "cn", GOOD, "anna", "anna.test");
	expect_users(f, "email", NAMELESS, NULL, "anna@example.org");
	expect_users(f, "cn", NAMELESS, NULL, "anna");
	identity = check(f, CA, GOOD, &refusal);
	assert_true(client_allows_user(identity, span_str("whoever")));
	assert_string_equal(identity->name, "anna@example.org");
	free(identity);
	assert_true(client_allows_user(NULL, span_str("whoever")));
}

/* Whatever is wrong with the files, nobody gets in by it. */
static void
test_files(void **state)
{
	static const char *const bad[] = {
	    "client_certificates = required\nclient_ca = @/none.pem\n",
	    "client_certificates = optional\nclient_ca = @/empty\n",
	    "client_certificates = required\nclient_ca = @/junk\n",
	    "client_certificates = required\nclient_ca = @/cut\n",
	    "client_certificates = required\nclient_ca = @/leaf.pem\n",
	    CA "client_crl = @/none.crl\n",
	    CA "client_crl = @/ca.pem\n",
	};
	struct fixture *f = *state;

	test_file_write(f->dir, "empty", "", 0);
	test_file_write(f->dir, "junk", "hello\n", 6);
	test_file_write(
	    f->dir, "cut", "-----BEGIN CERTIFICATE-----\nMIIB\n", 33);
	test_chain_write(f->dir, "leaf.pem",
	    (const struct test_cert *const[]){&f->certs[GOOD]}, 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		bool ok;
		struct builder *builder = load(f, bad[i], &ok);

		if (ok)
			fprintf(stderr, "row %zu was loaded\n", i);
		assert_false(ok);
		builder_free(builder);
	}
}

static void
test_odd_chains(void **state)
{
	struct fixture *f = *state;
	bool ok;
	struct builder *builder = load(f, CA, &ok);
	const struct config *config = builder_config(builder);
	const struct config_tls *tls = config_tls_at(config, 0);
	struct client_store *store = client_store_new(config, tls);
	STACK_OF(CRYPTO_BUFFER) *chain = sk_CRYPTO_BUFFER_new_null();
	struct client_refusal refusal;

	assert_null(client_check(store, config, tls, NULL, 0, &refusal));
	assert_null(client_check(store, config, tls, chain, 0, &refusal));
	for (int i = 0; i < 100; i++)
		sk_CRYPTO_BUFFER_push(chain,
		    CRYPTO_BUFFER_new((const uint8_t *)"\x30\x00", 2, NULL));
	assert_null(client_check(store, config, tls, chain, 0, &refusal));
	assert_int_equal(refusal.alert, SSL_AD_BAD_CERTIFICATE);
	assert_null(client_check(NULL, config, tls, chain, 0, &refusal));
	assert_int_equal(refusal.alert, SSL_AD_INTERNAL_ERROR);
	sk_CRYPTO_BUFFER_pop_free(chain, CRYPTO_BUFFER_free);
	client_store_free(store);
	builder_free(builder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_pins),
	    cmocka_unit_test(test_users),
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_odd_chains),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
