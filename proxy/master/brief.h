/* SPDX-License-Identifier: ISC */
/* What a process is told before it begins: the one place that decides which
 * role gets which descriptor. */
#ifndef MASTER_BRIEF_H
#define MASTER_BRIEF_H

#include <stdint.h>

struct child;
struct master;

/* Everything from HELLO to START, in the order of proxy/ipc/channel.h. */
void brief_child(struct child *child);

/* The running snapshot; to the keeper the keys. */
void brief_snapshot(struct child *child);

/* A keeper that replaces another is ready: every worker asks again for what
 * the dead one had taken and not answered. */
void brief_new_keeper(struct master *master);

/* To the observer: the log files as they are now. */
void brief_logs(struct child *observer);

/* To the observer: the age of a ring's current ticket key. */
void brief_ticket(struct child *observer, uint32_t ring, uint64_t age_ms);

#endif
