/* SPDX-License-Identifier: ISC */
/*
 * Client certificates and the dry run of a policy. Called by stream.c for a new
 * snapshot and by hello.c inside a handshake. A handshake that asks for a
 * certificate may end under another snapshot than it began with: the newer one
 * decides, and where that asks for none, nobody gets in.
 */
#include "tls/section.h"

#include <stdlib.h>
#include <time.h>

#include <openssl/bytestring.h>
#include <openssl/err.h>

/* A client's chain: some certificates of 4096 bits. BoringSSL would take
 * 100 KB from anyone. */
#define CLIENT_CHAIN_MAX (16 * 1024)

static void
read_suites(struct tls_section *section, const char *list)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_with_buffers_method());
	const STACK_OF(SSL_CIPHER) * suites;

	if (ctx != NULL && SSL_CTX_set_strict_cipher_list(ctx, list) == 1) {
		suites = SSL_CTX_get_ciphers(ctx);
		for (size_t i = 0; i < sk_SSL_CIPHER_num(suites) &&
				   section->n_observe < OBSERVE_SUITES_MAX;
		     i++)
			section->observe[section->n_observe++] =
			    SSL_CIPHER_get_protocol_id(
				sk_SSL_CIPHER_value(suites, i));
	}
	SSL_CTX_free(ctx);
	ERR_clear_error();
}

struct tls_section *
sections_new(const struct config *config)
{
	struct tls_section *sections =
	    calloc((size_t)config->tls.n + 1, sizeof(*sections));

	for (uint32_t i = 0; sections != NULL && i < config->tls.n; i++) {
		const struct config_tls *tls = config_tls_at(config, i);

		if (tls->client_certificates != CLIENT_CERT_OFF)
			sections[i].client = client_store_new(config, tls);
		if (tls->observe_ciphers.len != 0)
			read_suites(&sections[i],
			    config_text(config, tls->observe_ciphers));
	}
	return sections;
}

void
sections_free(struct tls_section *sections, uint32_t n)
{
	for (uint32_t i = 0; sections != NULL && i < n; i++)
		client_store_free(sections[i].client);
	free(sections);
}

/* --- client certificates -------------------------------------------------- */

static enum ssl_verify_result_t
on_client_chain(SSL *ssl, uint8_t *out_alert)
{
	struct tls_engine *engine = engine_of(ssl);
	struct tls_stream *stream = engine->current;
	const struct config *config = engine->config;
	struct client_refusal refusal = {
	    SSL_AD_INTERNAL_ERROR, "the policy has changed"};
	const struct config_listen *listen;

	if (config != NULL && stream->listen < config->listens.n) {
		listen = config_listen_at(config, stream->listen);
		free(stream->identity);
		stream->identity =
		    client_check(engine->sections[listen->tls].client, config,
			config_tls_at(config, listen->tls),
			SSL_get0_peer_certificates(ssl), (int64_t)time(NULL),
			&refusal);
	}
	if (stream->identity != NULL)
		return ssl_verify_ok;
	stream->failure = TLS_FAIL_CLIENT_CERTIFICATE;
	stream->why = refusal.why;
	*out_alert = refusal.alert;
	return ssl_verify_invalid;
}

bool
section_ask_client(
    SSL *ssl, const struct tls_section *section, const struct config_tls *tls)
{
	int mode = SSL_VERIFY_PEER;

	if (tls->client_certificates == CLIENT_CERT_OFF)
		return true;
	if (section->client == NULL)
		return false;
	if (tls->client_certificates == CLIENT_CERT_REQUIRED)
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_set_custom_verify(ssl, mode, on_client_chain);
	SSL_set_max_cert_list(ssl, CLIENT_CHAIN_MAX);
	/* What was verified is in the identity: 3 KB a session stays true. */
	SSL_set_retain_only_sha256_of_client_certs(ssl, 1);
	SSL_set0_client_CAs(ssl, client_store_names(section->client));
	return true;
}

/* --- the dry run ---------------------------------------------------------- */

static bool
offers_version(const SSL_CLIENT_HELLO *hello, uint16_t version)
{
	CBS versions = hello_versions(hello);

	if (CBS_len(&versions) != 0)
		return hello_offers(versions, version);
	return version <= TLS1_2_VERSION && hello->version >= version;
}

uint8_t
section_observe(const SSL_CLIENT_HELLO *hello,
    const struct tls_section *section, const struct config_tls *tls)
{
	uint8_t observed = 0;
	bool tls13 = offers_version(hello, TLS1_3_VERSION);
	CBS suites;

	if (tls->observe_min_version == TLS1_3_VERSION && !tls13)
		observed |= TLS_OBSERVED_VERSION;
	if (tls->observe_min_version == TLS1_2_VERSION && !tls13 &&
	    !offers_version(hello, TLS1_2_VERSION))
		observed |= TLS_OBSERVED_VERSION;
	/* The suites of TLS 1.3 are not part of any list. */
	if (section->n_observe == 0 ||
	    (tls13 && tls->max_version >= TLS1_3_VERSION))
		return observed;
	CBS_init(&suites, hello->cipher_suites, hello->cipher_suites_len);
	for (uint32_t i = 0; i < section->n_observe; i++) {
		if (hello_offers(suites, section->observe[i]))
			return observed;
	}
	return observed | TLS_OBSERVED_CIPHER;
}
