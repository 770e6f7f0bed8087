/* SPDX-License-Identifier: ISC */
/*
 * The private keys on their way from the master to the keeper, in the form of
 * tls/key.h. They stand in the order of the usable certificates of the
 * configuration that they were read with.
 */
#ifndef TLS_KEY_IMAGE_H
#define TLS_KEY_IMAGE_H

#include <stdbool.h>

#include "proxy/base/span.h"

/* All zero: empty. The octets are wiped whenever they move or go. */
struct key_image {
	uint8_t *data;
	size_t len;
	size_t cap;
};

/* Adds a PKCS#8 key in DER, of less than 2 GB. */
void key_image_add(
    struct key_image *image, struct span der, bool is_for_backends);

/* Takes the next key off `rest`, at first the whole image. False: none. */
bool key_image_next(struct span *rest, struct span *out_der);

/* Wipes; the image is then empty and may be used again. */
void key_image_free(struct key_image *image);

#endif
