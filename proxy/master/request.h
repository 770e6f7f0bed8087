/* SPDX-License-Identifier: ISC */
/* Changes by hand, as the observer hands them over (proxy/ipc/request.h). */
#ifndef MASTER_REQUEST_H
#define MASTER_REQUEST_H

#include "proxy/ipc/channel.h"
#include "proxy/master/compile.h"

#define ASKERS_MAX 16

/* Requests that wait for a reload to end; those of an observer that died are
 * forgotten. */
struct askers {
	uint32_t n;
	uint64_t numbers[ASKERS_MAX];
};

struct child;
struct master;

/* Does it or passes it on. Only the observer may ask; it may be in a
 * stranger's hands, so only what the table names can be asked for. */
void request_take(struct child *child, const struct message *message);

/* A reload ended: whoever waits for it is told. failed: what was wrong; NULL:
 * every role has the new configuration, and reload.remarks are told. */
void request_reloaded(struct master *master, const struct compiled *failed);

#endif
