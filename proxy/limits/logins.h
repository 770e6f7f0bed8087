/* SPDX-License-Identifier: ISC */
/*
 * Failed logins per prefix and per user: a backend's NO that says nothing else
 * or AUTHENTICATIONFAILED (RFC 5530), not one that tells of trouble of its own.
 * First nothing, then delays of 2, 4, 8, 15 s before a backend is asked, then,
 * of a prefix, a ban. Passwords are known here as keyed hashes of 16 bits only.
 * Pure.
 */
#ifndef LIMITS_LOGINS_H
#define LIMITS_LOGINS_H

#include "proxy/limits/limiter.h"

/* Failures that are answered later and later before a ban. */
#define LOGIN_DELAYS 4

struct login_try {
	struct span user;     /* empty: not known */
	struct span password; /* empty: of a mechanism that shows none */
	bool is_token;	      /* XOAUTH2, OAUTHBEARER: never lead to a ban */
};

/* How long this login has to wait before a backend is asked; 0: not at all.
 * UINT32_MAX: the prefix is banned, ask nobody. hold may be empty. */
#define LOGIN_BANNED UINT32_MAX
uint32_t logins_delay(const struct limiter *limiter,
    const struct config *config, const struct addr *addr,
    const struct limiter_hold *hold, const struct login_try *login,
    uint64_t now_ms);

/* A backend said it was wrong. True: its prefix is banned from now on. */
bool logins_failed(struct limiter *limiter, const struct config *config,
    const struct addr *addr, const struct limiter_hold *hold,
    const struct login_try *login, uint64_t now_ms);

/* True: the user is known, and not from this prefix until now. */
bool logins_good(struct limiter *limiter, const struct config *config,
    const struct addr *addr, const struct limiter_hold *hold, struct span user,
    uint64_t now_ms);

/* The delay that so many failures beyond `limit` mean. */
uint32_t logins_delay_of(uint64_t level, uint64_t limit);

#endif
