/* SPDX-License-Identifier: ISC */
/*
 * The table of server names: open addressing with linear probing, at most half
 * full, so a lookup ends at an empty slot soon. Slots lie in the image and
 * refer to names there. Called by workers, which only read; names_build.c is
 * the master's part.
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

uint32_t
sni_probe(const struct config *config, const struct sni_slot *slots, uint32_t n,
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
	slot = slots + sni_probe(config, slots, listen->sni.n, name);
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
