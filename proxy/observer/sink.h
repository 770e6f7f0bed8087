/* SPDX-License-Identifier: ISC */
/*
 * Where log lines go: stderr, a file, or syslog. Writing may block; only the
 * observer waits then, and the roles' events are dropped and counted.
 */
#ifndef OBSERVER_SINK_H
#define OBSERVER_SINK_H

#include "config/config.h"
#include "proxy/base/span.h"

struct sink {
	uint32_t target;  /* enum config_log_target */
	int fd;		  /* of the file, owned; -1: stderr is used instead */
	uint64_t dropped; /* lines lost since the last that was written */
	bool torn;	  /* the last line lacks its end */
};

void sink_init(struct sink *sink);

/* Closes the file. */
void sink_fini(struct sink *sink);

/* facility: LOG_MAIL... of syslog(3); used when target is LOG_TO_SYSLOG. */
void sink_configure(struct sink *sink, uint32_t target, uint32_t facility);

/* A new file; the old one is closed. Takes fd. */
void sink_set_file(struct sink *sink, int fd);

/*
 * One line with its LF, in one write. False: it could not be written and was
 * counted in `dropped`; whoever sees that number tells about it and clears it.
 */
bool sink_write(struct sink *sink, int level, struct span line);

#endif
