/* SPDX-License-Identifier: ISC */
/*
 * The codec. One BIO serves all streams: during a call it reads from the
 * caller's span and writes into the caller's outbuf, between calls it has
 * neither. Its write never blocks: BoringSSL before 2022-07 breaks a
 * connection whose ticket flush has to wait. Called by the worker.
 *
 * Invariant: stream->handshake exists exactly between the first octet and the
 * end of the handshake; after it an SSL holds no reference to anything of a
 * snapshot (SSL_set_shed_handshake_config).
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>

#include "proxy/base/ensure.h"
#include "tls/engine.h"
#include "tls/expected.h"
#include "tls/policy.h"
#include "tls/section.h"

/* One ticket, not BoringSSL's two: a client that uses tickets once and opens
 * five connections gets five, one from each, which is what it needs when it
 * comes back; and it is 230 octets and 3 us less. */
#define TICKETS_PER_HANDSHAKE 1

static int
on_bio_read(BIO *bio, char *out, int len)
{
	struct tls_engine *engine = BIO_get_data(bio);
	size_t n = engine->in != NULL ? engine->in->len : 0;

	BIO_clear_retry_flags(bio);
	if (len <= 0)
		return 0;
	if (n == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if (n > (size_t)len)
		n = (size_t)len;
	memcpy(out, engine->in->data, n);
	span_advance(engine->in, n);
	return (int)n;
}

static int
on_bio_write(BIO *bio, const char *data, int len)
{
	struct tls_engine *engine = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (engine->out == NULL || len < 0)
		return -1;
	outbuf_put(engine->out, span_of(data, (size_t)len));
	return engine->out->overflow ? -1 : len;
}

static long
on_bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static void
on_info(const SSL *ssl, int type, int value)
{
	struct tls_engine *engine = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	bool is_received = type == SSL_CB_READ_ALERT;

	if (engine->current == NULL || (value >> 8) != SSL3_AL_FATAL ||
	    (!is_received && type != SSL_CB_WRITE_ALERT))
		return;
	engine->current->alert = (uint8_t)value;
	engine->current->alert_received = is_received;
}

static bool
make_bio(struct tls_engine *engine)
{
	engine->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "spans");
	if (engine->method == NULL ||
	    BIO_meth_set_read(engine->method, on_bio_read) != 1 ||
	    BIO_meth_set_write(engine->method, on_bio_write) != 1 ||
	    BIO_meth_set_ctrl(engine->method, on_bio_ctrl) != 1)
		return false;
	engine->bio = BIO_new(engine->method);
	if (engine->bio == NULL)
		return false;
	BIO_set_data(engine->bio, engine);
	BIO_set_init(engine->bio, 1);
	return true;
}

static bool
make_ctx(struct tls_engine *engine)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_with_buffers_method());

	engine->ctx = ctx;
	if (ctx == NULL || SSL_CTX_set_app_data(ctx, engine) != 1)
		return false;
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(
	    ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_info_callback(ctx, on_info);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_strict_cipher_list(ctx, policy_default_ciphers()) ==
		   1 &&
	       SSL_CTX_set1_curves_list(ctx, policy_default_groups()) == 1;
}

struct tls_engine *
engine_new(void)
{
	struct tls_engine *engine = calloc(1, sizeof(*engine));

	if (engine == NULL)
		return NULL;
	if (!make_bio(engine) || !make_ctx(engine)) {
		tls_engine_free(engine);
		engine = NULL;
	}
	ERR_clear_error();
	return engine;
}

