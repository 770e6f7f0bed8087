/* SPDX-License-Identifier: ISC */
/*
 * Reads certificate files into an image: public parts into the builder, keys
 * into a key image of their own. Called by the master, at the start and at
 * every reload. A fault concerns one section: what served before serves on.
 *
 * Invariant: key number k of a key image belongs to the k-th usable
 * certificate of the configuration that was made with it.
 */
#include "tls/certificate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/sha.h>

#include "proxy/base/ensure.h"
#include "tls/file.h"
#include "tls/issuer.h"
#include "tls/judge.h"
#include "tls/names.h"

#define FILE_LEN_MAX (1024 * 1024)
#define OCSP_LEN_MAX 65535
#define DAY	     86400

struct loader {
	struct builder *builder;
	const char *path;
	const struct config *running;
	const struct key_image *running_keys;
	struct problems *problems;
	struct key_image *keys;
	int64_t now;
	struct issuers *issuers; /* NULL: unknown */
};

static struct config_certificate *
at(const struct loader *loader, uint32_t i)
{
	return builder_certificate_at(loader->builder, i);
}

static const char *
text_of(const struct loader *loader, struct text text)
{
	return config_text(builder_config(loader->builder), text);
}

/* The name of one for a backend says it. */
static const char *
section_kind(const struct loader *loader, uint32_t i)
{
	return at(loader, i)->is_for_backends ? "" : "certificate ";
}

static void
report(const struct loader *loader, uint32_t i, const char *file,
    const char *why, const char *outcome)
{
	problems_error(loader->problems, "%s:%u: [%s%s]: %s: %s%s",
	    loader->path, at(loader, i)->line, section_kind(loader, i),
	    text_of(loader, at(loader, i)->name), file, why, outcome);
}

static void
warn(const struct loader *loader, uint32_t i, const char *file, const char *why)
{
	problems_warn(loader->problems, "%s:%u: [%s%s]: %s: %s", loader->path,
	    at(loader, i)->line, section_kind(loader, i),
	    text_of(loader, at(loader, i)->name), file, why);
}

static void
append_key(struct loader *loader, uint32_t i, const EVP_PKEY *key)
{
	CBB cbb;
	uint8_t *der;
	size_t len;

	/* Fails only without memory, which is fatal here. */
	ENSURE(CBB_init(&cbb, 2048) && EVP_marshal_private_key(&cbb, key) &&
	       CBB_finish(&cbb, &der, &len));
	key_image_add(
	    loader->keys, span_of(der, len), at(loader, i)->is_for_backends);
	OPENSSL_free(der); /* wipes */
}

static struct items
store_ders(struct loader *loader, const struct judged *judged)
{
	struct text_list list = {0};

	for (size_t i = 0; i < judged->n_chain; i++) {
		uint8_t *der = NULL;
		int len = i2d_X509(judged->chain[i], &der);

		ENSURE(len > 0);
		text_list_add(
		    loader->builder, &list, span_of(der, (size_t)len));
		OPENSSL_free(der);
	}
	return text_list_end(loader->builder, &list);
}

static bool
is_covered(const struct judged *judged, const char *name)
{
	char pattern[254];

	for (size_t i = 0; i < judged_n_names(judged); i++) {
		if (judged_name(judged, i, pattern) &&
		    judge_matches(pattern, name))
			return true;
	}
	return false;
}

static struct span
configured_name(const struct loader *loader, uint32_t i, uint32_t n)
{
	const struct config *config = builder_config(loader->builder);
	const struct text *names = config_items(config, at(loader, i)->names);

	return config_span(config, names[n]);
}

static bool
check_names(const struct loader *loader, uint32_t i,
    const struct judged *judged, struct fault *fault)
{
	char name[254];

	for (uint32_t n = 0; n < at(loader, i)->names.n; n++) {
		struct span given = configured_name(loader, i, n);

		if (judge_normalise(given, name) && is_covered(judged, name))
			continue;
		fault_set(fault, "does not cover the configured name \"%.*s\"",
		    (int)given.len, (const char *)given.data);
		return false;
	}
	return true;
}

