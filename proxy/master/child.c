/* SPDX-License-Identifier: ISC */
/*
 * See child.h. A message that does not fit waits in the queue (order is kept)
 * and is tried again a little later: polling for room would spin when the
 * kernel refuses for another reason than a full socket. Called by the master.
 */
#include "proxy/master/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/ensure.h"
#include "proxy/ipc/clock.h"
#include "proxy/master/brief.h"
#include "proxy/master/master.h"
#include "proxy/master/report.h"
#include "proxy/master/request.h"
#include "proxy/master/spawn.h"

#define NEVER	      UINT64_MAX
#define READY_MS      10000
#define QUICK_MS      10000 /* a death this soon after the start is a quick one */
#define LEAVE_MS      1000 /* from the end of the channel to the exit */
#define RETRY_SEND_MS 10
/* Of one role: others have something to say, too. */
#define MESSAGES_PER_TURN 16

/* A message that waits; as much of it as is needed. */
struct queued {
	struct list_link link;
	uint32_t type;
	uint32_t slot;
	uint64_t arg;
	int fd; /* our own; -1: none */
	uint32_t len;
	uint8_t body[];
};

const char *
child_kind_name(enum child_kind kind)
{
	switch (kind) {
	case CHILD_KEEPER:
		return "keeper";
	case CHILD_MONITOR:
		return "monitor";
	case CHILD_OBSERVER:
		return "observer";
	case CHILD_WORKER:
		return "worker";
	case CHILD_KINDS:
		break;
	}
	return "?";
}

static void
forget_process(struct child *child)
{
	child->pid = 0;
	child->ready = child->full = child->hung = false;
	child->missed = 0;
	child->sent_generation = child->acked_generation = 0;
	child->why = NULL;
	child->ready_by_ms = child->kill_at_ms = NEVER;
	child->send_at_ms = NEVER;
}

bool
child_init(struct child *child, struct master *master, enum child_kind kind,
    uint32_t slot)
{
	*child = (struct child){.master = master,
	    .kind = kind,
	    .slot = slot,
	    .channel = -1,
	    .events = {-1, -1},
	    .keeper = {-1, -1},
	    .restart_at_ms = NEVER};
	list_init(&child->queue);
	list_init(&child->held);
	forget_process(child);
	return channel_pair(child->events) &&
	       ((kind != CHILD_WORKER && kind != CHILD_MONITOR) ||
		   channel_pair(child->keeper));
}

/* --- the queue ------------------------------------------------------------ */

static void
queued_free(struct queued *queued)
{
	list_remove(&queued->link);
	if (queued->fd >= 0)
		close(queued->fd);
	free(queued);
}

static void
queue_clear(struct list_link *queue)
{
	struct list_link *it, *next;
	list_for_each_safe (it, next, queue)
		queued_free(list_entry(it, struct queued, link));
}

static void
queue_append(struct list_link *queue, const struct message *message)
{
	ENSURE(message->n_fds <= 1);
	struct queued *queued = malloc(sizeof(*queued) + message->len);
	ENSURE(queued != NULL);
	*queued = (struct queued){.type = message->type,
	    .slot = message->slot,
	    .arg = message->arg,
	    .fd = -1,
	    .len = message->len};
	memcpy(queued->body, message->body, message->len);
	if (message->n_fds == 1) {
		queued->fd = fcntl(message->fds[0], F_DUPFD_CLOEXEC, 3);
		ENSURE(queued->fd >= 0);
	}
	list_append(queue, &queued->link);
}

static void
queued_message(const struct queued *queued, struct message *out)
{
	out->type = queued->type;
	out->slot = queued->slot;
	out->arg = queued->arg;
	out->len = queued->len;
	memcpy(out->body, queued->body, queued->len);
	out->n_fds = queued->fd >= 0 ? 1 : 0;
	out->fds[0] = queued->fd;
}

static void
flush_queue(struct child *child, uint64_t now_ms)
{
	struct message message;
	child->send_at_ms = NEVER;
	while (!list_is_empty(&child->queue)) {
		struct queued *queued =
		    list_entry(child->queue.next, struct queued, link);
		queued_message(queued, &message);
		if (channel_send(child->channel, &message) == CHANNEL_AGAIN) {
			child->send_at_ms = now_ms + RETRY_SEND_MS;
			return;
		}
		/* Closed: its end is noticed by reading. */
		queued_free(queued);
	}
}

void
child_send(struct child *child, const struct message *message)
{
	if (child->channel < 0)
		return;
	if (list_is_empty(&child->queue) &&
	    channel_send(child->channel, message) != CHANNEL_AGAIN)
		return;
	queue_append(&child->queue, message);
	child->send_at_ms = master_now_ms(child->master) + RETRY_SEND_MS;
	master_wake(child->master);
}

