/* SPDX-License-Identifier: ISC */
/* needs: tls/names.c tls/names_build.c config/builder.c */
/* needs: proxy/base/span.c proxy/base/ensure.c */
/*
 * A server name against a table of some: what is found is what a search of
 * the whole list finds, and normal form stays as it is.
 */
#include <string.h>

#include "config/load.h"
#include "proxy/base/ensure.h"
#include "tls/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const NAMES[] = {"mail.example.org", "*.example.org",
    "*.wild.test", "a.b.c.d", "x", "imap-1.example.net", "_dmarc.test",
    "xn--bcher-kva.example", "1.2.3.four"};

#define N_NAMES (sizeof(NAMES) / sizeof(*NAMES))

static struct builder *
make_table(void)
{
	struct builder *builder = builder_new();
	struct config_certificate certificates[N_NAMES];
	struct config_listen listen;
	uint32_t indexes[N_NAMES];

	memset(certificates, 0, sizeof(certificates));
	memset(&listen, 0, sizeof(listen));
	for (uint32_t i = 0; i < N_NAMES; i++) {
		struct text name = builder_text(builder, span_str(NAMES[i]));

		indexes[i] = i;
		certificates[i].names =
		    builder_items(builder, &name, 1, sizeof(name), 4);
	}
	listen.certificates =
	    builder_items(builder, indexes, N_NAMES, sizeof(*indexes), 4);
	struct items items = builder_items(
	    builder, certificates, N_NAMES, sizeof(*certificates), 8);
	builder_config(builder)->certificates = items;
	items = builder_items(builder, &listen, 1, sizeof(listen), 8);
	builder_config(builder)->listens = items;
	sni_build(builder, 0);
	return builder;
}

/* The index of the name, then of its wildcard; N_NAMES: none. */
static uint32_t
search(const char *name)
{
	const char *dot = strchr(name, '.');

	for (uint32_t i = 0; i < N_NAMES; i++) {
		if (strcmp(NAMES[i], name) == 0)
			return i;
	}
	for (uint32_t i = 0; dot != NULL && i < N_NAMES; i++) {
		if (NAMES[i][0] == '*' && strcmp(NAMES[i] + 1, dot) == 0)
			return i;
	}
	return N_NAMES;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct builder *builder;
	char name[254], again[254];
	struct span given = span_of(data, size);
	const struct sni_slot *slot;

	if (builder == NULL)
		builder = make_table();
	const struct config *config = builder_config(builder);
	slot = sni_find(config, config_listen_at(config, 0), given);
	if (!sni_normalise(given, name)) {
		ENSURE(slot == NULL);
		return 0;
	}
	ENSURE(strlen(name) == size);
	ENSURE(sni_normalise(span_str(name), again));
	ENSURE(strcmp(name, again) == 0);
	uint32_t expected = search(name);
	ENSURE((slot != NULL) == (expected != N_NAMES));
	ENSURE(slot == NULL || slot->certificates[0] == expected);
	return 0;
}
