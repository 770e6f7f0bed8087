/* SPDX-License-Identifier: ISC */
/*
 * What the keys of a [tls] section come to. Called by the engine and its
 * ClientHello callback, and by policy_check.c in the master.
 */
#include "tls/policy.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

struct sigalg {
	const char *name;
	uint16_t id;
	uint16_t bits; /* of the curve; 0: RSA */
};

/* Best first. PKCS #1 v1.5 is for TLS 1.2 alone. */
static const struct sigalg sigalgs[POLICY_SIGALGS_MAX] = {
    {"ecdsa_secp256r1_sha256", SSL_SIGN_ECDSA_SECP256R1_SHA256, 256},
    {"ecdsa_secp384r1_sha384", SSL_SIGN_ECDSA_SECP384R1_SHA384, 384},
    {"ecdsa_secp521r1_sha512", SSL_SIGN_ECDSA_SECP521R1_SHA512, 521},
    {"rsa_pss_rsae_sha256", SSL_SIGN_RSA_PSS_RSAE_SHA256, 0},
    {"rsa_pss_rsae_sha384", SSL_SIGN_RSA_PSS_RSAE_SHA384, 0},
    {"rsa_pss_rsae_sha512", SSL_SIGN_RSA_PSS_RSAE_SHA512, 0},
    {"rsa_pkcs1_sha256", SSL_SIGN_RSA_PKCS1_SHA256, 0},
    {"rsa_pkcs1_sha384", SSL_SIGN_RSA_PKCS1_SHA384, 0},
    {"rsa_pkcs1_sha512", SSL_SIGN_RSA_PKCS1_SHA512, 0},
};

const char *
policy_default_ciphers(void)
{
	return "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
	       "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
	       "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
}

const char *
policy_default_groups(void)
{
	static const char hybrid[] = "X25519MLKEM768:X25519:P-256:P-384";
	SSL_CTX *ctx = SSL_CTX_new(TLS_with_buffers_method());
	bool has_hybrid =
	    ctx != NULL && SSL_CTX_set1_curves_list(ctx, hybrid) == 1;

	SSL_CTX_free(ctx);
	ERR_clear_error();
	return has_hybrid ? hybrid : "X25519:P-256:P-384";
}

const char *
policy_ciphers(const struct config *config, const struct config_tls *tls)
{
	return tls->ciphers.len != 0 ? config_text(config, tls->ciphers)
				     : policy_default_ciphers();
}

const char *
policy_groups(const struct config *config, const struct config_tls *tls)
{
	return tls->groups.len != 0 ? config_text(config, tls->groups)
				    : policy_default_groups();
}

/* The next name of a list separated by colons; false at its end. */
static bool
next_name(struct span *list, struct span *out_name)
{
	size_t len = 0;

	if (list->len == 0)
		return false;
	while (len < list->len && list->data[len] != ':')
		len++;
	*out_name = span_of(list->data, len);
	span_advance(list, len < list->len ? len + 1 : len);
	return true;
}

static const struct sigalg *
find_sigalg(struct span name)
{
	for (size_t i = 0; i < POLICY_SIGALGS_MAX; i++) {
		if (span_equal_nocase(name, span_str(sigalgs[i].name)))
			return &sigalgs[i];
	}
	return NULL;
}

static bool
is_listed(struct span list, const struct sigalg *sigalg)
{
	struct span name;

	if (list.len == 0)
		return true;
	while (next_name(&list, &name)) {
		if (find_sigalg(name) == sigalg)
			return true;
	}
	return false;
}

bool
policy_sigalgs_known(struct span list)
{
	struct span name;

	while (next_name(&list, &name)) {
		if (find_sigalg(name) == NULL)
			return false;
	}
	return true;
}

size_t
policy_sigalgs(const struct config *config, const struct config_tls *tls,
    uint32_t key_type, uint32_t key_bits, uint16_t out[POLICY_SIGALGS_MAX])
{
	struct span list = config_span(config, tls->sigalgs);
	size_t n = 0;

	/* The scheme of the key's own curve first: TLS 1.3 takes no other,
	 * TLS 1.2 means only the hash by it. */
	for (size_t i = 0; i < POLICY_SIGALGS_MAX; i++) {
		if (key_type == KEY_ECDSA && sigalgs[i].bits == key_bits &&
		    is_listed(list, &sigalgs[i]))
			out[n++] = sigalgs[i].id;
	}
	for (size_t i = 0; i < POLICY_SIGALGS_MAX; i++) {
		bool is_ecdsa = sigalgs[i].bits != 0;

		if (is_ecdsa == (key_type == KEY_ECDSA) &&
		    !(is_ecdsa && sigalgs[i].bits == key_bits) &&
		    is_listed(list, &sigalgs[i]))
			out[n++] = sigalgs[i].id;
	}
	return n;
}

bool
policy_is_for_tls13(uint32_t key_bits, uint16_t algorithm)
{
	switch (algorithm) {
	case SSL_SIGN_ECDSA_SECP256R1_SHA256:
		return key_bits == 256;
	case SSL_SIGN_ECDSA_SECP384R1_SHA384:
		return key_bits == 384;
	case SSL_SIGN_ECDSA_SECP521R1_SHA512:
		return key_bits == 521;
	case SSL_SIGN_RSA_PSS_RSAE_SHA256:
	case SSL_SIGN_RSA_PSS_RSAE_SHA384:
	case SSL_SIGN_RSA_PSS_RSAE_SHA512:
		return true;
	default:
		return false;
	}
}
