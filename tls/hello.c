/* SPDX-License-Identifier: ISC */
/*
 * What a ClientHello settles: the server name selects certificates, the
 * listener's [tls] section everything else. Callbacks of BoringSSL, called
 * inside tls_stream_handshake(); nothing of the snapshot is kept, an SSL has
 * copies and own references.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/bytestring.h>
#include <openssl/cipher.h>
#include <openssl/digest.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "tls/engine.h"
#include "tls/names.h"
#include "tls/policy.h"
#include "tls/section.h"
#include "tls/sign.h"

/* What the client can verify. */
struct offer {
	bool tls13; /* can be agreed upon */
	bool tls12;
	CBS suites; /* lists of uint16_t */
	CBS sigalgs;
	CBS groups;
};

bool
hello_offers(CBS list, uint16_t wanted)
{
	uint16_t value;

	while (CBS_get_u16(&list, &value)) {
		if (value == wanted)
			return true;
	}
	return false;
}

/* The list of uint16_t in an extension; empty when there is none, or a
 * malformed one, which BoringSSL refuses later. */
static CBS
extension_list(const SSL_CLIENT_HELLO *hello, uint16_t type, bool short_len)
{
	const uint8_t *data;
	size_t len;
	CBS body, list;
	bool ok;

	CBS_init(&list, NULL, 0);
	if (SSL_early_callback_ctx_extension_get(hello, type, &data, &len) != 1)
		return list;
	CBS_init(&body, data, len);
	ok = short_len ? CBS_get_u8_length_prefixed(&body, &list)
		       : CBS_get_u16_length_prefixed(&body, &list);
	if (!ok || CBS_len(&body) > 0 || CBS_len(&list) % 2 != 0)
		CBS_init(&list, NULL, 0);
	return list;
}

CBS
hello_versions(const SSL_CLIENT_HELLO *hello)
{
	return extension_list(hello, TLSEXT_TYPE_supported_versions, true);
}

static bool
has_extension(const SSL_CLIENT_HELLO *hello, uint16_t type)
{
	const uint8_t *data;
	size_t len;

	return SSL_early_callback_ctx_extension_get(hello, type, &data, &len) ==
	       1;
}

/* RFC 8446 section 4.2.1. BoringSSL reads as far as it needs to: it would go on
 * in TLS 1.3 where we saw an offer of TLS 1.2. */
static bool
has_malformed_versions(const SSL_CLIENT_HELLO *hello)
{
	CBS versions = hello_versions(hello);

	return CBS_len(&versions) == 0 &&
	       has_extension(hello, TLSEXT_TYPE_supported_versions);
}

/* RFC 8446 section 9.2; BoringSSL looks for the key share only. */
static bool
lacks_extension(const SSL_CLIENT_HELLO *hello, const struct offer *offer)
{
	bool groups = has_extension(hello, TLSEXT_TYPE_supported_groups);

	if (!offer->tls13)
		return false;
	if (groups != has_extension(hello, TLSEXT_TYPE_key_share))
		return true;
	return !has_extension(hello, TLSEXT_TYPE_pre_shared_key) &&
	       !(groups &&
		   has_extension(hello, TLSEXT_TYPE_signature_algorithms));
}

static bool
may_resume(const SSL_CLIENT_HELLO *hello)
{
	const uint8_t *data;
	size_t len;

	if (has_extension(hello, TLSEXT_TYPE_pre_shared_key))
		return true;
	return SSL_early_callback_ctx_extension_get(
		   hello, TLSEXT_TYPE_session_ticket, &data, &len) == 1 &&
	       len > 0;
}

static struct offer
read_offer(const SSL_CLIENT_HELLO *hello, const struct config_tls *tls)
{
	struct offer offer;
	CBS versions = hello_versions(hello);

	offer.tls13 = tls->max_version >= TLS1_3_VERSION &&
		      hello_offers(versions, TLS1_3_VERSION);
	offer.tls12 =
	    tls->min_version <= TLS1_2_VERSION &&
	    (CBS_len(&versions) == 0 ? hello->version >= TLS1_2_VERSION
				     : hello_offers(versions, TLS1_2_VERSION));
	CBS_init(&offer.suites, hello->cipher_suites, hello->cipher_suites_len);
	offer.sigalgs =
	    extension_list(hello, TLSEXT_TYPE_signature_algorithms, false);
	offer.groups =
	    extension_list(hello, TLSEXT_TYPE_supported_groups, false);
	return offer;
}

