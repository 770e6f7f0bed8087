/* SPDX-License-Identifier: ISC */
/*
 * See keys.h. A request stays in `asked` until it is answered, so nothing is
 * lost when the channel is full or the keeper is replaced. An answer finds its
 * check by the node's index; one for an earlier check fits no handshake.
 */
#include "proxy/monitor/keys.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/ensure.h"
#include "proxy/monitor/check.h"
#include "proxy/monitor/monitor.h"

struct key_wait {
	struct list_link link;
	uint64_t index; /* of the node */
	bool is_sent;
	struct key_request request; /* cut to the length in use */
};

static void on_keeper(uv_poll_t *poll, int status, int events);

static void
send_waiting(struct keys *keys)
{
	struct list_link *it;
	int events = UV_READABLE;

	if (keys->fd < 0)
		return;
	list_for_each (it, &keys->asked) {
		struct key_wait *wait = list_entry(it, struct key_wait, link);
		if (wait->is_sent)
			continue;
		size_t size = key_request_size(&wait->request);
		wait->is_sent =
		    send(keys->fd, &wait->request, size,
			MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
		if (!wait->is_sent) {
			events |= UV_WRITABLE;
			break;
		}
	}
	uv_poll_start(&keys->poll, events, on_keeper);
}

static void
answer(struct keys *keys, const struct key_reply *reply)
{
	struct monitor *monitor = keys->monitor;
	struct list_link *it;

	list_for_each (it, &keys->asked) {
		struct key_wait *wait = list_entry(it, struct key_wait, link);
		if (wait->request.id != reply->id)
			continue;
		uint64_t index = wait->index;
		list_remove(&wait->link);
		free(wait);
		if (index < monitor->n_nodes &&
		    monitor->nodes[index].check != NULL)
			check_key_reply(monitor->nodes[index].check, reply);
		return;
	}
}

static bool
read_reply(struct keys *keys, struct key_reply *out_reply)
{
	memset(out_reply, 0, sizeof(*out_reply));
	ssize_t n = recv(keys->fd, out_reply, sizeof(*out_reply), MSG_DONTWAIT);
	return n > 0 && key_reply_is_whole(out_reply, (size_t)n);
}

static void
on_keeper(uv_poll_t *poll, int status, int events)
{
	struct keys *keys = poll->data;
	struct key_reply reply;

	(void)events;
	if (status < 0)
		return; /* the master keeps both ends: it will not end */
	while (read_reply(keys, &reply))
		answer(keys, &reply);
	send_waiting(keys);
}

void
keys_init(struct keys *keys, struct monitor *monitor)
{
	*keys = (struct keys){.monitor = monitor, .fd = -1};
	list_init(&keys->asked);
}

void
keys_connect(struct keys *keys, int fd)
{
	struct list_link *it;

	if (keys->fd >= 0) {
		close(fd); /* the pair stays the same */
	} else {
		keys->fd = fd;
		keys->poll.data = keys;
		ENSURE(
		    uv_poll_init(&keys->monitor->loop, &keys->poll, fd) == 0);
	}
	/* What is answered twice finds nobody waiting. */
	list_for_each (it, &keys->asked)
		list_entry(it, struct key_wait, link)->is_sent = false;
	send_waiting(keys);
}

bool
keys_submit(void *arg, uint64_t stream_id, struct key_request *request)
{
	struct monitor *monitor = arg;
	size_t size = key_request_size(request);
	struct key_wait *wait =
	    malloc(offsetof(struct key_wait, request) + size);

	if (wait == NULL)
		return false;
	list_init(&wait->link);
	wait->index = stream_id;
	wait->is_sent = false;
	memcpy(&wait->request, request, size);
	list_append(&monitor->keys.asked, &wait->link);
	send_waiting(&monitor->keys);
	return true;
}
