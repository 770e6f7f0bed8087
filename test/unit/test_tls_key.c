/* SPDX-License-Identifier: ISC */
/* needs: tls/key.c proxy/base/span.c proxy/base/ensure.c */
/* needs: test/support/tls_files.c */
/* libs: boringssl */
/* What the keeper signs, and what it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/bytestring.h>
#include <openssl/mem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>

#include "test/support/tls_files.h"
#include "tls/key.h"

enum {
	P256,
	P384,
	RSA_KEY,
	N_KEYS
};

struct fixture {
	struct test_cert certs[N_KEYS];
	uint8_t image[8192];
	size_t image_len;
	struct key_set *set;
};

static size_t
put_key(uint8_t *out, const EVP_PKEY *key)
{
	CBB cbb;
	uint8_t *der;
	size_t len;
	uint32_t len32;

	CBB_init(&cbb, 512);
	EVP_marshal_private_key(&cbb, key);
	CBB_finish(&cbb, &der, &len);
	len32 = (uint32_t)len;
	memcpy(out, &len32, sizeof(len32));
	memcpy(out + sizeof(len32), der, len);
	OPENSSL_free(der);
	return sizeof(len32) + len;
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	static const enum test_key types[] = {
	    TEST_P256, TEST_P384, TEST_RSA_2048};

	for (int i = 0; i < N_KEYS; i++) {
		f->certs[i] = test_cert_make(
		    &(struct test_cert_spec){.type = types[i], .cn = "x"});
		f->image_len +=
		    put_key(f->image + f->image_len, f->certs[i].key);
	}
	f->set = key_set_new(span_of(f->image, f->image_len));
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < N_KEYS; i++)
		test_cert_free(&f->certs[i]);
	key_set_free(f->set);
	free(f);
	return 0;
}

static size_t
tls13_input(uint8_t *out, size_t hash_len)
{
	static const char context[] = "TLS 1.3, server CertificateVerify";

	memset(out, ' ', 64);
	memcpy(out + 64, context, sizeof(context));
	memset(out + 64 + sizeof(context), 0x5a, hash_len);
	return 64 + sizeof(context) + hash_len;
}

static size_t
tls12_input(uint8_t *out, uint16_t group, size_t point_len)
{
	memset(out, 0x11, 64 + 4 + point_len);
	out[64] = 3;
	out[65] = (uint8_t)(group >> 8);
	out[66] = (uint8_t)group;
	out[67] = (uint8_t)point_len;
	out[68] = 4;
	return 64 + 4 + point_len;
}

static size_t
tls13_client_input(uint8_t *out)
{
	static const char context[] = "TLS 1.3, client CertificateVerify";
	size_t len = tls13_input(out, 32);

	memcpy(out + 64, context, sizeof(context));
	return len;
}

static size_t
put_message(uint8_t *out, uint8_t type, size_t body_len)
{
	memset(out, 0x22, 4 + body_len);
	out[0] = type;
	out[1] = 0;
	out[2] = (uint8_t)(body_len >> 8);
	out[3] = (uint8_t)body_len;
	return 4 + body_len;
}

/* From ClientHello to ClientKeyExchange. */
static size_t
tls12_transcript(uint8_t *out, const uint8_t *types, size_t n_types)
{
	size_t len = 0;

	for (size_t i = 0; i < n_types; i++) {
		size_t at = len;
		len += put_message(out + at, types[i], types[i] == 14 ? 0 : 40);
		if (types[i] == 1 || types[i] == 2)
			out[at + 4] = out[at + 5] = 3;
	}
	return len;
}

static const uint8_t whole[] = {1, 2, 11, 12, 13, 14, 11, 16};
static const uint8_t stapled[] = {1, 2, 11, 22, 12, 13, 14, 11, 16};

