/* SPDX-License-Identifier: ISC */
/* The clock of roles, in whole milliseconds. Pure modules are handed the time
 * instead. */
#ifndef IPC_CLOCK_H
#define IPC_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC: of one machine, the same in all its processes. */
static inline uint64_t
clock_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

#endif
