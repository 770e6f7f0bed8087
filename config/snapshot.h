/* SPDX-License-Identifier: ISC */
/* The sealed memfd in which an image travels from the master to the roles. */
#ifndef CONFIG_SNAPSHOT_H
#define CONFIG_SNAPSHOT_H

#include "config/load.h"

/*
 * Writes the image into a new memfd, sealed against every change, and returns
 * its descriptor (close-on-exec); -1 with errno set. Sets generation, layout
 * and size in the image.
 */
int snapshot_seal(struct builder *builder, uint64_t generation);

/*
 * Maps a snapshot read-only. Refuses (NULL, errno EPROTO) an image that is not
 * sealed, whose layout differs or whose size is not the descriptor's. Does not
 * close fd.
 */
const struct config *snapshot_map(int fd);

void snapshot_unmap(const struct config *config);

#endif
