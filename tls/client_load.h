/* SPDX-License-Identifier: ISC */
/* The master's part of client certificates: reads authorities and lists. */
#ifndef TLS_CLIENT_LOAD_H
#define TLS_CLIENT_LOAD_H

#include "config/load.h"

/*
 * Puts client_ca and client_crl of every [tls] section that asks for client
 * certificates into the image. A fault is that file's alone: it is an error in
 * `faults`, and what `running` (may be NULL) has of the section of the same
 * name serves on. False: there is nothing to serve on with.
 */
bool client_files_load(struct builder *builder, const char *path,
    const struct config *running, struct problems *faults);

#endif
