/* SPDX-License-Identifier: ISC */
/* See ticket_secret.h. Called by the master's compile.c and pulse.c. */
#include "tls/ticket_secret.h"

#include <string.h>

#include <openssl/bytestring.h>
#include <openssl/digest.h>
#include <openssl/hkdf.h>

#include "proxy/base/ensure.h"
#include "tls/file.h"

#define SECRET_FILE_MAX 65536
/* Changes with the meaning of a key, so that gateways of different versions
 * just do full handshakes. */
#define LABEL "sallyport ticket 1"

static bool
extract(struct ticket_secret *secret, struct span file)
{
	size_t len;

	secret->is_given =
	    HKDF_extract(secret->prk, &len, EVP_sha256(), file.data, file.len,
		(const uint8_t *)LABEL, strlen(LABEL)) == 1;
	return secret->is_given;
}

static const struct ticket_secret *
find_running(const struct config *running,
    const struct ticket_secrets *running_secrets, const char *name)
{
	for (uint32_t i = 0; running != NULL && running_secrets != NULL &&
			     i < running->tls.n && i < TICKET_RINGS;
	     i++) {
		if (running_secrets->of[i].is_given &&
		    strcmp(
			config_text(running, config_tls_at(running, i)->name),
			name) == 0)
			return &running_secrets->of[i];
	}
	return NULL;
}

/* NULL, or why not. */
static const char *
load(struct ticket_secret *out, const char *path, mode_t *out_mode)
{
	struct secret file = {NULL, 0};
	const char *why = file_read(path, SECRET_FILE_MAX, &file, out_mode);

	if (why == NULL && file.len < TICKET_SECRET_MIN)
		why = "is too short: head -c 48 /dev/urandom makes a good one";
	if (why == NULL && !extract(out, span_secret(&file)))
		why = "out of memory";
	secret_wipe(&file);
	return why;
}

bool
ticket_secrets_load(struct ticket_secrets *out, const struct config *config,
    const char *path, const struct config *running,
    const struct ticket_secrets *running_secrets, struct problems *faults)
{
	bool ok = true;

	memset(out, 0, sizeof(*out));
	for (uint32_t i = 0; i < config->tls.n && i < TICKET_RINGS; i++) {
		const struct config_tls *tls = config_tls_at(config, i);
		const char *name = config_text(config, tls->name);
		const char *file = config_text(config, tls->ticket_secret);
		const struct ticket_secret *old =
		    find_running(running, running_secrets, name);
		mode_t mode = 0;
		const char *why;

		if (file[0] == '\0')
			continue;
		why = load(&out->of[i], file, &mode);
		if (why == NULL && (mode & 077) != 0)
			problems_warn(faults,
			    "%s:%u: [tls %s]: ticket_secret = %s: others than "
			    "its owner may use it: chmod 600",
			    path, tls->line, name, file);
		if (why == NULL)
			continue;
		problems_error(faults,
		    "%s:%u: [tls %s]: ticket_secret = %s: %s", path, tls->line,
		    name, file, why);
		if (old != NULL)
			out->of[i] = *old;
		else
			ok = false;
	}
	return ok;
}

void
ticket_secrets_wipe(struct ticket_secrets *secrets)
{
	explicit_bzero(secrets, sizeof(*secrets));
}

uint64_t
ticket_slice(uint64_t realtime_ms, uint64_t rotation_ms)
{
	return realtime_ms / rotation_ms;
}

/* label || policy with its length || rotation || slice || role, big-endian. */
static void
expand(const struct ticket_secret *secret, struct span policy,
    uint64_t rotation_ms, uint64_t slice, const char *role, uint8_t *out,
    size_t out_len)
{
	uint8_t info[256];
	size_t len;
	CBB cbb, child;

	CBB_init_fixed(&cbb, info, sizeof(info));
	ENSURE(CBB_add_bytes(&cbb, (const uint8_t *)LABEL, strlen(LABEL)) &&
	       CBB_add_u8_length_prefixed(&cbb, &child) &&
	       CBB_add_bytes(&child, policy.data, policy.len) &&
	       CBB_add_u64(&cbb, rotation_ms) && CBB_add_u64(&cbb, slice) &&
	       CBB_add_bytes(&cbb, (const uint8_t *)role, strlen(role)) &&
	       CBB_finish(&cbb, NULL, &len));
	ENSURE(HKDF_expand(out, out_len, EVP_sha256(), secret->prk,
		   TICKET_PRK_LEN, info, len) == 1);
}

void
ticket_ring_derive(struct ticket_ring *ring, const struct ticket_secret *secret,
    struct span policy, uint64_t rotation_ms, uint64_t slice)
{
	struct ticket_key keys[3];

	for (uint64_t i = 0; i < 3; i++) {
		uint64_t at = slice + i - 1;

		expand(secret, policy, rotation_ms, at, "name", keys[i].name,
		    sizeof(keys[i].name));
		expand(secret, policy, rotation_ms, at, "aes", keys[i].aes,
		    sizeof(keys[i].aes));
		expand(secret, policy, rotation_ms, at, "hmac", keys[i].hmac,
		    sizeof(keys[i].hmac));
	}
	ticket_ring_set(ring, keys);
	explicit_bzero(keys, sizeof(keys));
}
