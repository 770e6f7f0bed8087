/* SPDX-License-Identifier: ISC */
/*
 * Latencies in nanoseconds, counted in buckets that are at most 1.6 % wide,
 * so that every value is kept and histograms of several processes add up.
 * Plain data: it may lie in shared memory, with one writer.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_BUCKETS  ((64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
	uint64_t n;
	uint64_t max_ns;
	uint64_t counts[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, uint64_t ns);
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The value below which this part (0..1) of all lies; 0 when empty. */
uint64_t histogram_at(const struct histogram *h, double part);

#endif
