/* SPDX-License-Identifier: ISC */
/*
 * What a connection costs in the limiter when so many addresses are known:
 *
 *     bench-limiter TABLE_ENTRIES ADDRESSES
 *
 * All addresses come once, and then a million connections come and go from
 * random ones of them. Prints "ADDRESSES NANOSECONDS OVERFLOWS": of one
 * connection, and the addresses for which the table had no room.
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

#define CONNECTIONS 1000000
#define TABLE_MAX   16777216u

struct bench {
	struct limits_image image;
	struct limiter limiter;
	uint64_t now_ms;
	uint64_t overflows;
	uint64_t seed;
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

/* The connections of one address are far enough apart to be admitted. */
static void
connect_once(struct bench *bench, uint32_t n)
{
	struct addr addr = {.family = ADDR_IPV4};
	struct limiter_hold hold;
	uint32_t overflows = 0;

	memcpy(addr.ip, &n, sizeof(n));
	ENSURE(limiter_enter(&bench->limiter, &bench->image.config, &addr,
		   bench->now_ms, true, &hold, &overflows) != LIMITER_FULL);
	limiter_release(&bench->limiter, &hold);
	bench->overflows += overflows;
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

	if (argc != 3 || !parse(argv[1], TABLE_MAX, &entries) ||
	    !parse(argv[2], TABLE_MAX, &addresses)) {
		fputs("usage: bench-limiter TABLE_ENTRIES ADDRESSES\n", stderr);
		return 2;
	}
	limits_image_init(&bench.image);
	open_table(&bench, entries);
	bench.now_ms = 1000000;
	bench.seed = 1;
	for (uint32_t n = 0; n < addresses; n++)
		connect_once(&bench, n);
	double begin = seconds();
	for (int i = 0; i < CONNECTIONS; i++) {
		bench.now_ms += i % 16 == 0;
		connect_once(&bench, roll(&bench, addresses));
	}
	printf("%u %.1f %llu\n", addresses,
	    (seconds() - begin) * 1e9 / CONNECTIONS,
	    (unsigned long long)bench.overflows);
	return 0;
}
