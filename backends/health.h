/* SPDX-License-Identifier: ISC */
/* Up or down from a series of checks: rise, fall and when the next is due;
 * pure. */
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

/*
 * From one check to the next: the interval with 10 % to either side, so that
 * gateways don't march in step. All first checks come together; the second come
 * at any time of one interval, which spreads them from then on.
 */
uint64_t health_next_check_ms(
    uint64_t interval_ms, bool has_been_checked, uint64_t random);

const char *backend_state_name(enum backend_state state);

#endif
