/* SPDX-License-Identifier: ISC */
/* Handshakes stand behind established sessions: see shakes.c. */
#ifndef WORKER_SHAKES_H
#define WORKER_SHAKES_H

#include <stdbool.h>

struct conn;
struct worker;

/* So much of a turn may new connections, handshakes and the keeper's answers
 * take, each, before established sessions are looked at again; and the step
 * that was begun: 150 us at most. */
#define TURN_SHARE_NS 100000

void shakes_init(struct worker *worker);

/* Does what the client sends wait for its turn? */
bool shakes_defers(const struct conn *conn);
/* There is something to read. */
void shakes_add(struct conn *conn);

#endif