/* TLS 1.2 names the signature's kind in the suite, and the client has to know
 * the curve of an ECDSA key (RFC 8422 section 5.1). */
static bool
has_suite_for(SSL *ssl, const struct offer *offer,
    const struct config_certificate *certificate)
{
	const STACK_OF(SSL_CIPHER) *ours = SSL_get_ciphers(ssl);
	bool is_ecdsa = certificate->key_type == KEY_ECDSA;
	int auth = is_ecdsa ? NID_auth_ecdsa : NID_auth_rsa;
	uint16_t curve = certificate->key_bits == 256	? SSL_CURVE_SECP256R1
			 : certificate->key_bits == 384 ? SSL_CURVE_SECP384R1
							: SSL_CURVE_SECP521R1;

	if (is_ecdsa && CBS_len(&offer->groups) != 0 &&
	    !hello_offers(offer->groups, curve))
		return false;
	for (size_t i = 0; i < sk_SSL_CIPHER_num(ours); i++) {
		const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ours, i);

		if (SSL_CIPHER_get_auth_nid(cipher) == auth &&
		    hello_offers(
			offer->suites, SSL_CIPHER_get_protocol_id(cipher)))
			return true;
	}
	return false;
}

static bool
can_sign(const struct offer *offer, const struct config *config,
    const struct config_tls *tls, const struct config_certificate *certificate)
{
	uint16_t ours[POLICY_SIGALGS_MAX];
	size_t n = policy_sigalgs(
	    config, tls, certificate->key_type, certificate->key_bits, ours);

	for (size_t i = 0; i < n; i++) {
		if (hello_offers(offer->sigalgs, ours[i]) &&
		    (!offer->tls13 ||
			policy_is_for_tls13(certificate->key_bits, ours[i])))
			return true;
	}
	return false;
}

/* The first that the client can verify; else the first, and BoringSSL finds
 * the words for the refusal. */
static const struct config_certificate *
choose_certificate(SSL *ssl, const struct offer *offer,
    const struct config *config, const struct config_tls *tls,
    const struct sni_slot *slot)
{
	if (slot->n_certificates == 0)
		return NULL;
	for (uint32_t i = 0; i < slot->n_certificates; i++) {
		const struct config_certificate *certificate =
		    config_certificate_at(config, slot->certificates[i]);

		if ((offer->tls13 || has_suite_for(ssl, offer, certificate)) &&
		    can_sign(offer, config, tls, certificate))
			return certificate;
	}
	return config_certificate_at(config, slot->certificates[0]);
}

static bool
set_chain(SSL *ssl, const struct config *config,
    const struct config_certificate *certificate)
{
	struct sign_chain chain;
	bool ok = sign_chain_init(&chain, config, certificate) &&
		  sign_by_keeper(ssl, &chain);

	sign_chain_fini(&chain);
	return ok;
}

static bool
set_certificate(SSL *ssl, const struct config *config,
    const struct config_tls *tls, const struct config_certificate *certificate)
{
	struct span ocsp = config_span(config, certificate->ocsp_der);
	uint16_t sigalgs[POLICY_SIGALGS_MAX];
	size_t n = policy_sigalgs(
	    config, tls, certificate->key_type, certificate->key_bits, sigalgs);

	if (!set_chain(ssl, config, certificate))
		return false;
	/* None left by the policy: with an empty list BoringSSL would take
	 * its own defaults. */
	if (n == 0 || SSL_set_signing_algorithm_prefs(ssl, sigalgs, n) != 1)
		return false;
	return ocsp.len == 0 ||
	       SSL_set_ocsp_response(ssl, ocsp.data, ocsp.len) == 1;
}

static void
hash_field(SHA256_CTX *sha, struct span field)
{
	uint8_t len[4] = {(uint8_t)(field.len >> 24),
	    (uint8_t)(field.len >> 16), (uint8_t)(field.len >> 8),
	    (uint8_t)field.len};

	SHA256_Update(sha, len, sizeof(len));
	SHA256_Update(sha, field.data, field.len);
}

static void
hash_number(SHA256_CTX *sha, uint32_t number)
{
	uint8_t octets[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
	    (uint8_t)(number >> 8), (uint8_t)number};

	SHA256_Update(sha, octets, sizeof(octets));
}

/*
 * A ticket is good only where this is equal. Text and numbers, in an order and
 * with lengths, so that all members of a fleet agree and no two policies
 * collide; no certificate, so that a renewal doesn't end resumption.
 */
