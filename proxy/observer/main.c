/* SPDX-License-Identifier: ISC */
/*
 * The observer: reads events from every role and writes the log; answers the
 * control socket. It may be slow or dead without harm to any other role: they
 * never wait for it. One libuv loop; it ends when the master's channel does,
 * after what is still in the event sockets has been written.
 */
/* needs: proxy/observer/log.c proxy/observer/json.c proxy/observer/sink.c */
/* needs: proxy/observer/journal.c proxy/observer/view.c */
/* needs: proxy/observer/command.c proxy/observer/control.c */
/* needs: proxy/observer/reply.c proxy/observer/ledger.c */
/* needs: proxy/observer/history.c proxy/observer/metrics.c */
/* needs: proxy/observer/sheet.c proxy/observer/http.c proxy/observer/page.c */
/* needs: proxy/observer/command_view.c proxy/observer/command_sessions.c */
/* needs: proxy/observer/command_client.c proxy/observer/command_change.c */
/* needs: proxy/observer/dryrun.c proxy/observer/census.c */
/* needs: proxy/observer/trace.c proxy/observer/command_limits.c */
/* needs: proxy/limits/admission.c proxy/limits/networks.c */
/* needs: proxy/limits/limiter.c proxy/limits/decide.c */
/* needs: proxy/limits/victim.c */
/* needs: proxy/limits/logins.c proxy/limits/ladder.c */
/* needs: proxy/base/siphash.c */
/* needs: proxy/observer/plot.c proxy/observer/alarm.c proxy/ipc/reason.c */
/* needs: proxy/ipc/channel.c proxy/ipc/area.c proxy/ipc/event.c */
/* needs: proxy/ipc/slot.c proxy/ipc/tally.c proxy/ipc/role.c */
/* needs: backends/pool.c backends/health.c config/snapshot.c */
/* needs: proxy/base/addr.c proxy/base/ensure.c proxy/base/parse.c */
/* needs: proxy/base/span.c */
/* libs: uv microhttpd */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "config/snapshot.h"
#include "proxy/ipc/channel.h"
#include "proxy/ipc/clock.h"
#include "proxy/ipc/role.h"
#include "proxy/observer/control.h"
#include "proxy/observer/history.h"
#include "proxy/observer/http.h"
#include "proxy/observer/journal.h"
#include "proxy/observer/ledger.h"
#include "proxy/observer/trace.h"

/* Every worker, and the other roles with the master behind them. */
#define SOURCES_MAX (VIEW_SLOTS_MAX + 8)
/* Messages of one source per turn, so that no source keeps others waiting. */
#define SOURCE_BUDGET 64
/* At the end: more than a socket holds, and not for ever. */
#define LAST_BUDGET 4096
#define TICK_MS	    1000

struct observer;

struct source {
	uv_poll_t poll; /* closed as a handle before the memory goes */
	struct observer *observer;
	uint32_t number;
	int fd;
};

struct observer {
	uint32_t n_slots;
	uv_loop_t loop;
	uv_poll_t channel;
	uv_timer_t tick;
	struct source *sources[SOURCES_MAX];
	struct control control;
	struct view view;
	struct journal journal;
	struct http http;
	struct ledger ledger;
	struct history history;
	bool stopping;
};

static void
on_source_closed(uv_handle_t *handle)
{
	struct source *source = handle->data;
	close(source->fd);
	free(source);
}

static void
drop_source(struct observer *observer, uint32_t number)
{
	struct source *source = observer->sources[number];
	if (source == NULL)
		return;
	observer->sources[number] = NULL;
	uv_close((uv_handle_t *)&source->poll, on_source_closed);
}

static void
take_event(struct observer *observer, struct span event)
{
	ledger_take(&observer->ledger, event);
	trace_take(observer->view.trace, event);
	journal_take(&observer->journal, event);
}

static void
take_message(struct observer *observer, struct span message)
{
	struct span event;

	while (event_take(&message, &event))
		take_event(observer, event);
	if (message.len > 0)
		observer->journal.malformed++;
}

/* False: nothing can come from there any more. */
static bool
read_events(struct source *source, int budget)
{
	static uint8_t data[EVENT_BATCH_MAX];

	while (budget-- > 0) {
		ssize_t n = recv(
		    source->fd, data, sizeof(data), MSG_DONTWAIT | MSG_TRUNC);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (n == 0)
			return false;
		if ((size_t)n > sizeof(data))
			source->observer->journal.malformed++;
		else
			take_message(
			    source->observer, span_of(data, (size_t)n));
	}
	return true;
}

