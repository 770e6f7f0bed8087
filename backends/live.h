/* SPDX-License-Identifier: ISC */
/*
 * Whose sessions are where: one table per worker slot, written by that worker
 * alone, read by all workers, so that a login can follow the sessions that its
 * user has on this gateway. It may forget (a bucket that is full takes no
 * more), and then the hash alone decides: it is never wrong about a user that
 * it knows.
 */
#ifndef BACKENDS_LIVE_H
#define BACKENDS_LIVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/pool.h"

#define LIVE_WAYS	8
#define LIVE_TABLES_MAX 64

/* One user at one backend. `where` means something while `key` stays. */
struct live_entry {
	_Atomic uint64_t key; /* of hash_user(); 0: free */
	_Atomic uint64_t where;
};

/* All tables of a gateway have the same size. */
struct live_tables {
	struct live_entry *own;			 /* one of `all` */
	struct live_entry *all[LIVE_TABLES_MAX]; /* NULL: none */
	uint32_t n_tables;
	uint32_t n_buckets; /* 0: no tables */
};

/* For a worker of so many sessions; a power of two. */
uint32_t live_buckets(uint32_t n_sessions);
size_t live_size(uint32_t n_buckets);

/* A session of the user comes or goes. False: no room, it is not known; then
 * it must not be taken out later either. */
bool live_add(
    const struct live_tables *tables, uint64_t key, struct backend_ref ref);
void live_remove(
    const struct live_tables *tables, uint64_t key, struct backend_ref ref);

/* The backend at which the user has most sessions. False: has none. */
bool live_find(const struct live_tables *tables, uint64_t key,
    struct backend_ref *out_ref);

#endif