struct tls_engine *
tls_engine_new(tls_key_submit *submit, void *arg)
{
	struct tls_engine *engine = engine_new();

	if (engine == NULL)
		return NULL;
	engine->submit = submit;
	engine->arg = arg;
	SSL_CTX_set_options(engine->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_early_data_enabled(engine->ctx, 0);
	SSL_CTX_set_num_tickets(engine->ctx, TICKETS_PER_HANDSHAKE);
	hello_install(engine->ctx);
	return engine;
}

void
tls_engine_set_admit(struct tls_engine *engine, tls_admit *admit)
{
	engine->admit = admit;
}

void
tls_engine_free(struct tls_engine *engine)
{
	if (engine == NULL)
		return;
	tls_engine_use(engine, NULL, NULL);
	SSL_CTX_free(engine->ctx);
	BIO_free(engine->bio);
	BIO_meth_free(engine->method);
	free(engine);
}

void
tls_engine_use(struct tls_engine *engine, const struct config *config,
    const struct tickets_area *tickets)
{
	sections_free(engine->sections, engine->n_sections);
	engine->sections = NULL;
	engine->n_sections = 0;
	engine->config = NULL;
	engine->tickets = tickets;
	if (config == NULL)
		return;
	engine->sections = sections_new(config);
	if (engine->sections == NULL)
		return; /* out of memory: nobody gets in */
	engine->n_sections = config->tls.n;
	engine->config = config;
}

/* Every call into BoringSSL that does I/O stands between enter and leave. */
static void
enter(struct tls_stream *stream, struct span *in, struct outbuf *out)
{
	struct tls_engine *engine = stream->engine;

	ENSURE(engine->current == NULL);
	engine->current = stream;
	engine->in = in;
	engine->out = out;
	ERR_clear_error();
}

static void
leave(struct tls_stream *stream)
{
	stream->engine->current = NULL;
	stream->engine->in = NULL;
	stream->engine->out = NULL;
	ERR_clear_error();
}

struct tls_stream *
tls_stream_new(struct tls_engine *engine, uint32_t listen, uint64_t stream_id)
{
	struct tls_stream *stream = calloc(1, sizeof(*stream));

	if (stream == NULL)
		return NULL;
	stream->engine = engine;
	stream->listen = listen;
	stream->id = stream_id;
	return stream;
}

static void
free_handshake(struct tls_stream *stream)
{
	if (stream->handshake == NULL)
		return;
	free(stream->handshake->signature);
	free(stream->handshake);
	stream->handshake = NULL;
}

void
tls_stream_free(struct tls_stream *stream)
{
	if (stream == NULL)
		return;
	free_handshake(stream);
	SSL_free(stream->ssl);
	free(stream->identity);
	expected_end(stream, false);
	free(stream->sni);
	free(stream);
}

static bool
open_ssl(struct tls_stream *stream)
{
	struct tls_engine *engine = stream->engine;

	stream->handshake = calloc(1, sizeof(*stream->handshake));
	if (stream->handshake == NULL)
		return false;
	stream->handshake->ring = TICKET_RINGS;
	stream->ssl = SSL_new(engine->ctx);
	if (stream->ssl == NULL)
		return false;
	BIO_up_ref(engine->bio);
	SSL_set_bio(stream->ssl, engine->bio, engine->bio);
	SSL_set_shed_handshake_config(stream->ssl, 1);
	if (stream->expected != NULL) {
		memcpy(stream->handshake->spki, stream->expected->spki,
		    SPKI_HASH_LEN);
		return expected_open(stream->expected, stream->ssl);
	}
	SSL_set_accept_state(stream->ssl);
	return true;
}

static enum tls_failure
name_failure(const struct tls_stream *stream)
{
	const struct tls_handshake *handshake = stream->handshake;
	struct span first = span_of(NULL, 0);

	/* A malformed name is refused without a reason, or for any. */
	if (!stream->alert_received &&
	    stream->alert == SSL_AD_UNRECOGNIZED_NAME)
		return TLS_FAIL_SNI;
	if (stream->error == 0 && stream->alert == SSL_AD_DECODE_ERROR)
		return TLS_FAIL_PROTOCOL;
	if (handshake != NULL)
		first = span_of(handshake->first, handshake->n_first);
	return failure_of(stream->error, first);
}

static enum tls_status
fail(struct tls_stream *stream)
{
	stream->error = ERR_peek_error();
	if (stream->engine->out != NULL && stream->engine->out->overflow)
		stream->failure = TLS_FAIL_INTERNAL;
	else if (stream->failure == TLS_FAIL_NONE)
		stream->failure = (uint8_t)name_failure(stream);
	/* BoringSSL leaves the peer without a word when a key fails. */
	if (stream->failure == TLS_FAIL_KEY && stream->alert == 0)
		SSL_send_fatal_alert(stream->ssl, SSL_AD_INTERNAL_ERROR);
	free_handshake(stream);
	return TLS_FAILED;
}

static enum tls_status
finish(struct tls_stream *stream)
{
	stream->finished = true;
	free_handshake(stream);
	expected_end(stream, true);
	return TLS_OK;
}

/*
 * Many clients refuse a certificate by an alert in clear, because they have
 * sent nothing under the new keys yet: maybe a change_cipher_spec, then the
 * alert. BoringSSL sees a broken record; what it means decides nothing but the
 * word in the log.
 */
static void
name_clear_alert(struct tls_stream *stream, struct span in)
{
	static const uint8_t ccs[] = {20, 3, 3, 0, 1, 1};
	static const uint8_t alert[] = {21, 3, 3, 0, 2, SSL3_AL_FATAL};

	if (in.len >= sizeof(ccs) && memcmp(in.data, ccs, sizeof(ccs)) == 0)
		span_advance(&in, sizeof(ccs));
	if (stream->failure != TLS_FAIL_PROTOCOL ||
	    in.len != sizeof(alert) + 1 ||
	    memcmp(in.data, alert, sizeof(alert)) != 0)
		return;
	stream->failure = TLS_FAIL_ALERT;
	stream->alert = in.data[sizeof(alert)];
	stream->alert_received = true;
	stream->why = SSL_alert_desc_string_long(stream->alert);
}

static enum tls_status
step_handshake(struct tls_stream *stream)
{
	for (;;) {
		int ret = SSL_do_handshake(stream->ssl);

		if (ret == 1)
			return finish(stream);
		switch (SSL_get_error(stream->ssl, ret)) {
		case SSL_ERROR_WANT_READ:
			return TLS_WANT_READ;
		case SSL_ERROR_WANT_PRIVATE_KEY_OPERATION:
			/* The submitter may have answered at once. */
			if (stream->handshake->wait == KEY_ANSWERED)
				continue;
			return TLS_WANT_KEY;
		case SSL_ERROR_ZERO_RETURN:
			stream->failure = TLS_FAIL_LEFT;
			stream->alert_received = true;
			stream->why = "CLOSE_NOTIFY";
			return fail(stream);
		default:
			return fail(stream);
		}
	}
}

static void
remember_first(struct tls_handshake *handshake, struct span in)
{
	size_t n = TLS_FIRST_MAX - (size_t)handshake->n_first;

	if (n > in.len)
		n = in.len;
	if (n == 0)
		return;
	memcpy(handshake->first + handshake->n_first, in.data, n);
	handshake->n_first = (uint8_t)(handshake->n_first + n);
}

enum tls_status
tls_stream_handshake(
    struct tls_stream *stream, struct span *in, struct outbuf *out)
{
	enum tls_status status;
	struct span given = *in;

	if (stream->failure != TLS_FAIL_NONE)
		return TLS_FAILED;
	if (stream->finished)
		return TLS_OK;
	if (stream->ssl == NULL && in->len == 0 && stream->expected == NULL)
		return TLS_WANT_READ;
	if (stream->ssl == NULL && !open_ssl(stream)) {
		stream->failure = TLS_FAIL_INTERNAL;
		return TLS_FAILED;
	}
	if (stream->handshake->wait == KEY_WAITING)
		return TLS_WANT_KEY;
	remember_first(stream->handshake, *in);
	enter(stream, in, out);
	status = step_handshake(stream);
	leave(stream);
	if (status == TLS_FAILED)
		name_clear_alert(stream, given);
	return status;
}

void
tls_stream_key_done(struct tls_stream *stream, const struct key_reply *reply)
{
	struct tls_handshake *handshake = stream->handshake;

	if (handshake == NULL || handshake->wait != KEY_WAITING ||
	    handshake->request_id != reply->id)
		return;
	handshake->wait = KEY_ANSWERED;
	handshake->key_status = reply->status;
	if (reply->status != KEY_OK)
		return;
	handshake->key_status = KEY_FAILED;
	if (reply->len == 0 || reply->len > KEY_SIGNATURE_MAX)
		return;
	handshake->signature = malloc(reply->len);
	if (handshake->signature == NULL)
		return;
	memcpy(handshake->signature, reply->signature, reply->len);
	handshake->signature_len = reply->len;
	handshake->key_status = KEY_OK;
}

/* What an SSL that gave no plaintext wants: more, or it is over. */
static void
note_end(struct tls_stream *stream, int ret)
{
	switch (SSL_get_error(stream->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		break;
	case SSL_ERROR_ZERO_RETURN:
		stream->closed = true;
		break;
	default:
		fail(stream);
		break;
	}
}

/* Whole records only: BoringSSL never keeps plaintext for later. */
static void
read_records(struct tls_stream *stream, struct outbuf *plain)
{
	while (outbuf_room(plain) >= TLS_RECORD_MAX) {
		int ret = SSL_read(
		    stream->ssl, plain->data + plain->len, TLS_RECORD_MAX);

		if (ret <= 0) {
			note_end(stream, ret);
			return;
		}
		plain->len += (size_t)ret;
	}
}

enum tls_status
tls_stream_read(struct tls_stream *stream, struct span *in,
    struct outbuf *plain, struct outbuf *out)
{
	size_t before = plain->len;

	ENSURE(stream->finished);
	if (stream->failure == TLS_FAIL_NONE && !stream->closed) {
		enter(stream, in, out);
		read_records(stream, plain);
		leave(stream);
	}
	/* Nothing behind an end has a meaning. */
	if (stream->failure != TLS_FAIL_NONE || stream->closed)
		span_advance(in, in->len);
	if (plain->len > before)
		return TLS_OK;
	if (stream->failure != TLS_FAIL_NONE)
		return TLS_FAILED;
	return stream->closed ? TLS_CLOSED : TLS_WANT_READ;
}

enum tls_status
tls_stream_write(
    struct tls_stream *stream, struct span plain, struct outbuf *out)
{
	ENSURE(stream->finished);
	if (stream->failure != TLS_FAIL_NONE)
		return TLS_FAILED;
	enter(stream, NULL, out);
	while (plain.len > 0) {
		int len = plain.len > INT_MAX ? INT_MAX : (int)plain.len;
		int ret = SSL_write(stream->ssl, plain.data, len);

		if (ret <= 0) {
			fail(stream);
			break;
		}
		span_advance(&plain, (size_t)ret);
	}
	leave(stream);
	return plain.len == 0 ? TLS_OK : TLS_FAILED;
}

void
tls_stream_close(struct tls_stream *stream, struct outbuf *out)
{
	if (!stream->finished || stream->close_sent ||
	    stream->failure != TLS_FAIL_NONE)
		return;
	stream->close_sent = true;
	enter(stream, NULL, out);
	SSL_shutdown(stream->ssl);
	leave(stream);
}

enum tls_failure
tls_stream_failure(const struct tls_stream *stream)
{
	return stream->failure;
}

static void
info_of_ssl(const SSL *ssl, struct tls_info *info)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
	const char *group = SSL_get_curve_name(SSL_get_curve_id(ssl));
	const uint8_t *alpn;
	unsigned alpn_len;

	info->version = SSL_get_version(ssl);
	if (cipher != NULL)
		info->cipher = SSL_CIPHER_standard_name(cipher);
	if (group != NULL)
		info->group = group;
	SSL_get0_alpn_selected(ssl, &alpn, &alpn_len);
	if (alpn_len != 0)
		info->alpn = "imap"; /* hello.c selects no other */
	info->resumed = SSL_session_reused(ssl) == 1;
}

void
tls_stream_info(const struct tls_stream *stream, struct tls_info *out)
{
	const char *sni = stream->sni;
	const char *reason = NULL;

	*out = (struct tls_info){.version = "",
	    .cipher = "",
	    .group = "",
	    .alpn = "",
	    .client = "",
	    .alert = stream->alert,
	    .alert_received = stream->alert_received};
	if (stream->finished) {
		info_of_ssl(stream->ssl, out);
		out->observed = stream->observed;
		if (stream->identity != NULL)
			out->client = stream->identity->name;
	}
	if (sni == NULL && stream->ssl != NULL)
		sni =
		    SSL_get_servername(stream->ssl, TLSEXT_NAMETYPE_host_name);
	out->sni = sni != NULL ? sni : "";
	if (stream->error != 0)
		reason = ERR_reason_error_string(stream->error);
	if (stream->why != NULL)
		reason = stream->why;
	if (stream->expected != NULL && stream->expected->why != NULL)
		reason = stream->expected->why;
	out->reason = reason != NULL ? span_str(reason) : span_of("", 0);
}

bool
tls_stream_allows_user(const struct tls_stream *stream, struct span user)
{
	return client_allows_user(stream->identity, user);
}
