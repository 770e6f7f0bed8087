/* SPDX-License-Identifier: ISC */
/*
 * The master's part of policies: the checks. The judge of a cipher or
 * group string is the BoringSSL we are linked with, on a scratch SSL_CTX: what
 * passes here cannot fail in a worker that is linked with the same one.
 */
#include <openssl/err.h>
#include <openssl/nid.h>
#include <openssl/ssl.h>

#include "config/load.h"
#include "tls/policy.h"
#include "tls/ticket.h"

struct check {
	const struct config *config;
	const struct config_tls *tls;
	const struct builder *builder;
	const char *path;
	struct problems *problems;
};

static void
complain(const struct check *check, const char *key, struct text value,
    const char *why)
{
	char place[PLACE_MAX];

	problems_error(check->problems, "%s: [tls %s]: %s = %s: %s",
	    builder_place(check->builder, "tls", check->tls->line, key, place),
	    config_text(check->config, check->tls->name), key,
	    config_text(check->config, value), why);
}

/* Only ECDHE with a certificate can work: the keeper signs, it never decrypts
 * a static RSA secret. */
static bool
has_forward_secrecy(SSL_CTX *ctx)
{
	const STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(ctx);

	for (size_t i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
		const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
		int auth = SSL_CIPHER_get_auth_nid(cipher);

		if (SSL_CIPHER_get_kx_nid(cipher) != NID_kx_ecdhe ||
		    (auth != NID_auth_rsa && auth != NID_auth_ecdsa))
			return false;
	}
	return true;
}

static void
check_ciphers(const struct check *check, SSL_CTX *ctx)
{
	struct text ciphers = check->tls->ciphers;

	if (ciphers.len == 0)
		return;
	if (SSL_CTX_set_strict_cipher_list(
		ctx, config_text(check->config, ciphers)) != 1)
		complain(check, "ciphers", ciphers,
		    "not a list of TLS 1.2 suites that BoringSSL knows "
		    "(those of TLS 1.3 are always on)");
	else if (!has_forward_secrecy(ctx))
		complain(check, "ciphers", ciphers,
		    "only ECDHE suites with ECDSA or RSA are possible");
}

/* The dry run's lists are judged like those that count. */
static void
check_observed(const struct check *check, SSL_CTX *ctx)
{
	struct text ciphers = check->tls->observe_ciphers;

	if (ciphers.len != 0 && SSL_CTX_set_strict_cipher_list(ctx,
				    config_text(check->config, ciphers)) != 1)
		complain(check, "observe_ciphers", ciphers,
		    "not a list of TLS 1.2 suites that BoringSSL knows");
}

static void
complain_plainly(const struct check *check, const char *key, const char *why)
{
	char place[PLACE_MAX];

	problems_error(check->problems, "%s: [tls %s]: %s: %s",
	    builder_place(check->builder, "tls", check->tls->line, key, place),
	    config_text(check->config, check->tls->name), key, why);
}

static void
check_clients(const struct check *check)
{
	const struct config_tls *tls = check->tls;

	if (tls->client_certificates != CLIENT_CERT_OFF &&
	    tls->client_ca.len == 0 && tls->client_pins.n == 0)
		complain_plainly(check, "client_certificates",
		    "expected client_ca or client_pins");
	if (tls->client_certificates == CLIENT_CERT_OFF &&
	    tls->client_cert_user != CERT_USER_OFF)
		complain_plainly(check, "client_cert_user",
		    "no client is asked for a certificate "
		    "(client_certificates = off)");
	if (tls->client_crl.len != 0 && tls->client_ca.len == 0)
		complain_plainly(
		    check, "client_crl", "expected client_ca with it");
}

#define SAFE_SLICE_MS 120000

static void
check_tickets(const struct check *check)
{
	const struct config_tls *tls = check->tls;

	if (tls->ticket_secret.len != 0 &&
	    tls->ticket_rotation_ms < SAFE_SLICE_MS)
		problems_warn(check->problems,
		    "%s:%u: [tls %s]: ticket_rotation is below 2m: the clocks "
		    "of a fleet must agree better than that",
		    check->path, tls->line,
		    config_text(check->config, tls->name));
	if (tls->tickets &&
	    (size_t)(tls - config_tls_at(check->config, 0)) >= TICKET_RINGS)
		problems_warn(check->problems,
		    "%s:%u: [tls %s]: there are tickets for the first %d [tls] "
		    "sections only",
		    check->path, tls->line,
		    config_text(check->config, tls->name), TICKET_RINGS);
}

static void
check_groups(const struct check *check, SSL_CTX *ctx)
{
	struct text groups = check->tls->groups;

	if (groups.len != 0 && SSL_CTX_set1_curves_list(ctx,
				   config_text(check->config, groups)) != 1)
		complain(check, "groups", groups,
		    "not a list of groups that this BoringSSL knows, such as "
		    "X25519:P-256:P-384");
}

static void
check_sigalgs(const struct check *check)
{
	struct span list = config_span(check->config, check->tls->sigalgs);

	if (policy_sigalgs_known(list))
		return;
	complain(check, "sigalgs", check->tls->sigalgs,
	    "known are ecdsa_secp256r1_sha256, ecdsa_secp384r1_sha384, "
	    "ecdsa_secp521r1_sha512, and rsa_pss_rsae_ and rsa_pkcs1_ with "
	    "sha256, sha384, sha512");
}

