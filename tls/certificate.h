/* SPDX-License-Identifier: ISC */
/*
 * The master's part: read chains and keys, judge them, put the public part
 * into the image and the keys into an image of their own.
 */
#ifndef TLS_CERTIFICATE_H
#define TLS_CERTIFICATE_H

#include "config/load.h"
#include "tls/key_image.h"

/* The section of the name; looked for at the hint first. NULL: none. */
const struct config_certificate *certificate_find(
    const struct config *config, const char *name, uint32_t hint);

/* The same chain, octet by octet. */
bool certificate_is_same(const struct config *old_config,
    const struct config_certificate *old, const struct config *config,
    const struct config_certificate *certificate);

/*
 * Loads every certificate of the configuration into the builder, fills in
 * `certificates` and `sni` of every listener, and collects the keys. A fault is
 * that certificate's alone: it is an error in `problems` ("PATH:LINE:
 * [certificate NAME]: why", path of the configuration) and the previous one of
 * the same section name is copied from `running` and `running_keys` (both may
 * be NULL), else it is not usable. Returns false when a listener has no usable
 * certificate left, with an error.
 */
bool certificates_load(struct builder *builder, const char *path,
    const struct config *running, const struct key_image *running_keys,
    struct problems *problems, struct key_image *out_keys);

#endif
