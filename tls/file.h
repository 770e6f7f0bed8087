/* SPDX-License-Identifier: ISC */
/* A file as octets, wiped when done with: it may hold a key. */
#ifndef TLS_FILE_H
#define TLS_FILE_H

#include <sys/types.h>

#include "proxy/base/span.h"

/*
 * Reads a regular file of 1 to max octets into an empty secret, which the
 * caller wipes in any case. Returns NULL, or why not (static, or strerror()'s
 * until the next call). out_mode is set when NULL is returned.
 */
const char *file_read(
    const char *path, size_t max, struct secret *out, mode_t *out_mode);

#endif
