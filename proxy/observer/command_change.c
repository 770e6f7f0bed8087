/* SPDX-License-Identifier: ISC */
/* Commands that change the gateway as a whole: reload, drain, log-level. */
#include <string.h>

#include "proxy/ipc/request.h"
#include "proxy/observer/journal.h"
#include "proxy/observer/row.h"

static enum command_result
ask(struct command *command, enum request_kind kind, struct reply *reply)
{
	struct request_head head = {.kind = kind, .uid = command->uid};
	struct message message = {.type = MESSAGE_REQUEST,
	    .arg = command->number,
	    .len = sizeof(head)};
	memcpy(message.body, &head, sizeof(head));
	row_audit(command, 1);
	if (!command->send(&message))
		return row_fail(reply, "the master cannot be told");
	return COMMAND_WAITS;
}

enum command_result
command_reload(struct command *command, struct reply *reply)
{
	return ask(command, REQUEST_RELOAD, reply);
}

enum command_result
command_drain(struct command *command, struct reply *reply)
{
	return ask(command, REQUEST_DRAIN, reply);
}

static uint32_t
count_backends(const struct view *view, struct span name)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < view_n_backends(view); i++) {
		struct backend backend;
		n += view_backend(view, i, &backend) &&
		     span_equal(name, span_str(backend.name));
	}
	return n;
}

enum command_result
command_backend(struct command *command, struct reply *reply)
{
	static const char *const words[] = {[ADMIN_NONE] = "up",
	    [ADMIN_DRAIN] = "drain",
	    [ADMIN_DOWN] = "down"};
	struct request_head head = {
	    .kind = REQUEST_BACKEND, .uid = command->uid};
	struct message message = {
	    .type = MESSAGE_REQUEST, .arg = command->number};
	struct span name = command->args[0];
	uint32_t n = count_backends(command->view, name);
	while (message.slot <= ADMIN_DOWN &&
	       !span_equal(command->args[1], span_str(words[message.slot])))
		message.slot++;
	if (message.slot > ADMIN_DOWN)
		return row_fail(reply, "a backend is set to drain, up or down");
	if (n == 0)
		return row_fail(reply, "there is no backend of that name");
	memcpy(message.body, &head, sizeof(head));
	memcpy(message.body + sizeof(head), name.data, name.len);
	message.len = (uint32_t)(sizeof(head) + name.len);
	row_audit(command, n);
	if (!command->send(&message))
		return row_fail(reply, "the master cannot be told");
	return COMMAND_WAITS;
}

enum command_result
command_log_level(struct command *command, struct reply *reply)
{
	static const char *const levels[] = {"error", "warn", "info", "debug"};
	for (int i = 0; i <= LEVEL_DEBUG; i++) {
		if (!span_equal(command->args[0], span_str(levels[i])))
			continue;
		row_audit(command, 1);
		if (command->journal != NULL)
			command->journal->level = i;
		return COMMAND_DONE;
	}
	return row_fail(reply, "a level is error, warn, info or debug");
}
