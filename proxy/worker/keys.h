/* SPDX-License-Identifier: ISC */
/* The worker's side of the seam to the keeper (tls/key.h). */
#ifndef WORKER_KEYS_H
#define WORKER_KEYS_H

#include <uv.h>

#include "tls/key_client.h"

struct worker;

struct keys {
	struct key_client client;
	uv_poll_t poll;
	int events; /* that are polled for */
};

void keys_init(struct keys *keys, struct worker *worker);
/* A keeper, or a new one behind the same descriptor, which is owned here. */
void keys_connect(struct keys *keys, int fd);
/* For the TLS engine: arg is the worker. */
bool keys_submit(void *arg, uint64_t session_id, struct key_request *request);

#endif
