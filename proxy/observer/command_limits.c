/* SPDX-License-Identifier: ISC */
/*
 * Commands about the limits: what they would decide about an address and why,
 * who holds most, and bans by hand. Looking is done here in the limiter's area;
 * changes are the master's to make.
 */
#include <stdio.h>

#include "proxy/base/parse.h"
#include "proxy/ipc/clock.h"
#include "proxy/limits/admission.h"
#include "proxy/limits/gcra.h"
#include "proxy/limits/logins.h"
#include "proxy/limits/table.h"
#include "proxy/observer/row.h"

#define TOP_MAX 20

/* By which the limits of this entry are multiplied. */
static uint32_t
factor_of(const struct config *config, const struct limiter_entry *entry)
{
	const struct config_rung *rung =
	    config_items(config, config->limits.ipv6_ladder);
	if (atomic_load(&entry->family) == ADDR_IPV6)
		for (uint32_t i = 0; i < config->limits.ipv6_ladder.n; i++)
			if (rung[i].bits == atomic_load(&entry->bits))
				return rung[i].factor;
	return 1;
}

static struct rung
rung_of(const struct config *config, const struct limiter_entry *entry)
{
	return (struct rung){.name = atomic_load(&entry->name),
	    .family = atomic_load(&entry->family),
	    .bits = atomic_load(&entry->bits),
	    .factor = factor_of(config, entry)};
}

static const char *
prefix_text(const struct rung *rung, char buf[ADDR_TEXT_MAX + 4])
{
	char ip[ADDR_TEXT_MAX];
	struct prefix prefix =
	    ladder_prefix(rung->name, rung->family, rung->bits);
	snprintf(buf, ADDR_TEXT_MAX + 4, "%s/%u",
	    addr_text_ip(&prefix.addr, ip), prefix.bits);
	return buf;
}

static uint64_t
level_of(const _Atomic uint64_t *word, const struct config_rate *rate,
    uint64_t factor)
{
	return gcra_level(
	    word, gcra_interval(rate, factor), clock_ms() * GCRA_NS);
}

/* What is counted for one prefix. */
struct standing {
	uint64_t connections;
	uint64_t preauth;
	uint64_t connects;
	uint64_t failures;
	uint64_t ban_s;
	int64_t login_age_s; /* -1: none */
};

static struct standing
standing_of(
    const struct view *view, const struct limiter_entry *entry, uint64_t factor)
{
	const struct config_limits *limits = &view->config->limits;
	const struct limiter *limiter = &view->limiter;
	if (entry == NULL)
		return (struct standing){.login_age_s = -1};
	uint32_t login_s = atomic_load(&entry->login_s);
	uint64_t now_s = clock_ms() / 1000;
	return (struct standing){
	    .connections = limiter_connections(limiter, entry),
	    .preauth = limiter_preauth(limiter, entry),
	    .connects = level_of(limiter_connects(limiter, entry),
		&limits->connect_rate_per_ip, factor),
	    .failures = level_of(
		&entry->failures, &limits->auth_failures_per_ip, factor),
	    .ban_s = limiter_ban_left(entry, clock_ms()) / 1000,
	    .login_age_s = login_s == 0	     ? -1
			   : login_s > now_s ? 0
					     : (int64_t)(now_s - login_s),
	};
}

/* The first rule that a newcomer of this prefix would meet. */
static enum admission
rule_of(const struct config_limits *limits, const struct standing *standing,
    uint64_t factor)
{
	if (standing->ban_s > 0)
		return ADMISSION_BANNED;
	if (standing->connections >= limits->connections_per_ip * factor)
		return ADMISSION_CONNECTIONS;
	if (standing->connects >= limits->connect_burst_per_ip * factor)
		return ADMISSION_RATE;
	if (standing->preauth >= limits->preauth_per_ip * factor)
		return ADMISSION_PREAUTH;
	return ADMISSION_ADMIT;
}

static void
put_rung(const struct view *view, const struct rung *rung,
    const struct limiter_entry *entry, struct reply *reply)
{
	const struct config_limits *limits = &view->config->limits;
	uint64_t factor = rung->factor;
	struct standing standing = standing_of(view, entry, factor);
	char prefix[ADDR_TEXT_MAX + 4];
	struct row row;
	struct outbuf *out = row_begin(&row);
	json_str(out, "prefix", prefix_text(rung, prefix));
	json_str(
	    out, "rule", admission_name(rule_of(limits, &standing, factor)));
	json_u64(out, "factor", factor);
	json_u64(out, "connections", standing.connections);
	json_u64(out, "preauth", standing.preauth);
	json_u64(out, "connects", standing.connects);
	json_u64(out, "failures", standing.failures);
	json_u64(out, "delay_ms",
	    logins_delay_of(standing.failures,
		limits->auth_failures_per_ip.count * factor));
	json_u64(out, "ban_s", standing.ban_s);
	json_i64(out, "login_age_s", standing.login_age_s);
	row_end(&row, reply);
}

static void
put_decisions(
    const struct view *view, const struct addr *addr, struct reply *reply)
{
	const struct config *config = view->config;
	bool exempt = admission_is_exempt(config, addr);
	for (uint32_t i = 0; i < config->listens.n; i++) {
		struct admission_result result;
		admission_peek(
		    &view->limiter, config, i, addr, clock_ms(), &result);
		struct row row;
		struct outbuf *out = row_begin(&row);
		json_text(out, "listener",
		    config_span(config, config_listen_at(config, i)->name));
		json_str(out, "decision", admission_name(result.admission));
		json_bool(out, "exempt", exempt);
		json_bool(out, "observe", config->limits.observe);
		row_end(&row, reply);
	}
}

