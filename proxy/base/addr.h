/* SPDX-License-Identifier: ISC */
/*
 * Internet addresses, endpoints and prefixes as plain values: no padding
 * matters, they are copied, compared and put into shared areas as they are.
 * A parser that returns false has written ADDR_NONE.
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "proxy/base/span.h"

enum addr_family {
	ADDR_NONE,
	ADDR_IPV4,
	ADDR_IPV6,
};

/* ip holds 4 or 16 octets in network order, the rest is zero. */
struct addr {
	uint8_t family; /* enum addr_family */
	uint8_t zero;
	uint16_t port; /* host order */
	uint8_t ip[16];
};

/* bits: 0..32 or 0..128; the octets of addr behind them are zero. */
struct prefix {
	struct addr addr;
	uint32_t bits;
};

/* "[ffff:...:255.255.255.255%...]:65535" and a NUL. */
#define ADDR_TEXT_MAX 64

/* "192.0.2.1" or "2001:db8::1" (no brackets). False: neither. */
bool addr_parse_ip(struct span text, struct addr *out_addr);

/* "192.0.2.1:993" or "[2001:db8::1]:993"; the port 1..65535 is required. */
bool addr_parse(struct span text, struct addr *out_addr);

/* "192.0.2.0/24", "2001:db8::/32", or an address alone. False also when a
 * bit behind the prefix is set: that is a typing error worth an answer. */
bool prefix_parse(struct span text, struct prefix *out_prefix);

bool addr_equal(const struct addr *a, const struct addr *b);
bool addr_equal_ip(const struct addr *a, const struct addr *b);
bool prefix_contains(const struct prefix *prefix, const struct addr *addr);

/* An IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) becomes IPv4. */
void addr_unmap(struct addr *addr);

/* False: neither AF_INET nor AF_INET6; out_addr is then ADDR_NONE. */
bool addr_from_sockaddr(const struct sockaddr *sa, struct addr *out_addr);

/* Returns the length of what was written; addr must be IPv4 or IPv6. */
socklen_t addr_to_sockaddr(
    const struct addr *addr, struct sockaddr_storage *out_sa);

/* "192.0.2.1:993", "[2001:db8::1]:993", "-" for ADDR_NONE. Returns buf. */
const char *addr_text(const struct addr *addr, char buf[ADDR_TEXT_MAX]);

/* The same without brackets and port. Returns buf. */
const char *addr_text_ip(const struct addr *addr, char buf[ADDR_TEXT_MAX]);

#endif