static void
on_source(uv_poll_t *poll, int status, int events)
{
	struct source *source = poll->data;
	(void)events;
	if (status != 0 || !read_events(source, SOURCE_BUDGET))
		drop_source(source->observer, source->number);
}

static void
add_source(struct observer *observer, uint32_t number, int fd)
{
	if (fd < 0 || number >= SOURCES_MAX)
		role_fatal("an event source is missing or out of range");
	struct source *source = calloc(1, sizeof(*source));
	if (source == NULL)
		role_fatal("out of memory");
	if (uv_poll_init(&observer->loop, &source->poll, fd) != 0)
		role_fatal("cannot watch an event source");
	source->poll.data = source;
	source->observer = observer;
	source->number = number;
	source->fd = fd;
	drop_source(observer, number);
	observer->sources[number] = source;
	uv_poll_start(&source->poll, UV_READABLE, on_source);
}

static void
tell_master(uint32_t type, uint32_t slot, uint64_t arg)
{
	struct message message = {.type = type, .slot = slot, .arg = arg};
	if (channel_send(ROLE_CHANNEL_FD, &message) == CHANNEL_AGAIN)
		role_fatal("the master does not read its channel");
}

/* It reads its channel soon: it never waits for anybody. */
static bool
send_to_master(const struct message *message)
{
	struct pollfd poll_fd = {.fd = ROLE_CHANNEL_FD, .events = POLLOUT};
	for (int i = 0; i < 100; i++) {
		enum channel_result result =
		    channel_send(ROLE_CHANNEL_FD, message);
		if (result != CHANNEL_AGAIN)
			return result == CHANNEL_OK;
		(void)poll(&poll_fd, 1, 10);
	}
	return false;
}

static void
on_hello(struct observer *observer, const struct message *message)
{
	struct hello hello;
	role_take_hello(message, &hello);
	observer->n_slots = hello.n_slots;
	if (hello.started_ms != 0)
		observer->view.started_ms = hello.started_ms;
}

static void
on_area(struct observer *observer, struct message *message)
{
	struct view *view = &observer->view;
	uint32_t slot = message->slot;
	struct mapping *mapping = NULL;
	size_t min = 0;
	if (message->arg == AREA_SLOT && slot < VIEW_SLOTS_MAX) {
		mapping = &view->slots[slot];
		min = sizeof(struct slot_area);
	} else if (message->arg == AREA_LOAD && slot < VIEW_SLOTS_MAX) {
		mapping = &view->loads[slot];
		min = sizeof(struct load_area);
	} else if (message->arg == AREA_BACKENDS) {
		mapping = &view->backends;
		min = sizeof(struct backends_area);
	} else if (message->arg == AREA_LIMITER) {
		mapping = &view->limits;
		min = 1;
	}
	int fd = message_take_fd(message);
	if (mapping != NULL && (fd < 0 || !view_map(mapping, fd, min)))
		role_fatal("cannot map a shared area");
	if (fd >= 0)
		close(fd);
	/* Only looked at: the mapping is read-only. */
	if (mapping == &view->limits &&
	    !limiter_attach(&view->limiter, (void *)(uintptr_t)mapping->data,
		mapping->size, observer->n_slots, LIMITER_NONE))
		role_fatal("the limiter's area is not what it says");
}

static void
on_snapshot(struct observer *observer, struct message *message)
{
	int fd = message_take_fd(message);
	const struct config *config = fd < 0 ? NULL : snapshot_map(fd);
	if (fd >= 0)
		close(fd);
	if (config == NULL) {
		tell_master(MESSAGE_ACK, 1, message->arg);
		return;
	}
	if (observer->view.config != NULL)
		snapshot_unmap(observer->view.config);
	observer->view.config = config;
	journal_configure(&observer->journal, &config->gateway);
	tell_master(MESSAGE_ACK, 0, message->arg);
}

static void
on_log(struct observer *observer, struct message *message)
{
	int fd = message_take_fd(message);
	bool audit = message->slot == 1;
	sink_set_file(
	    audit ? &observer->journal.audit : &observer->journal.log, fd);
}

static void
on_crashed(struct observer *observer, const struct message *message)
{
	struct slot_record record;
	if (message->len != sizeof(record))
		return;
	memcpy(&record, message->body, sizeof(record));
	journal_crashed(
	    &observer->journal, &observer->view, message->slot, &record);
}

static void
on_control(struct observer *observer, struct message *message)
{
	int fd = message_take_fd(message);
	if (fd >= 0)
		(void)control_listen(&observer->control, fd);
}

