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
	size_t keys_cap;
	int64_t now;
};

static struct config_certificate *
at(const struct loader *loader, uint32_t i)
{
	const struct config *config = builder_config(loader->builder);

	return (struct config_certificate *)(void *)(loader->builder->data +
						     config->certificates.off) +
	       i;
}

static const char *
text_of(const struct loader *loader, struct text text)
{
	return config_text(builder_config(loader->builder), text);
}

static void
report(
    const struct loader *loader, uint32_t i, const char *file, const char *why)
{
	problems_error(loader->problems, "%s:%u: [certificate %s]: %s: %s",
	    loader->path, at(loader, i)->line,
	    text_of(loader, at(loader, i)->name), file, why);
}

static void
warn(const struct loader *loader, uint32_t i, const char *file, const char *why)
{
	problems_warn(loader->problems, "%s:%u: [certificate %s]: %s: %s",
	    loader->path, at(loader, i)->line,
	    text_of(loader, at(loader, i)->name), file, why);
}

static void
keys_reserve(struct loader *loader, size_t more)
{
	struct key_image *keys = loader->keys;
	size_t cap = loader->keys_cap == 0 ? 4096 : loader->keys_cap;
	uint8_t *data;

	while (cap - keys->len < more)
		cap *= 2;
	if (cap == loader->keys_cap)
		return;
	data = calloc(1, cap);
	ENSURE(data != NULL);
	if (keys->len != 0) {
		memcpy(data, keys->data, keys->len);
		explicit_bzero(keys->data, keys->len);
	}
	free(keys->data);
	keys->data = data;
	loader->keys_cap = cap;
}

static void
keys_append(struct loader *loader, struct span der)
{
	uint32_t len = (uint32_t)der.len;

	keys_reserve(loader, sizeof(len) + der.len);
	memcpy(loader->keys->data + loader->keys->len, &len, sizeof(len));
	loader->keys->len += sizeof(len);
	memcpy(loader->keys->data + loader->keys->len, der.data, der.len);
	loader->keys->len += der.len;
}

static bool
keys_next(struct span *image, struct span *out_der)
{
	uint32_t len;

	if (image->len < sizeof(len))
		return false;
	memcpy(&len, image->data, sizeof(len));
	span_advance(image, sizeof(len));
	if (len > image->len)
		return false;
	*out_der = span_of(image->data, len);
	span_advance(image, len);
	return true;
}

static void
append_key(struct loader *loader, const EVP_PKEY *key)
{
	CBB cbb;
	uint8_t *der;
	size_t len;

	/* Fails only without memory, which is fatal here. */
	ENSURE(CBB_init(&cbb, 2048) && EVP_marshal_private_key(&cbb, key) &&
	       CBB_finish(&cbb, &der, &len));
	keys_append(loader, span_of(der, len));
	OPENSSL_free(der); /* wipes */
}

/* Texts first, then the array of them, because both go to the image's end. */
struct list {
	struct text *texts;
	uint32_t n;
};

static void
list_add(struct loader *loader, struct list *list, struct span bytes)
{
	list->texts = reallocarray(
	    list->texts, (size_t)list->n + 1, sizeof(*list->texts));
	ENSURE(list->texts != NULL);
	list->texts[list->n++] = builder_text(loader->builder, bytes);
}

static struct items
list_finish(struct loader *loader, struct list *list)
{
	struct items items = {0, 0};

	if (list->n != 0) {
		items.off = builder_append(loader->builder, list->texts,
		    sizeof(*list->texts) * list->n, 4);
		items.n = list->n;
	}
	free(list->texts);
	return items;
}

static struct items
store_ders(struct loader *loader, const struct judged *judged)
{
	struct list list = {NULL, 0};

	for (size_t i = 0; i < judged->n_chain; i++) {
		uint8_t *der = NULL;
		int len = i2d_X509(judged->chain[i], &der);

		ENSURE(len > 0);
		list_add(loader, &list, span_of(der, (size_t)len));
		OPENSSL_free(der);
	}
	return list_finish(loader, &list);
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
	struct list list = {NULL, 0};
	uint32_t n_configured = at(loader, i)->names.n;
	char name[254];

	for (uint32_t n = 0; n < n_configured; n++) {
		judge_normalise(configured_name(loader, i, n), name);
		list_add(loader, &list, span_str(name));
	}
	for (size_t n = 0; n_configured == 0 && n < judged_n_names(judged);
	     n++) {
		if (judged_name(judged, n, name))
			list_add(loader, &list, span_str(name));
	}
	return list_finish(loader, &list);
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
	append_key(loader, judged->key);
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
	if (judged_is_self_signed(judged))
		warn(loader, i, chain,
		    "signed by itself: clients will not trust it");
	if (certificate->names.n == 0)
		warn(loader, i, chain,
		    "has no DNS name: only clients without a server name or "
		    "of a lax listener get it");
	if ((key_mode & 077) != 0)
		warn(loader, i, text_of(loader, certificate->key),
		    "others than its owner may use it: chmod 600");
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
	    check_names(loader, i, judged, fault))
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
	struct judged judged = {.n_chain = 0};
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
	struct span image;

	if (running == NULL || loader->running_keys == NULL)
		return NULL;
	image = span_of(loader->running_keys->data, loader->running_keys->len);
	for (uint32_t n = 0; n < running->certificates.n; n++) {
		const struct config_certificate *old =
		    config_certificate_at(running, n);

		if (!old->usable)
			continue;
		if (!keys_next(&image, out_key))
			return NULL;
		if (strcmp(config_text(running, old->name), name) == 0)
			return old;
	}
	return NULL;
}

