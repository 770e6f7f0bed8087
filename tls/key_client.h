/* SPDX-License-Identifier: ISC */
/*
 * The side of the seam (tls/key.h) that asks: a worker's or the monitor's end
 * of the keeper's SOCK_SEQPACKET socket. Bound to no loop: the owner polls
 * `fd`. A request waits here until the socket takes it and is remembered until
 * it is answered, so nothing is lost when the socket is full or the keeper is
 * replaced. An answer finds its stream by number, never by pointer.
 */
#ifndef TLS_KEY_CLIENT_H
#define TLS_KEY_CLIENT_H

#include "proxy/base/list.h"
#include "tls/key.h"

struct key_client {
	int fd;			  /* -1: none yet */
	struct list_link waiting; /* for room in the socket, oldest first */
	struct list_link asked;	  /* sent, not answered */
	void *arg;
	/* Whether the stream is still there; asked before its request is
	 * sent. May be NULL: all are. */
	bool (*is_wanted)(void *arg, uint64_t stream_id);
	/* May submit. `waited_us` since key_client_submit(). */
	void (*answer)(void *arg, uint64_t stream_id,
	    const struct key_reply *reply, uint64_t waited_us);
};

/* The caller sets arg, is_wanted and answer. */
void key_client_init(struct key_client *client);

/* A keeper, or a new one behind the socket that is there already: what is not
 * answered is asked again. Owns fd: true when it is in use from here, false
 * when it was closed, as one end of the same socket is there already. */
bool key_client_connect(struct key_client *client, int fd);

/* Copies the request. False: out of memory. */
bool key_client_submit(struct key_client *client, uint64_t stream_id,
    const struct key_request *request);

/* Sends what waits. True: some still does, for POLLOUT. */
bool key_client_send(struct key_client *client);

/* Takes one message and hands its answers on. One that nobody waits for is
 * dropped. False: nothing is there, or nothing more is due. */
bool key_client_receive(struct key_client *client);

/* Takes the first reply of a message; false: there is none, or it is not
 * whole. */
bool key_next_reply(struct span *message, struct key_reply *out_reply);

#endif
