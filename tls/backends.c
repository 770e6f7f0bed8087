/* SPDX-License-Identifier: ISC */
/* The sections of a snapshot, for backend.h. An entry of the backends area says
 * where to connect to, the section of its name says how. Called by the worker
 * and the monitor. */
#include <stdlib.h>

#include "tls/backend.h"

static uint32_t
find(const struct config *config, struct span name, uint32_t entry)
{
	uint32_t n = config->backends.n;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = (entry % n + i) % n;
		if (span_equal(name, config_span(config,
					 config_backend_at(config, at)->name)))
			return at;
	}
	return CONFIG_NONE;
}

static struct tls_backend *
expected_of(struct tls_backends *backends, const struct config *config,
    uint32_t section)
{
	if (backends->engine == NULL)
		backends->engine = tls_backend_engine_new(backends);
	if (backends->sections == NULL) {
		backends->n_sections = config->backends.n;
		backends->sections =
		    calloc(backends->n_sections, sizeof(*backends->sections));
	}
	if (backends->engine == NULL || backends->sections == NULL)
		return NULL;
	if (backends->sections[section] == NULL)
		backends->sections[section] =
		    tls_backend_new(config, config_backend_at(config, section));
	return backends->sections[section];
}

bool
tls_backends_connect(struct tls_backends *backends, const struct config *config,
    struct span section, uint32_t entry, uint64_t stream_id,
    struct tls_stream **out_stream)
{
	uint32_t index = find(config, section, entry);

	*out_stream = NULL;
	if (index == CONFIG_NONE)
		return false;
	if (config_backend_at(config, index)->backend_tls == BACKEND_TLS_OFF)
		return true;
	if (expected_of(backends, config, index) != NULL)
		*out_stream = tls_backend_connect(backends, index, stream_id);
	return *out_stream != NULL;
}

void
tls_backends_forget(struct tls_backends *backends)
{
	for (uint32_t i = 0; i < backends->n_sections; i++)
		tls_backend_free(backends->sections[i]);
	free(backends->sections);
	backends->sections = NULL;
	backends->n_sections = 0;
	backends->epoch++;
}
