/* SPDX-License-Identifier: ISC */
/*
 * The ring of session ticket keys in the tickets area: written by the master,
 * read by workers. A ticket is sealed with the current key; previous and next
 * are accepted, too. One ring per [tls] section, so that a ticket never
 * crosses policies even if a session-id context were wrong.
 */
#ifndef TLS_TICKET_H
#define TLS_TICKET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define TICKET_RINGS	16 /* [tls] sections with tickets */
#define TICKET_NAME_LEN 16

struct ticket_key {
	uint8_t name[TICKET_NAME_LEN];
	uint8_t aes[32];  /* AES-256-CBC, as RFC 5077 section 4 recommends */
	uint8_t hmac[32]; /* HMAC-SHA256 */
};

enum ticket_slot {
	TICKET_PREVIOUS,
	TICKET_CURRENT,
	TICKET_NEXT
};

struct ticket_ring {
	_Atomic uint32_t seq; /* odd while the master writes */
	uint32_t valid;	      /* 0: no keys yet */
	struct ticket_key keys[3];
};

struct tickets_area {
	uint64_t layout;
	struct ticket_ring rings[TICKET_RINGS];
};

/* Fills a ring with three random keys, or moves it on by one. */
void ticket_ring_start(struct ticket_ring *ring);
void ticket_ring_rotate(struct ticket_ring *ring);

/* These keys, by enum ticket_slot. */
void ticket_ring_set(struct ticket_ring *ring, const struct ticket_key keys[3]);

/* A consistent copy; false: no keys, or being written for 8 tries. The caller
 * wipes it. */
bool ticket_ring_read(
    const struct ticket_ring *ring, struct ticket_key out_keys[3]);

#endif
