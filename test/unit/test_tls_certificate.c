/* SPDX-License-Identifier: ISC */
/* needs: tls/policy.c tls/names.c tls/key.c tls/certificate.c tls/judge.c */
/* needs: tls/file.c */
/* needs: config/load.c config/check.c config/schema.c config/builder.c */
/* needs: config/draft.c config/value.c config/value_list.c */
/* needs: config/value_format.c proxy/base/span.c proxy/base/addr.c */
/* needs: proxy/base/parse.c proxy/base/ensure.c */
/* needs: test/support/tls_files.c */
/* libs: boringssl inih */
/*
 * One fault of a chain or key each: it is named, and what served before serves
 * on. Certificates are made here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/mem.h>
#include <openssl/pem.h>

#include "config/load.h"
#include "test/support/tls_files.h"
#include "tls/certificate.h"
#include "tls/key.h"
#include "tls/names.h"
#include "tls/policy.h"

struct fixture {
	char dir[256];
	struct test_cert ca;
	struct test_cert good;
	/* The last load. */
	struct builder *builder;
	struct key_image keys;
	struct problems problems;
	bool ok;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

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
	*state = f;
	return 0;
}

static void
forget(struct fixture *f)
{
	builder_free(f->builder);
	f->builder = NULL;
	key_image_free(&f->keys);
	problems_free(&f->problems);
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	forget(f);
	test_cert_free(&f->ca);
	test_cert_free(&f->good);
	test_dir_remove(f->dir);
	free(f);
	return 0;
}