static void
test_transcripts(void **state)
{
	static const uint8_t unasked[] = {1, 2, 11, 12, 14, 11, 16};
	static const uint8_t resumed[] = {1, 2, 11, 16};
	uint8_t in[1024];
	size_t len;

	(void)state;
	len = tls12_transcript(in, stapled, sizeof(stapled));
	assert_int_equal(key_form_of(span_of(in, len)), KEY_FORM_CLIENT_12);
	len = tls12_transcript(in, whole, sizeof(whole));
	assert_int_equal(key_form_of(span_of(in, len)), KEY_FORM_CLIENT_12);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(key_form_of(span_of(in, n)), KEY_FORM_NONE);
	in[len] = 0;
	assert_int_equal(key_form_of(span_of(in, len + 1)), KEY_FORM_NONE);
	in[4] = 2; /* SSL 2 */
	assert_int_equal(key_form_of(span_of(in, len)), KEY_FORM_NONE);
	in[4] = 3;
	in[3] = 41; /* one octet of the next */
	assert_int_equal(key_form_of(span_of(in, len)), KEY_FORM_NONE);
	len = tls12_transcript(in, unasked, sizeof(unasked));
	assert_int_equal(key_form_of(span_of(in, len)), KEY_FORM_NONE);
	len = tls12_transcript(in, resumed, sizeof(resumed));
	assert_int_equal(key_form_of(span_of(in, len)), KEY_FORM_NONE);
}

static bool
is_form(struct span input)
{
	return key_form_of(input) != KEY_FORM_NONE;
}

static void
test_forms(void **state)
{
	uint8_t in[512];
	size_t len;

	(void)state;
	len = tls13_input(in, 32);
	assert_true(is_form(span_of(in, len)));
	assert_false(is_form(span_of(in, len - 1)));
	assert_false(is_form(span_of(in, len + 1)));
	in[63] = 'x';
	assert_false(is_form(span_of(in, len)));
	len = tls13_input(in, 48);
	assert_true(is_form(span_of(in, len)));
	assert_int_equal(key_form_of(span_of(in, len)), KEY_FORM_SERVER_13);
	memcpy(in + 64, "TLS 1.3, client", 15);
	assert_int_equal(key_form_of(span_of(in, len)), KEY_FORM_CLIENT_13);
	memcpy(in + 64, "TLS 1.3, mother", 15);
	assert_false(is_form(span_of(in, len)));
	len = tls12_input(in, SSL_CURVE_SECP256R1, 65);
	assert_true(is_form(span_of(in, len)));
	assert_false(is_form(span_of(in, len + 1)));
	assert_false(is_form(span_of(in, len - 1)));
	in[64] = 1; /* explicit_prime */
	assert_false(is_form(span_of(in, len)));
	len = tls12_input(in, SSL_CURVE_SECP256R1, 32);
	assert_false(is_form(span_of(in, len)));
	len = tls12_input(in, SSL_CURVE_SECP256R1, 65);
	in[68] = 2; /* compressed */
	assert_false(is_form(span_of(in, len)));
	len = tls12_input(in, SSL_CURVE_X25519, 32);
	assert_true(is_form(span_of(in, len)));
	len = tls12_input(in, 0x1234, 32);
	assert_false(is_form(span_of(in, len)));
	assert_false(is_form(span_of(in, 0)));
}

static void
spki_of(const EVP_PKEY *key, uint8_t out[SPKI_HASH_LEN])
{
	CBB cbb;
	uint8_t *der;
	size_t len;

	CBB_init(&cbb, 512);
	EVP_marshal_public_key(&cbb, key);
	CBB_finish(&cbb, &der, &len);
	SHA256(der, len, out);
	OPENSSL_free(der);
}

static struct key_request
make_request(const struct fixture *f, int key, uint16_t algorithm, bool tls13)
{
	struct key_request request = {.id = 42, .algorithm = algorithm};

	spki_of(f->certs[key].key, request.spki);
	request.len = (uint16_t)(tls13 ? tls13_input(request.input, 32)
				       : tls12_input(request.input,
					     SSL_CURVE_X25519, 32));
	return request;
}

