/* SPDX-License-Identifier: ISC */
/*
 * What a decision of the limiter costs when so many addresses are known:
 *
 *     bench-limiter TABLE_ENTRIES ADDRESSES [ipv6]
 *
 * All addresses come once, and then a million connections come and go from
 * random ones of them. Prints "ADDRESSES NANOSECONDS OVERFLOWS": of one
 * decision, and the rungs for which the table had no room. Every address of
 * IPv6 is of a /48 of its own: three rungs.
 *
 * Connections come in batches, so that neither the clock nor who leaves is in
 * the figure.
 */
/* needs: proxy/limits/limiter.c proxy/limits/decide.c proxy/limits/ladder.c */
/* needs: proxy/limits/victim.c */
/* needs: proxy/base/siphash.c proxy/base/span.c proxy/base/addr.c */
/* needs: proxy/base/parse.c proxy/base/ensure.c */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "test/support/limits_image.h"

#define BATCH	  256
#define BATCHES	  4096
#define TABLE_MAX 16777216u

struct bench {
	struct limits_image image;
	struct limiter limiter;
	bool ipv6;
	uint64_t now_ms;
	uint64_t overflows;
	uint64_t seed;
	double seconds;
	struct addr addrs[BATCH];
	struct limiter_hold holds[BATCH];
};

/* Shared, as in the gateway, and of small pages for that reason. */
static void
open_table(struct bench *bench, uint32_t entries)
{
	static const uint8_t key[SIPHASH_KEY_LEN] = "0123456789abcde";
	size_t size = limiter_area_size(entries, 1);
	void *area = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ENSURE(area != MAP_FAILED);
	limiter_area_init(area, entries, 1, key);
	ENSURE(limiter_attach(&bench->limiter, area, size, 1, 0));
}

static uint32_t
roll(struct bench *bench, uint32_t n)
{
	bench->seed = bench->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((bench->seed >> 32) * n >> 32);
}

static double
seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct addr
address(const struct bench *bench, uint32_t n)
{
	struct addr addr = {.family = bench->ipv6 ? ADDR_IPV6 : ADDR_IPV4};

	addr.ip[0] = 0x2a;
	memcpy(addr.ip + (bench->ipv6 ? 2 : 0), &n, sizeof(n));
	return addr;
}

/* The connections of one address are far enough apart to be admitted. */
static void
connect_batch(struct bench *bench)
{
	uint32_t overflows;
	double begin = seconds();

	for (int i = 0; i < BATCH; i++) {
		ENSURE(limiter_enter(&bench->limiter, &bench->image.config,
			   &bench->addrs[i], bench->now_ms, true,
			   &bench->holds[i], &overflows) != LIMITER_FULL);
		bench->overflows += overflows;
	}
	bench->seconds += seconds() - begin;
	for (int i = 0; i < BATCH; i++)
		limiter_release(&bench->limiter, &bench->holds[i]);
}

static void
connect_all(struct bench *bench, uint32_t addresses)
{
	for (uint32_t n = 0; n < addresses; n += BATCH) {
		for (uint32_t i = 0; i < BATCH; i++)
			bench->addrs[i] = address(bench, (n + i) % addresses);
		connect_batch(bench);
	}
}

static void
connect_random(struct bench *bench, uint32_t addresses)
{
	bench->seconds = 0;
	for (int n = 0; n < BATCHES; n++) {
		bench->now_ms += BATCH / 16;
		for (int i = 0; i < BATCH; i++)
			bench->addrs[i] =
			    address(bench, roll(bench, addresses));
		connect_batch(bench);
	}
}

static bool
parse(const char *text, uint32_t max, uint32_t *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*out = (uint32_t)n;
	return end != text && *end == '\0' && n > 0 && n <= max;
}

int
main(int argc, char **argv)
{
	static struct bench bench;
	uint32_t entries, addresses;

	bench.ipv6 = argc == 4 && strcmp(argv[3], "ipv6") == 0;
	if (argc != 3 + bench.ipv6 || !parse(argv[1], TABLE_MAX, &entries) ||
	    !parse(argv[2], TABLE_MAX, &addresses)) {
		fputs("usage: bench-limiter TABLE_ENTRIES ADDRESSES [ipv6]\n",
		    stderr);
		return 2;
	}
	limits_image_init(&bench.image);
	open_table(&bench, entries);
	bench.now_ms = 1000000;
	bench.seed = 1;
	connect_all(&bench, addresses);
	connect_random(&bench, addresses);
	printf("%u %.1f %llu\n", addresses,
	    bench.seconds * 1e9 / ((double)BATCHES * BATCH),
	    (unsigned long long)bench.overflows);
	return 0;
}