/* Loads [certificate a] from a.pem and a.key with more keys in `extra`. */
static void
load_with(struct fixture *f, const char *extra, const struct config *running,
    const struct key_image *running_keys)
{
	char text[2048];

	forget(f);
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

static void
load(struct fixture *f, const char *extra)
{
	load_with(f, extra, NULL, NULL);
}

static const struct config_certificate *
first(const struct fixture *f)
{
	return config_certificate_at(builder_config(f->builder), 0);
}

static void
expect_fault(struct fixture *f, const char *extra, const char *why)
{
	load(f, extra);
	assert_false(f->ok);
	assert_false(first(f)->usable);
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

static void
expect_served(struct fixture *f, const char *extra, const char *warning)
{
	load(f, extra);
	if (f->problems.errors != NULL)
		fprintf(stderr, "%s", f->problems.errors);
	assert_true(f->ok);
	assert_int_equal(f->problems.n_errors, 0);
	assert_true(first(f)->usable);
	if (warning == NULL && f->problems.warnings != NULL)
		fprintf(stderr, "%s", f->problems.warnings);
	if (warning == NULL)
		assert_int_equal(f->problems.n_warnings, 0);
	else
		assert_non_null(strstr(f->problems.warnings, warning));
}

/* A leaf of the spec by the test CA, with its key, as a.pem and a.key. */
static void
put_leaf(struct fixture *f, struct test_cert_spec spec)
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

static const char *
name_at(const struct fixture *f, uint32_t i)
{
	const struct config *config = builder_config(f->builder);
	const struct text *names = config_items(config, first(f)->names);

	return config_text(config, names[i]);
}

static void
test_good(void **state)
{
	struct fixture *f = *state;
	const struct config *config;
	const struct config_listen *listen;
	struct key_set *set;

	expect_served(f, "", NULL);
	config = builder_config(f->builder);
	listen = config_listen_at(config, 0);
	assert_int_equal(first(f)->key_type, KEY_ECDSA);
	assert_int_equal(first(f)->key_bits, 256);
	assert_int_equal(first(f)->ders.n, 2);
	assert_int_equal(first(f)->names.n, 2);
	assert_string_equal(name_at(f, 0), "mail.test");
	assert_string_equal(name_at(f, 1), "*.wild.test");
	assert_in_range(first(f)->not_after, time(NULL) + 89 * 86400,
	    time(NULL) + 91 * 86400);
	assert_int_equal(listen->certificates.n, 1);
	assert_non_null(sni_find(config, listen, span_str("MAIL.test")));
	assert_non_null(sni_find(config, listen, span_str("a.wild.test")));
	assert_null(sni_find(config, listen, span_str("other.test")));
	assert_non_null(sni_default(config, listen));
	set = key_set_new(span_of(f->keys.data, f->keys.len));
	assert_int_equal(key_set_count(set), 1);
	key_set_free(set);
}

static void
test_mismatch(void **state)
{
	struct fixture *f = *state;

	test_key_write(f->dir, "a.key", &f->ca);
	expect_fault(f, "", "a.key: the key is not the certificate's");
}

static void
test_order(void **state)
{
	struct fixture *f = *state;
	struct test_cert other = test_cert_make(&(struct test_cert_spec){
	    .type = TEST_P256, .cn = "Other CA", .is_ca = true});

	test_chain_write(f->dir, "a.pem",
	    (const struct test_cert *const[]){&f->good, &other, &f->ca}, 3);
	expect_fault(f, "", "a.pem: certificate 1 was not issued by");
	test_chain_write(f->dir, "a.pem",
	    (const struct test_cert *const[]){&f->ca, &f->good}, 2);
	expect_fault(f, "", "the key is not the certificate's");
	test_cert_free(&other);
}

/* A CA of the same name with another key. */
static void
test_forged_issuer(void **state)
{
	struct fixture *f = *state;
	struct test_cert twin = test_cert_make(&(struct test_cert_spec){
	    .type = TEST_P256, .cn = "Test CA", .is_ca = true});

	test_chain_write(f->dir, "a.pem",
	    (const struct test_cert *const[]){&f->good, &twin}, 2);
	expect_fault(f, "", "the signature of certificate 1 is not by");
	test_cert_free(&twin);
}

static void
test_dates(void **state)
{
	struct fixture *f = *state;

	put_leaf(f, (struct test_cert_spec){.from = 3600});
	expect_fault(f, "", "not yet valid");
	put_leaf(f, (struct test_cert_spec){.from = -7200, .until = -60});
	expect_served(f, "", "HAS EXPIRED");
	put_leaf(f, (struct test_cert_spec){.until = 3 * 86400 + 600});
	expect_served(f, "", "expires in 3 days");
	expect_served(f, "warn_days = 2", NULL);
}

static void
test_strength(void **state)
{
	struct fixture *f = *state;

	put_leaf(f, (struct test_cert_spec){.type = TEST_RSA_1024});
	expect_fault(f, "", "an RSA key of 1024 bits");
	put_leaf(f, (struct test_cert_spec){.sha1 = true});
	expect_fault(f, "", "certificate 1 is signed with SHA-1");
	put_leaf(f, (struct test_cert_spec){.type = TEST_RSA_2048});
	expect_served(f, "", NULL);
	assert_int_equal(first(f)->key_type, KEY_RSA);
	assert_int_equal(first(f)->key_bits, 2048);
}

static void
test_old_root(void **state)
{
	struct fixture *f = *state;
	struct test_cert root = test_cert_make(&(struct test_cert_spec){
	    .type = TEST_P256, .cn = "Old root", .is_ca = true, .sha1 = true});
	struct test_cert leaf =
	    test_cert_make(&(struct test_cert_spec){.type = TEST_P256,
		.cn = "leaf",
		.san = "DNS:mail.test",
		.issuer = &root});

	test_chain_write(f->dir, "a.pem",
	    (const struct test_cert *const[]){&leaf, &root}, 2);
	test_key_write(f->dir, "a.key", &leaf);
	expect_served(f, "", NULL);
	test_cert_free(&root);
	test_cert_free(&leaf);
}

static void
test_usage(void **state)
{
	struct fixture *f = *state;

	put_leaf(f, (struct test_cert_spec){.eku = "clientAuth"});
	expect_fault(f, "", "not for TLS servers");
	put_leaf(f, (struct test_cert_spec){.eku = "serverAuth,clientAuth"});
	expect_served(f, "", NULL);
	put_leaf(f, (struct test_cert_spec){.usage = "keyEncipherment"});
	expect_fault(f, "", "not for digital signatures");
	put_leaf(f, (struct test_cert_spec){.usage = "digitalSignature"});
	expect_served(f, "", NULL);
}

static void
test_names(void **state)
{
	struct fixture *f = *state;

	expect_served(f, "names = MAIL.test", NULL);
	assert_int_equal(first(f)->names.n, 1);
	assert_string_equal(name_at(f, 0), "mail.test");
	expect_served(f, "names = x.wild.test *.wild.test", NULL);
	expect_fault(f, "names = mail.test a.b.wild.test",
	    "does not cover the configured name \"a.b.wild.test\"");
	expect_fault(f, "names = wild.test", "does not cover");
	expect_fault(f, "names = *.test", "does not cover");
}

static void
test_no_names(void **state)
{
	struct fixture *f = *state;

	put_leaf(f, (struct test_cert_spec){.san = "IP:192.0.2.1"});
	expect_served(f, "", "has no DNS name");
	assert_non_null(sni_default(builder_config(f->builder),
	    config_listen_at(builder_config(f->builder), 0)));
}

static void
test_pin(void **state)
{
	struct fixture *f = *state;
	char extra[128] = "pin = ";

	expect_served(f, "", NULL);
	for (size_t i = 0; i < SPKI_HASH_LEN; i++)
		snprintf(extra + 6 + 2 * i, 3, "%02X", first(f)->spki[i]);
	expect_served(f, extra, NULL);
	extra[6] = extra[6] == '0' ? '1' : '0';
	expect_fault(f, extra, "its key is not the pinned one");
}

static void
test_self_signed(void **state)
{
	struct fixture *f = *state;
	struct test_cert leaf = test_cert_make(&(struct test_cert_spec){
	    .type = TEST_P256, .cn = "self", .san = "DNS:mail.test"});

	test_chain_write(
	    f->dir, "a.pem", (const struct test_cert *const[]){&leaf}, 1);
	test_key_write(f->dir, "a.key", &leaf);
	expect_served(f, "", "signed by itself");
	test_cert_free(&leaf);
}

/* The whole file but its last n octets. */
static void
truncate_file(const struct fixture *f, const char *name, long n)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	assert_int_equal(stat(path, &st), 0);
	FILE *file = fopen(path, "r+");
	char *data = malloc((size_t)st.st_size);

	assert_int_equal(fread(data, 1, (size_t)st.st_size, file), st.st_size);
	fclose(file);
	test_file_write(f->dir, name, data, (size_t)(st.st_size - n));
	free(data);
}

static void
test_damaged_files(void **state)
{
	struct fixture *f = *state;
	static char big[1024 * 1024 + 1];
	char path[512];

	truncate_file(f, "a.pem", 40);
	expect_fault(f, "", "a.pem: damaged or truncated");
	truncate_file(f, "a.pem", 200);
	expect_fault(f, "", "a.pem: damaged or truncated");
	test_file_write(f->dir, "a.pem", "", 0);
	expect_fault(f, "", "a.pem: is empty");
	test_file_write(f->dir, "a.pem", "hello\n", 6);
	expect_fault(f, "", "a.pem: holds no PEM certificate");
	memset(big, 'x', sizeof(big));
	test_file_write(f->dir, "a.pem", big, sizeof(big));
	expect_fault(f, "", "a.pem: is too large");
	snprintf(path, sizeof(path), "%s/a.pem", f->dir);
	assert_int_equal(remove(path), 0);
	expect_fault(f, "", "a.pem: No such file");
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_fault(f, "", "a.pem: not a regular file");
	remove(path);
}

static void
test_damaged_key(void **state)
{
	struct fixture *f = *state;

	truncate_file(f, "a.key", 40);
	expect_fault(f, "", "a.key: the private key is damaged");
	test_file_write(f->dir, "a.key", "hello\n", 6);
	expect_fault(f, "", "a.key: holds no PEM private key");
	test_file_write(f->dir, "a.key", "", 0);
	expect_fault(f, "", "a.key: is empty");
}

static void
test_key_with_passphrase(void **state)
{
	struct fixture *f = *state;
	BIO *bio = BIO_new(BIO_s_mem());
	const uint8_t *data;
	size_t len;

	PEM_write_bio_PKCS8PrivateKey(
	    bio, f->good.key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
	BIO_mem_contents(bio, &data, &len);
	test_file_write(f->dir, "a.key", data, len);
	BIO_free(bio);
	expect_fault(f, "", "has a passphrase");
}

static void
test_open_key_file(void **state)
{
	struct fixture *f = *state;
	char path[512];

	snprintf(path, sizeof(path), "%s/a.key", f->dir);
	chmod(path, 0644);
	expect_served(f, "", "a.key: others than its owner may use it");
	chmod(path, 0600);
}

/* One file that holds both, key first, is common. */
static void
test_one_file(void **state)
{
	struct fixture *f = *state;
	BIO *bio = BIO_new(BIO_s_mem());
	const uint8_t *data;
	size_t len;

	PEM_write_bio_PKCS8PrivateKey(
	    bio, f->good.key, NULL, NULL, 0, NULL, NULL);
	PEM_write_bio_X509(bio, f->good.x509);
	PEM_write_bio_X509(bio, f->ca.x509);
	BIO_mem_contents(bio, &data, &len);
	test_file_write(f->dir, "a.pem", data, len);
	test_file_write(f->dir, "a.key", data, len);
	BIO_free(bio);
	expect_served(f, "", NULL);
	assert_int_equal(first(f)->ders.n, 2);
}

static void
test_ocsp(void **state)
{
	struct fixture *f = *state;
	static const uint8_t good[] = {0x30, 3, 0x0a, 1, 0};
	static const uint8_t try_later[] = {0x30, 3, 0x0a, 1, 3};
	char extra[512];

	snprintf(extra, sizeof(extra), "ocsp = %s/ocsp.der", f->dir);
	expect_served(f, extra, "ocsp.der: No such file");
	test_file_write(f->dir, "ocsp.der", try_later, sizeof(try_later));
	expect_served(f, extra, "not a successful OCSP response");
	assert_int_equal(first(f)->ocsp_der.len, 0);
	test_file_write(f->dir, "ocsp.der", good, sizeof(good));
	expect_served(f, extra, NULL);
	assert_int_equal(first(f)->ocsp_der.len, 5);
}

static void
test_old_one_serves_on(void **state)
{
	struct fixture *f = *state;
	struct builder *running;
	struct key_image keys;
	struct config_certificate old;

	expect_served(f, "", NULL);
	running = f->builder;
	keys = f->keys;
	f->builder = NULL;
	f->keys = (struct key_image){NULL, 0};
	old = *config_certificate_at(builder_config(running), 0);
	test_file_write(f->dir, "a.pem", "", 0);
	load_with(f, "", builder_config(running), &keys);
	assert_true(f->ok);
	assert_int_equal(f->problems.n_errors, 1);
	assert_non_null(strstr(f->problems.warnings, "serves on"));
	assert_true(first(f)->usable);
	assert_memory_equal(first(f)->spki, old.spki, SPKI_HASH_LEN);
	assert_int_equal(first(f)->ders.n, 2);
	assert_int_equal(first(f)->not_after, old.not_after);
	assert_string_equal(name_at(f, 0), "mail.test");
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
	struct fixture *f = *state;
	struct builder *running;
	struct key_image keys;
	struct key_set *set;
	char extra[2048];
	const struct config *config;

	put_leaf(f, (struct test_cert_spec){.type = TEST_P384});
	test_chain_write(f->dir, "c.pem",
	    (const struct test_cert *const[]){&f->good, &f->ca}, 2);
	test_key_write(f->dir, "c.key", &f->good);
	snprintf(extra, sizeof(extra),
	    "[certificate none]\nchain = %s/none\nkey = %s/none\n"
	    "[certificate c]\nchain = %s/c.pem\nkey = %s/c.key\n",
	    f->dir, f->dir, f->dir, f->dir);
	load(f, extra);
	assert_true(f->ok);
	assert_int_equal(f->problems.n_errors, 1);
	running = f->builder;
	keys = f->keys;
	f->builder = NULL;
	f->keys = (struct key_image){NULL, 0};
	test_file_write(f->dir, "c.key", "", 0);
	load_with(f, extra, builder_config(running), &keys);
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

static void
test_twins_ecdsa_first(void **state)
{
	struct fixture *f = *state;
	const struct config *config;
	const struct sni_slot *slot;
	char extra[1024];

	test_chain_write(f->dir, "c.pem",
	    (const struct test_cert *const[]){&f->good, &f->ca}, 2);
	test_key_write(f->dir, "c.key", &f->good);
	put_leaf(f, (struct test_cert_spec){.type = TEST_RSA_2048});
	snprintf(extra, sizeof(extra),
	    "[certificate c]\nchain = %s/c.pem\nkey = %s/c.key\n", f->dir,
	    f->dir);
	expect_served(f, extra, NULL);
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
	struct fixture *f = *state;
	char *text;
	size_t len;
	FILE *file;

	put_leaf(f, (struct test_cert_spec){.until = 50L * 86400 + 3600});
	expect_served(f, "", NULL);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_good),
	    TEST(test_mismatch),
	    TEST(test_order),
	    TEST(test_forged_issuer),
	    TEST(test_dates),
	    TEST(test_strength),
	    TEST(test_old_root),
	    TEST(test_usage),
	    TEST(test_names),
	    TEST(test_no_names),
	    TEST(test_pin),
	    TEST(test_self_signed),
	    TEST(test_damaged_files),
	    TEST(test_damaged_key),
	    TEST(test_key_with_passphrase),
	    TEST(test_open_key_file),
	    TEST(test_one_file),
	    TEST(test_ocsp),
	    TEST(test_old_one_serves_on),
	    TEST(test_keys_keep_their_order),
	    TEST(test_twins_ecdsa_first),
	    TEST(test_print),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