static struct items
store_names(struct loader *loader, uint32_t i, const struct judged *judged)
{
	struct text_list list = {0};
	uint32_t n_configured = at(loader, i)->names.n;
	char name[254];

	for (uint32_t n = 0; n < n_configured; n++) {
		judge_normalise(configured_name(loader, i, n), name);
		text_list_add(loader->builder, &list, span_str(name));
	}
	for (size_t n = 0; n_configured == 0 && n < judged_n_names(judged);
	     n++) {
		if (judged_name(judged, n, name))
			text_list_add(loader->builder, &list, span_str(name));
	}
	return text_list_end(loader->builder, &list);
}

/* OCSPResponse ::= SEQUENCE { responseStatus ENUMERATED { successful(0) } ...
 * (RFC 6960 section 4.2.1): enough to keep an error answer or HTML out. */
static bool
is_ocsp_response(struct span der)
{
	CBS in, response, status;
	uint8_t code;

	CBS_init(&in, der.data, der.len);
	return CBS_get_asn1(&in, &response, CBS_ASN1_SEQUENCE) &&
	       CBS_len(&in) == 0 &&
	       CBS_get_asn1(&response, &status, CBS_ASN1_ENUMERATED) &&
	       CBS_get_u8(&status, &code) && code == 0;
}

static struct text
load_ocsp(struct loader *loader, uint32_t i)
{
	struct text text = {0, 0};
	struct secret file = {NULL, 0};
	const char *path = text_of(loader, at(loader, i)->ocsp);
	const char *why;
	mode_t mode;

	if (at(loader, i)->ocsp.len == 0)
		return text;
	why = file_read(path, OCSP_LEN_MAX, &file, &mode);
	if (why == NULL && !is_ocsp_response(span_secret(&file)))
		why = "not a successful OCSP response in DER";
	if (why != NULL)
		warn(loader, i, path, why);
	else
		text = builder_text(loader->builder, span_secret(&file));
	secret_wipe(&file);
	return text;
}

static void
store(struct loader *loader, uint32_t i, const struct judged *judged)
{
	struct items ders = store_ders(loader, judged);
	struct items names = store_names(loader, i, judged);
	struct text ocsp = load_ocsp(loader, i);
	struct config_certificate *to = at(loader, i);

	to->ders = ders;
	to->names = names;
	to->ocsp_der = ocsp;
	to->key_type = judged->key_type;
	to->key_bits = judged->key_bits;
	memcpy(to->spki, judged->spki, SPKI_HASH_LEN);
	to->not_before = judged->not_before;
	to->not_after = judged->not_after;
	to->usable = true;
	append_key(loader, i, judged->key);
}

/* Of the running configuration, when it serves. */
static const struct config_certificate *
find_section(const struct loader *loader, uint32_t i)
{
	const struct config_certificate *old = NULL;

	if (loader->running != NULL)
		old = certificate_find(
		    loader->running, text_of(loader, at(loader, i)->name), i);
	return old != NULL && old->usable ? old : NULL;
}

/* Carries on what is told about the section of this name. */
static void
note_renewal(struct loader *loader, uint32_t i)
{
	const struct config *config = builder_config(loader->builder);
	const struct config_certificate *old = find_section(loader, i);
	struct config_certificate *to = at(loader, i);

	to->loaded = loader->now;
	if (old == NULL)
		return;
	to->renewals = old->renewals;
	if (certificate_is_same(loader->running, old, config, to))
		to->loaded = old->loaded;
	else
		to->renewals++;
}

