/* SPDX-License-Identifier: ISC */
#include "proxy/base/ensure.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void
ensure_failed(const char *cond, const char *file, int line)
{
	fprintf(stderr, "%s:%d: ensure failed: %s\n", file, line, cond);
	abort();
}
