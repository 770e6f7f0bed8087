/* SPDX-License-Identifier: ISC */
/* Certificates of two configurations side by side. Called by certificate.c and
 * by the master, which tells what a reload changed. */
#include <string.h>

#include "tls/certificate.h"

bool
certificate_is_same(const struct config *old_config,
    const struct config_certificate *old, const struct config *config,
    const struct config_certificate *certificate)
{
	const struct text *a = config_items(old_config, old->ders);
	const struct text *b = config_items(config, certificate->ders);

	if (old->ders.n != certificate->ders.n)
		return false;
	for (uint32_t i = 0; i < old->ders.n; i++) {
		if (!span_equal(config_span(old_config, a[i]),
			config_span(config, b[i])))
			return false;
	}
	return true;
}

const struct config_certificate *
certificate_find(const struct config *config, const char *name, uint32_t hint)
{
	uint32_t n = config->certificates.n;

	for (uint32_t i = 0; i < n; i++) {
		const struct config_certificate *at =
		    config_certificate_at(config, (hint + i) % n);

		if (strcmp(config_text(config, at->name), name) == 0)
			return at;
	}
	return NULL;
}
