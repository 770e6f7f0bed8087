/* SPDX-License-Identifier: ISC */
/*
 * What is said of certificates while the gateway runs: that one ends soon, once
 * a day; that one has ended (it serves on), at once and once a day; what a
 * renewal changed.
 */
#ifndef MASTER_EXPIRY_H
#define MASTER_EXPIRY_H

#include "config/config.h"
#include "proxy/ipc/event.h"

typedef void expiry_emit(void *arg, const struct event *event);

struct expiry {
	expiry_emit *emit;
	void *arg;
	uint64_t told_ms; /* CLOCK_MONOTONIC of the last daily warning */
	uint64_t look_ms;
	int64_t seen_s; /* seconds since 1970 of the last look */
};

/* What the start or a reload said counts as said. */
void expiry_init(struct expiry *expiry, expiry_emit *emit, void *arg,
    uint64_t now_ms, int64_t now_s);

/* Returns when it wants to be called again. */
uint64_t expiry_step(struct expiry *expiry, const struct config *config,
    uint64_t now_ms, int64_t now_s);

/* After a reload: every renewed certificate, and if its key is another, too,
 * because others may have pinned it. */
void expiry_compare(struct expiry *expiry, const struct config *old,
    const struct config *config);

#endif
