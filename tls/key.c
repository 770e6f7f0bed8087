/* SPDX-License-Identifier: ISC */
/*
 * The keeper's side of signing: private keys sorted by the hash of their
 * public half, and a door that lets only TLS handshakes through. Called by the
 * keeper's threads; a set is not changed after it was made, so they need no
 * lock.
 */
#include "tls/key.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bytestring.h>
#include <openssl/digest.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>

#define KEYS_MAX     100000 /* a bound on what a torn image can make us do */
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX (KEY_SIGNATURE_MAX * 8)

struct key {
	uint8_t spki[SPKI_HASH_LEN];
	uint8_t is_for_backends; /* sorted by, too */
	EVP_PKEY *pkey;
};

struct key_set {
	struct key *keys; /* sorted by spki */
	size_t n_keys;
	size_t cap;
};

#define CONTEXT_LEN 34 /* with the zero */

/* RFC 8446 section 4.4.3: 64 spaces, the context, a zero, the hash. */
static bool
is_tls13_input(struct span input, const char context[CONTEXT_LEN])
{
	size_t prefix = 64 + CONTEXT_LEN;

	if (input.len != prefix + 32 && input.len != prefix + 48)
		return false;
	for (size_t i = 0; i < 64; i++) {
		if (input.data[i] != ' ')
			return false;
	}
	return memcmp(input.data + 64, context, CONTEXT_LEN) == 0;
}

/* The length of a public point of the group; 0: no group of ours. */
static size_t
point_len(uint16_t group)
{
	switch (group) {
	case SSL_CURVE_X25519:
		return 32;
	case SSL_CURVE_SECP256R1:
		return 65;
	case SSL_CURVE_SECP384R1:
		return 97;
	case SSL_CURVE_SECP521R1:
		return 133;
	default:
		return 0;
	}
}

/* RFC 8422 section 5.4: client and server random, then named_curve(3), the
 * group, the length of the point, the point. */
static bool
is_tls12_input(struct span input)
{
	CBS in, point;
	uint8_t curve_type;
	uint16_t group;

	CBS_init(&in, input.data, input.len);
	if (!CBS_skip(&in, 64) || !CBS_get_u8(&in, &curve_type) ||
	    curve_type != 3 || !CBS_get_u16(&in, &group) ||
	    !CBS_get_u8_length_prefixed(&in, &point) || CBS_len(&in) != 0)
		return false;
	if (point_len(group) == 0 || CBS_len(&point) != point_len(group))
		return false;
	return group == SSL_CURVE_X25519 || CBS_data(&point)[0] == 4;
}

/* One handshake message of that type (RFC 5246 section 7.4). */
static bool
take_message(CBS *in, uint8_t wanted, CBS *out_body)
{
	CBS at = *in;
	uint8_t type;

	if (!CBS_get_u8(&at, &type) || type != wanted ||
	    !CBS_get_u24_length_prefixed(&at, out_body))
		return false;
	*in = at;
	return true;
}

/* Both hellos begin with the version and a random. */
static bool
take_hello(CBS *in, uint8_t wanted)
{
	CBS body;
	uint16_t version;

	return take_message(in, wanted, &body) &&
	       CBS_get_u16(&body, &version) && version == TLS1_2_VERSION &&
	       CBS_skip(&body, 32);
}

/* RFC 5246 section 7.4.8, with client authentication and no resumption. */
static bool
is_tls12_transcript(struct span input)
{
	static const uint8_t rest[] = {SSL3_MT_SERVER_KEY_EXCHANGE,
	    SSL3_MT_CERTIFICATE_REQUEST, SSL3_MT_SERVER_HELLO_DONE,
	    SSL3_MT_CERTIFICATE, SSL3_MT_CLIENT_KEY_EXCHANGE};
	CBS in, body;

	CBS_init(&in, input.data, input.len);
	if (!take_hello(&in, SSL3_MT_CLIENT_HELLO) ||
	    !take_hello(&in, SSL3_MT_SERVER_HELLO) ||
	    !take_message(&in, SSL3_MT_CERTIFICATE, &body))
		return false;
	(void)take_message(&in, SSL3_MT_CERTIFICATE_STATUS, &body);
	for (size_t i = 0; i < sizeof(rest); i++) {
		if (!take_message(&in, rest[i], &body))
			return false;
	}
	return CBS_len(&in) == 0;
}

