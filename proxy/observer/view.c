/* SPDX-License-Identifier: ISC */
/* See view.h. Called by the observer's main and its commands. */
#include "proxy/observer/view.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "backends/health.h"
#include "proxy/ipc/area.h"
#include "proxy/ipc/clock.h"
#include "proxy/observer/ledger.h"

bool
view_map(struct mapping *mapping, int fd, size_t min_size)
{
	size_t size;
	void *data = area_map(fd, false, &size);
	if (data == NULL)
		return false;
	if (size < min_size) {
		munmap(data, size);
		errno = EPROTO;
		return false;
	}
	if (mapping->data != NULL)
		munmap((void *)(uintptr_t)mapping->data, mapping->size);
	*mapping = (struct mapping){data, size};
	return true;
}

const struct slot_area *
view_slot(const struct view *view, uint32_t slot)
{
	return slot < VIEW_SLOTS_MAX ? view->slots[slot].data : NULL;
}

static uint32_t
bounded(uint32_t n, const struct mapping *mapping, size_t head, size_t element)
{
	size_t most = (mapping->size - head) / element;
	return n < most ? n : (uint32_t)most;
}

uint32_t
view_n_records(const struct view *view, uint32_t slot)
{
	const struct slot_area *area = view_slot(view, slot);
	if (area == NULL)
		return 0;
	return bounded(area->n_records, &view->slots[slot], sizeof(*area),
	    sizeof(area->records[0]));
}

uint32_t
view_n_backends(const struct view *view)
{
	const struct backends_area *area = view->backends.data;
	if (area == NULL)
		return 0;
	return bounded(area->n_entries, &view->backends, sizeof(*area),
	    sizeof(area->entries[0]));
}

uint64_t
view_sum(const struct view *view, size_t offset)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < VIEW_SLOTS_MAX; i++) {
		const struct slot_area *area = view_slot(view, i);
		if (area == NULL)
			continue;
		const _Atomic uint64_t *value =
		    (const void *)((const char *)area + offset);
		sum += atomic_load_explicit(value, memory_order_relaxed);
	}
	return sum;
}

uint64_t
view_age_s(uint64_t then_ms)
{
	uint64_t now_ms = clock_ms();
	return then_ms < now_ms ? (now_ms - then_ms) / 1000 : 0;
}

/* The lowest record is used first, so few are behind the last session. */
void
view_sessions(const struct view *view, view_session *each, void *arg)
{
	struct slot_record record;
	for (uint32_t slot = 0; slot < VIEW_SLOTS_MAX; slot++) {
		const struct slot_area *area = view_slot(view, slot);
		uint32_t n = view_n_records(view, slot);
		uint64_t left =
		    area == NULL ? 0 : atomic_load(&area->connections);
		for (uint32_t i = 0; i < n && left > 0; i++) {
			if (!slot_record_read(&area->records[i], &record))
				continue;
			left--;
			if (!each(arg, slot, &record))
				return;
		}
	}
}

uint64_t
view_backend_failures(const struct view *view, uint32_t index)
{
	if (index >= TALLY_BACKENDS)
		return 0;
	return VIEW_SUM_AT(view, tally.backend_failures, index);
}

int64_t
view_left_s(const struct config_certificate *certificate)
{
	return certificate->not_after - (int64_t)time(NULL);
}

static bool
has_certificate(const struct config *config)
{
	for (uint32_t i = 0; i < config->certificates.n; i++) {
		const struct config_certificate *certificate =
		    config_certificate_at(config, i);
		if (certificate->usable && !certificate->is_for_backends &&
		    view_left_s(certificate) > 0)
			return true;
	}
	return false;
}

bool
view_has_backend(
    const struct view *view, const char *pool, enum backend_state state)
{
	uint32_t n = view_n_backends(view);
	struct backend backend;
	for (uint32_t i = 0; i < n; i++)
		if (view_backend(view, i, &backend) && backend.state == state &&
		    strcmp(backend.pool, pool) == 0)
			return true;
	return false;
}

const char *
view_not_ready(const struct view *view)
{
	const struct config *config = view->config;
	if (config == NULL)
		return "no configuration yet";
	if (view->ledger->draining)
		return "draining";
	if (!has_certificate(config))
		return "no certificate is usable and valid";
	for (uint32_t i = 0; i < config->pools.n; i++)
		if (!view_has_backend(view,
			config_text(config, config_pool_at(config, i)->name),
			BACKEND_UP))
			return "a pool has no backend that is up";
	return NULL;
}

uint64_t
view_backend_sessions(const struct view *view, uint32_t index)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < VIEW_SLOTS_MAX; i++) {
		const struct mapping *mapping = &view->loads[i];
		const struct load_area *load = mapping->data;
		if (load == NULL)
			continue;
		if (index < bounded(UINT32_MAX, mapping, sizeof(*load),
				sizeof(load->active[0])))
			sum += atomic_load_explicit(
			    &load->active[index], memory_order_relaxed);
	}
	return sum;
}

/* Workers learn by a login what a check can't see. */
static bool
is_untrusting(const struct view *view, uint32_t index)
{
	uint64_t now_ms = clock_ms();

	for (uint32_t i = 0; i < VIEW_SLOTS_MAX && index < TALLY_BACKENDS;
	     i++) {
		const struct slot_area *slot = view_slot(view, i);
		if (slot != NULL &&
		    atomic_load(&slot->tally.backend_untrusting[index]) >
			now_ms)
			return true;
	}
	return false;
}

bool
view_backend(
    const struct view *view, uint32_t index, struct backend *out_backend)
{
	if (index >= view_n_backends(view) ||
	    !backends_area_read(view->backends.data, index, out_backend))
		return false;
	out_backend->name[sizeof(out_backend->name) - 1] = '\0';
	out_backend->pool[sizeof(out_backend->pool) - 1] = '\0';
	struct endpoint *endpoint = &out_backend->endpoint;
	endpoint->path[sizeof(endpoint->path) - 1] = '\0';
	if (out_backend->state == BACKEND_UP && is_untrusting(view, index)) {
		out_backend->state = BACKEND_MISCONFIGURED;
		backend_set_why(out_backend, "privacyrequired",
		    "it takes no plaintext logins from this gateway");
	}
	return true;
}

const char *
view_state_name(const struct backend *backend)
{
	return backend->state <= BACKEND_EJECTED
		   ? backend_state_name((enum backend_state)backend->state)
		   : "unknown";
}

void
view_backend_name(const struct view *view, const struct slot_record *record,
    char out_name[BACKEND_NAME_MAX])
{
	struct backend backend;
	out_name[0] = '\0';
	if (view_backend(view, record->backend, &backend) &&
	    backend.generation == record->backend_generation)
		memcpy(out_name, backend.name, BACKEND_NAME_MAX);
}

struct span
view_listener_name(const struct view *view, uint32_t index)
{
	if (view->config == NULL || index >= view->config->listens.n)
		return span_of("", 0);
	return config_span(
	    view->config, config_listen_at(view->config, index)->name);
}