static enum command_result
show(struct command *command, struct reply *reply)
{
	const struct view *view = command->view;
	struct rung rungs[LADDER_MAX];
	struct addr addr;
	if (command->n_args != 2 || !addr_parse_ip(command->args[1], &addr))
		return row_fail(reply, "expected limits show ADDRESS");
	uint32_t n = ladder_rungs(view->config, &addr, rungs);
	for (uint32_t i = 0; i < n; i++)
		put_rung(view, &rungs[i],
		    limiter_find(&view->limiter,
			limiter_rung_hash(&view->limiter, &rungs[i])),
		    reply);
	put_decisions(view, &addr, reply);
	return COMMAND_DONE;
}

/* --- top ------------------------------------------------------------------ */

struct top {
	uint32_t n;
	uint64_t scores[TOP_MAX];
	const struct limiter_entry *entries[TOP_MAX];
};

/* Connections first, then bans, then failures; 0: not worth a line. */
static uint64_t
score_of(const struct view *view, const struct limiter_entry *entry)
{
	const struct config_limits *limits = &view->config->limits;
	uint64_t score = limiter_connections(&view->limiter, entry);
	uint64_t failures = level_of(&entry->failures,
	    &limits->auth_failures_per_ip, factor_of(view->config, entry));
	if (atomic_load(&entry->kind) != LIMITER_PREFIX)
		return 0;
	score = score << 32 | (failures < UINT16_MAX ? failures : UINT16_MAX);
	return limiter_ban_left(entry, clock_ms()) > 0 ? score | 1U << 16
						       : score;
}

static void
offer(struct top *top, const struct limiter_entry *entry, uint64_t score)
{
	uint32_t at = top->n < TOP_MAX ? top->n++ : TOP_MAX - 1;
	if (at == TOP_MAX - 1 && top->n == TOP_MAX &&
	    top->entries[at] != NULL && top->scores[at] >= score)
		return;
	for (; at > 0 && top->scores[at - 1] < score; at--) {
		top->scores[at] = top->scores[at - 1];
		top->entries[at] = top->entries[at - 1];
	}
	top->scores[at] = score;
	top->entries[at] = entry;
}

static enum command_result
show_top(struct command *command, struct reply *reply)
{
	const struct view *view = command->view;
	struct top top = {0};
	if (command->n_args != 1)
		return row_fail(reply, "limits top has no arguments");
	for (uint32_t i = 0; i < limiter_n_entries(&view->limiter); i++) {
		const struct limiter_entry *entry =
		    limiter_at(&view->limiter, i);
		uint64_t score = entry == NULL ? 0 : score_of(view, entry);
		if (score > 0)
			offer(&top, entry, score);
	}
	for (uint32_t i = 0; i < top.n; i++) {
		struct rung rung = rung_of(view->config, top.entries[i]);
		put_rung(view, &rung, top.entries[i], reply);
	}
	return COMMAND_DONE;
}

enum command_result
command_limits(struct command *command, struct reply *reply)
{
	if (command->view->config == NULL ||
	    command->view->limiter.area == NULL)
		return row_fail(reply, "the limits are not known yet");
	if (span_equal(command->args[0], span_str("show")))
		return show(command, reply);
	if (span_equal(command->args[0], span_str("top")))
		return show_top(command, reply);
	return row_fail(reply, "expected limits show ADDRESS or limits top");
}

/* --- changes -------------------------------------------------------------- */

static enum command_result
ask(const struct command *command, enum request_kind kind,
    const struct request_ban *ban, struct reply *reply)
{
	return row_ask(command, kind, 0, span_of(ban, sizeof(*ban)), 1, reply);
}

enum command_result
command_ban(struct command *command, struct reply *reply)
{
	const struct config *config = command->view->config;
	struct request_ban ban = {.ban_ms = 0};
	if (config == NULL)
		return row_fail(reply, "the limits are not known yet");
	if (!addr_parse_ip(command->args[0], &ban.addr))
		return row_fail(reply, "expected an address");
	if (admission_is_exempt(config, &ban.addr))
		return row_fail(reply, "this address is exempt");
	ban.ban_ms = config->limits.auth_ban_ms;
	if (command->n_args == 2 &&
	    (!parse_duration(command->args[1], &ban.ban_ms) ||
		ban.ban_ms == 0 || ban.ban_ms > REQUEST_BAN_MAX_MS))
		return row_fail(
		    reply, "expected a time such as 10m, at most 365d");
	return ask(command, REQUEST_BAN, &ban, reply);
}

enum command_result
command_unban(struct command *command, struct reply *reply)
{
	struct request_ban ban = {.ban_ms = 0};
	if (!addr_parse_ip(command->args[0], &ban.addr))
		return row_fail(reply, "expected an address");
	return ask(command, REQUEST_UNBAN, &ban, reply);
}

enum command_result
command_deny(struct command *command, struct reply *reply)
{
	if (!span_equal(command->args[0], span_str("reload")))
		return row_fail(reply, "expected deny reload");
	return row_ask(command, REQUEST_NETWORKS, 0, span_str(""), 1, reply);
}
