/* SPDX-License-Identifier: ISC */
/* Text that grows on the heap: what the control socket and the pages answer.
 * Write everything, look at `failed` once. */
#ifndef OBSERVER_REPLY_H
#define OBSERVER_REPLY_H

#include "proxy/base/span.h"

/* 64 MB are some 150,000 sessions; what would be longer fails. */
#define REPLY_MAX (UINT32_C(64) << 20)

/* Starts zeroed; free(data) belongs to whoever zeroed it. */
struct reply {
	uint8_t *data;
	size_t len;
	size_t cap;
	bool failed; /* out of memory, or REPLY_MAX */
};

void reply_put(struct reply *reply, struct span bytes);
void reply_puts(struct reply *reply, const char *text);
/* At most 1023 octets at a time; more fails. */
void reply_printf(struct reply *reply, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
