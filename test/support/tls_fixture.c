/* SPDX-License-Identifier: ISC */
/* See tls_fixture.h. */
#include "test/support/tls_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/nid.h>
#include <openssl/x509.h>

#include "test/support/tls_files.h"

static const char config_format[] =
    "[listen lax]\naddress = 127.0.0.1:9001\ntls = lax\npool = p\n"
    "certificates = ec rsa wild\n"
    "[listen strict]\naddress = 127.0.0.1:9002\ntls = strict\npool = p\n"
    "certificates = ec rsa wild\n"
    "[listen modern]\naddress = 127.0.0.1:9003\ntls = modern\npool = p\n"
    "certificates = ec rsa wild\n"
    "[listen old]\naddress = 127.0.0.1:9004\ntls = old\npool = p\n"
    "certificates = ec rsa wild\n"
    "[listen rsa]\naddress = 127.0.0.1:9005\ntls = lax\npool = p\n"
    "certificates = rsa\n"
    "[listen notickets]\naddress = 127.0.0.1:9006\ntls = off\npool = p\n"
    "certificates = ec rsa wild\n"
    "[listen laxalpn]\naddress = 127.0.0.1:9007\ntls = alpn\npool = p\n"
    "certificates = ec rsa wild\n"
    "[listen sigalgs]\naddress = 127.0.0.1:9008\ntls = sig\npool = p\n"
    "certificates = ec rsa wild\n"
    "[tls lax]\n"
    "[tls strict]\nsni = strict\n"
    "[tls modern]\npreset = modern\n"
    "[tls old]\nmax_version = 1.2\n"
    "ciphers = ECDHE-ECDSA-AES256-GCM-SHA384\n"
    "[tls off]\ntickets = off\n"
    "[tls alpn]\nalpn = lax\n"
    "[tls sig]\nsigalgs = rsa_pss_rsae_sha384\ngroups = P-384\n"
    "[certificate ec]\nchain = %s/ec.pem\nkey = %s/ec.key\n"
    "ocsp = %s/ocsp.der\n"
    "[certificate rsa]\nchain = %s/rsa.pem\nkey = %s/rsa.key\n"
    "[certificate wild]\nchain = %s/wild.pem\nkey = %s/wild.key\n"
    "[pool p]\n"
    "[backend b]\npool = p\naddress = 127.0.0.1:143\n";

static void
make_files(const char *dir)
{
	static const uint8_t ocsp[] = {0x30, 3, 0x0a, 1, 0};
	struct test_cert ca = test_cert_make(&(struct test_cert_spec){
	    .type = TEST_P256, .cn = "Test CA", .is_ca = true});
	struct test_cert ec =
	    test_cert_make(&(struct test_cert_spec){.type = TEST_P256,
		.cn = "ec",
		.san = "DNS:mail.test",
		.issuer = &ca});
	struct test_cert rsa =
	    test_cert_make(&(struct test_cert_spec){.type = TEST_RSA_2048,
		.cn = "rsa",
		.san = "DNS:mail.test",
		.issuer = &ca});
	struct test_cert wild =
	    test_cert_make(&(struct test_cert_spec){.type = TEST_P384,
		.cn = "wild",
		.san = "DNS:*.wild.test",
		.issuer = &ca});

	test_chain_write(
	    dir, "ec.pem", (const struct test_cert *const[]){&ec, &ca}, 2);
	test_chain_write(
	    dir, "rsa.pem", (const struct test_cert *const[]){&rsa, &ca}, 2);
	test_chain_write(
	    dir, "wild.pem", (const struct test_cert *const[]){&wild, &ca}, 2);
	test_key_write(dir, "ec.key", &ec);
	test_key_write(dir, "rsa.key", &rsa);
	test_key_write(dir, "wild.key", &wild);
	test_file_write(dir, "ocsp.der", ocsp, sizeof(ocsp));
	test_cert_free(&ca);
	test_cert_free(&ec);
	test_cert_free(&rsa);
	test_cert_free(&wild);
}

int
fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	test_dir_make(f->dir);
	make_files(f->dir);
	snprintf(f->config, sizeof(f->config), config_format, f->dir, f->dir,
	    f->dir, f->dir, f->dir, f->dir, f->dir);
	f->world = world_new(f->config, NULL);
	*state = f;
	return 0;
}

int
fixture_teardown(void **state)
{
	struct fixture *f = *state;

	world_free(f->world);
	test_dir_remove(f->dir);
	free(f);
	return 0;
}

/* What the client was shown: the leaf's common name. */
static void
leaf_name(const struct pair *pair, char out[32])
{
	const STACK_OF(CRYPTO_BUFFER) *chain =
	    SSL_get0_peer_certificates(pair->client);
	const CRYPTO_BUFFER *leaf = sk_CRYPTO_BUFFER_value(chain, 0);
	const uint8_t *der = CRYPTO_BUFFER_data(leaf);
	X509 *x509 = d2i_X509(NULL, &der, (long)CRYPTO_BUFFER_len(leaf));

	X509_NAME_get_text_by_NID(
	    X509_get_subject_name(x509), NID_commonName, out, 32);
	X509_free(x509);
}

void
expect_leaf(struct world *world, uint32_t listen,
    const struct client_options *options, const char *expected)
{
	struct pair *pair = pair_new(world, listen, options);
	char name[32];

	assert_true(pair_handshake(pair));
	leaf_name(pair, name);
	assert_string_equal(name, expected);
	assert_true(pair_echo(pair, "a1 NOOP\r\n", 9));
	pair_free(pair);
}

void
expect_failure(struct world *world, uint32_t listen,
    const struct client_options *options, enum tls_failure failure,
    uint8_t alert)
{
	struct pair *pair = pair_new(world, listen, options);

	assert_false(pair_handshake(pair));
	assert_int_equal(pair->status, TLS_FAILED);
	assert_string_equal(tls_failure_name(tls_stream_failure(pair->stream)),
	    tls_failure_name(failure));
	assert_int_equal(pair_info(pair).alert, alert);
	assert_false(pair_info(pair).alert_received);
	/* The client saw the same alert. */
	assert_int_equal(pair->client_error, 1000 + alert);
	pair_free(pair);
}