static bool
set_session_context(SSL *ssl, const struct config *config,
    const struct config_listen *listen, const struct config_tls *tls,
    const struct sni_slot *slot)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	SHA256_CTX sha;

	SHA256_Init(&sha);
	hash_field(&sha, span_str("sallyport session 1"));
	hash_field(&sha, config_span(config, listen->name));
	hash_field(&sha, config_span(config, slot->name));
	hash_number(&sha, tls->min_version);
	hash_number(&sha, tls->max_version);
	hash_number(&sha, tls->alpn);
	hash_number(&sha, tls->sni);
	hash_field(&sha, config_span(config, tls->ciphers));
	hash_field(&sha, config_span(config, tls->groups));
	hash_field(&sha, config_span(config, tls->sigalgs));
	hash_number(&sha, tls->client_certificates);
	hash_field(&sha, config_span(config, tls->client_ca));
	SHA256_Final(digest, &sha);
	return SSL_set_session_id_context(ssl, digest, sizeof(digest)) == 1;
}

static void
set_tickets(SSL *ssl, struct tls_engine *engine, const struct config_tls *tls,
    uint32_t ring)
{
	struct ticket_key keys[3];
	uint64_t lifetime = tls->ticket_rotation_ms / 2000;

	if (!tls->tickets || ring >= TICKET_RINGS || engine->tickets == NULL ||
	    tls->client_certificates != CLIENT_CERT_OFF ||
	    !ticket_ring_read(&engine->tickets->rings[ring], keys)) {
		SSL_set_options(ssl, SSL_OP_NO_TICKET);
		return;
	}
	explicit_bzero(keys, sizeof(keys));
	engine->current->handshake->ring = (uint16_t)ring;
	/* A ticket should end before its key does. The lifetime is a field of
	 * the SSL_CTX that BoringSSL copies later in this same call. */
	if (lifetime < 1)
		lifetime = 1;
	if (lifetime > SSL_DEFAULT_SESSION_PSK_DHE_TIMEOUT)
		lifetime = SSL_DEFAULT_SESSION_PSK_DHE_TIMEOUT;
	SSL_CTX_set_timeout(engine->ctx, (uint32_t)lifetime);
	SSL_CTX_set_session_psk_dhe_timeout(engine->ctx, (uint32_t)lifetime);
}

static bool
set_policy(SSL *ssl, const struct config *config, const struct config_tls *tls)
{
	/* What is not set is the engine's SSL_CTX's, which has defaults. */
	if (tls->ciphers.len != 0 &&
	    SSL_set_strict_cipher_list(
		ssl, config_text(config, tls->ciphers)) != 1)
		return false;
	if (tls->groups.len != 0 &&
	    SSL_set1_curves_list(ssl, config_text(config, tls->groups)) != 1)
		return false;
	return tls->min_version != 0 && tls->max_version != 0 &&
	       SSL_set_min_proto_version(ssl, tls->min_version) == 1 &&
	       SSL_set_max_proto_version(ssl, tls->max_version) == 1;
}

static enum ssl_select_cert_result_t
refuse(SSL *ssl, struct tls_stream *stream, enum tls_failure failure,
    uint8_t alert)
{
	SSL_send_fatal_alert(ssl, alert);
	stream->failure = (uint8_t)failure;
	return ssl_select_cert_error;
}

/* Newer BoringSSL would complain about the last certificate that it tried. */
static bool
lacks_suite(const SSL_CLIENT_HELLO *hello, const struct offer *offer,
    const struct config_certificate *certificate)
{
	return offer->tls12 && !offer->tls13 && !may_resume(hello) &&
	       !has_suite_for(hello->ssl, offer, certificate);
}

/* Nothing that both know would sign: said before a ServerHello. What may be
 * resumed needs no signature, and a malformed list is BoringSSL's. */
static bool
lacks_signature(const SSL_CLIENT_HELLO *hello, const struct offer *offer,
    const struct config *config, const struct config_tls *tls,
    const struct config_certificate *certificate)
{
	bool is_list = CBS_len(&offer->sigalgs) > 0 ||
		       !has_extension(hello, TLSEXT_TYPE_signature_algorithms);

	return (offer->tls13 || offer->tls12) && is_list &&
	       !may_resume(hello) && !can_sign(offer, config, tls, certificate);
}

/* Logs and status pages compare names; copied only when the client wrote
 * capitals. */