void
child_tell(struct child *child, enum message_type type, uint64_t arg)
{
	struct message message = {.type = type, .arg = arg};
	child_send(child, &message);
}

void
child_send_or_hold(struct child *child, const struct message *message)
{
	if (child->channel >= 0)
		child_send(child, message);
	else
		queue_append(&child->held, message);
}

/* --- what it says --------------------------------------------------------- */

static void
on_ready(struct child *child)
{
	struct master *master = child->master;
	if (child->why != NULL)
		return; /* already given up */
	child->ready = true;
	child->ready_by_ms = NEVER;
	report_role(child, "ready", NULL);
	if (child->kind == CHILD_WORKER)
		master_steer(master);
	if (child->kind == CHILD_KEEPER)
		brief_new_keeper(master);
	/* A reload overtook its start. */
	if (child->sent_generation != master->generation)
		brief_snapshot(child);
}

static void
on_ack(struct child *child, const struct message *message)
{
	if (message->slot != 0) {
		child_kill(child, "refused the configuration");
		return;
	}
	child->acked_generation = message->arg;
	reload_acked(child->master);
}

static bool
on_message(void *arg, struct message *message)
{
	struct child *child = arg;
	switch (message->type) {
	case MESSAGE_READY:
		on_ready(child);
		break;
	case MESSAGE_ACK:
		on_ack(child, message);
		break;
	case MESSAGE_FULL:
		child->full = message->arg != 0;
		master_steer(child->master);
		break;
	case MESSAGE_PONG:
		if (child->kind != CHILD_WORKER)
			child->missed = 0;
		break;
	case MESSAGE_REQUEST:
		request_take(child, message);
		break;
	case MESSAGE_DRAINED:
		child_tell(child, MESSAGE_STOP, 0);
		break;
	default:
		/* A role may be in a stranger's hands: nothing else is for it
		 * to ask. */
		report_role(child, "odd message", "not for the master");
		break;
	}
	master_wake(child->master);
	return true;
}

static void
on_poll_closed(uv_handle_t *handle)
{
	free(handle);
}

static void
close_channel(struct child *child)
{
	if (child->channel < 0)
		return;
	uv_poll_stop(child->poll);
	uv_close((uv_handle_t *)child->poll, on_poll_closed);
	close(child->channel);
	child->channel = -1;
	child->poll = NULL;
	queue_clear(&child->queue);
	child->send_at_ms = NEVER;
}

static void
hear(struct child *child, uint32_t budget)
{
	if (channel_read(child->channel, budget, on_message, child) !=
	    CHANNEL_CLOSED)
		return;
	close_channel(child);
	child->kill_at_ms = master_now_ms(child->master) + LEAVE_MS;
	master_wake(child->master);
}

static void
on_channel(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	hear(poll->data, MESSAGES_PER_TURN);
}

/* --- its life ------------------------------------------------------------- */

static const struct identity *
identity_of(const struct child *child)
{
	const struct master *master = child->master;
	if (!master->is_root)
		return NULL;
	return child->kind == CHILD_KEEPER ? &master->keeper_user
					   : &master->user;
}

static pid_t
start_process(struct child *child, int channel)
{
	char title[64];
	if (child->kind == CHILD_WORKER)
		snprintf(
		    title, sizeof(title), "sallyport: worker %u", child->slot);
	else
		snprintf(title, sizeof(title), "sallyport: %s",
		    child_kind_name(child->kind));
	struct spawn spawn = {
	    .exec_fd = child->master->programs[child->kind],
	    .title = title,
	    .channel = channel,
	    .identity = identity_of(child),
	};
	return spawn_start(&spawn);
}

static void
open_channel(struct child *child, int fd)
{
	child->channel = fd;
	child->poll = malloc(sizeof(*child->poll));
	ENSURE(child->poll != NULL);
	ENSURE(uv_poll_init(&child->master->loop, child->poll, fd) == 0);
	child->poll->data = child;
	ENSURE(uv_poll_start(child->poll, UV_READABLE, on_channel) == 0);
}

static void
release_held(struct child *child)
{
	struct list_link *it, *next;
	struct message message;
	list_for_each_safe (it, next, &child->held) {
		struct queued *queued = list_entry(it, struct queued, link);
		queued_message(queued, &message);
		child_send(child, &message);
		queued_free(queued);
	}
}

