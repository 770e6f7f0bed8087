/* SPDX-License-Identifier: ISC */
/* needs: tls/ */
/* needs: config/load.c config/check.c config/schema.c config/builder.c */
/* needs: config/draft.c config/value.c config/value_list.c */
/* needs: config/value_format.c proxy/base/span.c proxy/base/addr.c */
/* needs: proxy/base/parse.c proxy/base/ensure.c */
/* needs: test/support/tls_client.c test/support/tls_files.c */
/* needs: test/support/tls_fixture.c */
/* libs: boringssl inih */
/*
 * What a ClientHello settles: the certificate, the name, ALPN; and what is
 * refused, by which alert.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "test/support/tls_fixture.h"
#include "tls/policy.h"

static void
test_certificate_by_client(void **state)
{
	struct fixture *f = *state;
	struct client_options o = {.sni = "mail.test"};

	expect_leaf(f->world, LAX, &o, "ec");
	o.sigalgs = "rsa_pss_rsae_sha256";
	expect_leaf(f->world, LAX, &o, "rsa");
	o.max_version = TLS1_2_VERSION;
	o.sigalgs = "rsa_pkcs1_sha256";
	expect_leaf(f->world, LAX, &o, "rsa");
	o.sigalgs = NULL;
	o.ciphers = "ECDHE-RSA-AES128-GCM-SHA256";
	expect_leaf(f->world, LAX, &o, "rsa");
	o.ciphers = NULL;
	o.groups = "X25519"; /* no P-256, so it could not use the key */
	expect_leaf(f->world, LAX, &o, "rsa");
	o.groups = NULL;
	o.max_version = 0;
	expect_leaf(f->world, SIGALGS, &o, "rsa");
}

static void
test_names(void **state)
{
	struct fixture *f = *state;
	struct client_options o = {.sni = "a.wild.test"};

	expect_leaf(f->world, LAX, &o, "wild");
	expect_leaf(f->world, STRICT, &o, "wild");
	o.sni = "MAIL.Test";
	expect_leaf(f->world, STRICT, &o, "ec");
	o.sni = NULL;
	expect_leaf(f->world, STRICT, &o, "ec");
	o.sni = "other.test";
	expect_leaf(f->world, LAX, &o, "ec");
	expect_failure(f->world, STRICT, &o, TLS_FAIL_SNI, 112);
	o.sni = "a.b.wild.test";
	expect_failure(f->world, STRICT, &o, TLS_FAIL_SNI, 112);
	o.sni = "wild.test";
	expect_failure(f->world, STRICT, &o, TLS_FAIL_SNI, 112);
	o.sni = "*.wild.test";
	expect_failure(f->world, STRICT, &o, TLS_FAIL_SNI, 112);
	o.sni = "192.0.2.1";
	expect_failure(f->world, STRICT, &o, TLS_FAIL_SNI, 112);
	o.sni = "mail test";
	expect_failure(f->world, STRICT, &o, TLS_FAIL_SNI, 112);
	expect_leaf(f->world, LAX, &o, "ec");
}

static void
test_sni_is_told_in_lower_case(void **state)
{
	struct fixture *f = *state;
	struct pair *pair = pair_new(
	    f->world, LAX, &(struct client_options){.sni = "MaiL.Test"});

	assert_true(pair_handshake(pair));
	assert_string_equal(pair_info(pair).sni, "mail.test");
	pair_free(pair);
}

static void
test_alpn(void **state)
{
	struct fixture *f = *state;
	struct client_options o = {.alpn = "\2h2\4imap"};

	expect_leaf(f->world, LAX, &o, "ec");
	o.alpn = "\2h2";
	expect_failure(f->world, LAX, &o, TLS_FAIL_ALPN, 120);
	expect_leaf(f->world, LAX_ALPN, &o, "ec");
	o.alpn = "\5imap4";
	expect_failure(f->world, LAX, &o, TLS_FAIL_ALPN, 120);
	o.alpn = "\4IMAP";
	expect_failure(f->world, LAX, &o, TLS_FAIL_ALPN, 120);
	o.max_version = TLS1_2_VERSION;
	expect_failure(f->world, LAX, &o, TLS_FAIL_ALPN, 120);
}

