/* SPDX-License-Identifier: ISC */
/* Bits of addresses, for networks.c and networks_build.c only. */
#ifndef LIMITS_TREE_BITS_H
#define LIMITS_TREE_BITS_H

#include <stdint.h>

static inline uint32_t
tree_bit_at(const uint8_t ip[16], uint32_t bit)
{
	return (uint32_t)(ip[bit / 8] >> (7 - bit % 8)) & 1;
}

/* How many of the first `most` bits are the same. */
static inline uint32_t
tree_common_bits(const uint8_t a[16], const uint8_t b[16], uint32_t most)
{
	uint32_t n = 0;

	while (n + 8 <= most && a[n / 8] == b[n / 8])
		n += 8;
	while (n < most && tree_bit_at(a, n) == tree_bit_at(b, n))
		n++;
	return n;
}

#endif