static bool
verifies(const struct fixture *f, int key, const EVP_MD *md, bool pss,
    const struct key_request *request, const struct key_reply *reply)
{
	EVP_MD_CTX ctx;
	EVP_PKEY_CTX *pctx;
	bool ok;

	EVP_MD_CTX_init(&ctx);
	ok = EVP_DigestVerifyInit(&ctx, &pctx, md, NULL, f->certs[key].key);
	if (pss)
		ok =
		    ok &&
		    EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) &&
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, -1);
	ok = ok && EVP_DigestVerify(&ctx, reply->signature, reply->len,
		       request->input, request->len) == 1;
	EVP_MD_CTX_cleanup(&ctx);
	return ok;
}

static void
expect_signed(struct fixture *f, int key, uint16_t algorithm, bool tls13,
    const EVP_MD *md, bool pss)
{
	struct key_request request = make_request(f, key, algorithm, tls13);
	struct key_reply reply;

	key_sign(f->set, NULL, &request, &reply);
	assert_int_equal(reply.status, KEY_OK);
	assert_int_equal(reply.id, 42);
	assert_true(verifies(f, key, md, pss, &request, &reply));
}

static void
expect_status(struct fixture *f, int key, uint16_t algorithm, bool tls13,
    enum key_status status)
{
	struct key_request request = make_request(f, key, algorithm, tls13);
	struct key_reply reply;

	key_sign(f->set, NULL, &request, &reply);
	assert_int_equal(reply.status, status);
	assert_int_equal(reply.len, 0);
	assert_int_equal(reply.id, 42);
}

static void
test_signs(void **state)
{
	struct fixture *f = *state;

	expect_signed(f, P256, SSL_SIGN_ECDSA_SECP256R1_SHA256, true,
	    EVP_sha256(), false);
	expect_signed(f, P384, SSL_SIGN_ECDSA_SECP384R1_SHA384, true,
	    EVP_sha384(), false);
	expect_signed(f, P384, SSL_SIGN_ECDSA_SECP256R1_SHA256, false,
	    EVP_sha256(), false);
	expect_signed(
	    f, RSA_KEY, SSL_SIGN_RSA_PSS_RSAE_SHA256, true, EVP_sha256(), true);
	expect_signed(f, RSA_KEY, SSL_SIGN_RSA_PSS_RSAE_SHA512, false,
	    EVP_sha512(), true);
	expect_signed(
	    f, RSA_KEY, SSL_SIGN_RSA_PKCS1_SHA384, false, EVP_sha384(), false);
}

static void
test_refuses(void **state)
{
	struct fixture *f = *state;
	struct key_request request;
	struct key_reply reply;

	expect_status(
	    f, P256, SSL_SIGN_ECDSA_SECP384R1_SHA384, true, KEY_FAILED);
	expect_status(f, P256, SSL_SIGN_RSA_PSS_RSAE_SHA256, true, KEY_FAILED);
	expect_status(f, RSA_KEY, SSL_SIGN_RSA_PKCS1_SHA256, true, KEY_FAILED);
	expect_status(f, RSA_KEY, SSL_SIGN_RSA_PKCS1_SHA1, false, KEY_FAILED);
	expect_status(f, RSA_KEY, 0, false, KEY_FAILED);
	request = make_request(f, P256, SSL_SIGN_ECDSA_SECP256R1_SHA256, true);
	request.spki[0] ^= 1;
	key_sign(f->set, NULL, &request, &reply);
	assert_int_equal(reply.status, KEY_UNKNOWN);
	request = make_request(f, P256, SSL_SIGN_ECDSA_SECP256R1_SHA256, true);
	request.input[0] = 'x';
	key_sign(f->set, NULL, &request, &reply);
	assert_int_equal(reply.status, KEY_NOT_A_HANDSHAKE);
	request.len = 65535;
	key_sign(f->set, NULL, &request, &reply);
	assert_int_equal(reply.status, KEY_NOT_A_HANDSHAKE);
}

