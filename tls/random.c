/* SPDX-License-Identifier: ISC */
/* See random.h. Called by workers, for choices and never for keys. */
#include "tls/random.h"

#include <openssl/rand.h>

void
tls_random(void *out, size_t len)
{
	RAND_bytes(out, len);
}
