/* SPDX-License-Identifier: ISC */
/* See request.h. Called by child.c and reload.c. */
#include "proxy/master/request.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/ipc/request.h"
#include "proxy/master/master.h"
#include "proxy/master/report.h"
#include "proxy/master/stop.h"

static void
answer(struct master *master, uint64_t number, enum request_reply reply,
    struct span text)
{
	struct message message = {
	    .type = MESSAGE_REPLY, .slot = reply, .arg = number};
	message.len =
	    (uint32_t)(text.len < CHANNEL_BODY_MAX ? text.len
						   : CHANNEL_BODY_MAX);
	memcpy(message.body, text.data, message.len);
	child_send(master_child(master, CHILD_OBSERVER), &message);
}

static void
answer_text(struct master *master, uint64_t number, enum request_reply reply,
    const char *text)
{
	answer(master, number, reply, span_str(text));
}

/* A reload that is under way may have read what is asked for, or not; one more
 * will. While the gateway starts it waits. */
static bool
ask(struct master *master, const struct message *message)
{
	struct askers *askers = &master->askers;
	if (master_is_stopping(master)) {
		answer_text(master, message->arg, REPLY_FAILED,
		    "the gateway is stopping");
		return false;
	}
	if (askers->n == ASKERS_MAX) {
		answer_text(master, message->arg, REPLY_FAILED,
		    "too many others wait for a reload");
		return false;
	}
	askers->numbers[askers->n++] = message->arg;
	return true;
}

static void
do_reload(struct master *master, const struct message *message)
{
	if (ask(master, message))
		reload_request(master);
}

static void
do_networks(struct master *master, const struct message *message)
{
	if (ask(master, message))
		reload_request_certificates(master);
}

static void
do_drain(struct master *master, const struct message *message)
{
	if (master->state != MASTER_RUNNING) {
		answer_text(master, message->arg, REPLY_FAILED,
		    "the gateway is starting or stopping already");
		return;
	}
	answer_text(master, message->arg, REPLY_GOOD, "");
	stop_drain(master);
}

/* The ids mean something to the worker only. */
static void
do_kick(struct master *master, const struct message *message)
{
	struct message kick = {.type = MESSAGE_KICK};
	size_t len = message->len - sizeof(struct request_head);
	if (message->slot >= master->areas.n_slots ||
	    len % sizeof(uint64_t) != 0) {
		answer_text(master, message->arg, REPLY_FAILED, "malformed");
		return;
	}
	kick.len = (uint32_t)len;
	memcpy(
	    kick.body, message->body + sizeof(struct request_head), kick.len);
	child_send(master_worker(master, message->slot), &kick);
	answer_text(master, message->arg, REPLY_GOOD, "");
}

static bool
take_ban(const struct message *message, struct request_ban *out)
{
	if (message->len != sizeof(struct request_head) + sizeof(*out))
		return false;
	memcpy(out, message->body + sizeof(struct request_head), sizeof(*out));
	return (out->addr.family == ADDR_IPV4 ||
		   out->addr.family == ADDR_IPV6) &&
	       out->ban_ms <= REQUEST_BAN_MAX_MS;
}

/* A ban is of the longest prefix that the address counts for; taking one back
 * is of all of them. */
static void
do_ban(struct master *master, const struct message *message)
{
	struct request_ban ban;
	struct rung rungs[LADDER_MAX];
	char ip[ADDR_TEXT_MAX], line[ADDR_TEXT_MAX + 64];
	if (!take_ban(message, &ban)) {
		answer_text(master, message->arg, REPLY_FAILED, "malformed");
		return;
	}
	uint32_t n = ladder_rungs(master_config(master), &ban.addr, rungs);
	for (uint32_t i = 0; i < n && (i == 0 || ban.ban_ms == 0); i++)
		if (!limiter_ban(&master->areas.table, &rungs[i],
			master_now_ms(master), ban.ban_ms)) {
			answer_text(master, message->arg, REPLY_FAILED,
			    "there is no room in the table");
			return;
		}
	struct prefix prefix =
	    ladder_prefix(rungs[0].name, rungs[0].family, rungs[0].bits);
	addr_text_ip(&prefix.addr, ip);
	if (ban.ban_ms == 0)
		snprintf(
		    line, sizeof(line), "%s/%u is not banned", ip, prefix.bits);
	else
		snprintf(line, sizeof(line),
		    "%s/%u is banned for %" PRIu64 " s", ip, prefix.bits,
		    ban.ban_ms / 1000);
	answer_text(master, message->arg, REPLY_LINE, line);
	answer_text(master, message->arg, REPLY_GOOD, "");
}

/* What the slot means is the monitor's to check. */
static void
do_backend(struct master *master, const struct message *message)
{
	struct message order = {.type = MESSAGE_BACKEND, .slot = message->slot};
	order.len = message->len - (uint32_t)sizeof(struct request_head);
	memcpy(
	    order.body, message->body + sizeof(struct request_head), order.len);
	child_send(master_child(master, CHILD_MONITOR), &order);
	answer_text(master, message->arg, REPLY_GOOD, "");
}

static const struct {
	enum request_kind kind;
	void (*run)(struct master *master, const struct message *message);
} requests[] = {
    {REQUEST_RELOAD, do_reload},
    {REQUEST_DRAIN, do_drain},
    {REQUEST_KICK, do_kick},
    {REQUEST_BAN, do_ban},
    {REQUEST_UNBAN, do_ban},
    {REQUEST_NETWORKS, do_networks},
    {REQUEST_BACKEND, do_backend},
};

void
request_take(struct child *child, const struct message *message)
{
	struct request_head head;
	if (child->kind != CHILD_OBSERVER || message->len < sizeof(head)) {
		report_role(child, "odd message", "not a request");
		return;
	}
	memcpy(&head, message->body, sizeof(head));
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (requests[i].kind != head.kind)
			continue;
		requests[i].run(child->master, message);
		return;
	}
	answer_text(child->master, message->arg, REPLY_FAILED, "not known");
}

/* The first lines: an observer that reads slowly must not fill our queue. */
static void
answer_lines(struct master *master, uint64_t number, const char *lines)
{
	struct span line;
	for (int i = 0; i < 100 && problems_next(&lines, &line); i++)
		answer(master, number, REPLY_LINE, line);
}

static void
answer_reloaded(
    struct master *master, uint64_t number, const struct compiled *failed)
{
	if (failed == NULL) {
		answer_lines(master, number, master->reload.remarks.warnings);
		answer_text(master, number, REPLY_GOOD, "");
		return;
	}
	answer_lines(master, number, failed->problems.errors);
	answer_lines(master, number, failed->faults.errors);
	answer_text(master, number, REPLY_FAILED, "nothing was changed");
}

void
request_reloaded(struct master *master, const struct compiled *failed)
{
	/* What was begun before it was asked for is not what was asked for. */
	if (master->reload.wanted || master->reload.certificates_wanted)
		return;
	for (uint32_t i = 0; i < master->askers.n; i++)
		answer_reloaded(master, master->askers.numbers[i], failed);
	master->askers.n = 0;
}
