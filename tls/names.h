/* SPDX-License-Identifier: ISC */
/*
 * From a server name to the certificates for it, in constant time: a hash
 * table inside the image, built by the master. Exact names first, then
 * "*.parent" (one label, RFC 9525 section 6.3); "" holds the default.
 */
#ifndef TLS_NAMES_H
#define TLS_NAMES_H

#include "config/config.h"

#define SNI_CERTIFICATES_MAX 4 /* per name: ECDSA and RSA, old and new */

struct sni_slot {
	struct text name; /* lower case; off 0: empty slot, but see `used` */
	uint32_t used;
	uint32_t n_certificates;
	uint32_t certificates[SNI_CERTIFICATES_MAX]; /* indexes in the image */
};

/* A host name that may be in SNI: letters, digits, hyphens, underscores,
 * dots, 1..253 octets; out gets it in lower case with a NUL. */
bool sni_normalise(struct span name, char out[254]);

struct builder;
struct problems;

/* Builds the table of a listener from its usable certificates. */
void sni_build(struct builder *builder, uint32_t listen);

/* The same after finding out which they are. False: none, which is an error. */
bool listen_fill(struct builder *builder, uint32_t listen, const char *path,
    struct problems *problems);

/* The index of the name's slot, or of the empty slot where it would be; n is
 * the size of the table. */
uint32_t sni_probe(const struct config *config, const struct sni_slot *slots,
    uint32_t n, struct span name);

/* The slot for the name; NULL: unknown (then use sni_default()). */
const struct sni_slot *sni_find(const struct config *config,
    const struct config_listen *listen, struct span name);
const struct sni_slot *sni_default(
    const struct config *config, const struct config_listen *listen);

#endif
