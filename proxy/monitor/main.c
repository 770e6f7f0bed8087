/* SPDX-License-Identifier: ISC */
/* needs: proxy/monitor/ backends/pool.c backends/health.c backends/probe.c */
/* needs: backends/eject.c tls/backend.c tls/backends.c tls/stream.c */
/* needs: tls/hello.c tls/sign.c tls/failure.c tls/policy.c tls/names.c
 * tls/ticket.c */
/* needs: tls/random.c tls/section.c tls/client_check.c tls/x509.c */
/* needs: backends/proxyhdr.c backends/reply.c config/snapshot.c */
/* needs: proxy/ipc/ proxy/base/ */
/* needs: tls/key_client.c */
/* libs: boringssl uv cares */
/*
 * The monitor's side of the channel: takes what the master hands over, begins
 * at START, follows snapshots, ends with the channel. Started by the master.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "config/snapshot.h"
#include "proxy/ipc/area.h"
#include "proxy/ipc/channel.h"
#include "proxy/ipc/role.h"
#include "proxy/monitor/monitor.h"
#include "proxy/monitor/resolve.h"
#include "proxy/monitor/rounds.h"
#include "proxy/monitor/standing.h"
#include "proxy/monitor/table.h"

#define READY_MAX_MS  1000 /* the gateway starts without us after that */
#define MASTER_MAX_MS 5000

/* ---- what everybody in the role uses ----------------------------------- */

void
monitor_send(struct monitor *monitor, const struct event *event)
{
	struct event lost;

	if (monitor->n_events_lost > 0) {
		event_begin(&lost, EVENT_DROPPED);
		event_str(&lost, FIELD_ROLE, "monitor");
		event_u64(&lost, FIELD_COUNT, monitor->n_events_lost);
		if (event_send(monitor->events_fd, &lost))
			monitor->n_events_lost = 0;
	}
	if (!event_send(monitor->events_fd, event))
		monitor->n_events_lost++;
}

/* xorshift64*, by George Marsaglia and Sebastiano Vigna (public domain). */
uint64_t
monitor_random(struct monitor *monitor, uint64_t bound)
{
	uint64_t x = monitor->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	monitor->random = x;
	return bound == 0 ? 0 : x * UINT64_C(0x2545f4914f6cdd1d) % bound;
}

/* The master reads whenever it lives, so waiting for it is waiting for
 * nothing. */
static void
tell_master(uint32_t type, uint64_t arg, uint32_t slot)
{
	struct message message = {.type = type, .arg = arg, .slot = slot};
	struct pollfd wait = {.fd = ROLE_CHANNEL_FD, .events = POLLOUT};

	for (;;) {
		switch (channel_send(ROLE_CHANNEL_FD, &message)) {
		case CHANNEL_OK:
			return;
		case CHANNEL_CLOSED:
			exit(0);
		case CHANNEL_AGAIN:
			break;
		}
		if (poll(&wait, 1, MASTER_MAX_MS) == 0)
			role_fatal("the master does not read");
	}
}

static void
tell_ready(struct monitor *monitor)
{
	if (monitor->is_ready)
		return;
	monitor->is_ready = true;
	uv_timer_stop(&monitor->ready);
	tell_master(MESSAGE_READY, 0, 0);
}

void
monitor_check_ready(struct monitor *monitor)
{
	if (monitor->is_started && !monitor->is_ready &&
	    resolver_is_settled(monitor->resolver) &&
	    rounds_is_first_over(monitor))
		tell_ready(monitor);
}

static void
on_ready_timer(uv_timer_t *timer)
{
	tell_ready(timer->data);
}

/* ---- names ------------------------------------------------------------- */

static void
on_names_changed(void *arg)
{
	struct monitor *monitor = arg;

	table_sync(monitor);
	monitor_check_ready(monitor);
}

