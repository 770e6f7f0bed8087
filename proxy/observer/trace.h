/* SPDX-License-Identifier: ISC */
/*
 * What the observer remembers of clients, for `why` and `tls-report`: the last
 * events of an address, and users whose last session was of an older TLS, or
 * one that a dry run would have refused. Both are tables of fixed size in which
 * the longest unseen makes room, so a flood costs memory of the past and
 * nothing else. It begins anew with the observer.
 */
#ifndef OBSERVER_TRACE_H
#define OBSERVER_TRACE_H

#include "proxy/base/addr.h"
#include "proxy/base/span.h"

#define TRACE_WAYS   8
#define TRACE_SETS   512 /* 4096 addresses */
#define TRACE_EVENTS 10
#define TRACE_WORD   24

struct trace_event {
	uint64_t realtime_us; /* 0: none */
	uint64_t id;	      /* of the session; 0: none */
	struct addr peer;
	uint8_t kind; /* enum event_kind */
	char verdict[12];
	char why[TRACE_WORD];
	char state[12];
	char backend[TRACE_WORD];
	char user[40];
};

/* An IPv4 address, or the /64 of an IPv6 address. */
struct trace_client {
	struct addr key;
	uint64_t seen; /* order; 0: free */
	uint32_t next; /* where the next event goes */
	struct trace_event events[TRACE_EVENTS];
};

struct trace_user {
	uint64_t seen; /* order; 0: free */
	uint64_t last_us;
	uint64_t n_sessions;
	struct addr peer;
	char user[96];
	char tls[8];
	char cipher[48];
	char observed[16];
};

struct trace {
	uint64_t seed;
	uint64_t order;
	struct trace_client clients[TRACE_SETS][TRACE_WAYS];
	struct trace_user users[TRACE_SETS][TRACE_WAYS];
};

/* Large, and touched only as far as it is used. NULL: out of memory. */
struct trace *trace_new(uint64_t seed);
void trace_free(struct trace *trace);

/* Any event; one that names no client changes nothing. */
void trace_take(struct trace *trace, struct span message);

/* NULL: nothing is known. age 0 is the newest event; NULL: no more. */
const struct trace_client *trace_client(
    const struct trace *trace, const struct addr *addr);
const struct trace_event *trace_event(
    const struct trace_client *client, uint32_t age);

#endif
