/* SPDX-License-Identifier: ISC */
/*
 * The verdict on client certificates. Called by client_auth.c inside a
 * handshake, on octets that a stranger sent: what BoringSSL parses is used,
 * what it does not is a refusal. Nothing of the certificate is kept but the
 * identity.
 */
#include "tls/client_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/x509v3.h>

#include "tls/x509.h"

#define CHAIN_MAX 8
#define USERS_MAX 4096

struct client_store {
	X509_STORE *store; /* NULL: pins alone decide */
	STACK_OF(CRYPTO_BUFFER) * names;
	bool has_crls;
	bool accept_expired_crl;
};

/* --- the store ------------------------------------------------------------ */

static bool
add_name(struct client_store *store, X509 *ca)
{
	uint8_t *der = NULL;
	int len = i2d_X509_NAME(X509_get_subject_name(ca), &der);
	CRYPTO_BUFFER *buffer;

	if (len <= 0)
		return false;
	buffer = CRYPTO_BUFFER_new(der, (size_t)len, NULL);
	OPENSSL_free(der);
	if (buffer == NULL)
		return false;
	if (sk_CRYPTO_BUFFER_push(store->names, buffer) != 0)
		return true;
	CRYPTO_BUFFER_free(buffer);
	return false;
}

static bool
add_ca(struct client_store *store, struct span der)
{
	const uint8_t *at = der.data;
	X509 *ca = d2i_X509(NULL, &at, (long)der.len);
	bool ok = ca != NULL && X509_STORE_add_cert(store->store, ca) == 1 &&
		  add_name(store, ca);

	X509_free(ca);
	return ok;
}

static bool
add_crl(struct client_store *store, struct span der)
{
	const uint8_t *at = der.data;
	X509_CRL *crl = d2i_X509_CRL(NULL, &at, (long)der.len);
	bool ok = crl != NULL && X509_STORE_add_crl(store->store, crl) == 1;

	X509_CRL_free(crl);
	return ok;
}

static bool
fill_store(struct client_store *store, const struct config *config,
    const struct config_tls *tls)
{
	const struct text *cas = config_items(config, tls->client_ca_ders);
	const struct text *crls = config_items(config, tls->client_crl_ders);

	for (uint32_t i = 0; i < tls->client_ca_ders.n; i++) {
		if (!add_ca(store, config_span(config, cas[i])))
			return false;
	}
	for (uint32_t i = 0; i < tls->client_crl_ders.n; i++) {
		if (!add_crl(store, config_span(config, crls[i])))
			return false;
	}
	/* A list was asked for: without one nobody is known to be good. */
	store->has_crls = tls->client_crl.len != 0;
	if (store->has_crls)
		return X509_STORE_set_flags(store->store,
			   X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) ==
		       1;
	return true;
}

struct client_store *
client_store_new(const struct config *config, const struct config_tls *tls)
{
	struct client_store *store = calloc(1, sizeof(*store));
	bool ok;

	if (store == NULL)
		return NULL;
	store->accept_expired_crl = tls->client_crl_expired_accept;
	store->names = sk_CRYPTO_BUFFER_new_null();
	ok = store->names != NULL;
	if (ok && tls->client_ca.len != 0) {
		store->store = X509_STORE_new();
		ok = store->store != NULL && tls->client_ca_ders.n != 0 &&
		     fill_store(store, config, tls);
	} else {
		ok = ok && tls->client_pins.n != 0;
	}
	ERR_clear_error();
	if (ok)
		return store;
	client_store_free(store);
	return NULL;
}

void
client_store_free(struct client_store *store)
{
	if (store == NULL)
		return;
	X509_STORE_free(store->store);
	sk_CRYPTO_BUFFER_pop_free(store->names, CRYPTO_BUFFER_free);
	free(store);
}

STACK_OF(CRYPTO_BUFFER) * client_store_names(const struct client_store *store)
{
	STACK_OF(CRYPTO_BUFFER) *names = sk_CRYPTO_BUFFER_dup(store->names);

	for (size_t i = 0; names != NULL && i < sk_CRYPTO_BUFFER_num(names);
	     i++)
		CRYPTO_BUFFER_up_ref(sk_CRYPTO_BUFFER_value(names, i));
	return names;
}

/* --- the chain ------------------------------------------------------------ */

