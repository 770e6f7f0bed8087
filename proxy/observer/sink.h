/* SPDX-License-Identifier: ISC */
/*
 * Where log lines go: stderr, a file, or syslog. Nobody waits for who reads
 * them: a pipe or a socket that takes nothing is given SINK_PATIENCE_MS in a
 * second, all lines together, and what does not fit then is lost and counted.
 *
 * stderr is shared with whoever started the gateway, so its description stays
 * blocking: poll(2) first, then at most PIPE_BUF octets, which a pipe that is
 * writable takes at once (pipe(7)).
 */
#ifndef OBSERVER_SINK_H
#define OBSERVER_SINK_H

#include "config/config.h"
#include "proxy/base/span.h"

#define SINK_PATIENCE_MS 200
#define SINK_SYSLOG	 "/dev/log"

struct sink {
	uint32_t target;	 /* enum config_log_target */
	int fd;			 /* of the file, owned; -1: stderr instead */
	int syslog_fd;		 /* owned; -1: not connected */
	uint32_t facility;	 /* of syslog(3) */
	const char *syslog_path; /* SINK_SYSLOG, but in tests */
	int patience_ms;	 /* what is left of it */
	uint64_t dropped;	 /* lines lost since the last one written */
	bool torn;		 /* the last line lacks its end */
};

void sink_init(struct sink *sink);

/* Closes the file. */
void sink_fini(struct sink *sink);

/* facility: LOG_MAIL... of syslog(3); used when target is LOG_TO_SYSLOG. */
void sink_configure(struct sink *sink, uint32_t target, uint32_t facility);

/* A new file; the old one is closed. Takes fd. */
void sink_set_file(struct sink *sink, int fd);

/* Once a second: there is patience again. */
void sink_tick(struct sink *sink);

/*
 * One line with its LF. False: it could not be written and was counted in
 * `dropped`; whoever sees that number tells about it and clears it.
 */
bool sink_write(struct sink *sink, int level, struct span line);

#endif
