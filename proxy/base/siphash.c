/* SPDX-License-Identifier: ISC */
/* SipHash-2-4 as the paper defines it. Called by proxy/limits. */
#include "proxy/base/siphash.h"

#include <endian.h>
#include <string.h>

#define ROTATE(x, n) (((x) << (n)) | ((x) >> (64 - (n))))

static uint64_t
load(const uint8_t *octets, size_t n)
{
	uint64_t word = 0;

	for (size_t i = 0; i < n; i++)
		word |= (uint64_t)octets[i] << (8 * i);
	return word;
}

struct siphash_key
siphash_key_of(const uint8_t octets[SIPHASH_KEY_LEN])
{
	return (struct siphash_key){load(octets, 8), load(octets + 8, 8)};
}

static inline void
compress(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = ROTATE(v[1], 13) ^ v[0];
	v[3] = ROTATE(v[3], 16) ^ v[2];
	v[0] = ROTATE(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = ROTATE(v[1], 17) ^ v[2];
	v[3] = ROTATE(v[3], 21) ^ v[0];
	v[2] = ROTATE(v[2], 32);
}

static inline void
absorb(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	compress(v);
	compress(v);
	v[0] ^= word;
}

static inline void
begin(uint64_t v[4], const struct siphash_key *key)
{
	v[0] = key->k0 ^ UINT64_C(0x736f6d6570736575);
	v[1] = key->k1 ^ UINT64_C(0x646f72616e646f6d);
	v[2] = key->k0 ^ UINT64_C(0x6c7967656e657261);
	v[3] = key->k1 ^ UINT64_C(0x7465646279746573);
}

/* The last octets, less than eight, under the length of all. */
static inline uint64_t
end(uint64_t v[4], uint64_t rest, size_t len)
{
	absorb(v, rest | (uint64_t)(len & 0xff) << 56);
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		compress(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t
siphash(const struct siphash_key *key, struct span data)
{
	size_t whole = data.len / 8;
	uint64_t v[4], word;

	begin(v, key);
	for (size_t i = 0; i < whole; i++) {
		memcpy(&word, data.data + 8 * i, sizeof(word));
		absorb(v, le64toh(word));
	}
	return end(v, load(data.data + 8 * whole, data.len % 8), data.len);
}

uint64_t
siphash_short(
    const struct siphash_key *key, uint64_t first, uint64_t rest, uint8_t len)
{
	uint64_t v[4];

	begin(v, key);
	absorb(v, first);
	return end(v, rest, len);
}
