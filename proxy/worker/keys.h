/* SPDX-License-Identifier: ISC */
/* The worker's side of the seam to the keeper (tls/key.h). */
#ifndef WORKER_KEYS_H
#define WORKER_KEYS_H

#include <uv.h>

#include "proxy/base/list.h"
#include "tls/key.h"

struct worker;

/* The keeper: requests under way, oldest first. */
struct keys {
	struct worker *worker;
	uv_poll_t poll;
	int fd; /* -1: none */
	bool polling;
	bool want_write;
	struct list_link waiting; /* struct key_wait: not sent yet */
	struct list_link asked;	  /* sent, not answered */
};

void keys_init(struct keys *keys, struct worker *worker);
/* A new keeper, or a new one behind the same descriptor: asks again. */
void keys_connect(struct keys *keys, int fd);
bool keys_submit(void *arg, uint64_t session_id, struct key_request *request);

#endif