enum key_form
key_form_of(struct span input)
{
	if (is_tls13_input(input, "TLS 1.3, server CertificateVerify"))
		return KEY_FORM_SERVER_13;
	if (is_tls13_input(input, "TLS 1.3, client CertificateVerify"))
		return KEY_FORM_CLIENT_13;
	if (is_tls12_input(input))
		return KEY_FORM_SERVER_12;
	return is_tls12_transcript(input) ? KEY_FORM_CLIENT_12 : KEY_FORM_NONE;
}

static bool
hash_spki(const EVP_PKEY *pkey, uint8_t out[SPKI_HASH_LEN])
{
	CBB cbb;
	uint8_t *der;
	size_t len;

	if (!CBB_init(&cbb, 512))
		return false;
	if (!EVP_marshal_public_key(&cbb, pkey) ||
	    !CBB_finish(&cbb, &der, &len)) {
		CBB_cleanup(&cbb);
		return false;
	}
	SHA256(der, len, out);
	OPENSSL_free(der);
	return true;
}

static bool
is_usable(EVP_PKEY *pkey)
{
	int bits = EVP_PKEY_bits(pkey);

	switch (EVP_PKEY_id(pkey)) {
	case EVP_PKEY_RSA:
		return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX;
	case EVP_PKEY_EC:
		return bits == 256 || bits == 384 || bits == 521;
	default:
		return false;
	}
}

static bool
set_reserve(struct key_set *set)
{
	size_t cap = set->cap == 0 ? 16 : set->cap * 2;
	struct key *keys;

	if (set->n_keys < set->cap)
		return true;
	keys = reallocarray(set->keys, cap, sizeof(*keys));
	if (keys == NULL)
		return false;
	set->keys = keys;
	set->cap = cap;
	return true;
}

static bool
set_add(struct key_set *set, CBS *der, bool is_for_backends)
{
	EVP_PKEY *pkey = EVP_parse_private_key(der);
	struct key *key;

	if (pkey == NULL)
		return false;
	if (CBS_len(der) != 0 || !is_usable(pkey) || set->n_keys == KEYS_MAX ||
	    !set_reserve(set) ||
	    !hash_spki(pkey, set->keys[set->n_keys].spki)) {
		EVP_PKEY_free(pkey);
		return false;
	}
	key = &set->keys[set->n_keys++];
	key->is_for_backends = is_for_backends;
	key->pkey = pkey;
	return true;
}

static bool
set_read(struct key_set *set, CBS *image)
{
	while (CBS_len(image) > 0) {
		uint32_t len;
		CBS der;

		if (!CBS_copy_bytes(image, (uint8_t *)&len, sizeof(len)) ||
		    !CBS_get_bytes(image, &der, len & ~KEY_FOR_BACKENDS) ||
		    !set_add(set, &der, (len & KEY_FOR_BACKENDS) != 0))
			return false;
	}
	return true;
}

static int
compare_keys(const void *a, const void *b)
{
	const struct key *left = a;
	const struct key *right = b;
	int order = memcmp(left->spki, right->spki, SPKI_HASH_LEN);

	return order != 0 ? order
			  : left->is_for_backends - right->is_for_backends;
}

struct key_set *
key_set_new(struct span image)
{
	struct key_set *set = calloc(1, sizeof(*set));
	CBS in;

	if (set == NULL)
		return NULL;
	CBS_init(&in, image.data, image.len);
	if (!set_read(set, &in)) {
		ERR_clear_error();
		key_set_free(set);
		return NULL;
	}
	if (set->n_keys > 0)
		qsort(set->keys, set->n_keys, sizeof(*set->keys), compare_keys);
	return set;
}

void
key_set_free(struct key_set *set)
{
	if (set == NULL)
		return;
	/* BoringSSL wipes whatever it frees. */
	for (size_t i = 0; i < set->n_keys; i++)
		EVP_PKEY_free(set->keys[i].pkey);
	free(set->keys);
	free(set);
}

size_t
key_set_count(const struct key_set *set)
{
	return set->n_keys;
}

/* A key that serves on both sides is in the set twice. */
static EVP_PKEY *
set_find(const struct key_set *set, const uint8_t spki[SPKI_HASH_LEN],
    bool is_for_backends)
{
	struct key wanted = {.is_for_backends = is_for_backends};
	const struct key *found;

	if (set == NULL || set->n_keys == 0)
		return NULL;
	memcpy(wanted.spki, spki, SPKI_HASH_LEN);
	found = bsearch(
	    &wanted, set->keys, set->n_keys, sizeof(*set->keys), compare_keys);
	return found != NULL ? found->pkey : NULL;
}

