/* SPDX-License-Identifier: ISC */
/*
 * Notices that files changed which the configuration names: certificates and
 * keys, authorities and revocation lists of clients, authorities of backends,
 * ticket secrets, routes, passwords of checks. Networks are not among them:
 * they are read again by hand.
 *
 * inotify on their directories (and those of every symbolic link on the way to
 * them, and those these lead to) only says when to look; what counts is
 * stat(2), also asked every 30 s, since inotify sees no network file system.
 * A change is reported once it has been quiet for half a second, and once.
 */
#ifndef MASTER_WATCH_H
#define MASTER_WATCH_H

#include <stdbool.h>

#include "config/config.h"

struct watch {
	int fd;	    /* inotify; -1: none to be had, stat(2) must do */
	int *marks; /* heap */
	size_t n_marks;
	const struct config *config; /* whose files; owned by the master */
	uint64_t loaded;	     /* signature of what is in use */
	uint64_t seen;		     /* of the last look */
	uint64_t look_ms;	     /* CLOCK_MONOTONIC of the next look */
};

/* What stat(2) says of every one of these files, as a hash. Taken before they
 * are read, a change meanwhile is noticed later. */
uint64_t watch_signature(const struct config *config);

void watch_init(struct watch *watch);
void watch_fini(struct watch *watch);

/* From now on the files of this configuration (valid until the next call),
 * known to have had this signature. */
void watch_set(struct watch *watch, const struct config *config,
    uint64_t signature, uint64_t now_ms);

/* The signature is dealt with, whether it was of use or not. */
void watch_done(struct watch *watch, uint64_t signature);

/* fd is readable: takes what is there. */
void watch_ready(struct watch *watch, uint64_t now_ms);

/* Looks when it is time to. True: the files changed and are quiet now.
 * out_next_ms: when to call again. */
bool watch_step(struct watch *watch, uint64_t now_ms, uint64_t *out_next_ms);

#endif
