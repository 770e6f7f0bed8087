/* SPDX-License-Identifier: ISC */
/* The shared areas: made once by the master, whose descriptors outlive every
 * role. */
#ifndef MASTER_AREAS_H
#define MASTER_AREAS_H

#include <sys/types.h>

#include "backends/live.h"
#include "backends/load.h"
#include "config/config.h"
#include "proxy/ipc/area.h"
#include "proxy/ipc/slot.h"
#include "proxy/limits/limiter.h"
#include "tls/ticket.h"

struct areas {
	uint32_t n_slots;
	uint32_t capacity;  /* session records per slot */
	struct area *slots; /* heap, n_slots each */
	struct area *loads;
	struct area *users; /* live tables: backends/live.h */
	uint32_t n_buckets; /* of each */
	struct area backends;
	struct area tickets;
	struct area limiter;
	struct limiter table; /* our view of it */
};

/* False: errno, nothing is held. */
bool areas_open(
    struct areas *areas, const struct config *config, uint32_t capacity);
void areas_close(struct areas *areas);

struct slot_area *areas_slot(const struct areas *areas, uint32_t slot);
struct tickets_area *areas_tickets(const struct areas *areas);

/*
 * The session records of the slot that were ever written, one by one; NULL: no
 * more. The others have no memory, and would get it by being looked at: a
 * hundred megabytes for each worker that dies.
 */
struct areas_walk {
	off_t offset; /* of what was not looked at */
	uint32_t next;
	uint32_t end;
};
struct slot_record *areas_next_record(
    const struct areas *areas, uint32_t slot, struct areas_walk *walk);

/* After the worker of the slot died: nothing of it is counted any more. */
void areas_clear_slot(struct areas *areas, uint32_t slot);

#endif
