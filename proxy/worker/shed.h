/* SPDX-License-Identifier: ISC */
/*
 * Who has to go when there is no room. The lists of those that are not logged
 * in are in the order in which they came; only the oldest few hundred are
 * looked at, so that a choice costs the same however many there are.
 */
#ifndef WORKER_SHED_H
#define WORKER_SHED_H

#include "proxy/worker/worker.h"

/* One that is not logged in; NULL: all are. */
struct conn *shed_any(const struct worker *worker);
/* Of those that are not logged in (that are in the handshake) the oldest of the
 * prefix that holds most; NULL: none. */
struct conn *shed_choose(const struct worker *worker, bool handshaking);
/* A connection that has waited long enough for its prefix to have less than
 * preauth_per_ip takes the place of the oldest there that says nothing, if
 * there is one: or a silent host would lock out all who share its address. */
void shed_for(struct conn *newcomer);

#endif
