/* SPDX-License-Identifier: ISC */
/* What a worker knows of its pools: views of the backends area. */
#ifndef WORKER_POOLS_H
#define WORKER_POOLS_H

#include "proxy/base/list.h"
#include "proxy/session/env.h"

#define PENALTIES_MAX 16
/* A backend that said PRIVACYREQUIRED is left alone for so long. */
#define MISCONFIGURED_MS 60000

struct penalty {
	struct backend_ref ref;
	uint64_t until_ms;
};

/* Logins that wait for room in a pool, the oldest first. */
struct queue {
	struct list_link sessions;
};

struct pools {
	uint32_t n_views; /* by index of the snapshot's pools */
	struct pool_view *views;
	struct queue *queues;
	/* By entry: a failure was told lately, so successes are news, too. */
	uint64_t *suspect_until_ms;
	struct penalty penalties[PENALTIES_MAX];
	uint64_t forgive_ms; /* when the next of them ends; UINT64_MAX: none */
};

void pools_init(struct pools *pools, struct session_ops *ops);
bool pools_use(struct pools *pools, const struct config *config);

struct worker;

/* Up to date; lives until the next call. */
struct pool_view *pools_view(struct worker *worker, uint32_t pool);
/* It wants TLS for logins: no use until that is mended. */
void pools_penalise(struct worker *worker, struct backend_ref ref,
    const struct backend *backend);

/* choose.c: who gets which backend. */
void choose_init(struct session_ops *ops);

#endif
