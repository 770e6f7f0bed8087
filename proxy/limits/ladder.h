/* SPDX-License-Identifier: ISC */
/*
 * Which prefixes an address counts for: one of IPv4, one per rung of the
 * ladder of IPv6. Rungs are at most 64 bits long, so a prefix is one word.
 * Pure.
 */
#ifndef LIMITS_LADDER_H
#define LIMITS_LADDER_H

#include "config/config.h"

#define LADDER_MAX CONFIG_LADDER_MAX

struct rung {
	uint64_t name;	 /* the prefix, network order read as big-endian */
	uint8_t family;	 /* enum addr_family */
	uint8_t bits;	 /* what is behind them in name is zero */
	uint32_t factor; /* the limits are multiplied by this */
};

/* Writes 1..LADDER_MAX rungs, the longest prefix as configured first; returns
 * how many. addr must be IPv4 or IPv6. */
uint32_t ladder_rungs(const struct config *config, const struct addr *addr,
    struct rung out[LADDER_MAX]);

/* The IPv4 address inside an IPv4-mapped (RFC 4291), NAT64 (RFC 6052) or 6to4
 * (RFC 3056) address; any other address as it is. The port stays. */
struct addr ladder_canonical(const struct addr *addr);

/* For messages; the reverse of ladder_rungs(). */
struct prefix ladder_prefix(uint64_t name, uint8_t family, uint8_t bits);

#endif