static void
on_name_trouble(void *arg, const char *host, const char *why)
{
	struct monitor *monitor = arg;
	struct event event;

	event_begin_level(
	    &event, EVENT_WARNING, why != NULL ? LEVEL_WARN : LEVEL_INFO);
	event_str(&event, FIELD_NAME, host);
	event_str(&event, FIELD_WHY, why != NULL ? why : "resolved");
	event_str(&event, FIELD_TEXT,
	    why != NULL ? "a backend's name does not resolve: the addresses "
			  "it had last, if any, stay in use"
			: "a backend's name resolves again");
	monitor_send(monitor, &event);
}

static void
on_name_surplus(void *arg, const char *host)
{
	struct event event;

	event_begin(&event, EVENT_WARNING);
	event_str(&event, FIELD_NAME, host);
	event_u64(&event, FIELD_COUNT, RESOLVER_FAMILY_MAX);
	event_str(&event, FIELD_WHY, "too_many_addresses");
	event_str(&event, FIELD_TEXT,
	    "a backend's name has more addresses of a family than are used: "
	    "the lowest are");
	monitor_send(arg, &event);
}

/* ---- what the master says ---------------------------------------------- */

static void
on_hello(struct monitor *monitor, const struct message *message)
{
	struct hello hello;

	role_take_hello(message, &hello);
	if (hello.n_slots > MONITOR_SLOTS_MAX)
		role_fatal("too many slots");
	monitor->n_slots = hello.n_slots;
}

static void *
map(int fd, bool writable, size_t least, size_t *out_size)
{
	void *data = area_map(fd, writable, out_size);

	if (data == NULL || *out_size < least)
		role_fatal("an area cannot be mapped");
	close(fd);
	return data;
}

static void
on_area(struct monitor *monitor, struct message *message)
{
	uint32_t slot = message->slot;
	int fd = message_take_fd(message);

	if (fd < 0)
		return;
	if (message->arg == AREA_BACKENDS && monitor->area == NULL) {
		monitor->area = map(fd, true, sizeof(struct backends_area),
		    &monitor->area_size);
	} else if (message->arg == AREA_LOAD && slot < MONITOR_SLOTS_MAX &&
		   monitor->loads[slot] == NULL) {
		monitor->loads[slot] = map(fd, false, sizeof(struct load_area),
		    &monitor->load_sizes[slot]);
	} else {
		close(fd);
	}
}

static void
take_passwords(struct monitor *monitor)
{
	for (uint32_t i = 0; i < CHANNEL_PASSWORDS_MAX; i++) {
		secret_wipe(&monitor->passwords[i]);
		monitor->passwords[i] = monitor->new_passwords[i];
		monitor->new_passwords[i] = (struct secret){NULL, 0};
	}
}

static void
on_snapshot(struct monitor *monitor, struct message *message)
{
	int fd = message_take_fd(message);
	const struct config *next = fd < 0 ? NULL : snapshot_map(fd);

	if (fd >= 0)
		close(fd);
	tell_master(MESSAGE_ACK, message->arg, next == NULL);
	if (next == NULL)
		return;
	tls_backends_forget(&monitor->secure);
	snapshot_unmap(monitor->config);
	monitor->config = next;
	take_passwords(monitor);
	if (!monitor->is_started)
		return;
	resolver_reload(monitor->resolver);
	table_sync(monitor);
}

/* Sizes are checked once, against the mapping, so that an index below
 * n_nodes is inside every area whatever a worker writes into its own. */
static bool
areas_fit(const struct monitor *monitor)
{
	const struct backends_area *area = monitor->area;

	if (area == NULL || area->layout != sizeof(struct backend_entry) ||
	    monitor->area_size < backends_area_size(area->n_entries))
		return false;
	for (uint32_t i = 0; i < MONITOR_SLOTS_MAX; i++)
		if (monitor->loads[i] != NULL &&
		    monitor->load_sizes[i] < load_area_size(area->n_entries))
			return false;
	return true;
}

