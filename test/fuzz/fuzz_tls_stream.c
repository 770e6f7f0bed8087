/* SPDX-License-Identifier: ISC */
/* needs: proxy/base/addr.c proxy/base/parse.c */
/* needs: tls/backend.c tls/stream.c tls/hello.c tls/sign.c tls/failure.c
 * tls/policy.c tls/names.c */
/* needs: tls/ticket.c tls/names_build.c config/builder.c */
/* needs: tls/section.c tls/client_check.c tls/x509.c */
/* needs: proxy/base/span.c */
/* needs: proxy/base/ensure.c */
/* libs: boringssl */
/*
 * Any octets to a server stream: it answers, fails with a reason and at most
 * an alert, or waits; and the outcome is the same however the octets are
 * split. The certificate is octets that BoringSSL will not take, so what is
 * fuzzed ends at the ClientHello; behind it everything is authenticated.
 */
#include <string.h>

#include "config/load.h"
#include "proxy/base/ensure.h"
#include "tls/names.h"
#include "tls/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
on_submit(void *arg, uint64_t stream_id, struct key_request *request)
{
	(void)arg;
	(void)stream_id;
	(void)request;
	return false;
}

static void
add_certificate(struct builder *builder)
{
	struct config_certificate certificate = {.usable = true};
	struct text texts[1];

	texts[0] = builder_text(builder, span_str("mail.test"));
	certificate.names.n = 1;
	certificate.names.off =
	    builder_append(builder, texts, sizeof(texts), 4);
	certificate.key_bits = 256;
	certificate.ders = certificate.names;
	builder_config(builder)->certificates.off =
	    builder_append(builder, &certificate, sizeof(certificate), 8);
	builder_config(builder)->certificates.n = 1;
}

static struct builder *
make_config(void)
{
	static const uint32_t index = 0;
	struct builder *builder = builder_new();
	struct config_tls tls = {.min_version = 0x0303,
	    .max_version = 0x0304,
	    .alpn = ALPN_STRICT,
	    .sni = SNI_STRICT,
	    .tickets = true};
	struct config_listen listen = {.tls = 0};
	uint32_t off;

	add_certificate(builder);
	off = builder_append(builder, &tls, sizeof(tls), 8);
	builder_config(builder)->tls = (struct items){off, 1};
	off = builder_append(builder, &index, sizeof(index), 4);
	listen.certificates = (struct items){off, 1};
	off = builder_append(builder, &listen, sizeof(listen), 8);
	builder_config(builder)->listens = (struct items){off, 1};
	sni_build(builder, 0);
	return builder;
}

static struct tls_engine *
make_engine(void)
{
	static struct tickets_area tickets;
	/* For ever, as the engine; volatile, or the store is optimised away
	 * and what it points to looks leaked. */
	static struct builder *volatile builder;
	struct tls_engine *engine = tls_engine_new(on_submit, NULL);

	ENSURE(engine != NULL);
	ticket_ring_start(&tickets.rings[0]);
	builder = make_config();
	tls_engine_use(engine, builder_config(builder), &tickets);
	return engine;
}

static enum tls_failure
run(struct tls_engine *engine, struct span octets, size_t split)
{
	struct tls_stream *stream = tls_stream_new(engine, 0, 1);
	uint8_t data[TLS_OUT_ROOM(0)];
	enum tls_status status = TLS_WANT_READ;
	enum tls_failure failure;
	struct tls_info info;
	struct outbuf out;

	outbuf_init(&out, data, sizeof(data));
	while (octets.len > 0 && status == TLS_WANT_READ) {
		struct span in = span_of(
		    octets.data, octets.len < split ? octets.len : split);
		size_t n = in.len;

		status = tls_stream_handshake(stream, &in, &out);
		ENSURE(in.len == 0 || status != TLS_WANT_READ);
		span_advance(&octets, n);
	}
	/* Without a certificate nobody comes in. */
	ENSURE(status == TLS_WANT_READ || status == TLS_FAILED);
	ENSURE(!out.overflow);
	failure = tls_stream_failure(stream);
	ENSURE((status == TLS_FAILED) == (failure != TLS_FAIL_NONE));
	tls_stream_info(stream, &info);
	ENSURE(info.version[0] == '\0' && strlen(info.sni) < TLS_NAME_MAX);
	tls_stream_free(stream);
	return failure;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tls_engine *engine;
	enum tls_failure failure;

	if (engine == NULL)
		engine = make_engine();
	if (size == 0)
		return 0;
	failure = run(engine, span_of(data, size), size);
	/* Trickled, only the guess about plaintext knows less. */
	if (failure != TLS_FAIL_PLAIN_IMAP && failure != TLS_FAIL_NOT_TLS)
		ENSURE(run(engine, span_of(data, size), 1) == failure);
	return 0;
}
