/* SPDX-License-Identifier: ISC */
/* needs: tls/stream.c tls/hello.c tls/failure.c tls/policy.c tls/names.c */
/* needs: tls/ticket.c tls/key.c tls/certificate.c tls/judge.c tls/file.c */
/* needs: config/load.c config/check.c config/schema.c config/builder.c */
/* needs: config/draft.c config/value.c config/value_list.c */
/* needs: config/value_format.c proxy/base/span.c proxy/base/addr.c */
/* needs: proxy/base/parse.c proxy/base/ensure.c */
/* needs: test/support/tls_client.c test/support/tls_files.c */
/* libs: boringssl inih */
/*
 * The codec against a real client: what is agreed, what is refused and by
 * which alert, and that it never matters where the bytes split.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/rand.h>

#include "test/support/tls_client.h"
#include "test/support/tls_files.h"

/* Listeners of the configuration below, in its order. */
enum {
	LAX,
	STRICT,
	MODERN,
	OLD,
	RSA_ONLY,
	NO_TICKETS,
	LAX_ALPN,
	SIGALGS
};

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

struct fixture {
	char dir[256];
	char config[8192];
	struct world *world;
};

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

static int
setup(void **state)
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

static int
teardown(void **state)
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

static void
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

static void
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

static void
test_full_handshake(void **state)
{
	struct fixture *f = *state;
	struct pair *pair = pair_new(f->world, LAX,
	    &(struct client_options){.sni = "mail.test", .alpn = "\4imap"});
	struct tls_info info;

	assert_true(pair_handshake(pair));
	info = pair_info(pair);
	assert_string_equal(info.version, "TLSv1.3");
	assert_string_equal(info.cipher, "TLS_AES_128_GCM_SHA256");
	assert_true(strncmp(info.group, "X25519", 6) == 0);
	assert_string_equal(info.alpn, "imap");
	assert_string_equal(info.sni, "mail.test");
	assert_false(info.resumed);
	assert_int_equal(info.alert, 0);
	assert_true(pair_echo(pair, "a1 CAPABILITY\r\n", 15));
	pair_free(pair);
}