/* Whether strangers can make something of it. */
static void
warn_about_trust(
    const struct loader *loader, uint32_t i, const struct judged *judged)
{
	const char *chain = text_of(loader, at(loader, i)->chain);

	if (judged_is_self_signed(judged))
		warn(loader, i, chain,
		    "signed by itself: clients will not trust it");
	else if (loader->issuers != NULL &&
		 !issuers_know(
		     loader->issuers, judged->chain[judged->n_chain - 1]))
		warn(loader, i, chain,
		    "its issuer is unknown here: an intermediate is missing, "
		    "or clients need an authority of your own");
	if (at(loader, i)->names.n == 0)
		warn(loader, i, chain,
		    "has no DNS name: only clients without a server name or "
		    "of a lax listener get it");
}

static void
warn_about(const struct loader *loader, uint32_t i, const struct judged *judged,
    mode_t key_mode)
{
	const struct config_certificate *certificate = at(loader, i);
	const char *chain = text_of(loader, certificate->chain);
	int64_t left = judged->not_after - loader->now;
	char why[80];

	if (left < 0) {
		warn(loader, i, chain, "HAS EXPIRED, and is served");
	} else if (left < (int64_t)certificate->warn_days * DAY) {
		snprintf(why, sizeof(why), "expires in %lld days",
		    (long long)(left / DAY));
		warn(loader, i, chain, why);
	}
	if (!certificate->is_for_backends)
		warn_about_trust(loader, i, judged);
	if ((key_mode & 077) != 0)
		warn(loader, i, text_of(loader, certificate->key),
		    "others than its owner may use it: chmod 600");
}

/* It was issued like the old one, but what stood behind that is not there. */
static bool
lacks_intermediate(const struct loader *loader,
    const struct config_certificate *old, const struct judged *judged)
{
	const struct text *ders = config_items(loader->running, old->ders);
	struct span der = config_span(loader->running, ders[0]);
	const uint8_t *bytes = der.data;
	X509 *leaf;
	bool lacks;

	if (judged->n_chain != 1 || old->ders.n < 2)
		return false;
	leaf = d2i_X509(NULL, &bytes, (long)der.len);
	lacks =
	    leaf != NULL && X509_NAME_cmp(X509_get_issuer_name(leaf),
				X509_get_issuer_name(judged->chain[0])) == 0;
	X509_free(leaf);
	return lacks;
}

/* A renewal must not be worse than what it takes the place of. */
static bool
check_renewal(const struct loader *loader, uint32_t i,
    const struct judged *judged, struct fault *fault)
{
	const struct config_certificate *old = find_section(loader, i);

	if (old == NULL)
		return true;
	if (judged->not_after < loader->now && old->not_after >= loader->now) {
		fault_set(fault, "has expired");
		return false;
	}
	if (!lacks_intermediate(loader, old, judged))
		return true;
	fault_set(fault, "the intermediate certificate is missing");
	return false;
}

static const char *
judge(struct loader *loader, uint32_t i, struct span chain, struct span key,
    struct judged *judged, struct fault *fault)
{
	const struct config_certificate *certificate = at(loader, i);
	struct span pin =
	    config_span(builder_config(loader->builder), certificate->pin);

	if (judged_read_chain(judged, chain, fault) &&
	    judged_read_key(judged, key, fault) &&
	    judged_check(judged, loader->now, pin, fault) &&
	    check_names(loader, i, judged, fault) &&
	    check_renewal(loader, i, judged, fault))
		return NULL;
	return text_of(
	    loader, fault->about_key ? certificate->key : certificate->chain);
}

