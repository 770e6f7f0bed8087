/* SPDX-License-Identifier: ISC */
/*
 * What a [tls] section means: presets, versions, ciphers, groups (RFC 9325
 * section 4, RFC 8446). Used by the master to check and explain, by workers to
 * apply.
 */
#ifndef TLS_POLICY_H
#define TLS_POLICY_H

#include <stdio.h>

#include "config/config.h"

struct builder;
struct problems;

/* Checks every [tls] section against the linked BoringSSL; errors name file
 * and line. Resolves min_version and max_version from the preset. */
void policy_check(
    struct builder *builder, const char *path, struct problems *problems);

/* Whether the listeners' certificates, once they are loaded, go with their
 * policies: a version that none can be used for is a warning, and when no
 * client can come in that is an error and false. */
bool policy_check_fit(
    struct builder *builder, const char *path, struct problems *problems);

/* The strings to give BoringSSL; static or in the image. The default groups
 * are found by trying, which is too slow for a handshake: an engine sets them
 * once on its SSL_CTX. */
const char *policy_ciphers(
    const struct config *config, const struct config_tls *tls);
const char *policy_groups(
    const struct config *config, const struct config_tls *tls);
const char *policy_default_ciphers(void);
const char *policy_default_groups(void);

#define POLICY_SIGALGS_MAX 9

/* The signature schemes to sign with, best first, for a key of the type and
 * size; sigalgs of the section (names of RFC 8446 section 4.2.3, separated by
 * colons) leaves only what it lists. Returns their number. */
size_t policy_sigalgs(const struct config *config, const struct config_tls *tls,
    uint32_t key_type, uint32_t key_bits, uint16_t out[POLICY_SIGALGS_MAX]);

/* May a key of key_bits sign with the scheme in TLS 1.3, too (RFC 8446 section
 * 4.2.3)? algorithm is one of the above. */
bool policy_is_for_tls13(uint32_t key_bits, uint16_t algorithm);

/* False: a name of the list, separated by colons, is none of these. */
bool policy_sigalgs_known(struct span list);

/* Says the policy of every listener and backend in words (for -t). */
void policy_print(const struct config *config, FILE *file);

#endif
