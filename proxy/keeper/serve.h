/* SPDX-License-Identifier: ISC */
/*
 * One worker as the keeper sees it: a SOCK_SEQPACKET socket that carries whole
 * struct key_request and struct key_reply messages, cut to the length in use.
 */
#ifndef KEEPER_SERVE_H
#define KEEPER_SERVE_H

#include "tls/key.h"

/* At most one reply waits, and nothing is read while one does: a worker that
 * does not read costs the keeper 528 octets and no other worker a wait. */
struct client {
	int fd; /* -1: none */
	bool has_reply;
	struct key_reply reply;
};

/* What poll() waits for: POLLIN, or POLLOUT while a reply is owed. */
short client_wants(const struct client *client);

/*
 * Called when poll() said so. Sends what is owed, or takes one request, signs
 * and sends: one, so that a flood from one worker makes no other wait longer
 * than for one signature. A message that is no request is ignored. Sets and
 * `old` as in key_sign(). False: the socket is broken; close it.
 */
bool client_serve(struct client *client, const struct key_set *set,
    const struct key_set *old);

#endif
