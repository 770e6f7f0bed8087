/* SPDX-License-Identifier: ISC */
/* needs: proxy/base/siphash.c proxy/base/span.c proxy/base/ensure.c */
/* SipHash-2-4 against the authors' vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <string.h>

#include "proxy/base/siphash.h"

/* vectors_sip64 of the reference implementation: key 00..0f, message 00..
 * of n octets; the numbers are its octets read as little-endian. */
static const struct {
	size_t n;
	uint64_t hash;
} vectors[] = {
    {0, UINT64_C(0x726fdb47dd0e0e31)},
    {1, UINT64_C(0x74f839c593dc67fd)},
    {2, UINT64_C(0x0d6c8009d9a94f5a)},
    {3, UINT64_C(0x85676696d7fb7e2d)},
    {4, UINT64_C(0xcf2794e0277187b7)},
    {5, UINT64_C(0x18765564cd99a68d)},
    {6, UINT64_C(0xcbc9466e58fee3ce)},
    {7, UINT64_C(0xab0200f58b01d137)},
    {8, UINT64_C(0x93f5f5799a932462)},
    {9, UINT64_C(0x9e0082df0ba9e4b0)},
    {15, UINT64_C(0xa129ca6149be45e5)},
    {16, UINT64_C(0x3f2acc7f57c29bdb)},
    {63, UINT64_C(0x958a324ceb064572)},
};

static void
test_vectors(void **state)
{
	uint8_t octets[64];
	(void)state;
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)i;
	struct siphash_key key = siphash_key_of(octets);
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		assert_int_equal(siphash(&key, span_of(octets, vectors[i].n)),
		    vectors[i].hash);
}

static void
test_short(void **state)
{
	uint8_t octets[16];
	uint64_t words[2];
	(void)state;
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)i;
	struct siphash_key key = siphash_key_of(octets);
	memcpy(words, octets, sizeof(words));
	for (uint8_t n = 8; n < 16; n++)
		assert_int_equal(
		    siphash_short(&key, le64toh(words[0]),
			le64toh(words[1]) & ((UINT64_C(1) << 8 * (n - 8)) - 1),
			n),
		    siphash(&key, span_of(octets, n)));
}

static void
test_every_bit_of_the_key_counts(void **state)
{
	uint8_t octets[SIPHASH_KEY_LEN] = {0};
	(void)state;
	struct siphash_key zero = siphash_key_of(octets);
	uint64_t plain = siphash(&zero, span_str("x"));
	for (size_t bit = 0; bit < 128; bit++) {
		octets[bit / 8] = (uint8_t)(1u << (bit % 8));
		struct siphash_key key = siphash_key_of(octets);
		assert_int_not_equal(siphash(&key, span_str("x")), plain);
		octets[bit / 8] = 0;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_short),
	    cmocka_unit_test(test_every_bit_of_the_key_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
