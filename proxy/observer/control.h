/* SPDX-License-Identifier: ISC */
/*
 * The control socket: one request line and one reply per connection
 * (command.h). At most CONTROL_CLIENTS_MAX at once, further ones are closed; a
 * client has CONTROL_TIMEOUT_MS for its request and as long for each
 * CONTROL_CHUNK of the reply, so nobody holds a place for ever; what the master
 * is asked for may take CONTROL_ASKED_MS.
 */
#ifndef OBSERVER_CONTROL_H
#define OBSERVER_CONTROL_H

#include <uv.h>

#include "proxy/base/list.h"
#include "proxy/observer/command.h"

#define CONTROL_CLIENTS_MAX 16
#define CONTROL_REQUEST_MAX 4096
#define CONTROL_TIMEOUT_MS  5000
#define CONTROL_CHUNK	    65536
#define CONTROL_ASKED_MS    30000

/* Embedded in the observer; lives as long as its loop. */
struct control {
	uv_loop_t *loop;
	uv_poll_t listener;
	int fd;			  /* -1: none */
	struct command command;	  /* what every command is given */
	struct list_link waiting; /* clients whose answer is the master's */
	unsigned int n_clients;
};

/* What common points to must live as long as the loop. */
void control_init(
    struct control *control, uv_loop_t *loop, const struct command *common);

/* MESSAGE_REPLY; one that nobody waits for any more is dropped. */
void control_reply(struct control *control, const struct message *message);

/* Takes the listening descriptor (the first only). False: fd is closed. */
bool control_listen(struct control *control, int fd);

#endif
