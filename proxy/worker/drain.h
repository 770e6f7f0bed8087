/* SPDX-License-Identifier: ISC */
/* Leaving without a stampede. */
#ifndef WORKER_DRAIN_H
#define WORKER_DRAIN_H

#include <stdint.h>

struct worker;

void drain_start(struct worker *worker, uint64_t spread_ms);
/* Ends every session here and now, each with its line. */
void drain_now(struct worker *worker);
/* Once a second: ends the next few. */
void drain_step(struct worker *worker);
/* Once a second: the same for backends that are being drained. */
void drain_backends(struct worker *worker);
/* Whenever a connection ended: the last one is told to the master. */
void drain_note_end(struct worker *worker);

#endif
