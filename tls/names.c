/* SPDX-License-Identifier: ISC */
/*
 * The table of server names: open addressing with linear probing, at most half
 * full, so a lookup ends at an empty slot soon. Slots lie in the image and
 * refer to names there; the master builds, workers only read.
 */
#include "tls/names.h"

#include <string.h>

#define NAME_LEN_MAX 253 /* RFC 1035 section 2.3.4, without the root's dot */

static bool
is_name_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	       c == '_';
}

static bool
is_digits(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
	}
	return true;
}

/* No empty label, only good characters, and no IPv4 literal: the last label
 * of a name is never a number (RFC 3696 section 2). */
static bool
is_name(struct span name)
{
	size_t label = 0;

	for (size_t i = 0; i < name.len; i++) {
		if (name.data[i] != '.') {
			if (!is_name_char(name.data[i]))
				return false;
			continue;
		}
		if (i == label)
			return false;
		label = i + 1;
	}
	if (label == name.len)
		return false;
	return !is_digits(span_of(name.data + label, name.len - label));
}

bool
sni_normalise(struct span name, char out[254])
{
	if (name.len == 0 || name.len > NAME_LEN_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = (char)name.data[i];

		out[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	out[name.len] = '\0';
	return is_name(span_of(out, name.len));
}

/* FNV-1a. Only the operator's names are in the table, so nobody can fill it
 * with collisions. */
static uint64_t
hash_name(struct span name)
{
	uint64_t hash = 14695981039346656037u;

	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ name.data[i]) * 1099511628211u;
	return hash ^ (hash >> 32);
}

/* The index of the name's slot, or of the empty slot where it would be. */
static uint32_t
probe(const struct config *config, const struct sni_slot *slots, uint32_t n,
    struct span name)
{
	uint32_t i = (uint32_t)hash_name(name) & (n - 1);

	while (slots[i].used != 0 &&
	       !span_equal(config_span(config, slots[i].name), name))
		i = (i + 1) & (n - 1);
	return i;
}

static const struct sni_slot *
lookup(const struct config *config, const struct config_listen *listen,
    struct span name)
{
	const struct sni_slot *slots = config_items(config, listen->sni);
	const struct sni_slot *slot;

	if (listen->sni.n == 0)
		return NULL;
	slot = slots + probe(config, slots, listen->sni.n, name);
	return slot->used != 0 ? slot : NULL;
}

const struct sni_slot *
sni_find(const struct config *config, const struct config_listen *listen,
    struct span name)
{
	char text[254];
	char *dot;
	const struct sni_slot *slot;

	if (!sni_normalise(name, text))
		return NULL;
	slot = lookup(config, listen, span_of(text, name.len));
	if (slot != NULL)
		return slot;
	dot = strchr(text, '.');
	if (dot == NULL || dot == text)
		return NULL;
	dot[-1] = '*';
	return lookup(config, listen, span_str(dot - 1));
}

const struct sni_slot *
sni_default(const struct config *config, const struct config_listen *listen)
{
	return lookup(config, listen, span_of("", 0));
}

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
		    slots + probe(config, slots, listen->sni.n,
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
	struct sni_slot *slot = slots + probe(config, slots, n, span_of("", 0));

	slot->used = 1;
	slot_add(config, slot, index);
	if (first->names.n > 0) {
		const struct sni_slot *twin =
		    slots +
		    probe(config, slots, n, config_span(config, names[0]));

		for (uint32_t i = 0; i < twin->n_certificates; i++)
			slot_add(config, slot, twin->certificates[i]);
	}
}

void
sni_build(struct builder *builder, uint32_t listen)
{
	struct config *config = builder_config(builder);
	struct config_listen *l =
	    (struct config_listen *)(void *)(builder->data +
					     config->listens.off) +
	    listen;
	struct sni_slot *slots;
	struct items sni;

	l->sni = (struct items){0, 0};
	if (l->certificates.n == 0)
		return;
	sni.n = table_size(config, l);
	sni.off = builder_append(builder, NULL, sizeof(*slots) * sni.n, 8);
	config = builder_config(builder);
	l = (struct config_listen *)(void *)(builder->data +
					     config->listens.off) +
	    listen;
	l->sni = sni;
	slots = (struct sni_slot *)(void *)(builder->data + sni.off);
	for (uint32_t i = 0; i < l->certificates.n; i++)
		add_names(config, l, slots, i);
	add_default(config, l, slots);
}
