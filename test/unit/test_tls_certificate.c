/* SPDX-License-Identifier: ISC */
/* needs: tls/ */
/* needs: config/load.c config/check.c config/schema.c config/builder.c */
/* needs: config/draft.c config/value.c config/value_list.c */
/* needs: config/value_format.c proxy/base/span.c proxy/base/addr.c */
/* needs: proxy/base/parse.c proxy/base/ensure.c */
/* needs: test/support/tls_files.c test/support/tls_load.c */
/* libs: boringssl inih */
/* One fault of a chain or key each: it is named. Certificates are made here. */
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
#include <openssl/pem.h>

#include "test/support/tls_load.h"
#include "tls/key.h"
#include "tls/names.h"

static void
test_good(void **state)
{
	struct loaded *f = *state;
	const struct config *config;
	const struct config_listen *listen;
	struct key_set *set;

	load_serves(f, "", NULL);
	config = builder_config(f->builder);
	listen = config_listen_at(config, 0);
	assert_int_equal(load_first(f)->key_type, KEY_ECDSA);
	assert_int_equal(load_first(f)->key_bits, 256);
	assert_int_equal(load_first(f)->ders.n, 2);
	assert_int_equal(load_first(f)->names.n, 2);
	assert_string_equal(load_name(f, 0), "mail.test");
	assert_string_equal(load_name(f, 1), "*.wild.test");
	assert_in_range(load_first(f)->not_after, time(NULL) + 89 * 86400,
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
	struct loaded *f = *state;

	test_key_write(f->dir, "a.key", &f->ca);
	load_fails(f, "", "a.key: the key is not the certificate's");
}

static void
test_order(void **state)
{
	struct loaded *f = *state;
	struct test_cert other = test_cert_make(&(struct test_cert_spec){
	    .type = TEST_P256, .cn = "Other CA", .is_ca = true});

	test_chain_write(f->dir, "a.pem",
	    (const struct test_cert *const[]){&f->good, &other, &f->ca}, 3);
	load_fails(f, "", "a.pem: certificate 1 was not issued by");
	test_chain_write(f->dir, "a.pem",
	    (const struct test_cert *const[]){&f->ca, &f->good}, 2);
	load_fails(f, "", "the key is not the certificate's");
	test_cert_free(&other);
}

/* A CA of the same name with another key. */
static void
test_forged_issuer(void **state)
{
	struct loaded *f = *state;
	struct test_cert twin = test_cert_make(&(struct test_cert_spec){
	    .type = TEST_P256, .cn = "Test CA", .is_ca = true});

	test_chain_write(f->dir, "a.pem",
	    (const struct test_cert *const[]){&f->good, &twin}, 2);
	load_fails(f, "", "the signature of certificate 1 is not by");
	test_cert_free(&twin);
}

static void
test_dates(void **state)
{
	struct loaded *f = *state;

	load_put_leaf(f, (struct test_cert_spec){.from = 3600});
	load_fails(f, "", "not yet valid");
	load_put_leaf(f, (struct test_cert_spec){.from = -7200, .until = -60});
	load_serves(f, "", "HAS EXPIRED");
	load_put_leaf(f, (struct test_cert_spec){.until = 3 * 86400 + 600});
	load_serves(f, "", "expires in 3 days");
	load_serves(f, "warn_days = 2", NULL);
}

static void
test_strength(void **state)
{
	struct loaded *f = *state;

	load_put_leaf(f, (struct test_cert_spec){.type = TEST_RSA_1024});
	load_fails(f, "", "an RSA key of 1024 bits");
	load_put_leaf(f, (struct test_cert_spec){.sha1 = true});
	load_fails(f, "", "certificate 1 is signed with SHA-1");
	load_put_leaf(f, (struct test_cert_spec){.type = TEST_RSA_2048});
	load_serves(f, "", NULL);
	assert_int_equal(load_first(f)->key_type, KEY_RSA);
	assert_int_equal(load_first(f)->key_bits, 2048);
}

static void
test_old_root(void **state)
{
	struct loaded *f = *state;
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
	load_serves(f, "", "its issuer is unknown here");
	test_cert_free(&root);
	test_cert_free(&leaf);
}

static void
test_usage(void **state)
{
	struct loaded *f = *state;

	load_put_leaf(f, (struct test_cert_spec){.eku = "clientAuth"});
	load_fails(f, "", "not for TLS servers");
	load_put_leaf(
	    f, (struct test_cert_spec){.eku = "serverAuth,clientAuth"});
	load_serves(f, "", NULL);
	load_put_leaf(f, (struct test_cert_spec){.usage = "keyEncipherment"});
	load_fails(f, "", "not for digital signatures");
	load_put_leaf(f, (struct test_cert_spec){.usage = "digitalSignature"});
	load_serves(f, "", NULL);
}

static void
test_names(void **state)
{
	struct loaded *f = *state;

	load_serves(f, "names = MAIL.test", NULL);
	assert_int_equal(load_first(f)->names.n, 1);
	assert_string_equal(load_name(f, 0), "mail.test");
	load_serves(f, "names = x.wild.test *.wild.test", NULL);
	load_fails(f, "names = mail.test a.b.wild.test",
	    "does not cover the configured name \"a.b.wild.test\"");
	load_fails(f, "names = wild.test", "does not cover");
	load_fails(f, "names = *.test", "does not cover");
}

static void
test_no_names(void **state)
{
	struct loaded *f = *state;

	load_put_leaf(f, (struct test_cert_spec){.san = "IP:192.0.2.1"});
	load_serves(f, "", "has no DNS name");
	assert_non_null(sni_default(builder_config(f->builder),
	    config_listen_at(builder_config(f->builder), 0)));
}

static void
test_pin(void **state)
{
	struct loaded *f = *state;
	char extra[128] = "pin = ";

	load_serves(f, "", NULL);
	for (size_t i = 0; i < SPKI_HASH_LEN; i++)
		snprintf(extra + 6 + 2 * i, 3, "%02X", load_first(f)->spki[i]);
	load_serves(f, extra, NULL);
	extra[6] = extra[6] == '0' ? '1' : '0';
	load_fails(f, extra, "its key is not the pinned one");
}

static void
test_self_signed(void **state)
{
	struct loaded *f = *state;
	struct test_cert leaf = test_cert_make(&(struct test_cert_spec){
	    .type = TEST_P256, .cn = "self", .san = "DNS:mail.test"});

	test_chain_write(
	    f->dir, "a.pem", (const struct test_cert *const[]){&leaf}, 1);
	test_key_write(f->dir, "a.key", &leaf);
	load_serves(f, "", "signed by itself");
	test_cert_free(&leaf);
}

/* The whole file but its last n octets. */
static void
truncate_file(const struct loaded *f, const char *name, long n)
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
	struct loaded *f = *state;
	static char big[1024 * 1024 + 1];
	char path[512];

	truncate_file(f, "a.pem", 40);
	load_fails(f, "", "a.pem: damaged or truncated");
	truncate_file(f, "a.pem", 200);
	load_fails(f, "", "a.pem: damaged or truncated");
	test_file_write(f->dir, "a.pem", "", 0);
	load_fails(f, "", "a.pem: is empty");
	test_file_write(f->dir, "a.pem", "hello\n", 6);
	load_fails(f, "", "a.pem: holds no PEM certificate");
	memset(big, 'x', sizeof(big));
	test_file_write(f->dir, "a.pem", big, sizeof(big));
	load_fails(f, "", "a.pem: is too large");
	snprintf(path, sizeof(path), "%s/a.pem", f->dir);
	assert_int_equal(remove(path), 0);
	load_fails(f, "", "a.pem: No such file");
	assert_int_equal(mkfifo(path, 0600), 0);
	load_fails(f, "", "a.pem: not a regular file");
	remove(path);
}