static struct items
copy_texts(struct loader *loader, struct items items)
{
	const struct text *texts = config_items(loader->running, items);
	struct list list = {NULL, 0};

	for (uint32_t n = 0; n < items.n; n++)
		list_add(loader, &list, config_span(loader->running, texts[n]));
	return list_finish(loader, &list);
}

static bool
keep_running(struct loader *loader, uint32_t i)
{
	struct span key;
	const struct config_certificate *old = find_running(loader, i, &key);
	struct config_certificate *to;
	struct items ders, names;
	struct text ocsp;

	if (old == NULL)
		return false;
	ders = copy_texts(loader, old->ders);
	names = copy_texts(loader, old->names);
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
	to->usable = true;
	keys_append(loader, key);
	return true;
}

static void
load_one(struct loader *loader, uint32_t i)
{
	struct fault fault = {.about_key = false};
	const char *file;
	bool kept;

	at(loader, i)->usable = false;
	file = load_files(loader, i, &fault);
	if (file == NULL)
		return;
	/* The path moves with the image when the old one is copied. */
	report(loader, i, file, fault.why);
	kept = keep_running(loader, i);
	if (kept)
		warn(loader, i, text_of(loader, at(loader, i)->chain),
		    "the certificate loaded before serves on");
}

/* An index of the sections by name, for listeners that name hundreds. */
struct named {
	const char *name; /* in the image: valid while nothing is appended */
	uint32_t index;
};

static int
compare_named(const void *a, const void *b)
{
	const struct named *left = a;
	const struct named *right = b;

	return strcmp(left->name, right->name);
}

static struct named *
index_names(const struct loader *loader)
{
	const struct config *config = builder_config(loader->builder);
	uint32_t n = config->certificates.n;
	struct named *named = calloc((size_t)n + 1, sizeof(*named));

	ENSURE(named != NULL);
	for (uint32_t i = 0; i < n; i++) {
		named[i].name = text_of(loader, at(loader, i)->name);
		named[i].index = i;
	}
	qsort(named, n, sizeof(*named), compare_named);
	return named;
}

static uint32_t
find_named(
    const struct loader *loader, const struct named *named, struct text name)
{
	const struct config *config = builder_config(loader->builder);
	struct named wanted = {config_text(config, name), 0};
	const struct named *found = bsearch(&wanted, named,
	    config->certificates.n, sizeof(*named), compare_named);

	return found != NULL ? found->index : CONFIG_NONE;
}

static struct config_listen *
listen_at(const struct loader *loader, uint32_t i)
{
	const struct config *config = builder_config(loader->builder);

	return (struct config_listen *)(void *)(loader->builder->data +
						config->listens.off) +
	       i;
}

/* The usable ones of a listener; out has room for all of them. */
static uint32_t
collect(const struct loader *loader, uint32_t listen, uint32_t *out)
{
	const struct config *config = builder_config(loader->builder);
	const struct config_listen *l = listen_at(loader, listen);
	const struct text *names = config_items(config, l->certificate_names);
	struct named *named;
	uint32_t n_out = 0;

	for (uint32_t i = 0;
	     l->certificate_names.n == 0 && i < config->certificates.n; i++) {
		if (at(loader, i)->usable)
			out[n_out++] = i;
	}
	if (l->certificate_names.n == 0)
		return n_out;
	named = index_names(loader);
	for (uint32_t i = 0; i < l->certificate_names.n; i++) {
		uint32_t index = find_named(loader, named, names[i]);

		if (index != CONFIG_NONE && at(loader, index)->usable)
			out[n_out++] = index;
	}
	free(named);
	return n_out;
}

static bool
fill_listen(struct loader *loader, uint32_t listen)
{
	const struct config *config = builder_config(loader->builder);
	const struct config_listen *l = listen_at(loader, listen);
	uint32_t n = l->certificate_names.n != 0 ? l->certificate_names.n
						 : config->certificates.n;
	uint32_t *indexes = calloc((size_t)n + 1, sizeof(*indexes));
	struct items items = {0, 0};

	ENSURE(indexes != NULL);
	items.n = collect(loader, listen, indexes);
	if (items.n != 0)
		items.off = builder_append(
		    loader->builder, indexes, sizeof(*indexes) * items.n, 4);
	free(indexes);
	listen_at(loader, listen)->certificates = items;
	sni_build(loader->builder, listen);
	if (items.n != 0)
		return true;
	l = listen_at(loader, listen);
	problems_error(loader->problems,
	    "%s:%u: [listen %s]: no usable certificate is left", loader->path,
	    l->line, text_of(loader, l->name));
	return false;
}

bool
certificates_load(struct builder *builder, const char *path,
    const struct config *running, const struct key_image *running_keys,
    struct problems *problems, struct key_image *out_keys)
{
	struct loader loader = {builder, path, running, running_keys, problems,
	    out_keys, 0, (int64_t)time(NULL)};
	const struct config *config = builder_config(builder);
	uint32_t n_certificates = config->certificates.n;
	uint32_t n_listens = config->listens.n;
	bool ok = true;

	*out_keys = (struct key_image){NULL, 0};
	for (uint32_t i = 0; i < n_certificates; i++)
		load_one(&loader, i);
	for (uint32_t i = 0; i < n_listens; i++)
		ok = fill_listen(&loader, i) && ok;
	ERR_clear_error();
	return ok;
}

void
key_image_free(struct key_image *keys)
{
	if (keys->len != 0)
		explicit_bzero(keys->data, keys->len);
	free(keys->data);
	*keys = (struct key_image){NULL, 0};
}
