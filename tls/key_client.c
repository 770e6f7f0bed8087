/* SPDX-License-Identifier: ISC */
/* See key_client.h. Called by the loops of workers and of the monitor. */
#include "tls/key_client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/ipc/clock.h"

struct key_wait {
	struct list_link link;
	uint64_t stream_id;
	uint64_t asked_us;
	struct key_request request; /* cut to the length in use */
};

void
key_client_init(struct key_client *client)
{
	*client = (struct key_client){.fd = -1};
	list_init(&client->waiting);
	list_init(&client->asked);
}

static void
forget(struct key_wait *wait)
{
	list_remove(&wait->link);
	free(wait);
}

static bool
is_wanted(const struct key_client *client, const struct key_wait *wait)
{
	return client->is_wanted == NULL ||
	       client->is_wanted(client->arg, wait->stream_id);
}

static bool
is_sent(int fd, const struct key_request *request)
{
	size_t size = key_request_size(request);

	return send(fd, request, size, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)size;
}

bool
key_client_send(struct key_client *client)
{
	while (client->fd >= 0 && !list_is_empty(&client->waiting)) {
		struct key_wait *wait =
		    list_entry(client->waiting.next, struct key_wait, link);
		if (!is_wanted(client, wait)) {
			forget(wait);
			continue;
		}
		if (!is_sent(client->fd, &wait->request))
			return true;
		list_remove(&wait->link);
		list_append(&client->asked, &wait->link);
	}
	return false;
}

/* Answers to what is asked twice find nobody waiting. */
static void
ask_again(struct key_client *client)
{
	while (!list_is_empty(&client->asked)) {
		struct list_link *last = client->asked.prev;
		list_remove(last);
		/* In front of what waits: the oldest goes first. */
		list_append(client->waiting.next, last);
	}
}

bool
key_client_connect(struct key_client *client, int fd)
{
	bool is_first = client->fd < 0;

	if (is_first)
		client->fd = fd;
	else
		close(fd);
	ask_again(client);
	return is_first;
}

bool
key_client_submit(struct key_client *client, uint64_t stream_id,
    const struct key_request *request)
{
	size_t size = key_request_size(request);
	struct key_wait *wait =
	    malloc(offsetof(struct key_wait, request) + size);

	if (wait == NULL)
		return false;
	list_init(&wait->link);
	wait->stream_id = stream_id;
	wait->asked_us = clock_us();
	memcpy(&wait->request, request, size);
	list_append(&client->waiting, &wait->link);
	return true;
}

static void
answer(struct key_client *client, const struct key_reply *reply)
{
	struct list_link *it;

	list_for_each (it, &client->asked) {
		struct key_wait *wait = list_entry(it, struct key_wait, link);
		if (wait->request.id != reply->id)
			continue;
		uint64_t stream_id = wait->stream_id;
		uint64_t waited_us = clock_us() - wait->asked_us;
		forget(wait);
		client->answer(client->arg, stream_id, reply, waited_us);
		return;
	}
}

bool
key_next_reply(struct span *message, struct key_reply *out_reply)
{
	const size_t head = offsetof(struct key_reply, signature);

	if (message->len < head)
		return false;
	memcpy(out_reply, message->data, head);
	size_t size = key_reply_size(out_reply);
	if (out_reply->len > KEY_SIGNATURE_MAX || message->len < size)
		return false;
	memcpy(out_reply->signature, message->data + head, out_reply->len);
	span_advance(message, size);
	return true;
}

bool
key_client_receive(struct key_client *client)
{
	uint8_t data[KEY_REPLIES_SIZE];
	struct key_reply reply;

	ssize_t n = recv(client->fd, data, sizeof(data), MSG_DONTWAIT);
	if (n <= 0)
		return false;
	struct span replies = span_of(data, (size_t)n);
	while (key_next_reply(&replies, &reply))
		answer(client, &reply);
	return !list_is_empty(&client->asked);
}
