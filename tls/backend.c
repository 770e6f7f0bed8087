/* SPDX-License-Identifier: ISC */
/*
 * See backend.h. The check of a chain that a backend sent: built by X.509 from
 * the section's own authorities (never the system's), for its name or address,
 * and against the pin. Without a pin there is no connection that was not
 * verified; with `backend_tls = pin` the key alone decides.
 * Called by the worker and the monitor.
 */
#include "tls/backend.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "tls/engine.h"
#include "tls/expected.h"
#include "tls/policy.h"
#include "tls/x509.h"

#define CHAIN_MAX 10

/* As many as logins that come at once make good use of. */
#define SESSIONS_MAX 4
/* There are servers that end a handshake at the sight of a ticket. */
#define UNFINISHED_MAX 3

struct tls_backend {
	struct tls_expected expected;	     /* its store is owned */
	SSL_SESSION *sessions[SESSIONS_MAX]; /* newest last */
	size_t n_sessions;
	uint32_t n_unfinished; /* handshakes that would resume, in a row */
};

/* ---- what is expected -------------------------------------------------- */

static bool
add_authority(X509_STORE *store, struct span der)
{
	const uint8_t *at = der.data;
	X509 *authority = d2i_X509(NULL, &at, (long)der.len);
	bool good =
	    authority != NULL && X509_STORE_add_cert(store, authority) == 1;

	X509_free(authority);
	return good;
}

static X509_STORE *
store_of(const struct config *config, const struct config_backend *section)
{
	const struct text *ders =
	    config_items(config, section->backend_tls_ca_ders);
	X509_STORE *store = X509_STORE_new();
	bool good = store != NULL && section->backend_tls_ca_ders.n > 0;

	for (uint32_t i = 0; good && i < section->backend_tls_ca_ders.n; i++)
		good = add_authority(store, config_span(config, ders[i]));
	if (good)
		return store;
	X509_STORE_free(store);
	return NULL;
}

static uint8_t
nibble(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return (uint8_t)(c - '0');
	return (uint8_t)((c | 0x20) - 'a' + 10);
}

static void
read_pin(struct tls_expected *expected, struct span hex)
{
	if (hex.len != 2 * SPKI_HASH_LEN)
		return;
	expected->has_pin = true;
	for (size_t i = 0; i < SPKI_HASH_LEN; i++)
		expected->pin[i] = (uint8_t)(nibble(hex.data[2 * i]) << 4 |
					     nibble(hex.data[2 * i + 1]));
}

/* The name that is configured, else where we connect to. */
static bool
read_name(struct tls_expected *expected, const struct config *config,
    const struct config_backend *section)
{
	struct text text = section->backend_tls_name.len > 0
			       ? section->backend_tls_name
			       : section->host;
	struct span name = config_span(config, text);

	if (name.len >= sizeof(expected->name))
		return false;
	if (addr_parse_ip(name, &expected->ip))
		return true;
	expected->ip.family = ADDR_NONE;
	memcpy(expected->name, name.data, name.len);
	return true;
}

/* Without one that is wanted there is no connection. */
static bool
read_certificate(struct tls_expected *expected, const struct config *config,
    const struct config_backend *section)
{
	if (section->certificate == CONFIG_NONE)
		return true;
	const struct config_certificate *certificate =
	    config_certificate_at(config, section->certificate);
	if (!certificate->usable)
		return false;
	expected->key_type = certificate->key_type;
	expected->key_bits = certificate->key_bits;
	memcpy(expected->spki, certificate->spki, SPKI_HASH_LEN);
	return sign_chain_init(&expected->chain, config, certificate);
}

struct tls_backend *
tls_backend_new(
    const struct config *config, const struct config_backend *section)
{
	struct tls_backend *backend = calloc(1, sizeof(*backend));
	if (backend == NULL)
		return NULL;
	struct tls_expected *expected = &backend->expected;
	bool by_pin = section->backend_tls == BACKEND_TLS_PIN;

	read_pin(expected, config_span(config, section->backend_tls_pin));
	bool good = read_name(expected, config, section) &&
		    read_certificate(expected, config, section);
	if (!by_pin)
		expected->store = store_of(config, section);
	good = good && (by_pin ? expected->has_pin : expected->store != NULL);
	ERR_clear_error();
	if (good)
		return backend;
	tls_backend_free(backend);
	return NULL;
}

