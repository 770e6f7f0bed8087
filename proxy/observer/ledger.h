/* SPDX-License-Identifier: ISC */
/*
 * What the observer itself counts: things that only events tell.
 * It begins anew with the observer. All of it is of fixed size.
 */
#ifndef OBSERVER_LEDGER_H
#define OBSERVER_LEDGER_H

#include "config/config.h"
#include "proxy/ipc/event.h"
#include "proxy/observer/census.h"
#include "tls/ticket.h"

/* role, as events name it */
#define LEDGER_ROLES(X)     \
	X(KEEPER, "keeper") \
	X(MONITOR, "monitor") X(OBSERVER, "observer") X(WORKER, "worker")

#define X(role, name) ROLE_##role,
enum ledger_role {
	LEDGER_ROLES(X) LEDGER_ROLE_MAX
};
#undef X

struct ledger {
	uint64_t restarts[LEDGER_ROLE_MAX];
	uint64_t reloads_ok;
	uint64_t reloads_failed;
	uint64_t certificate_faults;
	uint64_t ticket_ms[TICKET_RINGS]; /* CLOCK_MONOTONIC; 0: unknown */
	uint64_t dropped_write;		  /* lines that could not be written */
	uint64_t dropped_malformed;	  /* events not understood */
	struct census census;
	bool draining;
};

/* Any event; those that mean nothing here change nothing. */
void ledger_take(struct ledger *ledger, struct span message);

const char *ledger_role_name(unsigned int role);

#endif
