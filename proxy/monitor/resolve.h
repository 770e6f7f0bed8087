/* SPDX-License-Identifier: ISC */
/*
 * Names to addresses, by /etc/hosts and then DNS (c-ares), asked again and
 * again. A name that stops resolving keeps the addresses it had.
 */
#ifndef MONITOR_RESOLVE_H
#define MONITOR_RESOLVE_H

#include <uv.h>

#include "proxy/base/addr.h"

#define RESOLVER_FAMILY_MAX 16 /* addresses of one family that are used */
#define RESOLVER_ADDRS_MAX  (2 * RESOLVER_FAMILY_MAX)

struct resolver;

struct resolver_events {
	void *arg;
	/* The addresses of some name changed, or it got its first answer. May
	 * call anything below. */
	void (*on_change)(void *arg);
	/* A name stopped resolving (why is not NULL) or resolves again. */
	void (*on_trouble)(void *arg, const char *host, const char *why);
	/* It has more than RESOLVER_FAMILY_MAX: the lowest are used. */
	void (*on_surplus)(void *arg, const char *host);
};

/* NULL: out of memory. */
struct resolver *resolver_new(
    uv_loop_t *loop, const struct resolver_events *events);

/* Reads /etc/resolv.conf anew and asks for every name at once. */
void resolver_reload(struct resolver *resolver);

/* Between begin and end every name in use is looked up; others are forgotten.
 * */
void resolver_begin(struct resolver *resolver);
void resolver_end(struct resolver *resolver);

/* Returns how many addresses (without ports) are known now; a new name is
 * asked for. */
uint32_t resolver_lookup(struct resolver *resolver, const char *host,
    uint64_t interval_ms, struct addr out_addrs[RESOLVER_ADDRS_MAX]);

/* Every name had an answer, good or bad. */
bool resolver_is_settled(const struct resolver *resolver);

#endif
