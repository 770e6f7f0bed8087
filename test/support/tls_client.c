/* SPDX-License-Identifier: ISC */
/* See tls_client.h. The client is BoringSSL over two memory BIOs. */
#include "test/support/tls_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>

#include "proxy/base/ensure.h"
#include "tls/policy.h"

static bool
on_submit(void *arg, uint64_t stream_id, struct key_request *request)
{
	struct world *world = arg;

	(void)stream_id;
	world->request = *request;
	world->n_requests++;
	return true;
}

static void
load(struct world *world, const char *text)
{
	struct problems problems = {NULL, NULL, 0, 0};

	world->builder =
	    config_load_text("test.conf", span_str(text), &problems);
	if (world->builder == NULL)
		fprintf(stderr, "%s", problems.errors);
	ENSURE(world->builder != NULL);
	policy_check(world->builder, "test.conf", &problems);
	if (!certificates_load(world->builder, "test.conf", NULL, NULL,
		&problems, &world->keys) ||
	    problems.n_errors != 0)
		fprintf(stderr, "%s", problems.errors);
	ENSURE(problems.n_errors == 0);
	problems_free(&problems);
}

struct world *
world_new(const char *text, const struct world *like)
{
	struct world *world = calloc(1, sizeof(*world));

	ENSURE(world != NULL);
	load(world, text);
	world->set = key_set_new(span_of(world->keys.data, world->keys.len));
	ENSURE(world->set != NULL);
	world->tickets = calloc(1, sizeof(*world->tickets));
	ENSURE(world->tickets != NULL);
	for (size_t i = 0; i < TICKET_RINGS; i++)
		ticket_ring_start(&world->tickets->rings[i]);
	if (like != NULL)
		memcpy(world->tickets, like->tickets, sizeof(*like->tickets));
	world->engine = tls_engine_new(on_submit, world);
	ENSURE(world->engine != NULL);
	tls_engine_use(
	    world->engine, builder_config(world->builder), world->tickets);
	return world;
}

void
world_free(struct world *world)
{
	tls_engine_free(world->engine);
	key_set_free(world->set);
	key_image_free(&world->keys);
	free(world->tickets);
	builder_free(world->builder);
	free(world);
}

static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	struct pair *pair = SSL_get_app_data(ssl);

	SSL_SESSION_free(pair->session);
	pair->session = session;
	return 1;
}

static enum ssl_verify_result_t
trust_all(SSL *ssl, uint8_t *out_alert)
{
	(void)ssl;
	(void)out_alert;
	return ssl_verify_ok;
}

static void
apply_options(SSL *ssl, const struct client_options *options)
{
	if (options->min_version != 0)
		ENSURE(SSL_set_min_proto_version(ssl, options->min_version));
	if (options->max_version != 0)
		ENSURE(SSL_set_max_proto_version(ssl, options->max_version));
	if (options->sni != NULL)
		ENSURE(SSL_set_tlsext_host_name(ssl, options->sni));
	if (options->alpn != NULL)
		ENSURE(SSL_set_alpn_protos(ssl, (const uint8_t *)options->alpn,
			   (unsigned)strlen(options->alpn)) == 0);
	if (options->ciphers != NULL)
		ENSURE(SSL_set_strict_cipher_list(ssl, options->ciphers));
	if (options->groups != NULL)
		ENSURE(SSL_set1_curves_list(ssl, options->groups));
	if (options->sigalgs != NULL)
		ENSURE(SSL_set1_sigalgs_list(ssl, options->sigalgs));
	if (options->session != NULL)
		ENSURE(SSL_set_session(ssl, options->session));
	if (options->ocsp)
		SSL_enable_ocsp_stapling(ssl);
}