static bool
keep_lower(struct tls_stream *stream, const char *sni)
{
	size_t len = strlen(sni);
	size_t i = 0;

	while (i < len && !(sni[i] >= 'A' && sni[i] <= 'Z'))
		i++;
	if (i == len)
		return true;
	stream->sni = malloc(len + 1);
	if (stream->sni == NULL)
		return false;
	for (i = 0; i <= len; i++)
		stream->sni[i] = sni[i] >= 'A' && sni[i] <= 'Z'
				     ? (char)(sni[i] - 'A' + 'a')
				     : sni[i];
	return true;
}

static enum ssl_select_cert_result_t
apply(const SSL_CLIENT_HELLO *hello, struct tls_engine *engine,
    const struct config_listen *listen, const struct sni_slot *slot)
{
	SSL *ssl = hello->ssl;
	const struct config *config = engine->config;
	const struct config_tls *tls = config_tls_at(config, listen->tls);
	const struct config_certificate *certificate;
	const struct tls_section *section = &engine->sections[listen->tls];
	struct offer offer = read_offer(hello, tls);

	if (has_malformed_versions(hello)) {
		engine->current->why = "DECODE_ERROR";
		return refuse(ssl, engine->current, TLS_FAIL_PROTOCOL,
		    SSL_AD_DECODE_ERROR);
	}
	if (lacks_extension(hello, &offer)) {
		engine->current->why = "MISSING_EXTENSION";
		return refuse(ssl, engine->current, TLS_FAIL_PROTOCOL,
		    SSL_AD_MISSING_EXTENSION);
	}
	if (!set_policy(ssl, config, tls) ||
	    !section_ask_client(ssl, section, tls))
		return refuse(ssl, engine->current, TLS_FAIL_INTERNAL,
		    SSL_AD_INTERNAL_ERROR);
	certificate = choose_certificate(ssl, &offer, config, tls, slot);
	if (certificate == NULL)
		return refuse(ssl, engine->current, TLS_FAIL_NO_CERTIFICATE,
		    SSL_AD_INTERNAL_ERROR);
	if (lacks_suite(hello, &offer, certificate))
		return refuse(ssl, engine->current, TLS_FAIL_CIPHER,
		    SSL_AD_HANDSHAKE_FAILURE);
	if (lacks_signature(hello, &offer, config, tls, certificate))
		return refuse(ssl, engine->current, TLS_FAIL_SIGALG,
		    SSL_AD_HANDSHAKE_FAILURE);
	if (!set_certificate(ssl, config, tls, certificate))
		return refuse(ssl, engine->current, TLS_FAIL_NO_CERTIFICATE,
		    SSL_AD_INTERNAL_ERROR);
	if (!set_session_context(ssl, config, listen, tls, slot))
		return refuse(ssl, engine->current, TLS_FAIL_INTERNAL,
		    SSL_AD_INTERNAL_ERROR);
	set_tickets(ssl, engine, tls, listen->tls);
	memcpy(
	    engine->current->handshake->spki, certificate->spki, SPKI_HASH_LEN);
	engine->current->handshake->strict_alpn = tls->alpn == ALPN_STRICT;
	engine->current->observed = section_observe(hello, section, tls);
	return ssl_select_cert_success;
}

static enum ssl_select_cert_result_t
on_client_hello(const SSL_CLIENT_HELLO *hello)
{
	struct tls_engine *engine = engine_of(hello->ssl);
	struct tls_stream *stream = engine->current;
	const struct config *config = engine->config;
	const char *sni =
	    SSL_get_servername(hello->ssl, TLSEXT_NAMETYPE_host_name);
	const struct config_listen *listen;
	const struct sni_slot *slot = NULL;

	if (config == NULL || stream->listen >= config->listens.n ||
	    (sni != NULL && !keep_lower(stream, sni)))
		return refuse(hello->ssl, stream, TLS_FAIL_INTERNAL,
		    SSL_AD_INTERNAL_ERROR);
	/* RFC 8446 appendix D.5, whatever supported_versions says. */
	if (hello->version <= SSL3_VERSION)
		return refuse(hello->ssl, stream, TLS_FAIL_VERSION,
		    SSL_AD_PROTOCOL_VERSION);
	listen = config_listen_at(config, stream->listen);
	if (sni != NULL)
		slot = sni_find(config, listen, span_str(sni));
	if (sni != NULL && slot == NULL &&
	    config_tls_at(config, listen->tls)->sni == SNI_STRICT)
		return refuse(
		    hello->ssl, stream, TLS_FAIL_SNI, SSL_AD_UNRECOGNIZED_NAME);
	if (slot == NULL)
		slot = sni_default(config, listen);
	if (slot == NULL)
		return refuse(hello->ssl, stream, TLS_FAIL_NO_CERTIFICATE,
		    SSL_AD_INTERNAL_ERROR);
	return apply(hello, engine, listen, slot);
}

