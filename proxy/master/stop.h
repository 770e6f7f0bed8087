/* SPDX-License-Identifier: ISC */
/*
 * The end: workers first, then monitor and keeper, the observer last, so that
 * every end line is written.
 */
#ifndef MASTER_STOP_H
#define MASTER_STOP_H

#include <stdbool.h>
#include <stdint.h>

struct master;

/* now false: sessions have stop_timeout to end. A second request, or now true:
 * a second at most. why is for the log, static. */
void stop_request(struct master *master, bool now, const char *why);

/* As if told to stop, with drain_timeout. */
void stop_drain(struct master *master);

/* Goes on when a state's processes are gone, kills those that overstay;
 * returns when it wants to be called again. */
uint64_t stop_step(struct master *master, uint64_t now_ms);

#endif
