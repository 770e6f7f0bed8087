/* SPDX-License-Identifier: ISC */
/*
 * What the master opens for the observer, which may open nothing itself: the
 * log files, the control socket and that of the metrics.
 */
#ifndef MASTER_FILES_H
#define MASTER_FILES_H

#include <stdbool.h>
#include <sys/types.h>

#include "config/load.h"

#define FILES_WHY_MAX 320

struct files {
	int log;     /* -1: not a file */
	int audit;   /* -1: with the others */
	int control; /* listening; -1: off */
	int metrics; /* the same */
	char control_path[108];
	dev_t control_dev; /* so that only our own socket is unlinked */
	ino_t control_ino;
};

void files_init(struct files *files);

/* Opens the logs that the configuration names, for appending, and takes the
 * place of those that were open. False: out_why, and nothing changed. */
bool files_open_logs(struct files *files, const struct config *config,
    char out_why[FILES_WHY_MAX]);

enum control_result {
	CONTROL_BOUND,
	CONTROL_OFF,	/* as configured, or out_why is a warning */
	CONTROL_FAILED, /* out_why is an error */
};

/* Binds the control socket, 0660 and of control_group if one is given. A
 * stale socket is replaced, a live one is an error. Only the default path may
 * fail for want of its directory. */
enum control_result files_bind_control(struct files *files,
    const struct config *config, char out_why[FILES_WHY_MAX]);

/* What of the above is sure to fail, for -t. */
void files_check(struct builder *builder, struct problems *problems);

/* Binds the address of metrics and page. False: out_why. */
bool files_bind_metrics(struct files *files, const struct config *config,
    char out_why[FILES_WHY_MAX]);

/* Closes everything and unlinks the control socket. */
void files_fini(struct files *files);

#endif
