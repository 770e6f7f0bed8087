/* SPDX-License-Identifier: ISC */
/*
 * The decision about an address, before anything is allocated for it and
 * before a TLS byte is read: allow and deny, then the limiter. Pure.
 *
 * With observe = on everything is decided and counted, and what [limits] would
 * refuse goes on all the same; [listen] allow and proxy_from are no limits and
 * stay in force.
 */
#ifndef LIMITS_ADMISSION_H
#define LIMITS_ADMISSION_H

#include "proxy/limits/limiter.h"

enum admission {
	ADMISSION_ADMIT,
	ADMISSION_DENIED,      /* [limits] deny */
	ADMISSION_NOT_ALLOWED, /* not in [listen] allow */
	ADMISSION_UNTRUSTED,   /* a PROXY header is required and this is not in
				  proxy_from */
	ADMISSION_BANNED,
	ADMISSION_CONNECTIONS, /* connections_per_ip */
	ADMISSION_PREAUTH,     /* preauth_per_ip; decided later, by waiting */
	ADMISSION_RATE,	       /* connect_rate_per_ip */
	ADMISSION_TABLE,       /* no room, and overflow = refuse */
	ADMISSION_MEMORY,      /* decided by who has to allocate */
	/* Refusals that are told in another way, but for observe = on: */
	ADMISSION_HANDSHAKES,	  /* handshakes_in_flight */
	ADMISSION_HANDSHAKE_RATE, /* handshake_rate */
	ADMISSION_FAILURES, /* auth_failures: a login would wait or fail */
	ADMISSION_MAX
};

/* The word for the log. */
const char *admission_name(enum admission admission);

/* What is decided about one connection. */
struct admission_result {
	enum admission admission;
	bool refused; /* false with another than ADMIT: observed only */
	uint32_t overflows;
	struct limiter_hold hold; /* to be released unless refused */
};

/* The sender of a PROXY header on listener `listen` (index). */
enum admission admission_of_sender(
    const struct config *config, uint32_t listen, const struct addr *peer);

/* allow and deny alone. */
enum admission admission_of_client(
    const struct config *config, uint32_t listen, const struct addr *client);

/* No limit is for this address. */
bool admission_is_exempt(const struct config *config, const struct addr *addr);

/* What would be decided now, without a trace in the table. limiter NULL: allow
 * and deny alone. The hold is empty. */
void admission_peek(const struct limiter *limiter, const struct config *config,
    uint32_t listen, const struct addr *client, uint64_t now_ms,
    struct admission_result *out);

/* A client that connects: by the socket, or as a PROXY header says. limiter
 * NULL: allow and deny alone. */
void admission_enter(struct limiter *limiter, const struct config *config,
    uint32_t listen, const struct addr *client, uint64_t now_ms,
    struct admission_result *out);

#endif
