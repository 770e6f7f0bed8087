/* SPDX-License-Identifier: ISC */
/* See sign.h. Callbacks of BoringSSL, called inside tls_stream_handshake(): the
 * request goes out, and the handshake goes on when the answer is there. */
#include "tls/sign.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/pool.h>
#include <openssl/rand.h>

#include "tls/engine.h"

static enum ssl_private_key_result_t
on_sign(SSL *ssl, uint8_t *out, size_t *out_len, size_t max_out,
    uint16_t algorithm, const uint8_t *in, size_t in_len)
{
	struct tls_engine *engine = engine_of(ssl);
	struct tls_stream *stream = engine->current;
	struct tls_handshake *handshake = stream->handshake;
	struct key_request request; /* large: only what is sent is set */

	(void)out;
	(void)out_len;
	(void)max_out;
	stream->failure = TLS_FAIL_KEY; /* until it is answered */
	if (in_len > KEY_INPUT_MAX)
		return ssl_private_key_failure;
	memset(&request, 0, offsetof(struct key_request, input));
	RAND_bytes((uint8_t *)&request.id, sizeof(request.id));
	request.algorithm = algorithm;
	memcpy(request.spki, handshake->spki, SPKI_HASH_LEN);
	memcpy(request.input, in, in_len);
	request.len = (uint16_t)in_len;
	handshake->request_id = request.id;
	handshake->wait = KEY_WAITING;
	if (engine->submit == NULL ||
	    !engine->submit(engine->arg, stream->id, &request))
		return ssl_private_key_failure;
	if (handshake->wait == KEY_WAITING)
		handshake->request_id = request.id;
	stream->failure = TLS_FAIL_NONE;
	return ssl_private_key_retry;
}

static enum ssl_private_key_result_t
on_decrypt(SSL *ssl, uint8_t *out, size_t *out_len, size_t max_out,
    const uint8_t *in, size_t in_len)
{
	(void)ssl;
	(void)out;
	(void)out_len;
	(void)max_out;
	(void)in;
	(void)in_len;
	return ssl_private_key_failure;
}

static enum ssl_private_key_result_t
on_complete(SSL *ssl, uint8_t *out, size_t *out_len, size_t max_out)
{
	struct tls_stream *stream = engine_of(ssl)->current;
	struct tls_handshake *handshake = stream->handshake;

	if (handshake->wait != KEY_ANSWERED)
		return ssl_private_key_retry;
	handshake->wait = KEY_NOT_ASKED;
	if (handshake->key_status != KEY_OK ||
	    handshake->signature_len > max_out) {
		stream->failure = TLS_FAIL_KEY;
		return ssl_private_key_failure;
	}
	memcpy(out, handshake->signature, handshake->signature_len);
	*out_len = handshake->signature_len;
	free(handshake->signature);
	handshake->signature = NULL;
	return ssl_private_key_success;
}

static const SSL_PRIVATE_KEY_METHOD key_method = {
    on_sign, on_decrypt, on_complete};

bool
sign_chain_init(struct sign_chain *chain, const struct config *config,
    const struct config_certificate *certificate)
{
	const struct text *ders = config_items(config, certificate->ders);
	uint32_t n = certificate->ders.n;

	chain->n = 0;
	while (chain->n < n && n <= SIGN_CHAIN_MAX) {
		struct span der = config_span(config, ders[chain->n]);
		CRYPTO_BUFFER *buffer =
		    CRYPTO_BUFFER_new(der.data, der.len, NULL);

		if (buffer == NULL)
			return false;
		chain->buffers[chain->n++] = buffer;
	}
	return chain->n > 0;
}

void
sign_chain_copy(struct sign_chain *to, const struct sign_chain *from)
{
	*to = *from;
	for (size_t i = 0; i < to->n; i++)
		CRYPTO_BUFFER_up_ref(to->buffers[i]);
}

void
sign_chain_fini(struct sign_chain *chain)
{
	while (chain->n > 0)
		CRYPTO_BUFFER_free(chain->buffers[--chain->n]);
}

bool
sign_by_keeper(SSL *ssl, const struct sign_chain *chain)
{
	return SSL_set_chain_and_key(
		   ssl, chain->buffers, chain->n, NULL, &key_method) == 1;
}
