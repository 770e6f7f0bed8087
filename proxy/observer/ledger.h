/* SPDX-License-Identifier: ISC */
/*
 * What the observer itself counts: things that only events and snapshots tell.
 * It begins anew with the observer. All of it is of fixed size.
 */
#ifndef OBSERVER_LEDGER_H
#define OBSERVER_LEDGER_H

#include "config/config.h"
#include "proxy/ipc/event.h"
#include "proxy/observer/census.h"
#include "tls/ticket.h"

#define LEDGER_CERTIFICATES 1024

/* role, as events name it */
#define LEDGER_ROLES(X)     \
	X(KEEPER, "keeper") \
	X(MONITOR, "monitor") X(OBSERVER, "observer") X(WORKER, "worker")

#define X(role, name) ROLE_##role,
enum ledger_role {
	LEDGER_ROLES(X) LEDGER_ROLE_MAX
};
#undef X

struct ledger_certificate {
	char name[72];	  /* or "backend NAME" */
	uint64_t print;	  /* of the chain; 0: none yet */
	int64_t loaded_s; /* since 1970 */
	uint64_t renewals;
};

struct ledger {
	uint64_t restarts[LEDGER_ROLE_MAX];
	uint64_t reloads_ok;
	uint64_t reloads_failed;
	uint64_t certificate_faults;
	uint32_t n_certificates;
	struct ledger_certificate certificates[LEDGER_CERTIFICATES];
	uint64_t ticket_ms[TICKET_RINGS]; /* CLOCK_MONOTONIC; 0: unknown */
	uint64_t dropped_write;		  /* lines that could not be written */
	uint64_t dropped_malformed;	  /* events not understood */
	struct census census;
	bool draining;
};

/* Any event; those that mean nothing here change nothing. */
void ledger_take(struct ledger *ledger, struct span message);

/* A new snapshot: whose chain is another than before? */
void ledger_use(
    struct ledger *ledger, const struct config *config, int64_t now_s);

/* NULL: not seen. */
const struct ledger_certificate *ledger_certificate(
    const struct ledger *ledger, struct span name);

const char *ledger_role_name(unsigned int role);

#endif
