/* SPDX-License-Identifier: ISC */
/* See serve.h. Called by the keeper's loop. */
#include "proxy/keeper/serve.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/base/ensure.h"
#include "proxy/ipc/clock.h"

short
client_wants(const struct client *client)
{
	return client->owed > 0 ? POLLOUT : POLLIN;
}

static bool
is_transient(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR ||
	       error == ENOBUFS;
}

static bool
send_owed(struct client *client)
{
	ENSURE(client->owed <= sizeof(client->replies));
	if (client->owed == 0)
		return true;
	ssize_t n = send(client->fd, client->replies, client->owed,
	    MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return is_transient(errno);
	client->owed = 0;
	return true;
}

static void
owe(struct client *client, const struct key_reply *reply)
{
	size_t size = key_reply_size(reply);

	memcpy(client->replies + client->owed, reply, size);
	client->owed += size;
}

enum taken {
	TAKEN,
	TAKEN_NONE, /* no more is there */
	TAKEN_END   /* the socket is broken */
};

static enum taken
take_request(
    struct client *client, const struct key_set *set, const struct key_set *old)
{
	struct key_request request;
	struct key_reply reply;
	/* MSG_TRUNC: the length that was sent, even when it is too long. */
	ssize_t n = recv(
	    client->fd, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0)
		return is_transient(errno) ? TAKEN_NONE : TAKEN_END;
	if (n == 0)
		return TAKEN_END;
	if (key_request_is_whole(&request, (size_t)n)) {
		key_sign(set, old, &request, &reply);
		owe(client, &reply);
	}
	return TAKEN;
}

bool
client_serve(
    struct client *client, const struct key_set *set, const struct key_set *old)
{
	uint64_t until_us = clock_us() + SERVE_US;
	enum taken taken = TAKEN;

	if (client->owed > 0)
		return send_owed(client);
	for (int n = 0;
	     taken == TAKEN && n < KEY_REPLIES_MAX && clock_us() < until_us;
	     n++)
		taken = take_request(client, set, old);
	return taken != TAKEN_END && send_owed(client);
}
