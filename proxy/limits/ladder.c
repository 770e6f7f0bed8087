/* SPDX-License-Identifier: ISC */
/* See ladder.h. Called by the limiter and the observer. */
#include "proxy/limits/ladder.h"

#include <endian.h>
#include <string.h>

#include "proxy/base/ensure.h"

static struct addr
embedded(const struct addr *addr, size_t at)
{
	struct addr v4 = {.family = ADDR_IPV4, .port = addr->port};

	memcpy(v4.ip, addr->ip + at, 4);
	return v4;
}

struct addr
ladder_canonical(const struct addr *addr)
{
	static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
	static const uint8_t six_to_four[2] = {0x20, 0x02};
	struct addr plain = *addr;

	addr_unmap(&plain);
	if (plain.family != ADDR_IPV6)
		return plain;
	if (memcmp(plain.ip, nat64, sizeof(nat64)) == 0)
		return embedded(&plain, 12);
	if (memcmp(plain.ip, six_to_four, sizeof(six_to_four)) == 0)
		return embedded(&plain, 2);
	return plain;
}

static struct rung
rung_of(const struct addr *addr, uint32_t bits, uint32_t factor)
{
	uint64_t name;

	ENSURE(bits > 0 && bits <= 64);
	memcpy(&name, addr->ip, sizeof(name));
	name = be64toh(name);
	return (struct rung){
	    .name = name & (UINT64_MAX << (64 - bits)),
	    .family = addr->family,
	    .bits = (uint8_t)bits,
	    .factor = factor,
	};
}

uint32_t
ladder_rungs(const struct config *config, const struct addr *addr,
    struct rung out[LADDER_MAX])
{
	const struct config_limits *limits = &config->limits;
	const struct config_rung *ladder =
	    config_items(config, limits->ipv6_ladder);
	struct addr plain = ladder_canonical(addr);
	uint32_t n = limits->ipv6_ladder.n;

	ENSURE(plain.family != ADDR_NONE);
	if (plain.family == ADDR_IPV4) {
		out[0] = rung_of(&plain, limits->ipv4_prefix, 1);
		return 1;
	}
	ENSURE(n > 0 && n <= LADDER_MAX);
	for (uint32_t i = 0; i < n; i++)
		out[i] = rung_of(&plain, ladder[i].bits, ladder[i].factor);
	return n;
}

struct prefix
ladder_prefix(uint64_t name, uint8_t family, uint8_t bits)
{
	struct prefix prefix = {.addr.family = family, .bits = bits};
	int n = family == ADDR_IPV4 ? 4 : 8;

	for (int i = 0; i < n; i++)
		prefix.addr.ip[i] = (uint8_t)(name >> (56 - 8 * i));
	return prefix;
}
