/* SPDX-License-Identifier: ISC */
/*
 * Listening sockets: one SO_REUSEPORT socket per address and worker slot, held
 * by the master for as long as it runs, so that a worker that dies loses no
 * connection that waits. A program in the kernel picks among live slots.
 */
#ifndef MASTER_LISTEN_H
#define MASTER_LISTEN_H

#include <stdbool.h>

#include "config/config.h"

struct listen_address {
	struct addr addr;
	uint32_t section; /* index of the [listen] section */
};

struct listeners {
	uint32_t n_slots;
	uint32_t n_addresses;
	struct listen_address addresses[CONFIG_MAX_LISTENERS];
	int *fds; /* heap: n_addresses times n_slots; listen order = slot */
};

#define LISTEN_WHY_MAX 160

/* Binds and listens. False: out_why says "ADDRESS: reason", and nothing is
 * open. An address somebody else listens on is refused, although we could
 * join. */
bool listeners_open(struct listeners *listeners, const struct config *config,
    char out_why[LISTEN_WHY_MAX]);
void listeners_close(struct listeners *listeners);

int listeners_fd(
    const struct listeners *listeners, uint32_t address, uint32_t slot);

/*
 * From now on new connections go to live slots only, each with the same
 * probability. None live: everything stays as it was, so that connections
 * wait for the successor. False: errno; the kernel then chooses among all.
 */
bool listeners_steer(const struct listeners *listeners, const bool *live);

#endif
