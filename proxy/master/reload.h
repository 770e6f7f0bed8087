/* SPDX-License-Identifier: ISC */
/*
 * A new configuration while sessions go on: compiled aside; on any error
 * nothing changes. Then the keeper gets the keys, and when it has them the
 * others get the snapshot.
 */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "config/load.h"

struct master;

enum reload_phase {
	RELOAD_IDLE,
	RELOAD_KEYS,  /* the keeper has not acknowledged yet */
	RELOAD_ROLES, /* some role has not */
};

struct reload {
	enum reload_phase phase;
	bool wanted;		  /* HUP: read the file again */
	bool certificates_wanted; /* the last good text, new certificates */
	bool announced;		  /* systemd waits for READY */
	uint64_t by_ms;		  /* of this phase */
	struct problems remarks;  /* as warnings: for those who wait for it */
};

/* Asks for one; many before the next start are one. */
void reload_request(struct master *master);
void reload_request_certificates(struct master *master);

/* A role acknowledged or refused (slot 1) a generation. */
void reload_acked(struct master *master);

/* Starts what is wanted, goes on when acknowledged; returns when it wants to
 * be called again. */
uint64_t reload_step(struct master *master, uint64_t now_ms);

#endif
