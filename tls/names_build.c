/* SPDX-License-Identifier: ISC */
/* What a listener can serve: the indexes of its usable certificates, and the
 * table of names.c. Called by certificate.c in the master. */
#include "tls/names.h"

#include <stdlib.h>
#include <string.h>

#include "config/load.h"
#include "proxy/base/ensure.h"

static const struct config_certificate *
listed(const struct config *config, const struct config_listen *listen,
    uint32_t i, uint32_t *out_index)
{
	const uint32_t *indexes = config_items(config, listen->certificates);

	*out_index = indexes[i];
	return config_certificate_at(config, indexes[i]);
}

static uint32_t
table_size(const struct config *config, const struct config_listen *listen)
{
	uint64_t n_names = 1; /* the default */
	uint32_t size = 2;
	uint32_t index;

	for (uint32_t i = 0; i < listen->certificates.n; i++)
		n_names += listed(config, listen, i, &index)->names.n;
	while (size < n_names * 2)
		size *= 2;
	return size;
}

/* ECDSA stands before RSA, otherwise the order of the configuration. */
static void
slot_add(const struct config *config, struct sni_slot *slot, uint32_t index)
{
	const struct config_certificate *new =
	    config_certificate_at(config, index);
	uint32_t at = slot->n_certificates;

	for (uint32_t i = 0; i < slot->n_certificates; i++) {
		if (slot->certificates[i] == index)
			return;
	}
	if (at == SNI_CERTIFICATES_MAX)
		return;
	while (at > 0 && new->key_type == KEY_ECDSA &&
	       config_certificate_at(config, slot->certificates[at - 1])
		       ->key_type != KEY_ECDSA) {
		slot->certificates[at] = slot->certificates[at - 1];
		at--;
	}
	slot->certificates[at] = index;
	slot->n_certificates++;
}

static void
add_names(const struct config *config, const struct config_listen *listen,
    struct sni_slot *slots, uint32_t at)
{
	uint32_t index;
	const struct config_certificate *certificate =
	    listed(config, listen, at, &index);
	const struct text *names = config_items(config, certificate->names);

	for (uint32_t i = 0; i < certificate->names.n; i++) {
		struct sni_slot *slot =
		    slots + sni_probe(config, slots, listen->sni.n,
				config_span(config, names[i]));

		slot->used = 1;
		slot->name = names[i];
		slot_add(config, slot, index);
	}
}

/* Who sends no name gets what the first name of the first certificate gets:
 * also its twin of another key type. */
static void
add_default(const struct config *config, const struct config_listen *listen,
    struct sni_slot *slots)
{
	uint32_t n = listen->sni.n;
	uint32_t index;
	const struct config_certificate *first =
	    listed(config, listen, 0, &index);
	const struct text *names = config_items(config, first->names);
	struct sni_slot *slot =
	    slots + sni_probe(config, slots, n, span_of("", 0));

	slot->used = 1;
	slot_add(config, slot, index);
	if (first->names.n > 0) {
		const struct sni_slot *twin =
		    slots +
		    sni_probe(config, slots, n, config_span(config, names[0]));

		for (uint32_t i = 0; i < twin->n_certificates; i++)
			slot_add(config, slot, twin->certificates[i]);
	}
}

void
sni_build(struct builder *builder, uint32_t listen)
{
	const struct config *config = builder_config(builder);
	struct config_listen *l = builder_listen_at(builder, listen);
	struct sni_slot *slots;
	struct items sni;

	l->sni = (struct items){0, 0};
	if (l->certificates.n == 0)
		return;
	sni.n = table_size(config, l);
	sni.off = builder_append(builder, NULL, sizeof(*slots) * sni.n, 8);
	config = builder_config(builder);
	l = builder_listen_at(builder, listen);
	l->sni = sni;
	slots = (struct sni_slot *)(void *)(builder->data + sni.off);
	for (uint32_t i = 0; i < l->certificates.n; i++)
		add_names(config, l, slots, i);
	add_default(config, l, slots);
}

static const struct config_certificate *
at(struct builder *builder, uint32_t i)
{
	return config_certificate_at(builder_config(builder), i);
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
index_names(struct builder *builder)
{
	const struct config *config = builder_config(builder);
	uint32_t n = config->certificates.n;
	struct named *named = calloc((size_t)n + 1, sizeof(*named));

	ENSURE(named != NULL);
	for (uint32_t i = 0; i < n; i++) {
		named[i].name =
		    config_text(builder_config(builder), at(builder, i)->name);
		named[i].index = i;
	}
	qsort(named, n, sizeof(*named), compare_named);
	return named;
}

static uint32_t
find_named(struct builder *builder, const struct named *named, struct text name)
{
	const struct config *config = builder_config(builder);
	struct named wanted = {config_text(config, name), 0};
	const struct named *found = bsearch(&wanted, named,
	    config->certificates.n, sizeof(*named), compare_named);

	return found != NULL ? found->index : CONFIG_NONE;
}

/* The usable ones of a listener; out has room for all of them. */
static uint32_t
collect(struct builder *builder, uint32_t listen, uint32_t *out)
{
	const struct config *config = builder_config(builder);
	const struct config_listen *l = builder_listen_at(builder, listen);
	const struct text *names = config_items(config, l->certificate_names);
	struct named *named;
	uint32_t n_out = 0;

	for (uint32_t i = 0;
	     l->certificate_names.n == 0 && i < config->certificates.n; i++) {
		if (at(builder, i)->usable && !at(builder, i)->is_for_backends)
			out[n_out++] = i;
	}
	if (l->certificate_names.n == 0)
		return n_out;
	named = index_names(builder);
	for (uint32_t i = 0; i < l->certificate_names.n; i++) {
		uint32_t index = find_named(builder, named, names[i]);

		if (index != CONFIG_NONE && at(builder, index)->usable)
			out[n_out++] = index;
	}
	free(named);
	return n_out;
}

bool
listen_fill(struct builder *builder, uint32_t listen, const char *path,
    struct problems *problems)
{
	const struct config *config = builder_config(builder);
	const struct config_listen *l = builder_listen_at(builder, listen);
	uint32_t n = l->certificate_names.n != 0 ? l->certificate_names.n
						 : config->certificates.n;
	uint32_t *indexes = calloc((size_t)n + 1, sizeof(*indexes));
	struct items items = {0, 0};

	ENSURE(indexes != NULL);
	items.n = collect(builder, listen, indexes);
	if (items.n != 0)
		items.off = builder_append(
		    builder, indexes, sizeof(*indexes) * items.n, 4);
	free(indexes);
	builder_listen_at(builder, listen)->certificates = items;
	sni_build(builder, listen);
	if (items.n != 0)
		return true;
	l = builder_listen_at(builder, listen);
	problems_error(problems,
	    "%s:%u: [listen %s]: no usable certificate is left", path, l->line,
	    config_text(builder_config(builder), l->name));
	return false;
}
