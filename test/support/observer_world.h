/* SPDX-License-Identifier: ISC */
/* Areas and a view of them, as the observer has: one worker in slot 1. */
#ifndef SUPPORT_OBSERVER_WORLD_H
#define SUPPORT_OBSERVER_WORLD_H

#include "proxy/ipc/area.h"
#include "proxy/observer/command.h"
#include "proxy/observer/history.h"
#include "proxy/observer/ledger.h"
#include "proxy/observer/trace.h"

#define N_RECORDS  600
#define N_BACKENDS 2

struct world {
	struct area slot;
	struct area load;
	struct area backends;
	struct view view;
	struct ledger ledger;
	struct history history;
	uint32_t n_sent; /* messages to the master */
	struct message sent;
	uint64_t ids[1024]; /* of all kicks */
	uint32_t n_ids;
};

/* For cmocka: *state is the world. */
int world_set_up(void **state);
int world_tear_down(void **state);

/* A session in this record; user may be NULL. */
void world_session(
    struct world *world, uint32_t record, const char *user, const char *tls);

/* The reply of a command as a string; the caller frees it. */
char *world_run(struct world *world, const char *request);

/* The same of a function that writes a reply from a view. */
char *world_write(struct world *world,
    void (*write)(const struct view *view, struct reply *reply));

#endif
