/* SPDX-License-Identifier: ISC */
/* See hash.h. The results are a promise between gateways of a fleet: a change
 * of any function moves every user. Called by balance.c and the worker. */
#include "backends/hash.h"

#define FNV_BASIS     UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME     UINT64_C(0x100000001b3)
#define FRACTION_BITS 24

static uint64_t
fnv(uint64_t hash, uint8_t octet)
{
	return (hash ^ octet) * FNV_PRIME;
}

uint64_t
hash_octets(struct span octets)
{
	uint64_t hash = FNV_BASIS;

	for (size_t i = 0; i < octets.len; i++)
		hash = fnv(hash, octets.data[i]);
	return hash_mix(hash);
}

/* SplitMix64's, by Sebastiano Vigna (public domain). */
uint64_t
hash_mix(uint64_t value)
{
	value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

static uint64_t
never_zero(uint64_t hash)
{
	return hash != 0 ? hash : 1;
}

uint64_t
hash_user(struct span user)
{
	uint64_t hash = FNV_BASIS;
	size_t domain = user.len;

	for (size_t i = 0; i < user.len; i++)
		if (user.data[i] == '@')
			domain = i;
	for (size_t i = 0; i < user.len; i++) {
		uint8_t c = user.data[i];
		if (i > domain && c >= 'A' && c <= 'Z')
			c = (uint8_t)(c | 0x20);
		hash = fnv(hash, c);
	}
	return never_zero(hash_mix(hash));
}

uint64_t
hash_client(const struct addr *client)
{
	size_t len = client->family == ADDR_IPV4 ? 4 : 8;

	return never_zero(hash_octets(span_of(client->ip, len)));
}

/* Bit by bit: squaring the mantissa doubles its logarithm. What is cut off
 * makes the result larger, so it is never below the true cost. */
uint64_t
hash_cost(uint64_t draw)
{
	unsigned zeros = (unsigned)__builtin_clzll(draw | 1);
	uint64_t mantissa = ((draw | 1) << zeros) >> 32;
	uint64_t fraction = 0;

	for (int i = 0; i < FRACTION_BITS; i++) {
		mantissa = mantissa * mantissa >> 31;
		fraction <<= 1;
		if (mantissa >> 32 == 0)
			continue;
		fraction |= 1;
		mantissa >>= 1;
	}
	return ((uint64_t)(zeros + 1) << FRACTION_BITS) - fraction;
}

uint64_t
hash_member(uint64_t name)
{
	return hash_mix(name + FNV_BASIS);
}

uint64_t
hash_draw(uint64_t key, uint64_t member)
{
	return hash_mix(key ^ member);
}
