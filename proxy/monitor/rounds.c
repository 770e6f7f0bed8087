/* SPDX-License-Identifier: ISC */
/*
 * See rounds.h. Invariant: monitor->n_checks is the number of nodes with a
 * check; an unused entry, or one that leaves, has none.
 */
#include "proxy/monitor/rounds.h"

#include <string.h>

#include "proxy/base/ensure.h"
#include "proxy/monitor/check.h"
#include "proxy/monitor/standing.h"
#include "proxy/monitor/table.h"

/* 1000 backends of which a third hangs for a check_timeout of 3 s in every
 * check_interval of 5 s keep 200 busy; each costs a descriptor and 10 KB. */
#define CHECKS_MAX 200
#define RETRY_MS   1000 /* after trouble of our own */

/* ---- what a result means ----------------------------------------------- */

/*
 * Smoothed over about eight checks. Every write makes all readers look at
 * their tables again, so a change that tells nobody anything is not written.
 */
static bool
note_latency(struct node *node, uint64_t latency_us)
{
	uint64_t smooth = node->latency_us;
	uint64_t known = node->backend.latency_us;

	if (latency_us > UINT32_MAX)
		latency_us = UINT32_MAX;
	smooth = smooth == 0 ? latency_us : (7 * smooth + latency_us) / 8;
	/* 0 means "none yet". */
	node->latency_us = smooth > 0 ? smooth : 1;
	uint64_t change = smooth > known ? smooth - known : known - smooth;
	if (known != 0 && (change < 200 || change < known / 8))
		return false;
	node->backend.latency_us = (uint32_t)node->latency_us;
	return true;
}

static bool
note_capabilities(struct backend *backend, const char *capabilities)
{
	size_t len = strlen(capabilities);

	ENSURE(len < sizeof(backend->capabilities));
	if (strcmp(backend->capabilities, capabilities) == 0)
		return false;
	memset(backend->capabilities, 0, sizeof(backend->capabilities));
	memcpy(backend->capabilities, capabilities, len);
	return true;
}

static void
note_result(struct monitor *monitor, struct node *node,
    const struct check_result *result)
{
	struct backend *backend = &node->backend;
	const struct standing_cause cause = {
	    result->why, result->text, result->latency_us};
	bool changed = false;

	health_note(&node->health, result->outcome, node->rise, node->fall);
	if (result->outcome == HEALTH_GOOD) {
		changed |= note_capabilities(backend, result->capabilities);
		changed |= note_latency(node, result->latency_us);
	}
	standing_settle(monitor, result->index, &cause, changed);
}

/* ---- when -------------------------------------------------------------- */

static void
on_result(void *arg, const struct check_result *result)
{
	struct monitor *monitor = arg;
	struct node *node = &monitor->nodes[result->index];

	node->check = NULL;
	monitor->n_checks--;
	if (result->is_ours) {
		node->due_ms = table_now(monitor) + RETRY_MS;
	} else {
		/* Counted from the start of the check, which was due_ms. */
		node->due_ms += health_next_check_ms(node->interval_ms,
		    node->checked, monitor_random(monitor, UINT64_MAX));
		if (node->due_ms < table_now(monitor))
			node->due_ms = table_now(monitor);
		note_result(monitor, node, result);
	}
	node->checked = true;
	rounds_arm(monitor);
	monitor_check_ready(monitor);
}

static void
set_account(const struct monitor *monitor, const struct node *node,
    struct check_params *params)
{
	const struct config *config = monitor->config;
	uint32_t i = node->pool;

	params->user = span_of(NULL, 0);
	if (i >= config->pools.n || i >= CHANNEL_PASSWORDS_MAX ||
	    monitor->passwords[i].len == 0)
		return;
	params->user =
	    config_span(config, config_pool_at(config, i)->check_user);
	params->password = span_secret(&monitor->passwords[i]);
}

static void
start(struct monitor *monitor, uint32_t index)
{
	struct node *node = &monitor->nodes[index];
	struct tls_stream *tls;
	bool good = tls_backends_connect(&monitor->secure, monitor->config,
	    span_str(node->backend.name), index, index, &tls);
	struct check_params params = {.loop = &monitor->loop,
	    .tls = tls,
	    .is_impossible = !good,
	    .backend = &node->backend,
	    .index = index,
	    .timeout_ms = node->timeout_ms,
	    .random = monitor_random(monitor, UINT32_MAX),
	    .arg = monitor,
	    .on_result = on_result};

	set_account(monitor, node, &params);
	node->check = check_start(&params);
	node->due_ms = table_now(monitor);
	if (node->check == NULL)
		node->due_ms += RETRY_MS;
	else
		monitor->n_checks++;
}

static bool
waits_for_check(const struct node *node)
{
	return node->in_use && node->wanted && node->check == NULL;
}

static void
on_tick(uv_timer_t *timer)
{
	struct monitor *monitor = timer->data;
	uint64_t now = table_now(monitor);
	uint32_t first = monitor->cursor;

	/* Each search begins where the one before stopped, so that a table
	 * larger than CHECKS_MAX starves nobody. */
	for (uint32_t i = 0; i < monitor->n_nodes; i++) {
		uint32_t at = (first + i) % monitor->n_nodes;
		const struct node *node = &monitor->nodes[at];
		if (!waits_for_check(node) || node->due_ms > now)
			continue;
		if (monitor->n_checks >= CHECKS_MAX)
			break;
		start(monitor, at);
		monitor->cursor = at + 1;
	}
	rounds_arm(monitor);
}

void
rounds_arm(struct monitor *monitor)
{
	uint64_t now = table_now(monitor), next = UINT64_MAX;

	monitor->tick.data = monitor;
	/* When all places are taken, the next result calls again. */
	if (monitor->n_checks >= CHECKS_MAX)
		return;
	for (uint32_t i = 0; i < monitor->n_nodes; i++) {
		const struct node *node = &monitor->nodes[i];
		if (waits_for_check(node) && node->due_ms < next)
			next = node->due_ms;
	}
	if (next == UINT64_MAX)
		uv_timer_stop(&monitor->tick);
	else
		uv_timer_start(
		    &monitor->tick, on_tick, next > now ? next - now : 0, 0);
}

void
rounds_forget(struct monitor *monitor, uint32_t index)
{
	struct node *node = &monitor->nodes[index];

	if (node->check == NULL)
		return;
	check_cancel(node->check);
	node->check = NULL;
	monitor->n_checks--;
}

bool
rounds_is_first_over(const struct monitor *monitor)
{
	for (uint32_t i = 0; i < monitor->n_nodes; i++) {
		const struct node *node = &monitor->nodes[i];
		if (node->in_use && node->wanted && !node->checked)
			return false;
	}
	return true;
}
