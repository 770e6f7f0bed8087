/* SPDX-License-Identifier: ISC */
/* The monitor's side of the seam to the keeper (tls/key.h): a check shows a
 * backend the same certificate as a login does. */
#ifndef MONITOR_KEYS_H
#define MONITOR_KEYS_H

#include <uv.h>

#include "tls/key_client.h"

struct monitor;

struct keys {
	struct key_client client;
	uv_poll_t poll;
};

void keys_init(struct keys *keys, struct monitor *monitor);

/* A keeper, or a new one behind the same descriptor, which is owned here. */
void keys_connect(struct keys *keys, int fd);

/* For tls_backends: arg is the monitor, stream_id the index of the node whose
 * check it is. An answer to an earlier check fits no handshake. */
bool keys_submit(void *arg, uint64_t stream_id, struct key_request *request);

#endif
