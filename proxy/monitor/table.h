/* SPDX-License-Identifier: ISC */
/* Which entries there are: the configuration and the addresses of names,
 * brought into the backends area. */
#ifndef MONITOR_TABLE_H
#define MONITOR_TABLE_H

#include "proxy/monitor/monitor.h"

/* Takes over what a predecessor left in the area. Once, before all others. */
void table_adopt(struct monitor *monitor);

/*
 * Makes the area follow configuration and names: entries that stay are updated
 * in place, new ones are UNCHECKED and due at once, others drain. May be
 * called at any time but from inside a callback of c-ares.
 */
void table_sync(struct monitor *monitor);

/* By hand, for all addresses of the section: enum backend_admin. */
void table_set_admin(struct monitor *monitor, struct span name, uint32_t admin);

/* Frees entries that have drained. */
void table_sweep(struct monitor *monitor);

/* Writes the node's backend into its entry. */
void table_write(struct monitor *monitor, uint32_t index);

/* The monitor's clock in ms, that of `since_ms`. */
uint64_t table_now(const struct monitor *monitor);

/* Fields that every event of a backend has. */
void table_begin_event(struct event *event, const struct backend *backend,
    enum backend_state from, int level);

#endif
