/* SPDX-License-Identifier: ISC */
/* See keys.h. Between the loop, the client of the keeper and sessions. */
#include "proxy/base/ensure.h"
#include "proxy/worker/shakes.h"
#include "proxy/worker/worker.h"

static void on_keeper(uv_poll_t *poll, int status, int events);

static void
send_waiting(struct keys *keys)
{
	bool is_full = key_client_send(&keys->client);
	int events = UV_READABLE | (is_full ? UV_WRITABLE : 0);

	if (keys->client.fd < 0 || events == keys->events)
		return;
	keys->events = events;
	uv_poll_start(&keys->poll, events, on_keeper);
}

static void
on_keeper(uv_poll_t *poll, int status, int events)
{
	struct worker *worker = poll->data;

	(void)events;
	if (status < 0)
		return; /* the master keeps both ends: it will not end */
	worker_touch_clock(worker);
	uint64_t until_ns = uv_hrtime() + TURN_SHARE_NS;
	while (
	    key_client_receive(&worker->keys.client) && uv_hrtime() < until_ns)
		continue;
	send_waiting(&worker->keys);
}

static bool
is_wanted(void *arg, uint64_t session_id)
{
	return conn_by_id(arg, session_id) != NULL;
}

static void
on_answer(void *arg, uint64_t session_id, const struct key_reply *reply,
    uint64_t waited_us)
{
	struct worker *worker = arg;
	struct conn *conn = conn_by_id(worker, session_id);

	tally_time_add(&worker->area->tally.key, waited_us);
	if (reply->status != KEY_OK)
		slot_add(&worker->area->key_failures, 1);
	if (conn != NULL)
		conn_key_reply(conn, reply);
}

void
keys_init(struct keys *keys, struct worker *worker)
{
	*keys = (struct keys){.events = 0};
	key_client_init(&keys->client);
	keys->client.arg = worker;
	keys->client.is_wanted = is_wanted;
	keys->client.answer = on_answer;
	keys->poll.data = worker;
}

void
keys_connect(struct keys *keys, int fd)
{
	struct worker *worker = keys->poll.data;

	if (key_client_connect(&keys->client, fd))
		ENSURE(uv_poll_init(&worker->loop, &keys->poll, fd) == 0);
	send_waiting(keys);
}

bool
keys_submit(void *arg, uint64_t session_id, struct key_request *request)
{
	struct worker *worker = arg;

	if (!key_client_submit(&worker->keys.client, session_id, request))
		return false;
	slot_add(&worker->area->key_requests, 1);
	send_waiting(&worker->keys);
	return true;
}
