/* SPDX-License-Identifier: ISC */
/*
 * Ticket keys that a fleet agrees on: derived from one secret and the time
 * (HKDF, RFC 5869), so that every gateway has the same ones without a word
 * between them. Only the master knows the secret; workers see rings.
 *
 * A slice is as long as ticket_rotation and counted from 1970. The ring has the
 * slices before, of and after now: clocks may differ by nearly a slice.
 */
#ifndef TLS_TICKET_SECRET_H
#define TLS_TICKET_SECRET_H

#include "config/load.h"
#include "tls/ticket.h"

#define TICKET_SECRET_MIN 32 /* octets of the file */
#define TICKET_PRK_LEN	  32

/* What is left of the file; wiped by ticket_secrets_wipe(). */
struct ticket_secret {
	bool is_given;
	uint8_t prk[TICKET_PRK_LEN];
};

struct ticket_secrets {
	struct ticket_secret of[TICKET_RINGS]; /* by index of the section */
};

/*
 * Reads the files that the configuration names. A fault is an error in
 * `faults`; what the section of the same name in `running` (may be NULL, with
 * its secrets) had serves on. False: there is none.
 */
bool ticket_secrets_load(struct ticket_secrets *out,
    const struct config *config, const char *path, const struct config *running,
    const struct ticket_secrets *running_secrets, struct problems *faults);
void ticket_secrets_wipe(struct ticket_secrets *secrets);

uint64_t ticket_slice(uint64_t realtime_ms, uint64_t rotation_ms);

/* The three keys around the slice. policy is the section's name. */
void ticket_ring_derive(struct ticket_ring *ring,
    const struct ticket_secret *secret, struct span policy,
    uint64_t rotation_ms, uint64_t slice);

#endif
