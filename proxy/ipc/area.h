/* SPDX-License-Identifier: ISC */
/*
 * Shared areas: a named memfd of fixed, sealed size, and its mappings. Knows
 * no layout. The writer's descriptor is read-write, everyone else's read-only;
 * mode 0600, so that a reader of another uid cannot reopen it for writing.
 */
#ifndef IPC_AREA_H
#define IPC_AREA_H

#include <stdbool.h>
#include <stddef.h>

struct area {
	int rw_fd;
	int ro_fd;
	size_t size;
	void *data; /* the master's own mapping */
};

/* Creates, seals (SHRINK, GROW, SEAL) and maps; zeroed. False: errno. */
bool area_create(const char *name, size_t size, struct area *out_area);
void area_close(struct area *area);

/* Maps a received descriptor; out_size gets its size. NULL: errno. */
void *area_map(int fd, bool writable, size_t *out_size);

#endif