struct pair *
pair_new(
    struct world *world, uint32_t listen, const struct client_options *options)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	ENSURE(pair != NULL);
	pair->world = world;
	pair->stream = tls_stream_new(world->engine, listen, 7);
	pair->client_ctx = SSL_CTX_new(TLS_with_buffers_method());
	SSL_CTX_set_session_cache_mode(pair->client_ctx,
	    SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(pair->client_ctx, on_session);
	SSL_CTX_set_custom_verify(pair->client_ctx, SSL_VERIFY_PEER, trust_all);
	pair->client = SSL_new(pair->client_ctx);
	SSL_set_app_data(pair->client, pair);
	SSL_set_connect_state(pair->client);
	SSL_set_bio(pair->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	BIO_set_mem_eof_return(SSL_get_rbio(pair->client), -1);
	apply_options(pair->client, options);
	outbuf_init(&pair->out, pair->out_data, sizeof(pair->out_data));
	pair->status = TLS_WANT_READ;
	return pair;
}

void
pair_free(struct pair *pair)
{
	tls_stream_free(pair->stream);
	SSL_free(pair->client);
	SSL_SESSION_free(pair->session);
	SSL_CTX_free(pair->client_ctx);
	free(pair->stash);
	free(pair);
}

size_t
pair_from_client(struct pair *pair, uint8_t *out, size_t cap)
{
	int n = BIO_read(SSL_get_wbio(pair->client), out, (int)cap);

	return n > 0 ? (size_t)n : 0;
}

void
pair_to_client(struct pair *pair, const void *data, size_t len)
{
	if (len != 0)
		ENSURE(BIO_write(SSL_get_rbio(pair->client), data, (int)len) ==
		       (int)len);
}

static void
answer(struct pair *pair)
{
	struct world *world = pair->world;
	struct key_reply reply;

	if (world->refuse) {
		reply = (struct key_reply){
		    .id = world->request.id, .status = KEY_UNKNOWN};
	} else {
		key_sign(world->set, NULL, &world->request, &reply);
	}
	tls_stream_key_done(pair->stream, &reply);
}

static void
keep(struct pair *pair, struct span rest)
{
	if (rest.len == 0)
		return;
	pair->stash = realloc(pair->stash, pair->n_stash + rest.len);
	memcpy(pair->stash + pair->n_stash, rest.data, rest.len);
	pair->n_stash += rest.len;
}

enum tls_status
pair_feed(struct pair *pair, const void *data, size_t len)
{
	struct span in = span_of(data, len);

	do {
		if (pair->status == TLS_WANT_KEY)
			answer(pair);
		pair->status =
		    tls_stream_handshake(pair->stream, &in, &pair->out);
	} while (pair->status == TLS_WANT_KEY);
	keep(pair, in);
	pair_to_client(pair, pair->out.data, pair->out.len);
	pair->out.len = 0;
	return pair->status;
}

static bool
step_client(struct pair *pair)
{
	int ret;

	ERR_clear_error();
	ret = SSL_do_handshake(pair->client);
	if (ret != 1 && SSL_get_error(pair->client, ret) != SSL_ERROR_WANT_READ)
		pair->client_error = ERR_GET_REASON(ERR_peek_error());
	ERR_clear_error();
	return ret == 1;
}

bool
pair_handshake(struct pair *pair)
{
	uint8_t wire[4096];
	size_t cap = pair->split != 0 ? pair->split : sizeof(wire);
	bool is_client_done = false;
	size_t n = 1;

	while (n != 0) {
		is_client_done = step_client(pair);
		while ((n = pair_from_client(pair, wire, cap)) != 0) {
			pair_feed(pair, wire, n);
			if (pair->out.len != 0)
				break;
		}
		if (step_client(pair))
			is_client_done = true;
		n = BIO_pending(SSL_get_wbio(pair->client));
	}
	return is_client_done && pair->status == TLS_OK;
}

static bool
server_reads(struct pair *pair, const uint8_t *expected, size_t len)
{
	static uint8_t wire[128 * 1024];
	static uint8_t plain_data[160 * 1024];
	struct outbuf plain;
	size_t cap = pair->split != 0 ? pair->split : sizeof(wire);
	size_t n;

	outbuf_init(&plain, plain_data, sizeof(plain_data));
	while ((n = pair_from_client(pair, wire, cap)) != 0) {
		struct span in = span_of(wire, n);
		enum tls_status status =
		    tls_stream_read(pair->stream, &in, &plain, &pair->out);

		if ((status != TLS_OK && status != TLS_WANT_READ) ||
		    in.len != 0)
			return false;
	}
	return plain.len == len && memcmp(plain_data, expected, len) == 0;
}

static bool
client_reads(struct pair *pair, const uint8_t *expected, size_t len)
{
	static uint8_t data[160 * 1024];
	size_t got = 0;
	int n;

	while ((n = SSL_read(
		    pair->client, data + got, (int)(sizeof(data) - got))) > 0)
		got += (size_t)n;
	ERR_clear_error();
	return got == len && memcmp(data, expected, len) == 0;
}

bool
pair_echo(struct pair *pair, const void *data, size_t len)
{
	if (SSL_write(pair->client, data, (int)len) != (int)len ||
	    !server_reads(pair, data, len))
		return false;
	if (tls_stream_write(pair->stream, span_of(data, len), &pair->out) !=
	    TLS_OK)
		return false;
	pair_to_client(pair, pair->out.data, pair->out.len);
	pair->out.len = 0;
	return client_reads(pair, data, len);
}

struct tls_info
pair_info(const struct pair *pair)
{
	struct tls_info info;

	tls_stream_info(pair->stream, &info);
	return info;
}