static bool
refuse(struct client_refusal *refusal, uint8_t alert, const char *why)
{
	*refusal = (struct client_refusal){alert, why};
	return false;
}

static bool
refuse_error(struct client_refusal *refusal, int error)
{
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return refuse(
		    refusal, SSL_AD_CERTIFICATE_EXPIRED, "certificate expired");
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return refuse(refusal, SSL_AD_BAD_CERTIFICATE,
		    "certificate not yet valid");
	case X509_V_ERR_CERT_REVOKED:
		return refuse(
		    refusal, SSL_AD_CERTIFICATE_REVOKED, "certificate revoked");
	case X509_V_ERR_CRL_HAS_EXPIRED:
		return refuse(refusal, SSL_AD_CERTIFICATE_UNKNOWN,
		    "revocation list expired");
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
		return refuse(refusal, SSL_AD_CERTIFICATE_UNKNOWN,
		    "no revocation list of its authority");
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return refuse(refusal, SSL_AD_UNKNOWN_CA, "unknown authority");
	case X509_V_ERR_INVALID_PURPOSE:
		return refuse(refusal, SSL_AD_UNSUPPORTED_CERTIFICATE,
		    "not for TLS clients");
	default:
		return refuse(refusal, SSL_AD_BAD_CERTIFICATE,
		    X509_verify_cert_error_string(error));
	}
}

static int
accept_expired_crl(int ok, X509_STORE_CTX *ctx)
{
	return ok == 1 ||
	       X509_STORE_CTX_get_error(ctx) == X509_V_ERR_CRL_HAS_EXPIRED;
}

/* Signatures with SHA-1 would let somebody make a twin; an anchor's own proves
 * nothing. */
static bool
is_chain_strong(X509_STORE_CTX *ctx)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);

	for (size_t i = 0; chain != NULL && i < sk_X509_num(chain); i++) {
		X509 *at = sk_X509_value(chain, i);

		if (x509_is_signed_weakly(at) &&
		    !(i > 0 && x509_is_self_issued(at)))
			return false;
	}
	return chain != NULL;
}

static bool
verify(const struct client_store *store, X509_STORE_CTX *ctx, X509 *leaf,
    STACK_OF(X509) * others, int64_t now, struct client_refusal *refusal)
{
	if (X509_STORE_CTX_init(ctx, store->store, leaf, others) != 1 ||
	    X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT) != 1)
		return refuse(refusal, SSL_AD_INTERNAL_ERROR, "out of memory");
	X509_STORE_CTX_set_time(ctx, 0, (time_t)now);
	X509_STORE_CTX_set_depth(ctx, CHAIN_MAX);
	if (store->accept_expired_crl)
		X509_STORE_CTX_set_verify_cb(ctx, accept_expired_crl);
	if (X509_verify_cert(ctx) != 1)
		return refuse_error(refusal, X509_STORE_CTX_get_error(ctx));
	if (!is_chain_strong(ctx))
		return refuse(
		    refusal, SSL_AD_BAD_CERTIFICATE, "signed with SHA-1");
	return true;
}

static bool
check_dates(X509 *leaf, int64_t now, struct client_refusal *refusal)
{
	int64_t from, until;

	if (!x509_time(X509_get0_notBefore(leaf), &from) ||
	    !x509_time(X509_get0_notAfter(leaf), &until))
		return refuse(
		    refusal, SSL_AD_BAD_CERTIFICATE, "dates cannot be read");
	if (now < from)
		return refuse_error(refusal, X509_V_ERR_CERT_NOT_YET_VALID);
	if (now > until)
		return refuse_error(refusal, X509_V_ERR_CERT_HAS_EXPIRED);
	return true;
}

/* --- names ---------------------------------------------------------------- */

/* Visible ASCII and nothing else: no NUL that ends it early for somebody, no
 * look-alikes. */
static bool
is_plain(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] <= ' ' || text.data[i] > '~')
			return false;
	}
	return text.len != 0;
}