static void
on_start(struct monitor *monitor)
{
	const struct resolver_events events = {
	    monitor, on_names_changed, on_name_trouble, on_name_surplus};

	if (monitor->is_started)
		return;
	if (monitor->config == NULL)
		role_fatal("START came without a snapshot");
	if (!areas_fit(monitor))
		role_fatal("areas are missing or of another form");
	monitor->n_nodes = monitor->area->n_entries;
	monitor->nodes = calloc(
	    monitor->n_nodes > 0 ? monitor->n_nodes : 1, sizeof(struct node));
	monitor->resolver = resolver_new(&monitor->loop, &events);
	if (monitor->nodes == NULL || monitor->resolver == NULL)
		role_fatal("out of memory");
	monitor->is_started = true;
	monitor->ready.data = monitor;
	uv_timer_start(&monitor->ready, on_ready_timer, READY_MAX_MS, 0);
	table_adopt(monitor);
	table_sync(monitor);
	standing_start(monitor);
	monitor_check_ready(monitor);
}

static bool
on_message(void *arg, struct message *message)
{
	struct monitor *monitor = arg;

	switch (message->type) {
	case MESSAGE_HELLO:
		on_hello(monitor, message);
		break;
	case MESSAGE_AREA:
		on_area(monitor, message);
		break;
	case MESSAGE_EVENTS:
		if (monitor->events_fd >= 0)
			close(monitor->events_fd);
		monitor->events_fd = message_take_fd(message);
		break;
	case MESSAGE_KEEPER:
		keys_connect(&monitor->keys, message_take_fd(message));
		break;
	case MESSAGE_PASSWORD:
		if (message->slot >= CHANNEL_PASSWORDS_MAX ||
		    !secret_set(&monitor->new_passwords[message->slot],
			span_of(message->body, message->len)))
			role_fatal("a password cannot be kept");
		explicit_bzero(message->body, message->len);
		break;
	case MESSAGE_SNAPSHOT:
		on_snapshot(monitor, message);
		break;
	case MESSAGE_START:
		on_start(monitor);
		break;
	case MESSAGE_BACKEND:
		table_set_admin(monitor, span_of(message->body, message->len),
		    message->slot);
		break;
	case MESSAGE_PING:
		tell_master(MESSAGE_PONG, 0, 0);
		break;
	case MESSAGE_DRAIN:
	case MESSAGE_STOP:
		exit(0);
	default:
		/* Not for this role. */
		break;
	}
	return true;
}

/* As many messages as are there: the start is a burst of them. */
static void
on_channel(uv_poll_t *handle, int status, int events)
{
	(void)status;
	(void)events;
	if (channel_read(ROLE_CHANNEL_FD, CHANNEL_NO_BUDGET, on_message,
		handle->data) == CHANNEL_CLOSED)
		exit(0);
}

static void
init(struct monitor *monitor)
{
	*monitor = (struct monitor){.events_fd = -1};
	if (getrandom(&monitor->random, sizeof(monitor->random), 0) !=
	    (ssize_t)sizeof(monitor->random))
		role_fatal("no random numbers");
	/* Zero would stay zero. */
	monitor->random |= 1;
	if (uv_loop_init(&monitor->loop) != 0 ||
	    uv_poll_init(&monitor->loop, &monitor->channel, ROLE_CHANNEL_FD) !=
		0)
		role_fatal("no event loop");
	uv_timer_init(&monitor->loop, &monitor->tick);
	uv_timer_init(&monitor->loop, &monitor->sweep);
	uv_timer_init(&monitor->loop, &monitor->look);
	uv_timer_init(&monitor->loop, &monitor->ready);
	keys_init(&monitor->keys, monitor);
	monitor->secure.submit = keys_submit;
	monitor->secure.arg = monitor;
	monitor->channel.data = monitor;
	uv_poll_start(
	    &monitor->channel, UV_READABLE | UV_DISCONNECT, on_channel);
}

int
main(void)
{
	struct monitor monitor;

	role_init("monitor");
	init(&monitor);
	uv_run(&monitor.loop, UV_RUN_DEFAULT);
	return 0;
}
