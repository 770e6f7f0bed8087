/* SPDX-License-Identifier: ISC */
/* Builds the table of names.c inside an image. Called by certificate.c in the
 * master. */
#include "tls/names.h"

#include "config/load.h"

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
