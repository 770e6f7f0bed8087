/* SPDX-License-Identifier: ISC */
/*
 * The backends area and the load areas. Invariant of an entry: the copy that
 * `seq` names is whole; the writer changes the other one, then `seq`. So a
 * writer that pauses or dies half way takes a backend from nobody. The monitor
 * writes; workers and the observer read, from other processes.
 *
 * Why no fence: every word of an entry is an atomic of its own. A writer's
 * stores are releases, so whoever sees one of them sees the `seq` before it; a
 * reader's loads are acquires, so its second look at `seq` cannot come before
 * them. On x86 both are plain moves, and ThreadSanitizer (which knows no
 * fences) can follow.
 */
#include "backends/load.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "proxy/base/ensure.h"

#define READ_TRIES 8
#define WORDS	   (sizeof(struct backend) / sizeof(uint64_t))

/* Any object may be looked at through it. */
typedef uint64_t __attribute__((may_alias)) word;

_Static_assert(sizeof(struct backend) % sizeof(word) == 0, "copied by words");
_Static_assert(offsetof(struct backend, since_ms) ==
		   offsetof(struct backend, latency_us) + sizeof(uint32_t),
    "no padding: backends are compared as octets");
_Static_assert(_Alignof(struct backend) == _Alignof(word), "copied by words");

size_t
backends_area_size(uint32_t n_entries)
{
	return sizeof(struct backends_area) +
	       (size_t)n_entries * sizeof(struct backend_entry);
}

size_t
load_area_size(uint32_t n_entries)
{
	return sizeof(struct load_area) +
	       (size_t)n_entries * sizeof(_Atomic uint32_t);
}

void
backends_area_init(struct backends_area *area, uint32_t n_entries)
{
	area->layout = sizeof(struct backend_entry);
	area->n_entries = n_entries;
}

void
load_area_init(struct load_area *area, uint32_t n_entries)
{
	area->n_entries = n_entries;
}

void
backends_area_write(
    struct backends_area *area, uint32_t index, const struct backend *backend)
{
	ENSURE(index < area->n_entries);
	struct backend_entry *entry = &area->entries[index];
	uint32_t seq =
	    atomic_load_explicit(&entry->seq, memory_order_relaxed) + 1;
	word *to = (word *)(void *)&entry->copies[seq & 1];
	const word *from = (const word *)(const void *)backend;

	for (size_t i = 0; i < WORDS; i++)
		__atomic_store_n(&to[i], from[i], __ATOMIC_RELEASE);
	atomic_store_explicit(&entry->seq, seq, memory_order_release);
	uint64_t n = atomic_load_explicit(&area->change, memory_order_relaxed);
	atomic_store(&area->changed[n % BACKENDS_CHANGES], index);
	atomic_store(&area->change, n + 1);
}

/* The rest is zero: backends are compared as octets. */
static void
set_text(char *to, size_t cap, const char *text)
{
	size_t len = strnlen(text, cap - 1);

	memset(to, 0, cap);
	memcpy(to, text, len);
}

bool
backend_set_why(struct backend *backend, const char *why, const char *text)
{
	if (strncmp(backend->why, why, sizeof(backend->why) - 1) == 0)
		return false;
	set_text(backend->why, sizeof(backend->why), why);
	set_text(backend->text, sizeof(backend->text), text);
	return true;
}

static void
copy_out(const struct backend *copy, struct backend *out_backend)
{
	const word *from = (const word *)(const void *)copy;
	word *to = (word *)(void *)out_backend;

	for (size_t i = 0; i < WORDS; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_ACQUIRE);
}

static void
put_in_bounds(struct backend *backend)
{
	backend->name[sizeof(backend->name) - 1] = '\0';
	backend->pool[sizeof(backend->pool) - 1] = '\0';
	backend->endpoint.path[sizeof(backend->endpoint.path) - 1] = '\0';
	backend->why[sizeof(backend->why) - 1] = '\0';
	backend->text[sizeof(backend->text) - 1] = '\0';
	backend->capabilities[sizeof(backend->capabilities) - 1] = '\0';
	if (backend->n_sources > BACKEND_SOURCES_MAX)
		backend->n_sources = BACKEND_SOURCES_MAX;
}

static bool
try_copy(const struct backend_entry *entry, struct backend *out_backend)
{
	uint32_t before =
	    atomic_load_explicit(&entry->seq, memory_order_acquire);
	copy_out(&entry->copies[before & 1], out_backend);
	return before ==
	       atomic_load_explicit(&entry->seq, memory_order_relaxed);
}

bool
backends_area_read(const struct backends_area *area, uint32_t index,
    struct backend *out_backend)
{
	if (index >= area->n_entries)
		return false;
	for (int i = 0; i < READ_TRIES; i++) {
		if (!try_copy(&area->entries[index], out_backend))
			continue;
		put_in_bounds(out_backend);
		return out_backend->state != BACKEND_UNUSED;
	}
	return false;
}

void
backends_area_peek(const struct backends_area *area, uint32_t index,
    struct backend *out_backend)
{
	ENSURE(index < area->n_entries);
	const struct backend_entry *entry = &area->entries[index];

	copy_out(&entry->copies[entry->seq & 1], out_backend);
	put_in_bounds(out_backend);
}

void
load_area_tell(struct load_area *area, struct backend_ref ref, uint64_t client)
{
	uint64_t n = atomic_load_explicit(&area->n_news, memory_order_relaxed);
	struct load_news *news = &area->news[n % LOAD_NEWS];

	atomic_store(
	    &news->backend, (uint64_t)ref.index << 32 | ref.generation);
	atomic_store(&news->client, client);
	atomic_store(&area->n_news, n + 1);
}

/* Whether the place can have been overwritten since: the writer may be in the
 * middle of the next one. */
static bool
is_lost(const struct load_area *area, uint64_t number)
{
	return atomic_load(&area->n_news) - number >= LOAD_NEWS;
}

bool
load_area_next(const struct load_area *area, uint64_t *seen,
    struct backend_ref *out_ref, uint64_t *out_client)
{
	uint64_t n = atomic_load(&area->n_news);

	/* The writer died and its area was cleared. */
	if (*seen > n)
		*seen = n;
	if (n - *seen >= LOAD_NEWS)
		*seen = n - (LOAD_NEWS - 1);
	while (*seen < n) {
		const struct load_news *news = &area->news[*seen % LOAD_NEWS];
		uint64_t backend = atomic_load(&news->backend);
		*out_client = atomic_load(&news->client);
		if (is_lost(area, (*seen)++))
			continue;
		*out_ref = (struct backend_ref){
		    (uint32_t)(backend >> 32), (uint32_t)backend};
		return true;
	}
	return false;
}

uint32_t
backend_active(struct load_area *const *loads, uint32_t n_loads, uint32_t index)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n_loads; i++) {
		if (loads[i] == NULL || index >= loads[i]->n_entries)
			continue;
		uint32_t n = atomic_load_explicit(
		    &loads[i]->active[index], memory_order_relaxed);
		if (__builtin_add_overflow(sum, n, &sum))
			return UINT32_MAX;
	}
	return sum;
}

const char *
endpoint_text(const struct endpoint *endpoint, char buf[ENDPOINT_TEXT_MAX])
{
	char ip[ADDR_TEXT_MAX];

	if (endpoint->path[0] != '\0')
		snprintf(buf, ENDPOINT_TEXT_MAX, "unix:%.107s", endpoint->path);
	else
		snprintf(buf, ENDPOINT_TEXT_MAX, "%s",
		    addr_text(&endpoint->addr, ip));
	return buf;
}
