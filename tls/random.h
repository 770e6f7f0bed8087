/* SPDX-License-Identifier: ISC */
/* Random octets for those who may not include BoringSSL's headers. */
#ifndef TLS_RANDOM_H
#define TLS_RANDOM_H

#include <stddef.h>

/* Of the quality of keys. Never fails: BoringSSL aborts when the kernel has
 * none to give. */
void tls_random(void *out, size_t len);

#endif
