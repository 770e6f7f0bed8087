/* SPDX-License-Identifier: ISC */
/*
 * The backends area: what is known of every backend, written by the monitor,
 * read by workers and the observer; and the load areas, one per worker slot,
 * in which a worker publishes how many sessions it has at each backend.
 *
 * An entry is a backend at one address (a name with two addresses makes two
 * entries). It is self-contained: a reader needs no snapshot to dial it.
 * A session names a backend by (index, generation); the generation changes
 * whenever the identity of the entry (name, pool or address) does, and an
 * entry is reused only when no load area counts a session on it.
 *
 * Reading: `seq` is odd while the monitor writes; pool_read() copies and tries
 * again. `state`, `latency_us` and the learned capabilities change often;
 * `area->change` is incremented after any change, and the last changes are
 * listed, so a reader that kept its value knows what to look at again.
 */
#ifndef BACKENDS_POOL_H
#define BACKENDS_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/addr.h"
#include "proxy/base/span.h"

#define BACKEND_NAME_MAX	 64
#define BACKEND_CAPABILITIES_MAX 1024
#define BACKEND_SOURCES_MAX	 8
#define BACKEND_WHY_MAX		 24
#define BACKEND_TEXT_MAX	 104

enum backend_state {
	BACKEND_UNUSED,
	BACKEND_UNCHECKED, /* not yet known: used when nothing is up */
	BACKEND_UP,
	BACKEND_DOWN,
	BACKEND_MISCONFIGURED, /* LOGINDISABLED or PRIVACYREQUIRED: never used
				*/
	BACKEND_DRAINING, /* by hand, or its section is gone: no new sessions */
	BACKEND_EJECTED,  /* checks are good, logins failed: a last resort */
};

/* What was said of it by hand (ctl): it outlives checks and reloads. */
enum backend_admin {
	ADMIN_NONE,
	ADMIN_DRAIN,
	ADMIN_DOWN,
};

struct backend_ref {
	uint32_t index;
	uint32_t generation;
};

/* Where to connect: an address, or a Unix socket when path is not empty. */
struct endpoint {
	struct addr addr;
	char path[108];
};

struct backend {
	char name[BACKEND_NAME_MAX]; /* of the section, NUL-terminated */
	char pool[BACKEND_NAME_MAX];
	uint32_t generation;
	uint32_t state; /* enum backend_state */
	struct endpoint endpoint;
	uint32_t weight;
	uint32_t tier;
	uint32_t max_connections; /* 0: unlimited */
	uint32_t client_ip;	  /* enum config_client_ip */
	uint32_t admin;		  /* enum backend_admin */
	uint32_t zero;
	uint32_t n_sources;
	struct addr sources[BACKEND_SOURCES_MAX];
	uint32_t latency_us; /* of the last good check; 0: none yet */
	uint64_t since_ms;   /* CLOCK_MONOTONIC, of the last change of state */
	/* The same, of its way from down or ejected to up; 0: it was never
	 * away. It comes back slowly from then on. */
	uint64_t recovered_ms;
	/* What the last check found, or why it stands aside: the word that an
	 * event would have, and what the backend or the system said. Empty: it
	 * was not checked yet. */
	char why[BACKEND_WHY_MAX];
	char text[BACKEND_TEXT_MAX];
	/* As the last good check saw it: "IMAP4rev1 IDLE ...", or empty. */
	char capabilities[BACKEND_CAPABILITIES_MAX];
};

struct backend_entry {
	_Atomic uint32_t seq; /* writes so far; the last one is in seq % 2 */
	struct backend copies[2];
};

#define BACKENDS_CHANGES 256

struct backends_area {
	uint64_t layout;
	uint32_t n_entries; /* max_backends of the configuration */
	uint32_t zero;
	_Atomic uint64_t change; /* how many there were */
	/* Of the last ones, which entry it was. */
	_Atomic uint32_t changed[BACKENDS_CHANGES];
	struct backend_entry entries[];
};

size_t backends_area_size(uint32_t n_entries);

/* For the writer: makes a zeroed area valid. */
void backends_area_init(struct backends_area *area, uint32_t n_entries);

/* The monitor's only way to change an entry; bumps `change`. */
void backends_area_write(
    struct backends_area *area, uint32_t index, const struct backend *backend);

/* Sets why and text, cut where they must be. False: it was why already, and the
 * text of the first time stays. */
bool backend_set_why(
    struct backend *backend, const char *why, const char *text);

/*
 * A consistent copy; false: unused (or written 8 times meanwhile). Text is
 * NUL-terminated and n_sources is in range whatever the writer did: readers
 * stand on the other side of a border.
 */
bool backends_area_read(const struct backends_area *area, uint32_t index,
    struct backend *out_backend);

/* For the writer: the entry as it stands, unused ones included. */
void backends_area_peek(const struct backends_area *area, uint32_t index,
    struct backend *out_backend);

/* "127.0.0.1:143" or "unix:/path". Returns buf. */
#define ENDPOINT_TEXT_MAX 128
const char *endpoint_text(
    const struct endpoint *endpoint, char buf[ENDPOINT_TEXT_MAX]);

#endif
