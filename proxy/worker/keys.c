/* SPDX-License-Identifier: ISC */
/*
 * The worker's side of the seam to the keeper. A request waits here until the
 * channel takes it and is remembered until it is answered, so that nothing is
 * lost when the channel is full or the keeper is replaced. An answer finds its
 * session by id, never by pointer; one that nobody waits for is dropped.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/ensure.h"
#include "proxy/worker/shakes.h"
#include "proxy/worker/worker.h"

struct key_wait {
	struct list_link link;
	uint64_t session_id;
	uint64_t asked_ns;	    /* uv_hrtime() */
	struct key_request request; /* cut to the length in use */
};

static void on_keeper(uv_poll_t *poll, int status, int events);

static void
poll_for(struct keys *keys, bool want_write)
{
	if (keys->fd < 0 || (keys->polling && keys->want_write == want_write))
		return;
	keys->polling = true;
	keys->want_write = want_write;
	uv_poll_start(&keys->poll, UV_READABLE | (want_write ? UV_WRITABLE : 0),
	    on_keeper);
}

static bool
is_sent(const struct keys *keys, const struct key_request *request)
{
	size_t len = key_request_size(request);

	return send(keys->fd, request, len, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)len;
}

static void
forget(struct key_wait *wait)
{
	list_remove(&wait->link);
	free(wait);
}

static void
send_waiting(struct keys *keys)
{
	while (keys->fd >= 0 && !list_is_empty(&keys->waiting)) {
		struct key_wait *wait =
		    list_entry(keys->waiting.next, struct key_wait, link);
		if (conn_by_id(keys->worker, wait->session_id) == NULL) {
			forget(wait); /* gone before its turn came */
			continue;
		}
		if (!is_sent(keys, &wait->request))
			break;
		list_remove(&wait->link);
		list_append(&keys->asked, &wait->link);
	}
	poll_for(keys, !list_is_empty(&keys->waiting));
}

static void
answer(struct keys *keys, const struct key_reply *reply)
{
	struct worker *worker = keys->worker;
	struct list_link *it;

	list_for_each (it, &keys->asked) {
		struct key_wait *wait = list_entry(it, struct key_wait, link);
		if (wait->request.id != reply->id)
			continue;
		struct conn *conn = conn_by_id(worker, wait->session_id);
		tally_time_add(&worker->area->tally.key,
		    (uv_hrtime() - wait->asked_ns) / 1000);
		forget(wait);
		if (reply->status != KEY_OK)
			slot_add(&worker->area->key_failures, 1);
		if (conn != NULL)
			conn_key_reply(conn, reply);
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

	if (status < 0)
		return; /* the master keeps both ends: it will not end */
	worker_touch_clock(keys->worker);
	/* Each goes on with a handshake. When nothing more is due a system
	 * call is spared. */
	uint64_t until_ns = uv_hrtime() + TURN_SHARE_NS;
	while (read_reply(keys, &reply)) {
		answer(keys, &reply);
		if (list_is_empty(&keys->asked) || uv_hrtime() >= until_ns)
			break;
	}
	(void)events;
	send_waiting(keys);
}

void
keys_init(struct keys *keys, struct worker *worker)
{
	*keys = (struct keys){.worker = worker, .fd = -1};
	list_init(&keys->waiting);
	list_init(&keys->asked);
}

/* Answers to what was asked twice find nobody waiting. */
static void
ask_again(struct keys *keys)
{
	while (!list_is_empty(&keys->asked)) {
		struct list_link *last = keys->asked.prev;
		list_remove(last);
		/* In front of what waits: the oldest goes first. */
		list_append(keys->waiting.next, last);
	}
}

void
keys_connect(struct keys *keys, int fd)
{
	if (keys->fd >= 0) {
		close(fd); /* the pair is the slot's and stays the same */
	} else {
		keys->fd = fd;
		keys->poll.data = keys;
		ENSURE(uv_poll_init(&keys->worker->loop, &keys->poll, fd) == 0);
	}
	ask_again(keys);
	send_waiting(keys);
}

bool
keys_submit(void *arg, uint64_t session_id, struct key_request *request)
{
	struct worker *worker = arg;
	size_t size = key_request_size(request);
	struct key_wait *wait =
	    malloc(offsetof(struct key_wait, request) + size);
	if (wait == NULL)
		return false;
	list_init(&wait->link);
	wait->session_id = session_id;
	wait->asked_ns = uv_hrtime();
	memcpy(&wait->request, request, size);
	list_append(&worker->keys.waiting, &wait->link);
	slot_add(&worker->area->key_requests, 1);
	send_waiting(&worker->keys);
	return true;
}