static struct span
string_span(const ASN1_STRING *text)
{
	return span_of(
	    ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
}

/* An address or a host name; empty: of another kind. */
static struct span
name_span(const GENERAL_NAME *name, int kind)
{
	if (name->type != kind || (kind != GEN_EMAIL && kind != GEN_DNS))
		return span_of("", 0);
	return string_span(
	    kind == GEN_EMAIL ? name->d.rfc822Name : name->d.dNSName);
}

/* Only one is taken: with two nobody knows which is meant. UTF-8 as it is
 * stored, of the types whose octets are text. */
static struct span
common_name(X509 *leaf)
{
	X509_NAME *subject = X509_get_subject_name(leaf);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	const ASN1_STRING *text;

	if (at < 0 ||
	    X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
		return span_of("", 0);
	text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
	switch (ASN1_STRING_type(text)) {
	case V_ASN1_UTF8STRING:
	case V_ASN1_PRINTABLESTRING:
	case V_ASN1_IA5STRING:
		return string_span(text);
	default:
		return span_of("", 0);
	}
}

static size_t
count_names(const GENERAL_NAMES *names)
{
	return names != NULL ? sk_GENERAL_NAME_num(names) : 0;
}

static bool
are_names_plain(const GENERAL_NAMES *names)
{
	for (size_t i = 0; i < count_names(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if ((name->type == GEN_EMAIL || name->type == GEN_DNS) &&
		    !is_plain(name_span(name, name->type)))
			return false;
	}
	return true;
}

static bool
has_wanted_name(const struct config *config, const struct config_tls *tls,
    const GENERAL_NAMES *names)
{
	const struct text *wanted = config_items(config, tls->client_names);

	for (uint32_t w = 0; w < tls->client_names.n; w++) {
		for (size_t i = 0; i < count_names(names); i++) {
			struct span name =
			    name_span(sk_GENERAL_NAME_value(names, i), GEN_DNS);

			if (name.len != 0 &&
			    span_equal_nocase(
				name, config_span(config, wanted[w])))
				return true;
		}
	}
	return tls->client_names.n == 0;
}

static bool
is_pinned(const struct config *config, const struct config_tls *tls,
    const uint8_t spki[SPKI_HASH_LEN])
{
	const struct text *pins = config_items(config, tls->client_pins);
	char hex[2 * SPKI_HASH_LEN + 1];

	x509_spki_text(spki, hex);
	for (uint32_t i = 0; i < tls->client_pins.n; i++) {
		if (span_equal_nocase(
			config_span(config, pins[i]), span_str(hex)))
			return true;
	}
	return tls->client_pins.n == 0;
}

/* --- the identity --------------------------------------------------------- */

static struct span
first_name(const GENERAL_NAMES *names, int kind)
{
	for (size_t i = 0; i < count_names(names); i++) {
		struct span name =
		    name_span(sk_GENERAL_NAME_value(names, i), kind);

		if (name.len != 0)
			return name;
	}
	return span_of("", 0);
}

static void
set_name(
    struct client_identity *identity, X509 *leaf, const GENERAL_NAMES *names)
{
	struct span name = first_name(names, GEN_EMAIL);

	if (name.len == 0)
		name = first_name(names, GEN_DNS);
	if (name.len == 0)
		name = common_name(leaf);
	if (name.len >= CLIENT_NAME_MAX)
		name.len = CLIENT_NAME_MAX - 1;
	if (name.len != 0 && memchr(name.data, '\0', name.len) == NULL) {
		memcpy(identity->name, name.data, name.len);
		return;
	}
	for (size_t i = 0; i < 8; i++)
		snprintf(identity->name + 2 * i, 3, "%02x", identity->spki[i]);
}

static void
put_user(struct outbuf *users, struct span user)
{
	if (user.len == 0 || memchr(user.data, '\0', user.len) != NULL)
		return;
	outbuf_put(users, user);
	outbuf_putc(users, '\0');
}

static void
put_users(
    struct outbuf *users, uint32_t kind, X509 *leaf, const GENERAL_NAMES *names)
{
	int type = kind == CERT_USER_EMAIL ? GEN_EMAIL : GEN_DNS;

	if (kind == CERT_USER_CN)
		put_user(users, common_name(leaf));
	for (size_t i = 0; (kind == CERT_USER_EMAIL || kind == CERT_USER_DNS) &&
			   i < count_names(names);
	     i++)
		put_user(
		    users, name_span(sk_GENERAL_NAME_value(names, i), type));
}

static struct client_identity *
identify(const struct config_tls *tls, X509 *leaf, const GENERAL_NAMES *names,
    const uint8_t spki[SPKI_HASH_LEN], struct client_refusal *refusal)
{
	uint8_t buf[USERS_MAX];
	struct outbuf users;
	struct client_identity *identity;

	outbuf_init(&users, buf, sizeof(buf) - 1);
	put_users(&users, tls->client_cert_user, leaf, names);
	if (users.overflow) {
		refuse(refusal, SSL_AD_BAD_CERTIFICATE, "too many names");
		return NULL;
	}
	buf[users.len] = '\0';
	identity = calloc(1, sizeof(*identity) + users.len + 1);
	if (identity == NULL) {
		refuse(refusal, SSL_AD_INTERNAL_ERROR, "out of memory");
		return NULL;
	}
	identity->is_bound = tls->client_cert_user != CERT_USER_OFF;
	memcpy(identity->spki, spki, SPKI_HASH_LEN);
	memcpy(identity->users, buf, users.len + 1);
	set_name(identity, leaf, names);
	return identity;
}

bool
client_allows_user(const struct client_identity *identity, struct span user)
{
	if (identity == NULL || !identity->is_bound)
		return true;
	for (const char *at = identity->users; at[0] != '\0';
	     at += strlen(at) + 1) {
		if (span_equal(span_str(at), user))
			return true;
	}
	return false;
}

/* --- all together --------------------------------------------------------- */

static bool
is_trusted(const struct client_store *store, STACK_OF(X509) * chain,
    int64_t now, struct client_refusal *refusal)
{
	X509 *leaf = sk_X509_value(chain, 0);
	X509_STORE_CTX *ctx;
	bool ok;

	if (store->store == NULL)
		return check_dates(leaf, now, refusal);
	ctx = X509_STORE_CTX_new();
	ok = ctx != NULL && verify(store, ctx, leaf, chain, now, refusal);
	X509_STORE_CTX_free(ctx);
	return ok;
}

/* The SAN as far as it can be read: a damaged or doubled one is a refusal. */
static bool
read_names(X509 *leaf, GENERAL_NAMES **out_names)
{
	int critical = -1;

	*out_names =
	    X509_get_ext_d2i(leaf, NID_subject_alt_name, &critical, NULL);
	return *out_names != NULL || critical == -1;
}

static struct client_identity *
check_leaf(const struct config *config, const struct config_tls *tls,
    X509 *leaf, struct client_refusal *refusal)
{
	uint8_t spki[SPKI_HASH_LEN];
	GENERAL_NAMES *names = NULL;
	struct client_identity *identity = NULL;

	if (!read_names(leaf, &names) || !are_names_plain(names))
		refuse(refusal, SSL_AD_BAD_CERTIFICATE,
		    "its names hold odd octets");
	else if (!x509_hash_spki(leaf, spki))
		refuse(
		    refusal, SSL_AD_BAD_CERTIFICATE, "its key cannot be read");
	else if (!is_pinned(config, tls, spki))
		refuse(refusal, SSL_AD_ACCESS_DENIED, "its key is not pinned");
	else if (!has_wanted_name(config, tls, names))
		refuse(refusal, SSL_AD_ACCESS_DENIED,
		    "it has none of the wanted names");
	else
		identity = identify(tls, leaf, names, spki, refusal);
	GENERAL_NAMES_free(names);
	return identity;
}

struct client_identity *
client_check(const struct client_store *store, const struct config *config,
    const struct config_tls *tls, const STACK_OF(CRYPTO_BUFFER) * chain,
    int64_t now, struct client_refusal *out_refusal)
{
	size_t n = chain != NULL ? sk_CRYPTO_BUFFER_num(chain) : 0;
	STACK_OF(X509) *parsed = NULL;
	struct client_identity *identity = NULL;

	*out_refusal = (struct client_refusal){
	    SSL_AD_INTERNAL_ERROR, "client certificates cannot be checked"};
	if (store == NULL)
		return NULL;
	if (n != 0 && n <= CHAIN_MAX)
		parsed = x509_parse_chain(chain);
	if (parsed == NULL)
		refuse(out_refusal, SSL_AD_BAD_CERTIFICATE,
		    "not a certificate, or too many");
	else if (is_trusted(store, parsed, now, out_refusal))
		identity = check_leaf(
		    config, tls, sk_X509_value(parsed, 0), out_refusal);
	sk_X509_pop_free(parsed, X509_free);
	ERR_clear_error();
	return identity;
}