static void
test_tls12(void **state)
{
	struct fixture *f = *state;
	struct pair *pair = pair_new(f->world, LAX,
	    &(struct client_options){
		.sni = "mail.test", .max_version = TLS1_2_VERSION});
	struct tls_info info;

	assert_true(pair_handshake(pair));
	info = pair_info(pair);
	assert_string_equal(info.version, "TLSv1.2");
	assert_string_equal(
	    info.cipher, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
	assert_string_equal(info.alpn, "");
	assert_true(pair_echo(pair, "a1 CAPABILITY\r\n", 15));
	pair_free(pair);
}

static void
test_no_byte_has_a_favourite_place(void **state)
{
	struct fixture *f = *state;
	const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	uint8_t data[3000];

	RAND_bytes(data, sizeof(data));
	for (size_t v = 0; v < 2; v++) {
		for (size_t split = 1; split < 40; split += 3) {
			struct pair *pair = pair_new(f->world, LAX,
			    &(struct client_options){.sni = "mail.test",
				.max_version = versions[v]});

			pair->split = split;
			assert_true(pair_handshake(pair));
			assert_true(pair_echo(pair, data, sizeof(data)));
			pair_free(pair);
		}
	}
}

static void
test_bulk(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = malloc(65536);
	struct pair *pair =
	    pair_new(f->world, LAX, &(struct client_options){.sni = NULL});

	RAND_bytes(data, 65536);
	assert_true(pair_handshake(pair));
	for (int i = 0; i < 4; i++)
		assert_true(pair_echo(pair, data, 65536));
	pair->split = 7;
	assert_true(pair_echo(pair, data, 65536));
	pair_free(pair);
	free(data);
}

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

static void
test_key_refused(void **state)
{
	struct fixture *f = *state;

	f->world->refuse = true;
	expect_failure(f->world, LAX, &(struct client_options){.sni = NULL},
	    TLS_FAIL_KEY, 80);
	expect_failure(f->world, LAX,
	    &(struct client_options){.max_version = TLS1_2_VERSION},
	    TLS_FAIL_KEY, 80);
	f->world->refuse = false;
}

static void
test_wrong_reply_is_ignored(void **state)
{
	struct fixture *f = *state;
	struct pair *pair =
	    pair_new(f->world, LAX, &(struct client_options){.sni = NULL});
	struct key_reply reply;
	uint8_t wire[4096];
	struct span in, nothing = {NULL, 0};

	SSL_do_handshake(pair->client);
	in = span_of(wire, pair_from_client(pair, wire, sizeof(wire)));
	assert_int_equal(
	    tls_stream_handshake(pair->stream, &in, &pair->out), TLS_WANT_KEY);
	key_sign(f->world->set, NULL, &f->world->request, &reply);
	assert_int_equal(reply.status, KEY_OK);
	reply.id ^= 1;
	tls_stream_key_done(pair->stream, &reply);
	assert_int_equal(
	    tls_stream_handshake(pair->stream, &nothing, &pair->out),
	    TLS_WANT_KEY);
	reply.id ^= 1;
	tls_stream_key_done(pair->stream, &reply);
	assert_int_equal(
	    tls_stream_handshake(pair->stream, &nothing, &pair->out),
	    TLS_WANT_READ);
	/* A second answer has no request any more. */
	tls_stream_key_done(pair->stream, &reply);
	pair_free(pair);
}

static void
test_bad_signature_reply(void **state)
{
	struct fixture *f = *state;
	struct pair *pair =
	    pair_new(f->world, LAX, &(struct client_options){.sni = NULL});
	uint8_t wire[4096];
	struct span in, nothing = {NULL, 0};
	struct key_reply reply = {.status = KEY_OK, .len = 60000};

	SSL_do_handshake(pair->client);
	in = span_of(wire, pair_from_client(pair, wire, sizeof(wire)));
	tls_stream_handshake(pair->stream, &in, &pair->out);
	reply.id = f->world->request.id;
	tls_stream_key_done(pair->stream, &reply);
	assert_int_equal(
	    tls_stream_handshake(pair->stream, &nothing, &pair->out),
	    TLS_FAILED);
	assert_int_equal(tls_stream_failure(pair->stream), TLS_FAIL_KEY);
	pair_free(pair);
}

static void
test_no_snapshot(void **state)
{
	struct fixture *f = *state;

	tls_engine_use(f->world->engine, NULL, NULL);
	expect_failure(f->world, LAX, &(struct client_options){.sni = NULL},
	    TLS_FAIL_INTERNAL, 80);
	tls_engine_use(f->world->engine, builder_config(f->world->builder),
	    f->world->tickets);
}

/* The snapshot goes away while the keeper is asked. */
static void
test_snapshot_may_go(void **state)
{
	struct fixture *f = *state;
	struct world *other = world_new(f->config, NULL);
	struct pair *pair =
	    pair_new(other, LAX, &(struct client_options){.sni = "mail.test"});
	uint8_t wire[4096];
	struct span in;

	SSL_do_handshake(pair->client);
	in = span_of(wire, pair_from_client(pair, wire, sizeof(wire)));
	pair->status = tls_stream_handshake(pair->stream, &in, &pair->out);
	assert_int_equal(pair->status, TLS_WANT_KEY);
	tls_engine_use(other->engine, NULL, NULL);
	memset(other->builder->data, 0xa5, other->builder->len);
	memset(other->tickets, 0xa5, sizeof(*other->tickets));
	pair_feed(pair, NULL, 0);
	assert_true(pair_handshake(pair));
	assert_true(pair_echo(pair, "a1 NOOP\r\n", 9));
	pair_free(pair);
	world_free(other);
}

/* Client to server octets through the codec; returns the status. */
static enum tls_status
server_read(struct pair *pair, struct outbuf *plain)
{
	static uint8_t wire[65536];
	struct span in =
	    span_of(wire, pair_from_client(pair, wire, sizeof(wire)));
	enum tls_status status =
	    tls_stream_read(pair->stream, &in, plain, &pair->out);

	assert_int_equal(in.len, 0);
	return status;
}

static void
test_close(void **state)
{
	struct fixture *f = *state;
	struct pair *pair =
	    pair_new(f->world, LAX, &(struct client_options){.sni = NULL});
	uint8_t data[TLS_RECORD_MAX + 100];
	struct outbuf plain;
	uint8_t octet;

	assert_true(pair_handshake(pair));
	outbuf_init(&plain, data, sizeof(data));
	assert_int_equal(SSL_write(pair->client, "bye", 3), 3);
	SSL_shutdown(pair->client);
	assert_int_equal(server_read(pair, &plain), TLS_OK);
	assert_int_equal(plain.len, 3);
	assert_int_equal(server_read(pair, &plain), TLS_CLOSED);
	/* The other direction still works (RFC 8446 section 6.1). */
	assert_int_equal(
	    tls_stream_write(pair->stream, span_str("rest"), &pair->out),
	    TLS_OK);
	tls_stream_close(pair->stream, &pair->out);
	octet = (uint8_t)(pair->out.len & 0xff);
	tls_stream_close(pair->stream, &pair->out);
	assert_int_equal(octet, pair->out.len & 0xff);
	pair_to_client(pair, pair->out.data, pair->out.len);
	assert_int_equal(SSL_get_shutdown(pair->client), SSL_SENT_SHUTDOWN);
	SSL_shutdown(pair->client);
	pair_free(pair);
}

static void
test_close_of_server(void **state)
{
	struct fixture *f = *state;
	struct pair *pair =
	    pair_new(f->world, LAX, &(struct client_options){.sni = NULL});
	char data[16];

	assert_true(pair_handshake(pair));
	tls_stream_write(pair->stream, span_str("rest"), &pair->out);
	tls_stream_close(pair->stream, &pair->out);
	pair_to_client(pair, pair->out.data, pair->out.len);
	assert_int_equal(SSL_read(pair->client, data, sizeof(data)), 4);
	assert_int_equal(SSL_read(pair->client, data, sizeof(data)), 0);
	assert_int_equal(SSL_get_error(pair->client, 0), SSL_ERROR_ZERO_RETURN);
	pair_free(pair);
}

/* Data before a broken record arrives before the failure is told. */
static void
test_broken_record(void **state)
{
	struct fixture *f = *state;
	struct pair *pair =
	    pair_new(f->world, LAX, &(struct client_options){.sni = NULL});
	static uint8_t wire[65536];
	uint8_t data[TLS_RECORD_MAX * 2];
	struct outbuf plain;
	struct span in;
	size_t n;

	assert_true(pair_handshake(pair));
	outbuf_init(&plain, data, sizeof(data));
	SSL_write(pair->client, "first", 5);
	SSL_write(pair->client, "second", 6);
	n = pair_from_client(pair, wire, sizeof(wire));
	wire[n - 1] ^= 1;
	in = span_of(wire, n);
	assert_int_equal(
	    tls_stream_read(pair->stream, &in, &plain, &pair->out), TLS_OK);
	assert_int_equal(plain.len, 5);
	in = span_of(NULL, 0);
	assert_int_equal(
	    tls_stream_read(pair->stream, &in, &plain, &pair->out), TLS_FAILED);
	assert_int_equal(tls_stream_failure(pair->stream), TLS_FAIL_PROTOCOL);
	assert_int_equal(pair_info(pair).alert, 20); /* bad_record_mac */
	assert_true(pair_info(pair).reason.len > 0);
	assert_true(pair->out.len > 0);
	assert_int_equal(
	    tls_stream_write(pair->stream, span_str("x"), &pair->out),
	    TLS_FAILED);
	pair_free(pair);
}

static void
test_full_plain_buffer_stops(void **state)
{
	struct fixture *f = *state;
	struct pair *pair =
	    pair_new(f->world, LAX, &(struct client_options){.sni = NULL});
	static uint8_t wire[65536];
	uint8_t data[TLS_RECORD_MAX + 10];
	struct outbuf plain;
	struct span in;

	assert_true(pair_handshake(pair));
	outbuf_init(&plain, data, sizeof(data));
	for (int i = 0; i < 3; i++)
		SSL_write(pair->client, "0123456789a", 11);
	in = span_of(wire, pair_from_client(pair, wire, sizeof(wire)));
	assert_int_equal(
	    tls_stream_read(pair->stream, &in, &plain, &pair->out), TLS_OK);
	assert_int_equal(plain.len, 11);
	assert_true(in.len > 0);
	plain.len = 0;
	assert_int_equal(
	    tls_stream_read(pair->stream, &in, &plain, &pair->out), TLS_OK);
	plain.len = 0;
	assert_int_equal(
	    tls_stream_read(pair->stream, &in, &plain, &pair->out), TLS_OK);
	assert_int_equal(in.len, 0);
	pair_free(pair);
}

static void
test_peer_alert(void **state)
{
	struct fixture *f = *state;
	struct pair *pair =
	    pair_new(f->world, LAX, &(struct client_options){.sni = NULL});
	uint8_t data[TLS_RECORD_MAX];
	struct outbuf plain;

	assert_true(pair_handshake(pair));
	outbuf_init(&plain, data, sizeof(data));
	SSL_send_fatal_alert(pair->client, SSL_AD_CERTIFICATE_UNKNOWN);
	assert_int_equal(server_read(pair, &plain), TLS_FAILED);
	assert_int_equal(tls_stream_failure(pair->stream), TLS_FAIL_ALERT);
	assert_int_equal(pair_info(pair).alert, SSL_AD_CERTIFICATE_UNKNOWN);
	assert_true(pair_info(pair).alert_received);
	pair_free(pair);
}

static void
test_no_room_fails_cleanly(void **state)
{
	struct fixture *f = *state;
	struct pair *pair =
	    pair_new(f->world, LAX, &(struct client_options){.sni = NULL});
	uint8_t small[64];
	struct outbuf out;

	assert_true(pair_handshake(pair));
	outbuf_init(&out, small, sizeof(small));
	assert_int_equal(
	    tls_stream_write(pair->stream, span_of(pair->out_data, 1000), &out),
	    TLS_FAILED);
	assert_int_equal(tls_stream_failure(pair->stream), TLS_FAIL_INTERNAL);
	pair_free(pair);
}

static void
test_out_room_is_enough(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = {1, 100, 16384, 16385, 40000, 65536};
	static uint8_t plain[65536];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct pair *pair = pair_new(
		    f->world, LAX, &(struct client_options){.sni = NULL});
		struct outbuf out;

		assert_true(pair_handshake(pair));
		outbuf_init(&out, malloc(TLS_OUT_ROOM(sizes[i])),
		    TLS_OUT_ROOM(sizes[i]));
		assert_int_equal(tls_stream_write(pair->stream,
				     span_of(plain, sizes[i]), &out),
		    TLS_OK);
		free(out.data);
		pair_free(pair);
	}
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

static void
test_nothing_before_the_first_octet(void **state)
{
	struct fixture *f = *state;
	struct pair *pair =
	    pair_new(f->world, LAX, &(struct client_options){.sni = NULL});
	struct span nothing = {NULL, 0};

	assert_int_equal(
	    tls_stream_handshake(pair->stream, &nothing, &pair->out),
	    TLS_WANT_READ);
	tls_stream_close(pair->stream, &pair->out);
	assert_int_equal(pair->out.len, 0);
	assert_string_equal(pair_info(pair).sni, "");
	assert_string_equal(pair_info(pair).version, "");
	pair_free(pair);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_full_handshake),
	    cmocka_unit_test(test_tls12),
	    cmocka_unit_test(test_no_byte_has_a_favourite_place),
	    cmocka_unit_test(test_bulk),
	    cmocka_unit_test(test_certificate_by_client),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_sni_is_told_in_lower_case),
	    cmocka_unit_test(test_alpn),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_plaintext),
	    cmocka_unit_test(test_key_refused),
	    cmocka_unit_test(test_wrong_reply_is_ignored),
	    cmocka_unit_test(test_bad_signature_reply),
	    cmocka_unit_test(test_no_snapshot),
	    cmocka_unit_test(test_snapshot_may_go),
	    cmocka_unit_test(test_close),
	    cmocka_unit_test(test_close_of_server),
	    cmocka_unit_test(test_broken_record),
	    cmocka_unit_test(test_full_plain_buffer_stops),
	    cmocka_unit_test(test_peer_alert),
	    cmocka_unit_test(test_no_room_fails_cleanly),
	    cmocka_unit_test(test_out_room_is_enough),
	    cmocka_unit_test(test_ocsp_is_stapled),
	    cmocka_unit_test(test_nothing_before_the_first_octet),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
