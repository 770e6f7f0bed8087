/* SPDX-License-Identifier: ISC */
/* See key_image.h. Called by certificate.c; freed by whoever holds it. */
#include "tls/key_image.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/ensure.h"
#include "tls/key.h"

#define CAP_FIRST 4096

/* No realloc: it could leave a copy behind that nobody wipes. */
static void
reserve(struct key_image *image, size_t more)
{
	struct key_image larger = {.cap = image->cap};

	if (image->cap - image->len >= more)
		return;
	if (larger.cap == 0)
		larger.cap = CAP_FIRST;
	while (larger.cap - image->len < more)
		larger.cap *= 2;
	larger.data = malloc(larger.cap);
	ENSURE(larger.data != NULL);
	larger.len = image->len;
	if (image->len != 0)
		memcpy(larger.data, image->data, image->len);
	key_image_free(image);
	*image = larger;
}

static void
append(struct key_image *image, const void *octets, size_t len)
{
	memcpy(image->data + image->len, octets, len);
	image->len += len;
}

void
key_image_add(struct key_image *image, struct span der, bool is_for_backends)
{
	uint32_t len = (uint32_t)der.len;

	ENSURE(der.len < KEY_FOR_BACKENDS);
	if (is_for_backends)
		len |= KEY_FOR_BACKENDS;
	reserve(image, sizeof(len) + der.len);
	append(image, &len, sizeof(len));
	append(image, der.data, der.len);
}

bool
key_image_next(struct span *rest, struct span *out_der)
{
	uint32_t len;

	if (rest->len < sizeof(len))
		return false;
	memcpy(&len, rest->data, sizeof(len));
	len &= ~KEY_FOR_BACKENDS;
	span_advance(rest, sizeof(len));
	if (len > rest->len)
		return false;
	*out_der = span_of(rest->data, len);
	span_advance(rest, len);
	return true;
}

void
key_image_free(struct key_image *image)
{
	if (image->len != 0)
		explicit_bzero(image->data, image->len);
	free(image->data);
	*image = (struct key_image){0};
}
