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
 * The codec against a real client: both directions, every end, and that it
 * never matters where the bytes split.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "test/support/tls_fixture.h"

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
	    cmocka_unit_test(test_nothing_before_the_first_octet),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
