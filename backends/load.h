/* SPDX-License-Identifier: ISC */
/*
 * The load areas, one per worker slot: what a worker publishes of backends.
 * Written by it alone, read by other workers, the monitor and the observer. In
 * pool.c, beside the area that they belong to.
 */
#ifndef BACKENDS_LOAD_H
#define BACKENDS_LOAD_H

#include "backends/pool.h"

/*
 * How attempts went, so that the monitor can tell a backend that fails all from
 * one that refuses a single client: a worker cannot write what decides.
 */
#define LOAD_NEWS 256

struct load_news {
	_Atomic uint64_t backend; /* index << 32 | generation */
	_Atomic uint64_t
	    client; /* hash_client() of a failure; 0: it went well */
};

struct load_area {
	uint32_t n_entries;
	uint32_t zero;
	_Atomic uint64_t
	    n_news; /* ever told; the last LOAD_NEWS are in `news` */
	struct load_news news[LOAD_NEWS];
	_Atomic uint32_t active[]; /* sessions of this worker per entry */
};

size_t load_area_size(uint32_t n_entries);
void load_area_init(struct load_area *area, uint32_t n_entries);

/* By its worker: one more attempt that failed (client is not 0) or went well.
 */
void load_area_tell(
    struct load_area *area, struct backend_ref ref, uint64_t client);

/*
 * By the monitor: the next news behind *seen. False: there are none. What was
 * overwritten meanwhile is skipped.
 */
bool load_area_next(const struct load_area *area, uint64_t *seen,
    struct backend_ref *out_ref, uint64_t *out_client);

/* Sum over the load areas of all slots, at most UINT32_MAX; loads[i] may be
 * NULL. */
uint32_t backend_active(
    struct load_area *const *loads, uint32_t n_loads, uint32_t index);

#endif