/* Returns NULL, or the file at fault with the reason in fault. */
static const char *
load_files(struct loader *loader, uint32_t i, struct fault *fault)
{
	const char *chain_path = text_of(loader, at(loader, i)->chain);
	const char *key_path = text_of(loader, at(loader, i)->key);
	struct secret chain = {NULL, 0};
	struct secret key = {NULL, 0};
	struct judged judged = {
	    .is_for_backends = at(loader, i)->is_for_backends};
	const char *file = chain_path;
	mode_t mode = 0;
	/* The chain's file may hold the key as well. */
	const char *why = file_read(chain_path, FILE_LEN_MAX, &chain, &mode);

	if (why == NULL) {
		file = key_path;
		why = file_read(key_path, FILE_LEN_MAX, &key, &mode);
	}
	if (why != NULL)
		fault_set(fault, "%s", why);
	else
		file = judge(loader, i, span_secret(&chain), span_secret(&key),
		    &judged, fault);
	if (file == NULL) {
		store(loader, i, &judged);
		note_renewal(loader, i);
		warn_about(loader, i, &judged, mode);
	}
	judged_fini(&judged);
	secret_wipe(&chain);
	secret_wipe(&key);
	return file;
}

/* The running certificate of the same section with its key. */
static const struct config_certificate *
find_running(const struct loader *loader, uint32_t i, struct span *out_key)
{
	const struct config *running = loader->running;
	const char *name = text_of(loader, at(loader, i)->name);
	struct span rest;

	if (running == NULL || loader->running_keys == NULL)
		return NULL;
	rest = span_of(loader->running_keys->data, loader->running_keys->len);
	for (uint32_t n = 0; n < running->certificates.n; n++) {
		const struct config_certificate *old =
		    config_certificate_at(running, n);

		if (!old->usable)
			continue;
		if (!key_image_next(&rest, out_key))
			return NULL;
		if (strcmp(config_text(running, old->name), name) == 0)
			return old;
	}
	return NULL;
}

static void
keep_running(struct loader *loader, uint32_t i)
{
	struct span key;
	const struct config_certificate *old = find_running(loader, i, &key);
	struct config_certificate *to;
	struct items ders, names;
	struct text ocsp;

	if (old == NULL)
		return;
	ders = builder_copy_texts(loader->builder, loader->running, old->ders);
	names =
	    builder_copy_texts(loader->builder, loader->running, old->names);
	ocsp = builder_text(
	    loader->builder, config_span(loader->running, old->ocsp_der));
	to = at(loader, i);
	to->ders = ders;
	to->names = names;
	to->ocsp_der = ocsp;
	to->key_type = old->key_type;
	to->key_bits = old->key_bits;
	memcpy(to->spki, old->spki, SPKI_HASH_LEN);
	to->not_before = old->not_before;
	to->not_after = old->not_after;
	to->loaded = old->loaded;
	to->renewals = old->renewals;
	to->usable = to->is_kept = true;
	key_image_add(loader->keys, key, to->is_for_backends);
}

static void
load_one(struct loader *loader, uint32_t i)
{
	struct fault fault = {.about_key = false};
	const char *file;
	bool is_kept;

	at(loader, i)->usable = at(loader, i)->is_kept = false;
	file = load_files(loader, i, &fault);
	if (file == NULL)
		return;
	/* Before the old one is copied: paths move with the image. */
	is_kept =
	    find_section(loader, i) != NULL && loader->running_keys != NULL;
	report(loader, i, file, fault.why,
	    is_kept ? "; the certificate loaded before serves on" : "");
	keep_running(loader, i);
}

bool
certificates_load(struct builder *builder, const char *path,
    const struct config *running, const struct key_image *running_keys,
    struct problems *problems, struct key_image *out_keys)
{
	struct loader loader = {builder, path, running, running_keys, problems,
	    out_keys, (int64_t)time(NULL), issuers_load()};
	const struct config *config = builder_config(builder);
	uint32_t n_certificates = config->certificates.n;
	uint32_t n_listens = config->listens.n;
	bool ok = true;

	*out_keys = (struct key_image){0};
	for (uint32_t i = 0; i < n_certificates; i++)
		load_one(&loader, i);
	for (uint32_t i = 0; i < n_listens; i++)
		ok = listen_fill(builder, i, path, problems) && ok;
	issuers_free(loader.issuers);
	ERR_clear_error();
	return ok;
}
