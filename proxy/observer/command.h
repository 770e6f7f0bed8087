/* SPDX-License-Identifier: ISC */
/*
 * The commands of the control socket. A request is one line, "COMMAND ARG...";
 * the reply is JSON lines (json.h), the last of them {"end":true} or
 * {"error":"..."}. Lines with the same keys in a row are a table.
 *
 * A command that changes something leaves a `control` event before it acts. A
 * new command is a row in command.c and a function in a file of its topic.
 */
#ifndef OBSERVER_COMMAND_H
#define OBSERVER_COMMAND_H

#include "proxy/ipc/channel.h"
#include "proxy/observer/reply.h"
#include "proxy/observer/view.h"

#define COMMAND_ARGS_MAX 8

struct journal;

struct command {
	const struct view *view;
	struct journal *journal; /* for the audit and log-level; NULL: none */
	uint32_t uid;		 /* who asks, by SO_PEERCRED */
	uint64_t number;	 /* of this request, for MESSAGE_REQUEST */
	/* To the master. False: it cannot be told. */
	bool (*send)(const struct message *message);
	struct span text; /* the whole request */
	uint32_t n_args;
	struct span args[COMMAND_ARGS_MAX];
};

enum command_result {
	COMMAND_DONE,	/* the reply is complete but for its last line */
	COMMAND_FAILED, /* the reply is an error */
	COMMAND_WAITS,	/* more comes as MESSAGE_REPLY with this number */
};

/*
 * Runs the request (without its line end); view, journal, uid, number and send
 * are set. Unless it says COMMAND_WAITS the reply ends as said above.
 */
enum command_result command_run(
    struct command *command, struct span request, struct reply *reply);

/* What the master said: a line of text, or the end. Returns true at the end. */
bool command_go_on(const struct message *message, struct reply *reply);

/* {"error":"text"}, in place of whatever the reply holds. */
void command_error(struct reply *reply, const char *text);

#endif
