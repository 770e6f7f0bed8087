/* SPDX-License-Identifier: ISC */
/* See command.h. The table, words of a request, and lines of a reply. Called
 * by control.c. */
#include "proxy/observer/command.h"

#include <stdio.h>
#include <string.h>

#include "proxy/base/ensure.h"
#include "proxy/base/parse.h"
#include "proxy/ipc/event.h"
#include "proxy/observer/journal.h"
#include "proxy/observer/row.h"

static command_fn command_help;

static const struct {
	const char *name;
	const char *arguments;
	const char *help;
	uint32_t min;
	uint32_t max;
	command_fn *run;
} commands[] = {
    {"status", "", "is anything wrong; workers, gauges, counters", 0, 0,
	command_status},
    {"sessions", "[FILTER...]",
	"every connection there is now: user= address= backend= state= tls= "
	"listener= id=, or a part of one of them",
	0, COMMAND_ARGS_MAX, command_sessions},
    {"top", "[user|address|backend]", "who has the most sessions and traffic",
	0, 1, command_top},
    {"kick", "user|id|backend|address NAME", "end these sessions now", 2, 2,
	command_kick},
    {"backends", "", "state and load of every backend", 0, 0, command_backends},
    {"backend", "NAME drain|up|down",
	"drain: its sessions end over drain_timeout; down: no new ones", 2, 2,
	command_backend},
    {"certificates", "", "certificates and the days they have left", 0, 0,
	command_certificates},
    {"listeners", "", "addresses listened at", 0, 0, command_listeners},
    {"why", "ADDRESS",
	"is this client refused, by which rule, until when; its last events", 1,
	1, command_why},
    {"limits", "show ADDRESS|top",
	"what the limits decide about an address and why; who holds most", 1, 2,
	command_limits},
    {"ban", "ADDRESS [TIME]", "refuse its connections, by default for auth_ban",
	1, 2, command_ban},
    {"unban", "ADDRESS", "end its ban and forget its failed logins", 1, 1,
	command_unban},
    {"deny", "reload", "read the files of networks again", 1, 1, command_deny},
    {"tls-report", "",
	"what TLS clients use; whom a stricter policy would cut off", 0, 0,
	command_tls_report},
    {"reload", "", "as SIGHUP, but waits and says what is wrong", 0, 0,
	command_reload},
    {"drain", "", "end all sessions over drain_timeout, then stop", 0, 0,
	command_drain},
    {"log-level", "error|warn|info|debug", "until the next reload or restart",
	1, 1, command_log_level},
    {"help", "", "this list", 0, 0, command_help},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static enum command_result
command_help(struct command *command, struct reply *reply)
{
	(void)command;
	for (size_t i = 0; i < N_COMMANDS; i++) {
		struct row row;
		struct outbuf *out = row_begin(&row);
		json_str(out, "command", commands[i].name);
		json_str(out, "arguments", commands[i].arguments);
		json_str(out, "what", commands[i].help);
		row_end(&row, reply);
	}
	return COMMAND_DONE;
}

struct outbuf *
row_begin(struct row *row)
{
	outbuf_init(&row->out, row->data, sizeof(row->data));
	json_begin(&row->out);
	return &row->out;
}

void
row_end(struct row *row, struct reply *reply)
{
	json_end(&row->out);
	if (row->out.overflow)
		reply->failed = true;
	else
		reply_put(reply, outbuf_span(&row->out));
}

enum command_result
row_fail(struct reply *reply, const char *text)
{
	command_error(reply, text);
	return COMMAND_FAILED;
}

void
row_audit(const struct command *command, uint64_t count)
{
	struct event event;
	if (command->journal == NULL)
		return;
	event_begin(&event, EVENT_CONTROL);
	event_text(&event, FIELD_COMMAND, command->text);
	event_u64(&event, FIELD_UID, command->uid);
	event_u64(&event, FIELD_COUNT, count);
	journal_take(command->journal, span_of(event.data, event.len));
}

enum command_result
row_ask(const struct command *command, enum request_kind kind, uint32_t slot,
    struct span body, uint64_t count, struct reply *reply)
{
	struct request_head head = {.kind = kind, .uid = command->uid};
	struct message message = {.type = MESSAGE_REQUEST,
	    .slot = slot,
	    .arg = command->number,
	    .len = (uint32_t)(sizeof(head) + body.len)};
	ENSURE(body.len <= REQUEST_BODY_MAX);
	memcpy(message.body, &head, sizeof(head));
	if (body.len > 0)
		memcpy(message.body + sizeof(head), body.data, body.len);
	row_audit(command, count);
	if (!command->send(&message))
		return row_fail(reply, "the master cannot be told");
	return COMMAND_WAITS;
}

void
command_error(struct reply *reply, const char *text)
{
	reply->len = 0;
	reply->failed = false;
	struct row row;
	json_str(row_begin(&row), "error", text);
	row_end(&row, reply);
}

static void
finish(struct reply *reply)
{
	struct row row;
	json_bool(row_begin(&row), "end", true);
	row_end(&row, reply);
	if (reply->failed)
		command_error(reply, "the reply is too long");
}

bool
command_go_on(const struct message *message, struct reply *reply)
{
	struct span text = span_of(message->body, message->len);
	struct row row;
	if (message->slot == REPLY_LINE) {
		json_text(row_begin(&row), "message", text);
		row_end(&row, reply);
		return false;
	}
	if (message->slot == REPLY_GOOD) {
		finish(reply);
		return true;
	}
	/* The lines before it say more: they stay. */
	json_text(row_begin(&row), "error", text);
	row_end(&row, reply);
	return true;
}

static enum command_result
refuse_arguments(size_t i, struct reply *reply)
{
	char text[256];
	snprintf(text, sizeof(text), "usage: %s%s%s", commands[i].name,
	    commands[i].arguments[0] == '\0' ? "" : " ", commands[i].arguments);
	return row_fail(reply, text);
}

static enum command_result
refuse_name(struct reply *reply)
{
	char text[512];
	size_t len =
	    (size_t)snprintf(text, sizeof(text), "no such command; there are");
	for (size_t i = 0; i < N_COMMANDS && len < sizeof(text); i++)
		len += (size_t)snprintf(
		    text + len, sizeof(text) - len, " %s", commands[i].name);
	return row_fail(reply, text);
}

static enum command_result
dispatch(struct command *command, struct span name, struct reply *reply)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (!span_equal(name, span_str(commands[i].name)))
			continue;
		if (command->n_args < commands[i].min ||
		    command->n_args > commands[i].max)
			return refuse_arguments(i, reply);
		return commands[i].run(command, reply);
	}
	return refuse_name(reply);
}

enum command_result
command_run(struct command *command, struct span request, struct reply *reply)
{
	struct span rest = parse_trim(request);
	struct span name, word;
	command->text = rest;
	command->n_args = 0;
	if (!parse_next_word(&rest, &name))
		return row_fail(reply, "no command; try help");
	while (parse_next_word(&rest, &word)) {
		if (command->n_args == COMMAND_ARGS_MAX)
			return row_fail(reply, "too many arguments");
		command->args[command->n_args++] = word;
	}
	enum command_result result = dispatch(command, name, reply);
	if (result == COMMAND_DONE)
		finish(reply);
	return result;
}
