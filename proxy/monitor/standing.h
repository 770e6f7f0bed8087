/* SPDX-License-Identifier: ISC */
/*
 * The state that readers of an entry see: what checks found, what was said by
 * hand, what logins went through. Events of a change come from here.
 */
#ifndef MONITOR_STANDING_H
#define MONITOR_STANDING_H

#include "proxy/monitor/monitor.h"

/* What changed it: for the event. */
struct standing_cause {
	const char *why;
	const char *text;
	uint64_t latency_us; /* 0: not told */
};

/*
 * After anything that the state depends on changed: brings it up to date,
 * writes the entry when it differs (or `dirty` says so) and tells.
 */
void standing_settle(struct monitor *monitor, uint32_t index,
    const struct standing_cause *cause, bool dirty);

/* Begins to read what workers tell of their attempts. */
void standing_start(struct monitor *monitor);

#endif
