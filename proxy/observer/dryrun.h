/* SPDX-License-Identifier: ISC */
/*
 * Whom a stricter TLS policy would cut off: what observe_min_version and
 * observe_ciphers noted about a client; or, where nothing is observed, what is
 * older than TLS 1.3.
 */
#ifndef OBSERVER_DRYRUN_H
#define OBSERVER_DRYRUN_H

#include "proxy/observer/view.h"

/* Some [tls] section observes something. */
bool dryrun_is_set(const struct view *view);

/* Why it would be cut off: "version", "cipher" or "version,cipher"; "" when it
 * would not. observed: the word of its event or record. */
const char *dryrun_verdict(
    const struct view *view, const char *observed, const char *tls);

/* The same of a session; "" also before its handshake is done. */
const char *dryrun_of(
    const struct view *view, const struct slot_record *record);

struct dryrun_counts {
	uint64_t handshakes; /* since the gateway started */
	uint64_t by_version; /* of them: would have been refused */
	uint64_t by_cipher;
	uint64_t clients; /* connected now, behind their handshake */
	uint64_t cut_off; /* of them */
};
void dryrun_count(const struct view *view, struct dryrun_counts *out_counts);

#endif
