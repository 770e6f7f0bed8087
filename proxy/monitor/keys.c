/* SPDX-License-Identifier: ISC */
/* See keys.h. Between the loop, the client of the keeper and checks. */
#include "proxy/monitor/keys.h"

#include "proxy/base/ensure.h"
#include "proxy/monitor/check.h"
#include "proxy/monitor/monitor.h"

static void on_keeper(uv_poll_t *poll, int status, int events);

static void
send_waiting(struct keys *keys)
{
	bool is_full = key_client_send(&keys->client);

	if (keys->client.fd >= 0)
		uv_poll_start(&keys->poll,
		    UV_READABLE | (is_full ? UV_WRITABLE : 0), on_keeper);
}

static void
on_keeper(uv_poll_t *poll, int status, int events)
{
	struct monitor *monitor = poll->data;

	(void)events;
	if (status < 0)
		return; /* the master keeps both ends: it will not end */
	while (key_client_receive(&monitor->keys.client))
		continue;
	send_waiting(&monitor->keys);
}

static void
on_answer(void *arg, uint64_t index, const struct key_reply *reply,
    uint64_t waited_us)
{
	struct monitor *monitor = arg;

	(void)waited_us;
	if (index < monitor->n_nodes && monitor->nodes[index].check != NULL)
		check_key_reply(monitor->nodes[index].check, reply);
}

void
keys_init(struct keys *keys, struct monitor *monitor)
{
	key_client_init(&keys->client);
	keys->client.arg = monitor;
	keys->client.answer = on_answer;
	keys->poll.data = monitor;
}

void
keys_connect(struct keys *keys, int fd)
{
	struct monitor *monitor = keys->poll.data;

	if (key_client_connect(&keys->client, fd))
		ENSURE(uv_poll_init(&monitor->loop, &keys->poll, fd) == 0);
	send_waiting(keys);
}

bool
keys_submit(void *arg, uint64_t stream_id, struct key_request *request)
{
	struct monitor *monitor = arg;

	if (!key_client_submit(&monitor->keys.client, stream_id, request))
		return false;
	send_waiting(&monitor->keys);
	return true;
}
