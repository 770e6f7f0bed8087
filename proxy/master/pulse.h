/* SPDX-License-Identifier: ISC */
/* What the master does by the clock while it runs: hearts and ticket keys. */
#ifndef MASTER_PULSE_H
#define MASTER_PULSE_H

#include <stdint.h>

struct master;

/* Both return when they want to be called again. */

/* Once a second: a worker whose heartbeat stood still at two looks gets no new
 * connections, at four it is killed; the others for pings that they left
 * unanswered. */
uint64_t pulse_hearts(struct master *master, uint64_t now_ms);

/* Gives every ring its first keys. */
void pulse_start_tickets(struct master *master, uint64_t now_ms);
/* After a reload: rings whose secret came, changed or went. */
void pulse_renew_tickets(struct master *master, uint64_t now_ms);
uint64_t pulse_tickets(struct master *master, uint64_t now_ms);

#endif