static void
release(struct tls_expected *expected)
{
	X509_STORE_free(expected->store);
	sign_chain_fini(&expected->chain);
	SSL_SESSION_free(expected->session);
}

void
tls_backend_free(struct tls_backend *backend)
{
	if (backend == NULL)
		return;
	while (backend->n_sessions > 0)
		SSL_SESSION_free(backend->sessions[--backend->n_sessions]);
	release(&backend->expected);
	free(backend);
}

/* ---- the check --------------------------------------------------------- */

static bool
is_pinned(const struct tls_expected *expected, X509 *leaf)
{
	uint8_t hash[SPKI_HASH_LEN];

	return x509_hash_spki(leaf, hash) &&
	       memcmp(hash, expected->pin, sizeof(hash)) == 0;
}

static bool
set_name(X509_VERIFY_PARAM *param, const struct tls_expected *expected)
{
	size_t ip_len = expected->ip.family == ADDR_IPV4 ? 4 : 16;

	if (expected->ip.family != ADDR_NONE)
		return X509_VERIFY_PARAM_set1_ip(
			   param, expected->ip.ip, ip_len) == 1;
	X509_VERIFY_PARAM_set_hostflags(
	    param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return expected->name[0] != '\0' &&
	       X509_VERIFY_PARAM_set1_host(
		   param, expected->name, strlen(expected->name)) == 1;
}

static const char *
verify(const struct tls_expected *expected, X509 *leaf, STACK_OF(X509) * others)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	const char *why = "out of memory";

	if (ctx != NULL &&
	    X509_STORE_CTX_init(ctx, expected->store, leaf, others) == 1 &&
	    X509_STORE_CTX_set_default(ctx, "ssl_server") == 1 &&
	    set_name(X509_STORE_CTX_get0_param(ctx), expected)) {
		int good = X509_verify_cert(ctx);
		int error = X509_STORE_CTX_get_error(ctx);
		why = NULL;
		if (good != 1 || error != X509_V_OK)
			why = X509_verify_cert_error_string(error);
	}
	X509_STORE_CTX_free(ctx);
	return why;
}

static const char *
check_chain(
    const struct tls_expected *expected, X509 *leaf, STACK_OF(X509) * others)
{
	if (expected->has_pin && !is_pinned(expected, leaf))
		return "its key is not the pinned one";
	if (expected->store == NULL)
		return expected->has_pin ? NULL : "nothing to verify it by";
	return verify(expected, leaf, others);
}

static const char *
check_peer(const struct tls_expected *expected, const SSL *ssl)
{
	const STACK_OF(CRYPTO_BUFFER) *sent = SSL_get0_peer_certificates(ssl);
	size_t n = sent != NULL ? sk_CRYPTO_BUFFER_num(sent) : 0;
	STACK_OF(X509) *chain = NULL;
	const char *why;

	if (n == 0 || n > CHAIN_MAX)
		return "no certificate, or too many";
	chain = x509_parse_chain(sent);
	if (chain == NULL)
		return "a certificate that cannot be read";
	why = check_chain(expected, sk_X509_value(chain, 0), chain);
	sk_X509_pop_free(chain, X509_free);
	return why;
}

static enum ssl_verify_result_t
on_verify(SSL *ssl, uint8_t *out_alert)
{
	struct tls_engine *engine = engine_of(ssl);
	struct tls_stream *stream = engine->current;
	const char *why = check_peer(stream->expected, ssl);

	ERR_clear_error();
	if (why == NULL)
		return ssl_verify_ok;
	stream->expected->why = why;
	stream->failure = TLS_FAIL_BACKEND_CERTIFICATE;
	*out_alert = SSL_AD_BAD_CERTIFICATE;
	return ssl_verify_invalid;
}

/* ---- resumption -------------------------------------------------------- */

