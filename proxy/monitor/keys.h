/* SPDX-License-Identifier: ISC */
/* The monitor's side of the seam to the keeper (tls/key.h): a check shows a
 * backend the same certificate as a login does. */
#ifndef MONITOR_KEYS_H
#define MONITOR_KEYS_H

#include <uv.h>

#include "proxy/base/list.h"
#include "tls/key.h"

struct monitor;

struct keys {
	struct monitor *monitor;
	uv_poll_t poll;
	int fd;			/* -1: none yet */
	struct list_link asked; /* struct key_wait, oldest first */
};

void keys_init(struct keys *keys, struct monitor *monitor);

/* A keeper, or a new one behind the same descriptor, which is owned from here:
 * asks again. */
void keys_connect(struct keys *keys, int fd);

/* For tls_backends: arg is the monitor, stream_id the index of the node whose
 * check it is. */
bool keys_submit(void *arg, uint64_t stream_id, struct key_request *request);

#endif
