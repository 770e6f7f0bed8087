/* SPDX-License-Identifier: ISC */
/*
 * What a [tls] section means: presets, versions, ciphers, groups (RFC 9325
 * section 4, RFC 8446). Used by the master to check and explain, by workers to
 * apply.
 */
#ifndef TLS_POLICY_H
#define TLS_POLICY_H

#include "config/load.h"

/* Checks every [tls] section against the linked BoringSSL; errors name file
 * and line. Resolves min_version and max_version from the preset. */
void policy_check(
    struct builder *builder, const char *path, struct problems *problems);

/* The strings to give BoringSSL; static or in the image. */
const char *policy_ciphers(
    const struct config *config, const struct config_tls *tls);
const char *policy_groups(
    const struct config *config, const struct config_tls *tls);

/* Says the policy of every listener in words (for -t). */
void policy_print(const struct config *config, void *file);

#endif
