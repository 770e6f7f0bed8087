/* SPDX-License-Identifier: ISC */
/* For the commands: one line of a reply, and what their functions look like. */
#ifndef OBSERVER_ROW_H
#define OBSERVER_ROW_H

#include "proxy/ipc/request.h"
#include "proxy/observer/command.h"
#include "proxy/observer/json.h"

#define ROW_MAX 8192

/* A line is made here and then appended, so a reply holds whole lines only. */
struct row {
	struct outbuf out;
	uint8_t data[ROW_MAX];
};

struct outbuf *row_begin(struct row *row);
void row_end(struct row *row, struct reply *reply);

/* Returns COMMAND_FAILED, the reply being {"error":text}. */
enum command_result row_fail(struct reply *reply, const char *text);

/* Into the audit stream: who, what, how many it concerns. */
void row_audit(const struct command *command, uint64_t count);

/* Audits it and asks the master for it (proxy/ipc/request.h), whose answer
 * ends the reply. body is what stands behind the head: REQUEST_BODY_MAX. */
enum command_result row_ask(const struct command *command,
    enum request_kind kind, uint32_t slot, struct span body, uint64_t count,
    struct reply *reply);

typedef enum command_result command_fn(
    struct command *command, struct reply *reply);

/* command_view.c */
command_fn command_status;
command_fn command_backends;
command_fn command_certificates;
command_fn command_listeners;

/* command_sessions.c */
command_fn command_sessions;
command_fn command_top;
command_fn command_kick;

/* command_client.c */
command_fn command_why;
command_fn command_tls_report;

/* command_limits.c */
command_fn command_limits;
command_fn command_ban;
command_fn command_unban;
command_fn command_deny;

/* command_change.c */
command_fn command_reload;
command_fn command_drain;
command_fn command_backend;
command_fn command_log_level;

#endif
