/* SPDX-License-Identifier: ISC */
/* The master's part of policies: what they come to, in words. Called by -t. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include <openssl/ssl.h>

#include "config/value.h"
#include "tls/policy.h"
#include "tls/x509.h"

#define DAY 86400

static const char *
version_name(uint16_t version)
{
	return version == TLS1_3_VERSION ? "TLS 1.3" : "TLS 1.2";
}

static void
print_suites(
    const struct config *config, const struct config_tls *tls, FILE *file)
{
	if (tls->max_version >= TLS1_3_VERSION)
		fprintf(file, "  TLS 1.3 suites, in the client's order: "
			      "TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, "
			      "TLS_CHACHA20_POLY1305_SHA256\n");
	if (tls->min_version <= TLS1_2_VERSION)
		fprintf(file, "  TLS 1.2 suites, in this order: %s\n",
		    policy_ciphers(config, tls));
	fprintf(
	    file, "  groups, in this order: %s\n", policy_groups(config, tls));
	if (tls->sigalgs.len != 0)
		fprintf(file, "  signatures: %s\n",
		    config_text(config, tls->sigalgs));
}

static const char *
duration(uint64_t ms, char out[32])
{
	struct outbuf buf;

	outbuf_init(&buf, out, 31);
	value_put_duration(&buf, ms);
	out[buf.len] = '\0';
	return out;
}

static void
print_tickets(const struct config_tls *tls, FILE *file)
{
	char text[32];

	if (!tls->tickets || tls->client_certificates != CLIENT_CERT_OFF) {
		fprintf(file, "  tickets: off%s\n",
		    tls->tickets ? ", because clients are asked for "
				   "certificates"
				 : "");
		return;
	}
	fprintf(file, "  tickets: on, keys %s every %s\n",
	    tls->ticket_secret.len != 0 ? "of the fleet's secret change"
					: "rotate",
	    duration(tls->ticket_rotation_ms, text));
}

static void
print_list(const struct config *config, struct items items, FILE *file)
{
	const struct text *texts = config_items(config, items);

	for (uint32_t i = 0; i < items.n; i++)
		fprintf(file, "%s%s", i == 0 ? " " : " or ",
		    config_text(config, texts[i]));
}

static void
print_clients(
    const struct config *config, const struct config_tls *tls, FILE *file)
{
	static const char *const users[] = {[CERT_USER_EMAIL] = "an address",
	    [CERT_USER_DNS] = "a host name",
	    [CERT_USER_CN] = "the common name"};

	if (tls->client_certificates == CLIENT_CERT_OFF)
		return;
	fprintf(file, "  client certificates: %s",
	    tls->client_certificates == CLIENT_CERT_REQUIRED
		? "required"
		: "checked when there is one");
	if (tls->client_ca.len != 0)
		fprintf(file, ", by %u %s in %s", tls->client_ca_ders.n,
		    tls->client_ca_ders.n == 1 ? "authority" : "authorities",
		    config_text(config, tls->client_ca));
	if (tls->client_crl.len != 0)
		fprintf(file, ", not revoked by %s%s",
		    config_text(config, tls->client_crl),
		    tls->client_crl_expired_accept ? " (even an expired one)"
						   : "");
	if (tls->client_pins.n != 0)
		fprintf(
		    file, ", with one of %u pinned keys", tls->client_pins.n);
	if (tls->client_names.n != 0) {
		fprintf(file, ", for");
		print_list(config, tls->client_names, file);
	}
	if (tls->client_cert_user != CERT_USER_OFF)
		fprintf(file, "; the login name must be %s in it",
		    users[tls->client_cert_user]);
	fprintf(file, "\n");
}

static void
print_observed(
    const struct config *config, const struct config_tls *tls, FILE *file)
{
	if (tls->observe_min_version != 0)
		fprintf(file, "  dry run: who would be refused below %s\n",
		    version_name(tls->observe_min_version));
	if (tls->observe_ciphers.len != 0)
		fprintf(file,
		    "  dry run: who would be refused with no TLS 1.2 suite "
		    "but %s\n",
		    config_text(config, tls->observe_ciphers));
}

static void
print_refused(const struct config_tls *tls, FILE *file)
{
	char text[32];

	fprintf(file, "  refused: what is not TLS, below %s",
	    version_name(tls->min_version));
	if (tls->max_version < TLS1_3_VERSION)
		fprintf(file, ", clients that speak TLS 1.3 only");
	fprintf(file, ", renegotiation, early data, compression, SHA-1");
	if (tls->alpn == ALPN_STRICT)
		fprintf(file, ", ALPN offered without \"imap\"");
	if (tls->sni == SNI_STRICT)
		fprintf(file, ", unknown server names");
	if (tls->client_certificates == CLIENT_CERT_REQUIRED)
		fprintf(file, ", clients without a good certificate");
	fprintf(file, ", handshakes of more than %s\n",
	    duration(tls->handshake_timeout_ms, text));
}

static void
print_certificate(const struct config *config,
    const struct config_certificate *certificate, const char *what, FILE *file)
{
	const struct text *names = config_items(config, certificate->names);
	int64_t left = certificate->not_after - (int64_t)time(NULL);
	char spki[2 * SPKI_HASH_LEN + 1];

	fprintf(file, "  certificate%s%s%s: %s %u bits, ",
	    certificate->is_for_backends ? "" : " ",
	    certificate->is_for_backends
		? ""
		: config_text(config, certificate->name),
	    what, certificate->key_type == KEY_ECDSA ? "ECDSA" : "RSA",
	    certificate->key_bits);
	if (left < 0)
		fprintf(file, "EXPIRED %" PRId64 " days ago", -left / DAY);
	else
		fprintf(file, "%" PRId64 " days left", left / DAY);
	x509_spki_text(certificate->spki, spki);
	fprintf(file, ", SPKI %s", spki);
	if (!certificate->is_for_backends) {
		fprintf(file, ", for");
		for (uint32_t i = 0; i < certificate->names.n; i++)
			fprintf(file, " %s", config_text(config, names[i]));
		if (certificate->names.n == 0)
			fprintf(file, " no name");
	}
	fprintf(file, "\n");
}

static void
print_backend(const struct config *config, const struct config_backend *backend,
    FILE *file)
{
	if (backend->backend_tls == BACKEND_TLS_OFF)
		return;
	fprintf(file,
	    "[backend %s]: TLSv1.2 or later, %s%s%s, certificate of ours: ",
	    config_text(config, backend->name),
	    backend->backend_tls == BACKEND_TLS_VERIFY ? "verified by "
						       : "its key is pinned",
	    backend->backend_tls == BACKEND_TLS_VERIFY
		? config_text(config, backend->backend_tls_ca)
		: "",
	    backend->backend_tls == BACKEND_TLS_VERIFY &&
		    backend->backend_tls_pin.len > 0
		? " and pinned"
		: "");
	if (backend->certificate == CONFIG_NONE) {
		fprintf(file, "none\n");
		return;
	}
	fprintf(file, "%s\n", config_text(config, backend->backend_tls_cert));
	print_certificate(config,
	    config_certificate_at(config, backend->certificate), "", file);
}

void
policy_print(const struct config *config, FILE *file)
{
	for (uint32_t i = 0; i < config->listens.n; i++) {
		const struct config_listen *listen =
		    config_listen_at(config, i);
		const struct config_tls *tls =
		    config_tls_at(config, listen->tls);
		const uint32_t *indexes =
		    config_items(config, listen->certificates);

		fprintf(file, "[listen %s] with [tls %s]: %s",
		    config_text(config, listen->name),
		    config_text(config, tls->name),
		    version_name(tls->min_version));
		if (tls->min_version != tls->max_version)
			fprintf(file, " to %s", version_name(tls->max_version));
		fprintf(file, "\n");
		print_suites(config, tls, file);
		print_refused(tls, file);
		print_tickets(tls, file);
		print_clients(config, tls, file);
		print_observed(config, tls, file);
		for (uint32_t n = 0; n < listen->certificates.n; n++)
			print_certificate(config,
			    config_certificate_at(config, indexes[n]),
			    n == 0 ? " (the default)" : "", file);
	}
	for (uint32_t i = 0; i < config->backends.n; i++)
		print_backend(config, config_backend_at(config, i), file);
}
