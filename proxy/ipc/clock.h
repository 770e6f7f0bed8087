/* SPDX-License-Identifier: ISC */
/* The clock of roles. Pure modules are handed the time instead. */
#ifndef IPC_CLOCK_H
#define IPC_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC: of one machine, the same in all its processes. */
static inline uint64_t
clock_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static inline uint64_t
clock_ms(void)
{
	return clock_us() / 1000;
}

/* CLOCK_REALTIME: since 1970, and it may be set. */
static inline uint64_t
clock_realtime_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Of two times at which something is due; UINT64_MAX: never. */
static inline uint64_t
clock_earliest(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

#endif