bool
child_start(struct child *child)
{
	int pair[2];
	ENSURE(child->pid == 0 && child->channel < 0);
	if (!channel_pair(pair))
		return false;
	pid_t pid = start_process(child, pair[1]);
	int saved = errno;
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		errno = saved;
		return false;
	}
	forget_process(child);
	child->pid = pid;
	child->restart_at_ms = NEVER;
	child->started_ms = master_now_ms(child->master);
	child->ready_by_ms = child->started_ms + READY_MS;
	open_channel(child, pair[0]);
	brief_child(child);
	release_held(child);
	return true;
}

void
child_kill(struct child *child, const char *why)
{
	if (child->pid == 0)
		return;
	if (child->why == NULL)
		child->why = why;
	child->kill_at_ms = NEVER;
	child->ready_by_ms = NEVER;
	(void)kill(child->pid, SIGKILL);
}

/* The observer writes the end line of every session that died. */
static void
tell_crashed(struct child *child)
{
	struct master *master = child->master;
	struct child *observer = master_child(master, CHILD_OBSERVER);
	struct message message = {.type = MESSAGE_CRASHED,
	    .slot = child->slot,
	    .len = sizeof(struct slot_record)};
	struct areas_walk walk = {0};
	const struct slot_record *at;
	struct slot_record record;
	while ((at = areas_next_record(&master->areas, child->slot, &walk)) !=
	       NULL) {
		if (!slot_record_read_left(at, &record))
			continue;
		memcpy(message.body, &record, sizeof(record));
		child_send_or_hold(observer, &message);
	}
}

static uint64_t
restart_delay(struct child *child, uint64_t now_ms)
{
	static const uint64_t delays[] = {0, 100, 500, 1000, 2000, 5000};
	const uint32_t last = sizeof(delays) / sizeof(delays[0]) - 1;
	if (now_ms - child->started_ms >= QUICK_MS)
		child->quick_deaths = 0;
	uint32_t n = child->quick_deaths++;
	return delays[n < last ? n : last];
}

static void
say_start_failed(struct child *child, int status)
{
	struct master *master = child->master;
	const char *name = child_kind_name(child->kind);
	if (child->why != NULL)
		master_fail(master, "the %s %s", name, child->why);
	else if (WIFEXITED(status))
		master_fail(master, "the %s ended with status %d", name,
		    WEXITSTATUS(status));
	else
		master_fail(master, "the %s was ended by signal %d (%s)", name,
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
}

void
child_died(struct child *child, int status)
{
	struct master *master = child->master;
	uint64_t now_ms = master_now_ms(master);
	/* What it said last counts, too; its pid may be another's by now, so
	 * nothing may be sent to it. */
	pid_t pid = child->pid;
	child->pid = 0;
	if (child->channel >= 0)
		hear(child, CHANNEL_NO_BUDGET);
	child->pid = pid;
	bool was_ready = child->ready;
	report_death(child, status);
	close_channel(child);
	if (master->state == MASTER_STARTING && !was_ready)
		say_start_failed(child, status);
	forget_process(child);
	if (child->kind == CHILD_WORKER) {
		tell_crashed(child);
		areas_clear_slot(&master->areas, child->slot);
		master_steer(master);
	}
	if (child->kind == CHILD_OBSERVER)
		master->askers.n = 0;
	if (!master_is_stopping(master))
		child->restart_at_ms = now_ms + restart_delay(child, now_ms);
	master_wake(master);
}

static void
restart(struct child *child, uint64_t now_ms)
{
	child->restart_at_ms = NEVER;
	if (child_start(child)) {
		report_role(child, "started", "replaces one that ended");
		return;
	}
	report_text(child->master, EVENT_PROBLEM, "cannot start a process");
	child->restart_at_ms = now_ms + 1000;
}

uint64_t
child_step(struct child *child, uint64_t now_ms)
{
	if (now_ms >= child->send_at_ms)
		flush_queue(child, now_ms);
	if (now_ms >= child->ready_by_ms)
		child_kill(child, "did not become ready");
	if (now_ms >= child->kill_at_ms)
		child_kill(child, "did not leave");
	if (now_ms >= child->restart_at_ms &&
	    !master_is_stopping(child->master))
		restart(child, now_ms);
	uint64_t next = clock_earliest(child->send_at_ms, child->ready_by_ms);
	next = clock_earliest(next, child->kill_at_ms);
	if (!master_is_stopping(child->master))
		next = clock_earliest(next, child->restart_at_ms);
	return next;
}

static void
close_pair(int pair[2])
{
	for (int i = 0; i < 2; i++)
		if (pair[i] >= 0)
			close(pair[i]);
	pair[0] = pair[1] = -1;
}

void
child_fini(struct child *child)
{
	ENSURE(child->pid == 0);
	close_channel(child);
	queue_clear(&child->held);
	close_pair(child->events);
	close_pair(child->keeper);
}
