/* SPDX-License-Identifier: ISC */
/* The sealed memfd in which an image travels from the master to the roles. */
#ifndef CONFIG_SNAPSHOT_H
#define CONFIG_SNAPSHOT_H

#include "config/load.h"

/* Changes with the shape of the image: a role of another build refuses it. */
#define CONFIG_LAYOUT                                                    \
	(((uint64_t)2 << 56) ^ ((uint64_t)sizeof(struct config) << 40) ^ \
	    ((uint64_t)sizeof(struct config_backend) << 32) ^            \
	    ((uint64_t)sizeof(struct config_pool) << 24) ^               \
	    ((uint64_t)sizeof(struct config_certificate) << 16) ^        \
	    ((uint64_t)sizeof(struct config_tls) << 8) ^                 \
	    (uint64_t)sizeof(struct config_listen))

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
