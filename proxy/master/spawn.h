/* SPDX-License-Identifier: ISC */
/*
 * From an executable to a process of a role. The executables are opened once,
 * when the master starts: they may be unreadable after setuid, or be replaced
 * by an upgrade while we run.
 */
#ifndef MASTER_SPAWN_H
#define MASTER_SPAWN_H

#include <sys/types.h>

#include "proxy/master/privilege.h"

struct spawn {
	int exec_fd;
	const char *title; /* argv[0], "sallyport: worker 0" */
	int channel;	   /* becomes ROLE_CHANNEL_FD of the child */
	const struct identity *identity; /* NULL: stays who we are */
};

/* The executable `name` beside our own, or in SALLYPORT_LIBEXEC. Returns a
 * close-on-exec descriptor (O_PATH) above the standard ones; -1: errno. */
int spawn_open(const char *name);

/* Returns the pid; -1: errno. A child that cannot become the role says why on
 * stderr and exits with status 126. */
pid_t spawn_start(const struct spawn *spawn);

#endif