static void
test_damaged_key(void **state)
{
	struct loaded *f = *state;

	truncate_file(f, "a.key", 40);
	load_fails(f, "", "a.key: the private key is damaged");
	test_file_write(f->dir, "a.key", "hello\n", 6);
	load_fails(f, "", "a.key: holds no PEM private key");
	test_file_write(f->dir, "a.key", "", 0);
	load_fails(f, "", "a.key: is empty");
}

static void
test_key_with_passphrase(void **state)
{
	struct loaded *f = *state;
	BIO *bio = BIO_new(BIO_s_mem());
	const uint8_t *data;
	size_t len;

	PEM_write_bio_PKCS8PrivateKey(
	    bio, f->good.key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
	BIO_mem_contents(bio, &data, &len);
	test_file_write(f->dir, "a.key", data, len);
	BIO_free(bio);
	load_fails(f, "", "has a passphrase");
}

static void
test_open_key_file(void **state)
{
	struct loaded *f = *state;
	char path[512];

	snprintf(path, sizeof(path), "%s/a.key", f->dir);
	chmod(path, 0644);
	load_serves(f, "", "a.key: others than its owner may use it");
	chmod(path, 0600);
}

/* One file that holds both, key first, is common. */
static void
test_one_file(void **state)
{
	struct loaded *f = *state;
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
	load_serves(f, "", NULL);
	assert_int_equal(load_first(f)->ders.n, 2);
}

static void
test_ocsp(void **state)
{
	struct loaded *f = *state;
	static const uint8_t good[] = {0x30, 3, 0x0a, 1, 0};
	static const uint8_t try_later[] = {0x30, 3, 0x0a, 1, 3};
	char extra[512];

	snprintf(extra, sizeof(extra), "ocsp = %s/ocsp.der", f->dir);
	load_serves(f, extra, "ocsp.der: No such file");
	test_file_write(f->dir, "ocsp.der", try_later, sizeof(try_later));
	load_serves(f, extra, "not a successful OCSP response");
	assert_int_equal(load_first(f)->ocsp_der.len, 0);
	test_file_write(f->dir, "ocsp.der", good, sizeof(good));
	load_serves(f, extra, NULL);
	assert_int_equal(load_first(f)->ocsp_der.len, 5);
}

int
main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, load_setup, load_teardown)
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