static enum key_status
status_of(const struct key_set *set, const struct key_request *request)
{
	struct key_reply reply;

	key_sign(set, NULL, request, &reply);
	return (enum key_status)reply.status;
}

/* A hijacked worker must not be a client with a server's key, nor a server
 * with a client's. */
static void
test_each_key_on_its_side(void **state)
{
	struct fixture *f = *state;
	uint8_t image[8192];
	struct key_request as_server =
	    make_request(f, P256, SSL_SIGN_ECDSA_SECP256R1_SHA256, true);
	struct key_request as_client = as_server;
	struct key_request as_client_12 = as_server;

	as_client.len = (uint16_t)tls13_client_input(as_client.input);
	as_client_12.len = (uint16_t)tls12_transcript(
	    as_client_12.input, whole, sizeof(whole));
	assert_int_equal(status_of(f->set, &as_server), KEY_OK);
	assert_int_equal(status_of(f->set, &as_client), KEY_UNKNOWN);
	assert_int_equal(status_of(f->set, &as_client_12), KEY_UNKNOWN);
	size_t len = put_key(image, f->certs[P256].key);
	image[3] |= 0x80; /* KEY_FOR_BACKENDS */
	struct key_set *set = key_set_new(span_of(image, len));
	assert_int_equal(status_of(set, &as_server), KEY_UNKNOWN);
	assert_int_equal(status_of(set, &as_client), KEY_OK);
	assert_int_equal(status_of(set, &as_client_12), KEY_OK);
	key_set_free(set);
	/* the same key on both sides */
	len += put_key(image + len, f->certs[P256].key);
	set = key_set_new(span_of(image, len));
	assert_int_equal(key_set_count(set), 2);
	assert_int_equal(status_of(set, &as_server), KEY_OK);
	assert_int_equal(status_of(set, &as_client), KEY_OK);
	key_set_free(set);
}

static void
test_old_set(void **state)
{
	struct fixture *f = *state;
	struct key_set *empty = key_set_new(span_of(NULL, 0));
	struct key_request request =
	    make_request(f, P256, SSL_SIGN_ECDSA_SECP256R1_SHA256, true);
	struct key_reply reply;

	assert_non_null(empty);
	assert_int_equal(key_set_count(empty), 0);
	key_sign(empty, f->set, &request, &reply);
	assert_int_equal(reply.status, KEY_OK);
	key_sign(empty, NULL, &request, &reply);
	assert_int_equal(reply.status, KEY_UNKNOWN);
	key_set_free(empty);
}

static void
test_malformed_images(void **state)
{
	struct fixture *f = *state;
	struct test_cert weak = test_cert_make(
	    &(struct test_cert_spec){.type = TEST_RSA_1024, .cn = "x"});
	uint8_t image[2048];
	size_t len;

	assert_int_equal(key_set_count(f->set), N_KEYS);
	for (size_t i = 1; i < 140; i++) {
		struct key_set *set = key_set_new(span_of(f->image, i));

		/* Only whole keys make a set. */
		if (set != NULL)
			assert_int_equal(key_set_count(set), 1);
		key_set_free(set);
	}
	len = put_key(image, weak.key);
	assert_null(key_set_new(span_of(image, len)));
	memset(image, 0xff, 4);
	assert_null(key_set_new(span_of(image, len)));
	memset(image, 0, 4);
	assert_null(key_set_new(span_of(image, 4)));
	test_cert_free(&weak);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_forms),
	    cmocka_unit_test(test_transcripts),
	    cmocka_unit_test(test_each_key_on_its_side),
	    cmocka_unit_test(test_signs),
	    cmocka_unit_test(test_refuses),
	    cmocka_unit_test(test_old_set),
	    cmocka_unit_test(test_malformed_images),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
