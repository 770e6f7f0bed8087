/* SPDX-License-Identifier: ISC */
/*
 * Log-linear buckets: values below 64 are exact; above, each power of two is
 * cut into 64 equal parts. Used by the load generator only.
 */
#include "test/bench/load/histogram.h"

#define SUB (1u << HISTOGRAM_SUB_BITS)

static unsigned
bucket_of(uint64_t ns)
{
	if (ns < SUB)
		return (unsigned)ns;
	unsigned shift = 63 - HISTOGRAM_SUB_BITS;
	shift -= (unsigned)__builtin_clzll(ns);
	return (shift + 1) * SUB + (unsigned)((ns >> shift) - SUB);
}

static uint64_t
value_of(unsigned bucket)
{
	if (bucket < SUB)
		return bucket;
	unsigned shift = bucket / SUB - 1;
	uint64_t low = (uint64_t)(bucket % SUB + SUB) << shift;
	return low + ((uint64_t)1 << shift) / 2;
}

void
histogram_add(struct histogram *h, uint64_t ns)
{
	h->n++;
	h->counts[bucket_of(ns)]++;
	if (ns > h->max_ns)
		h->max_ns = ns;
}

void
histogram_merge(struct histogram *into, const struct histogram *from)
{
	into->n += from->n;
	if (from->max_ns > into->max_ns)
		into->max_ns = from->max_ns;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->counts[i] += from->counts[i];
}

uint64_t
histogram_at(const struct histogram *h, double part)
{
	uint64_t rank = (uint64_t)((double)h->n * part);
	uint64_t seen = 0;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->counts[i];
		if (seen > rank) {
			uint64_t v = value_of(i);
			return v < h->max_ns ? v : h->max_ns;
		}
	}
	return h->max_ns;
}