/* Called only when the client offers ALPN (RFC 7301 section 3.2). */
static int
on_alpn(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
    unsigned in_len, void *arg)
{
	const struct tls_stream *stream = engine_of(ssl)->current;
	CBS list, name;

	(void)arg;
	CBS_init(&list, in, in_len);
	while (CBS_get_u8_length_prefixed(&list, &name)) {
		if (!CBS_mem_equal(&name, (const uint8_t *)"imap", 4))
			continue;
		*out = CBS_data(&name);
		*out_len = (uint8_t)CBS_len(&name);
		return SSL_TLSEXT_ERR_OK;
	}
	return stream->handshake->strict_alpn ? SSL_TLSEXT_ERR_ALERT_FATAL
					      : SSL_TLSEXT_ERR_NOACK;
}

static int
seal_with(const struct ticket_key *key, uint8_t *name, uint8_t *iv,
    EVP_CIPHER_CTX *cipher, HMAC_CTX *hmac)
{
	memcpy(name, key->name, TICKET_NAME_LEN);
	RAND_bytes(iv, EVP_CIPHER_iv_length(EVP_aes_256_cbc()));
	return EVP_EncryptInit_ex(
		   cipher, EVP_aes_256_cbc(), NULL, key->aes, iv) == 1 &&
		       HMAC_Init_ex(hmac, key->hmac, sizeof(key->hmac),
			   EVP_sha256(), NULL) == 1
		   ? 1
		   : -1;
}

/* 1: opened, 2: opened, send a new one, 0: not ours, full handshake. */
static int
open_with(const struct ticket_key keys[3], const uint8_t *name,
    const uint8_t *iv, EVP_CIPHER_CTX *cipher, HMAC_CTX *hmac)
{
	for (int i = TICKET_PREVIOUS; i <= TICKET_NEXT; i++) {
		if (CRYPTO_memcmp(name, keys[i].name, TICKET_NAME_LEN) != 0)
			continue;
		if (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL,
			keys[i].aes, iv) != 1 ||
		    HMAC_Init_ex(hmac, keys[i].hmac, sizeof(keys[i].hmac),
			EVP_sha256(), NULL) != 1)
			return -1;
		return i == TICKET_PREVIOUS ? 2 : 1;
	}
	return 0;
}

static int
on_ticket_key(SSL *ssl, uint8_t *name, uint8_t *iv, EVP_CIPHER_CTX *cipher,
    HMAC_CTX *hmac, int encrypt)
{
	struct tls_engine *engine = engine_of(ssl);
	const struct tls_handshake *handshake = engine->current->handshake;
	struct ticket_key keys[3];
	bool has_keys =
	    handshake != NULL && handshake->ring < TICKET_RINGS &&
	    engine->tickets != NULL &&
	    ticket_ring_read(&engine->tickets->rings[handshake->ring], keys);
	int ret = 0;

	/* A ticket was promised, but the ring has gone since: one that nobody
	 * can open does no harm, and older BoringSSL knows no other way. */
	if (!has_keys && encrypt)
		RAND_bytes((uint8_t *)keys, sizeof(keys));
	if (encrypt)
		ret = seal_with(&keys[TICKET_CURRENT], name, iv, cipher, hmac);
	else if (has_keys)
		ret = open_with(keys, name, iv, cipher, hmac);
	explicit_bzero(keys, sizeof(keys));
	return ret;
}

/* Called for every ClientHello; 0 ends the handshake. */
static int
on_resumption_decided(const SSL_CLIENT_HELLO *hello)
{
	struct tls_engine *engine = engine_of(hello->ssl);

	if (engine->admit == NULL || SSL_session_reused(hello->ssl))
		return 1;
	return engine->admit(engine->arg, engine->current->id) ? 1 : 0;
}

void
hello_install(SSL_CTX *ctx)
{
	SSL_CTX_set_select_certificate_cb(ctx, on_client_hello);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	SSL_CTX_set_tlsext_ticket_key_cb(ctx, on_ticket_key);
	SSL_CTX_set_dos_protection_cb(ctx, on_resumption_decided);
}