/* NULL: of another snapshot. */
static struct tls_backend *
backend_of(const struct tls_stream *stream)
{
	const struct tls_backends *backends = stream->engine->backends;

	return stream->epoch == backends->epoch &&
		       stream->listen < backends->n_sections
		   ? backends->sections[stream->listen]
		   : NULL;
}

/* 1: it is ours now. It may come long after the handshake. */
static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_engine *engine = engine_of(ssl);
	struct tls_backend *backend = backend_of(engine->current);

	if (backend == NULL || backend->expected.chain.n > 0 ||
	    backend->n_unfinished >= UNFINISHED_MAX)
		return 0;
	if (backend->n_sessions == SESSIONS_MAX) {
		SSL_SESSION_free(backend->sessions[0]);
		backend->n_sessions--;
		memmove(backend->sessions, backend->sessions + 1,
		    backend->n_sessions * sizeof(backend->sessions[0]));
	}
	backend->sessions[backend->n_sessions++] = session;
	return 1;
}

/* One of TLS 1.3 is good once (RFC 8446 appendix C.4). */
static SSL_SESSION *
take_session(struct tls_backend *backend)
{
	if (backend->n_sessions == 0 || backend->n_unfinished >= UNFINISHED_MAX)
		return NULL;
	SSL_SESSION *newest = backend->sessions[backend->n_sessions - 1];
	if (SSL_SESSION_should_be_single_use(newest) == 1)
		backend->n_sessions--;
	else
		SSL_SESSION_up_ref(newest);
	return newest;
}

/* ---- engine and stream ------------------------------------------------- */

struct tls_engine *
tls_backend_engine_new(struct tls_backends *backends)
{
	struct tls_engine *engine = engine_new();

	if (engine == NULL)
		return NULL;
	engine->submit = backends->submit;
	engine->arg = backends->arg;
	engine->backends = backends;
	SSL_CTX_set_custom_verify(engine->ctx, SSL_VERIFY_PEER, on_verify);
	SSL_CTX_set_reverify_on_resume(engine->ctx, 1);
	SSL_CTX_set_session_cache_mode(
	    engine->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(engine->ctx, on_session);
	return engine;
}

static bool
show(const struct tls_expected *expected, SSL *ssl)
{
	static const struct config nothing;
	static const struct config_tls defaults;
	uint16_t sigalgs[POLICY_SIGALGS_MAX];
	size_t n = policy_sigalgs(&nothing, &defaults, expected->key_type,
	    expected->key_bits, sigalgs);

	return sign_by_keeper(ssl, &expected->chain) &&
	       SSL_set_signing_algorithm_prefs(ssl, sigalgs, n) == 1;
}

bool
expected_open(const struct tls_expected *expected, SSL *ssl)
{
	SSL_set_connect_state(ssl);
	if (expected->chain.n > 0 && !show(expected, ssl))
		return false;
	if (expected->session != NULL &&
	    SSL_set_session(ssl, expected->session) != 1)
		return false;
	return expected->name[0] == '\0' ||
	       SSL_set_tlsext_host_name(ssl, expected->name) == 1;
}

void
expected_end(struct tls_stream *stream, bool finished)
{
	struct tls_expected *expected = stream->expected;

	if (expected == NULL)
		return;
	struct tls_backend *backend = backend_of(stream);
	if (backend != NULL && expected->session != NULL)
		backend->n_unfinished =
		    finished ? 0 : backend->n_unfinished + 1;
	stream->expected = NULL;
	release(expected);
	free(expected);
}

struct tls_stream *
tls_backend_connect(
    struct tls_backends *backends, uint32_t section, uint64_t stream_id)
{
	struct tls_backend *backend = backends->sections[section];
	struct tls_stream *stream =
	    tls_stream_new(backends->engine, section, stream_id);
	struct tls_expected *expected = malloc(sizeof(*expected));

	if (stream == NULL || expected == NULL) {
		tls_stream_free(stream);
		free(expected);
		return NULL;
	}
	*expected = backend->expected;
	sign_chain_copy(&expected->chain, &backend->expected.chain);
	if (expected->store != NULL)
		X509_STORE_up_ref(expected->store);
	expected->session = take_session(backend);
	stream->expected = expected;
	stream->epoch = backends->epoch;
	return stream;
}
