/* SPDX-License-Identifier: ISC */
/* What the master tells the log, through its event socket like every role. */
#ifndef MASTER_REPORT_H
#define MASTER_REPORT_H

#include "config/load.h"
#include "proxy/ipc/event.h"
#include "proxy/master/child.h"

struct master;

/* One event per line of a list of messages (NULL: none). */
void report_lines(
    struct master *master, enum event_kind kind, const char *lines);
/* What is wrong with certificates: errors and warnings. */
void report_faults(struct master *master, const struct problems *faults);
void report_text(struct master *master, enum event_kind kind, const char *text);

/* "started", "stopping", "stopped", with the version. */
void report_gateway(struct master *master, const char *state, const char *why);

/* Of the process that the slot holds; why may be NULL. */
void report_role(struct child *child, const char *state, const char *why);

/* How it ended: an exit status or a signal, as waitpid(2) says. */
void report_death(struct child *child, int status);

void report_reload(struct master *master, const char *verdict, const char *text,
    uint32_t n_errors);

#endif