/* What a scheme of RFC 8446 section 4.2.3 means; no SHA-1, no MD5. */
struct scheme {
	uint16_t algorithm;
	int type;
	int bits; /* of the curve, for ECDSA */
	bool pss;
	const EVP_MD *(*md)(void);
};

static const struct scheme *
find_scheme(uint16_t algorithm)
{
	static const struct scheme schemes[] = {
	    {SSL_SIGN_ECDSA_SECP256R1_SHA256, EVP_PKEY_EC, 256, false,
		EVP_sha256},
	    {SSL_SIGN_ECDSA_SECP384R1_SHA384, EVP_PKEY_EC, 384, false,
		EVP_sha384},
	    {SSL_SIGN_ECDSA_SECP521R1_SHA512, EVP_PKEY_EC, 521, false,
		EVP_sha512},
	    {SSL_SIGN_RSA_PSS_RSAE_SHA256, EVP_PKEY_RSA, 0, true, EVP_sha256},
	    {SSL_SIGN_RSA_PSS_RSAE_SHA384, EVP_PKEY_RSA, 0, true, EVP_sha384},
	    {SSL_SIGN_RSA_PSS_RSAE_SHA512, EVP_PKEY_RSA, 0, true, EVP_sha512},
	    {SSL_SIGN_RSA_PKCS1_SHA256, EVP_PKEY_RSA, 0, false, EVP_sha256},
	    {SSL_SIGN_RSA_PKCS1_SHA384, EVP_PKEY_RSA, 0, false, EVP_sha384},
	    {SSL_SIGN_RSA_PKCS1_SHA512, EVP_PKEY_RSA, 0, false, EVP_sha512},
	};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		if (schemes[i].algorithm == algorithm)
			return &schemes[i];
	}
	return NULL;
}

/* TLS 1.3 ties a curve to its hash and forbids PKCS #1 v1.5; in TLS 1.2 the
 * scheme names only the hash of an ECDSA signature. */
static bool
scheme_fits(const struct scheme *scheme, EVP_PKEY *pkey, bool is_tls13)
{
	if (scheme == NULL || scheme->type != EVP_PKEY_id(pkey))
		return false;
	if (!is_tls13)
		return true;
	if (scheme->type == EVP_PKEY_EC)
		return scheme->bits == EVP_PKEY_bits(pkey);
	return scheme->pss;
}

static bool
sign(const struct scheme *scheme, EVP_PKEY *pkey, struct span input,
    struct key_reply *reply)
{
	EVP_MD_CTX ctx;
	EVP_PKEY_CTX *pctx;
	size_t len = sizeof(reply->signature);
	bool ok;

	EVP_MD_CTX_init(&ctx);
	ok = EVP_DigestSignInit(&ctx, &pctx, scheme->md(), NULL, pkey) == 1;
	if (ok && scheme->pss)
		ok = EVP_PKEY_CTX_set_rsa_padding(
			 pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, -1) == 1;
	ok = ok && EVP_DigestSign(&ctx, reply->signature, &len, input.data,
		       input.len) == 1;
	EVP_MD_CTX_cleanup(&ctx);
	ERR_clear_error();
	if (ok)
		reply->len = (uint16_t)len;
	return ok;
}

void
key_sign(const struct key_set *set, const struct key_set *old,
    const struct key_request *request, struct key_reply *out_reply)
{
	struct span input = span_of(request->input, request->len);
	enum key_form form = KEY_FORM_NONE;
	EVP_PKEY *pkey;
	const struct scheme *scheme = find_scheme(request->algorithm);

	memset(out_reply, 0, sizeof(*out_reply));
	out_reply->id = request->id;
	if (input.len <= KEY_INPUT_MAX)
		form = key_form_of(input);
	if (form == KEY_FORM_NONE) {
		out_reply->status = KEY_NOT_A_HANDSHAKE;
		return;
	}
	bool as_client =
	    form == KEY_FORM_CLIENT_13 || form == KEY_FORM_CLIENT_12;
	bool is_tls13 =
	    form == KEY_FORM_CLIENT_13 || form == KEY_FORM_SERVER_13;
	pkey = set_find(set, request->spki, as_client);
	if (pkey == NULL)
		pkey = set_find(old, request->spki, as_client);
	if (pkey == NULL)
		out_reply->status = KEY_UNKNOWN;
	else if (!scheme_fits(scheme, pkey, is_tls13) ||
		 !sign(scheme, pkey, input, out_reply))
		out_reply->status = KEY_FAILED;
}
