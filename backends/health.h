/* SPDX-License-Identifier: ISC */
/* Up or down from a series of checks: rise and fall, pure. */
#ifndef BACKENDS_HEALTH_H
#define BACKENDS_HEALTH_H

#include "backends/pool.h"

struct health {
	enum backend_state state; /* UNCHECKED at first */
	uint32_t good;		  /* in a row */
	uint32_t bad;
};

enum health_outcome {
	HEALTH_GOOD,
	HEALTH_BAD,
	HEALTH_MISCONFIGURED
};

/*
 * Returns true when the state changed. From UNCHECKED the first outcome
 * decides; from UP or MISCONFIGURED `fall` bad ones in a row make DOWN; from
 * DOWN or MISCONFIGURED `rise` good ones make UP. MISCONFIGURED at once.
 */
bool health_note(struct health *health, enum health_outcome outcome,
    uint32_t rise, uint32_t fall);

const char *backend_state_name(enum backend_state state);

#endif
