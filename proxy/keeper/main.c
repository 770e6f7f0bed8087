/* SPDX-License-Identifier: ISC */
/*
 * The keeper: holds the private keys and signs for the workers, and for the
 * monitor, which shows backends what workers show them. It touches no
 * network and no file; keys come from the master in a memfd. One thread, one
 * poll() over the master's channel and the clients' sockets; it blocks nowhere
 * else, and it is nicer than the workers (role_be_patient), so that signatures
 * never starve relaying.
 *
 * Invariant: `old` is the set that was current before the last KEYS; it goes
 * after OLD_SET_MS, when every handshake begun with it has met its deadline.
 */
/* needs: proxy/keeper/serve.c tls/key.c */
/* needs: proxy/ipc/channel.c proxy/ipc/role.c */
/* needs: proxy/base/ensure.c proxy/base/span.c */
/* libs: boringcrypto */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/ensure.h"
#include "proxy/ipc/channel.h"
#include "proxy/ipc/clock.h"
#include "proxy/ipc/role.h"
#include "proxy/keeper/serve.h"
#include "tls/key.h"

#define CLIENTS_MAX (CHANNEL_MONITOR_SLOT + 1)
#define OLD_SET_MS  120000
/* About one RSA-2048 signature. */
#define TURN_US UINT64_C(500)
/* 5,000 RSA-4096 keys are 12 MB. */
#define IMAGE_MAX (UINT32_C(64) << 20)

struct keeper {
	struct client clients[CLIENTS_MAX];
	struct key_set *set;
	struct key_set *old;
	uint64_t old_until_ms;
	uint64_t stood_back_us;
	bool stopping;
};

/* The master always reads its channels; only a burst makes us wait. */
static void
tell_master(struct keeper *keeper, uint32_t type, uint32_t slot, uint64_t arg)
{
	struct message message = {.type = type, .slot = slot, .arg = arg};
	enum channel_result result;
	while ((result = channel_send(ROLE_CHANNEL_FD, &message)) ==
	       CHANNEL_AGAIN) {
		struct pollfd wait = {ROLE_CHANNEL_FD, POLLOUT, 0};
		if (poll(&wait, 1, -1) < 0 && errno != EINTR)
			break;
	}
	if (result != CHANNEL_OK)
		keeper->stopping = true;
}

static struct key_set *
load_image(int fd)
{
	struct stat status;
	if (fd < 0 || fstat(fd, &status) != 0 || status.st_size < 0 ||
	    status.st_size > IMAGE_MAX)
		return NULL;
	size_t size = (size_t)status.st_size;
	if (size == 0)
		return key_set_new(span_of(NULL, 0));
	void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		return NULL;
	madvise(data, size, MADV_DONTDUMP);
	struct key_set *set = key_set_new(span_of(data, size));
	munmap(data, size);
	return set;
}

static void
on_keys(struct keeper *keeper, struct message *message)
{
	int fd = message_take_fd(message);
	struct key_set *set = load_image(fd);
	if (fd >= 0)
		close(fd);
	if (set == NULL) {
		tell_master(keeper, MESSAGE_ACK, 1, message->arg);
		return;
	}
	key_set_free(keeper->old);
	keeper->old = keeper->set;
	keeper->old_until_ms = clock_ms() + OLD_SET_MS;
	keeper->set = set;
	/* Best effort: RLIMIT_MEMLOCK may forbid it. Not MCL_FUTURE, which
	 * would make allocations fail at that limit. */
	(void)mlockall(MCL_CURRENT);
	tell_master(keeper, MESSAGE_ACK, 0, message->arg);
}

static void
drop_client(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	client->owed = 0;
}

static void
on_worker(struct keeper *keeper, struct message *message)
{
	int fd = message_take_fd(message);
	if (fd < 0 || message->slot >= CLIENTS_MAX)
		role_fatal("a client's channel is missing or out of range");
	drop_client(&keeper->clients[message->slot]);
	keeper->clients[message->slot].fd = fd;
}

static bool
on_message(void *arg, struct message *message)
{
	struct keeper *keeper = arg;
	struct hello hello;
	switch (message->type) {
	case MESSAGE_HELLO:
		role_take_hello(message, &hello);
		break;
	case MESSAGE_KEEPER:
		on_worker(keeper, message);
		break;
	case MESSAGE_KEYS:
		on_keys(keeper, message);
		break;
	case MESSAGE_START:
		tell_master(keeper, MESSAGE_READY, 0, 0);
		break;
	case MESSAGE_PING:
		tell_master(keeper, MESSAGE_PONG, 0, 0);
		break;
	case MESSAGE_STOP:
		keeper->stopping = true;
		break;
	default: /* of no concern to the keeper */
		break;
	}
	return !keeper->stopping;
}

static void
on_channel(struct keeper *keeper)
{
	if (channel_read(ROLE_CHANNEL_FD, CHANNEL_NO_BUDGET, on_message,
		keeper) == CHANNEL_CLOSED)
		keeper->stopping = true;
}

/* Returns how long poll() may wait: for ever, or until the old set goes. */
static int
expire_old(struct keeper *keeper)
{
	if (keeper->old == NULL)
		return -1;
	uint64_t now = clock_ms();
	if (now < keeper->old_until_ms)
		return (int)(keeper->old_until_ms - now);
	key_set_free(keeper->old);
	keeper->old = NULL;
	return -1;
}

/* A worker that woke up on this core and was not let in, because it had used
 * more than its part before, would else wait for the kernel's next tick, up to
 * 10 ms, as under a flood there is always another request. */
static void
stand_back(struct keeper *keeper)
{
	uint64_t now = clock_us();
	if (now - keeper->stood_back_us < TURN_US)
		return;
	sched_yield();
	keeper->stood_back_us = clock_us();
}

static void
run_once(struct keeper *keeper)
{
	struct pollfd fds[CLIENTS_MAX + 1];
	for (int i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &keeper->clients[i];
		/* poll() skips a negative descriptor. */
		fds[i] = (struct pollfd){client->fd, client_wants(client), 0};
	}
	fds[CLIENTS_MAX] = (struct pollfd){ROLE_CHANNEL_FD, POLLIN, 0};
	int n = poll(fds, CLIENTS_MAX + 1, expire_old(keeper));
	if (n < 0 && errno != EINTR)
		role_fatal("poll failed");
	if (n <= 0)
		return;
	/* Workers first: the master's message may replace their sockets. */
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (fds[i].revents != 0 && !client_serve(&keeper->clients[i],
					       keeper->set, keeper->old))
			drop_client(&keeper->clients[i]);
	if (fds[CLIENTS_MAX].revents != 0)
		on_channel(keeper);
	stand_back(keeper);
}

static void
forbid_cores(void)
{
	struct rlimit none = {0, 0};
	if (setrlimit(RLIMIT_CORE, &none) != 0)
		role_fatal("cannot forbid core files");
}

int
main(void)
{
	role_init("keeper");
	forbid_cores();
	role_be_patient();
	static const uint8_t nothing[1];
	struct keeper keeper = {.set = key_set_new(span_of(nothing, 0))};
	if (keeper.set == NULL)
		role_fatal("out of memory");
	for (int i = 0; i < CLIENTS_MAX; i++)
		keeper.clients[i].fd = -1;
	while (!keeper.stopping)
		run_once(&keeper);
	key_set_free(keeper.set);
	key_set_free(keeper.old);
	return 0;
}