static void
on_metrics(struct observer *observer, struct message *message)
{
	int fd = message_take_fd(message);
	if (fd >= 0 && !http_listen(&observer->http, fd))
		role_fatal("cannot serve the metrics");
}

static void
on_ticket(struct observer *observer, const struct message *message)
{
	if (message->slot < TICKET_RINGS)
		observer->ledger.ticket_ms[message->slot] = message->arg;
}

static bool
on_message(void *arg, struct message *message)
{
	struct observer *observer = arg;
	switch (message->type) {
	case MESSAGE_HELLO:
		on_hello(observer, message);
		break;
	case MESSAGE_AREA:
		on_area(observer, message);
		break;
	case MESSAGE_EVENT_SOURCE:
		add_source(observer, message->slot, message_take_fd(message));
		break;
	case MESSAGE_SNAPSHOT:
		on_snapshot(observer, message);
		break;
	case MESSAGE_LOG:
		on_log(observer, message);
		break;
	case MESSAGE_CONTROL:
		on_control(observer, message);
		break;
	case MESSAGE_CRASHED:
		on_crashed(observer, message);
		break;
	case MESSAGE_REPLY:
		control_reply(&observer->control, message);
		break;
	case MESSAGE_METRICS:
		on_metrics(observer, message);
		break;
	case MESSAGE_TICKET:
		on_ticket(observer, message);
		break;
	case MESSAGE_DRAIN:
		observer->ledger.draining = true;
		break;
	case MESSAGE_START:
		tell_master(MESSAGE_READY, 0, 0);
		break;
	case MESSAGE_PING:
		tell_master(MESSAGE_PONG, 0, 0);
		break;
	case MESSAGE_STOP:
		observer->stopping = true;
		break;
	default: /* of no concern to the observer */
		break;
	}
	return !observer->stopping;
}

static void
read_last_events(struct observer *observer)
{
	for (uint32_t i = 0; i < SOURCES_MAX; i++)
		if (observer->sources[i] != NULL)
			(void)read_events(observer->sources[i], LAST_BUDGET);
	journal_tick(&observer->journal, &observer->view);
	journal_fini(&observer->journal);
}

static void
on_channel(uv_poll_t *poll, int status, int events)
{
	struct observer *observer = poll->data;
	(void)events;
	if (status == 0 &&
	    channel_read(ROLE_CHANNEL_FD, CHANNEL_NO_BUDGET, on_message,
		observer) != CHANNEL_CLOSED &&
	    !observer->stopping)
		return;
	read_last_events(observer);
	exit(0);
}

static void
on_tick(uv_timer_t *timer)
{
	struct observer *observer = timer->data;
	journal_tick(&observer->journal, &observer->view);
	history_tick(&observer->history, &observer->view, clock_ms());
	census_tick(
	    &observer->ledger.census, &observer->view.limiter, clock_ms());
}

static uint64_t
random_seed(void)
{
	uint64_t seed = 0;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		role_fatal("no randomness");
	return seed;
}

static void
start(struct observer *observer)
{
	if (uv_loop_init(&observer->loop) != 0 ||
	    uv_poll_init(
		&observer->loop, &observer->channel, ROLE_CHANNEL_FD) != 0 ||
	    uv_timer_init(&observer->loop, &observer->tick) != 0)
		role_fatal("cannot start the event loop");
	observer->channel.data = observer->tick.data = observer;
	observer->view.started_ms = clock_ms();
	observer->view.master_pid = getppid();
	observer->view.ledger = &observer->ledger;
	observer->view.history = &observer->history;
	observer->view.trace = trace_new(random_seed());
	if (observer->view.trace == NULL)
		role_fatal("out of memory");
	journal_init(&observer->journal);
	observer->journal.ledger = &observer->ledger;
	http_init(&observer->http, &observer->loop, &observer->view);
	struct command common = {.view = &observer->view,
	    .journal = &observer->journal,
	    .send = send_to_master};
	control_init(&observer->control, &observer->loop, &common);
	uv_poll_start(&observer->channel, UV_READABLE, on_channel);
	uv_timer_start(&observer->tick, on_tick, TICK_MS, TICK_MS);
}

int
main(void)
{
	role_init("observer");
	struct observer *observer = calloc(1, sizeof(*observer));
	if (observer == NULL)
		role_fatal("out of memory");
	start(observer);
	uv_run(&observer->loop, UV_RUN_DEFAULT);
	return 0;
}
