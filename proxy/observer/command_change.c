/* SPDX-License-Identifier: ISC */
/* Commands that change the gateway as a whole: reload, drain, log-level. */
#include "proxy/observer/journal.h"
#include "proxy/observer/row.h"

enum command_result
command_reload(struct command *command, struct reply *reply)
{
	return row_ask(command, REQUEST_RELOAD, 0, span_str(""), 1, reply);
}

enum command_result
command_drain(struct command *command, struct reply *reply)
{
	return row_ask(command, REQUEST_DRAIN, 0, span_str(""), 1, reply);
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
	struct span name = command->args[0];
	uint32_t n = count_backends(command->view, name);
	uint32_t admin = 0;
	while (admin <= ADMIN_DOWN &&
	       !span_equal(command->args[1], span_str(words[admin])))
		admin++;
	if (admin > ADMIN_DOWN)
		return row_fail(reply, "a backend is set to drain, up or down");
	if (n == 0)
		return row_fail(reply, "there is no backend of that name");
	return row_ask(command, REQUEST_BACKEND, admin, name, n, reply);
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
