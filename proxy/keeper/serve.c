/* SPDX-License-Identifier: ISC */
/* See serve.h. Called by the keeper's loop. */
#include "proxy/keeper/serve.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/base/ensure.h"

short
client_wants(const struct client *client)
{
	return client->has_reply ? POLLOUT : POLLIN;
}

static bool
is_transient(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR ||
	       error == ENOBUFS;
}

static bool
send_reply(struct client *client)
{
	ENSURE(client->has_reply);
	ENSURE(client->reply.len <= KEY_SIGNATURE_MAX);
	ssize_t n = send(client->fd, &client->reply,
	    key_reply_size(&client->reply), MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n < 0)
		return is_transient(errno);
	client->has_reply = false;
	return true;
}

bool
client_serve(
    struct client *client, const struct key_set *set, const struct key_set *old)
{
	if (client->has_reply)
		return send_reply(client);
	struct key_request request;
	/* MSG_TRUNC: the length that was sent, even when it is too long. */
	ssize_t n = recv(
	    client->fd, &request, sizeof(request), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0)
		return is_transient(errno);
	if (n == 0)
		return false;
	if (!key_request_is_whole(&request, (size_t)n))
		return true;
	memset(&client->reply, 0, sizeof(client->reply));
	key_sign(set, old, &request, &client->reply);
	client->has_reply = true;
	return send_reply(client);
}
