/* SPDX-License-Identifier: ISC */
/*
 * One worker as the keeper sees it: a SOCK_SEQPACKET socket that carries whole
 * struct key_request and struct key_reply messages, cut to the length in use.
 */
#ifndef KEEPER_SERVE_H
#define KEEPER_SERVE_H

#include "tls/key.h"

/* What is owed waits here, and nothing is read while something is: a worker
 * that does not read costs the keeper some KB and no other worker a wait. */
struct client {
	int fd; /* -1: none */
	size_t owed;
	uint8_t replies[KEY_REPLIES_SIZE];
};

/* What poll() waits for: POLLIN, or POLLOUT while replies are owed. */
short client_wants(const struct client *client);

/*
 * Called when poll() said so. Sends what is owed; or takes requests and signs,
 * until none is left, the message is full, or for SERVE_US or one signature,
 * so that a flood from one worker makes no other wait long; then sends all
 * replies at once: each message wakes the worker, which on a core shared with
 * it costs as much as a tenth of the signature. A message that is no request
 * is ignored. Sets and `old` as in key_sign(). False: the socket is broken;
 * close it.
 */
#define SERVE_US 500
bool client_serve(struct client *client, const struct key_set *set,
    const struct key_set *old);

#endif
