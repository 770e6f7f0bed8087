/* SPDX-License-Identifier: ISC */
/* See areas.h. Called by the master. */
#include "proxy/master/areas.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "proxy/base/ensure.h"
#include "proxy/ipc/channel.h"

#define NO_AREA ((struct area){.rw_fd = -1, .ro_fd = -1})

static struct area *
new_areas(uint32_t n)
{
	struct area *list = malloc(n * sizeof(*list));
	ENSURE(list != NULL);
	for (uint32_t i = 0; i < n; i++)
		list[i] = NO_AREA;
	return list;
}

static bool
open_slot(struct areas *areas, uint32_t i, uint32_t n_backends)
{
	if (!area_create(
		"slot", slot_area_size(areas->capacity), &areas->slots[i]) ||
	    !area_create(
		"users", live_size(areas->n_buckets), &areas->users[i]) ||
	    !area_create("load", load_area_size(n_backends), &areas->loads[i]))
		return false;
	slot_area_clear(areas_slot(areas, i), areas->capacity);
	load_area_init(areas->loads[i].data, n_backends);
	return true;
}

static bool
open_all(struct areas *areas, uint32_t n_backends)
{
	if (!area_create(
		"backends", backends_area_size(n_backends), &areas->backends) ||
	    !area_create(
		"tickets", sizeof(struct tickets_area), &areas->tickets))
		return false;
	backends_area_init(areas->backends.data, n_backends);
	areas_tickets(areas)->layout = IPC_LAYOUT;
	for (uint32_t i = 0; i < areas->n_slots; i++)
		if (!open_slot(areas, i, n_backends))
			return false;
	return true;
}

static bool
open_limiter(struct areas *areas, uint32_t table_entries)
{
	uint8_t key[SIPHASH_KEY_LEN];
	size_t size = limiter_area_size(table_entries, areas->n_slots);

	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key) ||
	    !area_create("limiter", size, &areas->limiter))
		return false;
	limiter_area_init(
	    areas->limiter.data, table_entries, areas->n_slots, key);
	ENSURE(limiter_attach(&areas->table, areas->limiter.data, size,
	    areas->n_slots, LIMITER_NONE));
	return true;
}

bool
areas_open(struct areas *areas, const struct config *config, uint32_t capacity)
{
	uint32_t n = config->gateway.workers;
	*areas = (struct areas){.n_slots = n,
	    .capacity = capacity,
	    .slots = new_areas(n),
	    .loads = new_areas(n),
	    .users = new_areas(n),
	    .n_buckets = live_buckets(capacity),
	    .backends = NO_AREA,
	    .tickets = NO_AREA,
	    .limiter = NO_AREA};
	if (open_all(areas, config->gateway.max_backends) &&
	    open_limiter(areas, config->limits.table_entries))
		return true;
	int saved = errno;
	areas_close(areas);
	errno = saved;
	return false;
}

void
areas_close(struct areas *areas)
{
	if (areas->slots == NULL)
		return;
	for (uint32_t i = 0; i < areas->n_slots; i++) {
		area_close(&areas->slots[i]);
		area_close(&areas->loads[i]);
		area_close(&areas->users[i]);
	}
	area_close(&areas->backends);
	area_close(&areas->tickets);
	area_close(&areas->limiter);
	free(areas->slots);
	free(areas->loads);
	free(areas->users);
	*areas = (struct areas){0};
}

struct slot_area *
areas_slot(const struct areas *areas, uint32_t slot)
{
	ENSURE(slot < areas->n_slots);
	return areas->slots[slot].data;
}

struct tickets_area *
areas_tickets(const struct areas *areas)
{
	return areas->tickets.data;
}

/* Records that begin in the data at or behind walk->offset: one that begins in
 * a hole was never in use, one that ends in a hole may be. False: there is no
 * more data. */
static bool
find_records(
    const struct areas *areas, const struct area *area, struct areas_walk *walk)
{
	const off_t head = sizeof(struct slot_area);
	const off_t size = sizeof(struct slot_record);
	off_t data = lseek(area->rw_fd, walk->offset, SEEK_DATA);
	off_t hole = data < 0 ? data : lseek(area->rw_fd, data, SEEK_HOLE);
	if (hole < 0)
		return false;
	walk->offset = hole;
	walk->next =
	    data <= head ? 0 : (uint32_t)((data - head + size - 1) / size);
	walk->end =
	    hole <= head ? 0 : (uint32_t)((hole - head + size - 1) / size);
	if (walk->end > areas->capacity)
		walk->end = areas->capacity;
	return true;
}

struct slot_record *
areas_next_record(
    const struct areas *areas, uint32_t slot, struct areas_walk *walk)
{
	ENSURE(slot < areas->n_slots);
	while (walk->next >= walk->end)
		if (!find_records(areas, &areas->slots[slot], walk))
			return NULL;
	return &areas_slot(areas, slot)->records[walk->next++];
}

/* A hole reads as zeros, and the memory is given back; megabytes written one
 * by one would be allocated. */
static void
clear_users(const struct area *area)
{
	if (fallocate(area->rw_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		0, (off_t)area->size) != 0)
		memset(area->data, 0, area->size);
}

void
areas_clear_slot(struct areas *areas, uint32_t slot)
{
	struct areas_walk walk = {0};
	struct slot_record *record;
	slot_area_clear(areas_slot(areas, slot), areas->capacity);
	while ((record = areas_next_record(areas, slot, &walk)) != NULL)
		slot_record_clear(record);
	clear_users(&areas->users[slot]);
	struct load_area *load = areas->loads[slot].data;
	/* Others read it at any time: word by word, never a memset. Our own
	 * size, not the area's: a hijacked worker could have changed it. */
	size_t n =
	    (areas->loads[slot].size - sizeof(*load)) / sizeof(load->active[0]);
	for (size_t i = 0; i < n; i++)
		atomic_store_explicit(
		    &load->active[i], 0, memory_order_relaxed);
	load->n_entries = (uint32_t)n;
	atomic_store_explicit(&load->n_news, 0, memory_order_relaxed);
	limiter_clear_slot(&areas->table, slot);
}
