/* SPDX-License-Identifier: ISC */
/*
 * The commands of the control socket. A request is one line, "COMMAND ARG...";
 * the reply is JSON lines (json.h), the last of them {"end":true} or
 * {"error":"..."}. Lines with the same keys in a row are a table.
 */
#ifndef OBSERVER_COMMAND_H
#define OBSERVER_COMMAND_H

#include "proxy/observer/view.h"

/* 64 MB are some 150,000 sessions; a reply that would be longer is an error. */
#define REPLY_MAX (UINT32_C(64) << 20)

/* Grows on the heap; free(data) belongs to whoever zeroed it. */
struct reply {
	uint8_t *data;
	size_t len;
	size_t cap;
	bool failed; /* out of memory, or REPLY_MAX */
};

/* Runs the request (without its line end). The reply always ends as said. */
void command_run(
    const struct view *view, struct span request, struct reply *reply);

/* {"error":"text"}, in place of whatever the reply holds. */
void command_error(struct reply *reply, const char *text);

#endif
