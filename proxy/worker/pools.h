/* SPDX-License-Identifier: ISC */
/* What a worker knows of its pools: views of the backends area. */
#ifndef WORKER_POOLS_H
#define WORKER_POOLS_H

#include "proxy/session/env.h"

#define PENALTIES_MAX 16
/* A backend that said PRIVACYREQUIRED is left alone for so long. */
#define MISCONFIGURED_MS 60000

struct penalty {
	struct backend_ref ref;
	uint64_t until_ms;
};

struct pools {
	uint32_t n_views; /* by index of the snapshot's pools */
	struct pool_view *views;
	struct penalty penalties[PENALTIES_MAX];
};

void pools_init(struct pools *pools, struct session_ops *ops);
bool pools_use(struct pools *pools, const struct config *config);

#endif