static void
test_refusals(void **state)
{
	struct fixture *f = *state;
	struct client_options o = {.max_version = TLS1_2_VERSION};

	expect_failure(f->world, MODERN, &o, TLS_FAIL_VERSION, 70);
	o.min_version = TLS1_VERSION;
	o.max_version = TLS1_1_VERSION;
	expect_failure(f->world, LAX, &o, TLS_FAIL_VERSION, 70);
	o = (struct client_options){.min_version = TLS1_3_VERSION};
	expect_failure(f->world, OLD, &o, TLS_FAIL_VERSION, 70);
	o = (struct client_options){.max_version = TLS1_2_VERSION,
	    .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"};
	expect_failure(f->world, OLD, &o, TLS_FAIL_CIPHER, 40);
	o = (struct client_options){.max_version = TLS1_2_VERSION,
	    .ciphers = "AES128-SHA:AES128-GCM-SHA256"};
	expect_failure(f->world, LAX, &o, TLS_FAIL_CIPHER, 40);
	o = (struct client_options){.groups = "P-521"};
	expect_failure(f->world, LAX, &o, TLS_FAIL_GROUP, 40);
	o = (struct client_options){.sigalgs = "rsa_pss_rsae_sha256"};
	o.sni = "a.wild.test";
	expect_failure(f->world, LAX, &o, TLS_FAIL_SIGALG, 40);
}

static void
expect_plain(struct world *world, const char *text, enum tls_failure failure)
{
	for (size_t split = 1; split < 20; split += 18) {
		struct pair *pair =
		    pair_new(world, LAX, &(struct client_options){.sni = NULL});
		enum tls_status status = TLS_WANT_READ;
		struct outbuf *out = &pair->out;

		for (size_t i = 0; i < strlen(text) && status == TLS_WANT_READ;
		     i += split) {
			size_t n = strlen(text) - i;
			struct span in =
			    span_of(text + i, n < split ? n : split);

			status = tls_stream_handshake(pair->stream, &in, out);
		}
		assert_int_equal(status, TLS_FAILED);
		assert_string_equal(
		    tls_failure_name(tls_stream_failure(pair->stream)),
		    tls_failure_name(failure));
		/* Nothing, or one alert record. */
		assert_true(
		    out->len == 0 || (out->len == 7 && out->data[0] == 21));
		assert_int_equal(tls_stream_handshake(pair->stream,
				     &(struct span){NULL, 0}, out),
		    TLS_FAILED);
		pair_free(pair);
	}
}

static void
test_plaintext(void **state)
{
	struct fixture *f = *state;

	expect_plain(
	    f->world, "a001 LOGIN joe secret\r\n", TLS_FAIL_PLAIN_IMAP);
	expect_plain(f->world, ". CAPABILITY\r\n", TLS_FAIL_PLAIN_IMAP);
	expect_plain(f->world, "A12345678 NOOP\r\n", TLS_FAIL_PLAIN_IMAP);
	expect_plain(f->world, "GET / HTTP/1.1\r\n\r\n", TLS_FAIL_PLAIN_HTTP);
	expect_plain(f->world, "OPTIONS / HTTP/1.1\r\n", TLS_FAIL_PLAIN_HTTP);
	expect_plain(
	    f->world, "CONNECT a:993 HTTP/1.1\r\n", TLS_FAIL_PLAIN_HTTP);
	expect_plain(f->world, "SSH-2.0-OpenSSH\r\n", TLS_FAIL_NOT_TLS);
	expect_plain(f->world, "EHLO joe.test\r\n", TLS_FAIL_NOT_TLS);
	expect_plain(f->world, "\x7f\x01\x02\xff\xfe\xfd", TLS_FAIL_NOT_TLS);
}

/* The hybrid group first where the linked BoringSSL has it. */
static void
test_groups(void **state)
{
	struct fixture *f = *state;
	const char *ours = policy_default_groups();
	bool has_hybrid = strncmp(ours, "X25519MLKEM768:", 15) == 0;
	struct client_options o = {.sni = "mail.test", .groups = ours};
	struct pair *pair = pair_new(f->world, LAX, &o);

	assert_true(pair_handshake(pair));
	assert_string_equal(
	    pair_info(pair).group, has_hybrid ? "X25519MLKEM768" : "X25519");
	pair_free(pair);
	/* The client's order does not count. */
	o.groups = "P-256:X25519";
	pair = pair_new(f->world, LAX, &o);
	assert_true(pair_handshake(pair));
	assert_string_equal(pair_info(pair).group, "X25519");
	pair_free(pair);
}

static void
test_ocsp_is_stapled(void **state)
{
	struct fixture *f = *state;
	struct pair *pair = pair_new(f->world, LAX,
	    &(struct client_options){.sni = "mail.test", .ocsp = true});
	const uint8_t *response;
	size_t len;

	assert_true(pair_handshake(pair));
	SSL_get0_ocsp_response(pair->client, &response, &len);
	assert_int_equal(len, 5);
	pair_free(pair);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_certificate_by_client),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_sni_is_told_in_lower_case),
	    cmocka_unit_test(test_alpn),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_plaintext),
	    cmocka_unit_test(test_groups),
	    cmocka_unit_test(test_ocsp_is_stapled),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