static void
resolve_versions(struct config_tls *tls)
{
	if (tls->min_version == 0)
		tls->min_version = tls->preset == PRESET_MODERN
				       ? TLS1_3_VERSION
				       : TLS1_2_VERSION;
	if (tls->max_version == 0)
		tls->max_version = TLS1_3_VERSION;
}

static void
check_versions(const struct check *check)
{
	const struct config_tls *tls = check->tls;

	if (tls->min_version < TLS1_2_VERSION ||
	    tls->max_version > TLS1_3_VERSION ||
	    tls->min_version > tls->max_version)
		problems_error(check->problems,
		    "%s:%u: [tls %s]: min_version is above max_version (the "
		    "preset gives what is empty)",
		    check->path, tls->line,
		    config_text(check->config, tls->name));
}

void
policy_check(
    struct builder *builder, const char *path, struct problems *problems)
{
	const struct config *config = builder_config(builder);
	struct config_tls *all = builder_tls_at(builder, 0);

	for (uint32_t i = 0; i < config->tls.n; i++) {
		struct check check = {config, all + i, builder, path, problems};
		SSL_CTX *ctx = SSL_CTX_new(TLS_with_buffers_method());

		resolve_versions(all + i);
		check_versions(&check);
		if (ctx == NULL) {
			problems_error(problems, "%s: out of memory", path);
			return;
		}
		check_ciphers(&check, ctx);
		check_groups(&check, ctx);
		check_sigalgs(&check);
		check_observed(&check, ctx);
		check_clients(&check);
		check_tickets(&check);
		SSL_CTX_free(ctx);
		ERR_clear_error();
	}
}

/* --- do the certificates go with it? -------------------------------------- */

static bool
has_suite(SSL_CTX *ctx, const struct config_certificate *certificate)
{
	const STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(ctx);
	int auth =
	    certificate->key_type == KEY_ECDSA ? NID_auth_ecdsa : NID_auth_rsa;

	for (size_t i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
		if (SSL_CIPHER_get_auth_nid(sk_SSL_CIPHER_value(ciphers, i)) ==
		    auth)
			return true;
	}
	return false;
}

static bool
fits(const struct check *check, SSL_CTX *ctx,
    const struct config_certificate *certificate, uint16_t version)
{
	uint16_t ours[POLICY_SIGALGS_MAX];
	size_t n = policy_sigalgs(check->config, check->tls,
	    certificate->key_type, certificate->key_bits, ours);

	if (version == TLS1_2_VERSION)
		return n > 0 && has_suite(ctx, certificate);
	for (size_t i = 0; i < n; i++) {
		if (policy_is_for_tls13(certificate->key_bits, ours[i]))
			return true;
	}
	return false;
}

/* A version that the policy doesn't have shuts nobody out that came for it. */
static bool
serves(const struct check *check, SSL_CTX *ctx,
    const struct config_listen *listen, uint16_t version)
{
	const uint32_t *indexes =
	    config_items(check->config, listen->certificates);
	bool is_tls12 = version == TLS1_2_VERSION;

	if (version < check->tls->min_version ||
	    version > check->tls->max_version)
		return false;
	for (uint32_t i = 0; i < listen->certificates.n; i++) {
		if (fits(check, ctx,
			config_certificate_at(check->config, indexes[i]),
			version))
			return true;
	}
	problems_warn(check->problems,
	    "%s:%u: [tls %s]: no TLS %s client can come in to [listen %s]: "
	    "%s",
	    check->path, check->tls->line,
	    config_text(check->config, check->tls->name),
	    is_tls12 ? "1.2" : "1.3", config_text(check->config, listen->name),
	    is_tls12 ? "ciphers and sigalgs leave nothing for its certificates"
		     : "sigalgs leaves nothing that its keys can sign");
	return false;
}

static bool
check_fit(
    const struct check *check, SSL_CTX *ctx, const struct config_listen *listen)
{
	SSL_CTX_set_strict_cipher_list(
	    ctx, policy_ciphers(check->config, check->tls));
	bool in_tls12 = serves(check, ctx, listen, TLS1_2_VERSION);
	bool in_tls13 = serves(check, ctx, listen, TLS1_3_VERSION);

	if (in_tls12 || in_tls13)
		return true;
	problems_error(check->problems,
	    "%s:%u: [listen %s]: no client can come in: its certificates don't "
	    "go with [tls %s]",
	    check->path, listen->line, config_text(check->config, listen->name),
	    config_text(check->config, check->tls->name));
	return false;
}

bool
policy_check_fit(
    struct builder *builder, const char *path, struct problems *problems)
{
	const struct config *config = builder_config(builder);
	SSL_CTX *ctx = SSL_CTX_new(TLS_with_buffers_method());
	bool good = ctx != NULL;

	if (ctx == NULL)
		problems_error(problems, "%s: out of memory", path);
	for (uint32_t i = 0; good && i < config->listens.n; i++) {
		const struct config_listen *listen =
		    config_listen_at(config, i);
		struct check check = {config,
		    config_tls_at(config, listen->tls), builder, path,
		    problems};

		good = check_fit(&check, ctx, listen);
	}
	SSL_CTX_free(ctx);
	ERR_clear_error();
	return good;
}
