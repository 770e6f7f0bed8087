/* SPDX-License-Identifier: ISC */
/*
 * See standing.h. What workers tell comes through their load areas (they can't
 * write the backends area, and must not decide for each other); it is looked at
 * five times a second, which costs a load per worker when there is nothing.
 *
 * Why here and not in each worker: all of them then agree on who is up, a user
 * is sent to one backend whichever worker takes the login, and the rule below
 * is kept by one process.
 *
 * Rule: of the backends of a pool in one tier at most half are ejected, and
 * never the last one of the pool. Readers use ejected ones when nothing else is
 * up, so no moment between two looks matters.
 */
#include "proxy/monitor/standing.h"

#include <string.h>

#include "proxy/monitor/table.h"

#define LOOK_MS	       200
#define EJECT_FIRST_MS 1000 /* at least; else a check_interval */

static const char remedy[] =
    "the backend does not trust this gateway for plaintext logins: set "
    "login_trusted_networks or haproxy_trusted_networks (Dovecot) for our "
    "address, or client_ip = proxy_v2";

static enum backend_state
standing_of(const struct node *node)
{
	if (node->leaving)
		return BACKEND_DRAINING;
	switch ((enum backend_admin)node->backend.admin) {
	case ADMIN_DRAIN:
		return BACKEND_DRAINING;
	case ADMIN_DOWN:
		return BACKEND_DOWN;
	case ADMIN_NONE:
		break;
	}
	if (node->health.state == BACKEND_UP && node->eject.until_ms != 0)
		return BACKEND_EJECTED;
	return node->health.state;
}

static int
level_of(enum backend_state state)
{
	switch (state) {
	case BACKEND_UP:
		return LEVEL_INFO;
	case BACKEND_MISCONFIGURED:
		return LEVEL_ERROR;
	case BACKEND_UNUSED:
	case BACKEND_UNCHECKED:
	case BACKEND_DOWN:
	case BACKEND_DRAINING:
	case BACKEND_EJECTED:
		break;
	}
	return LEVEL_WARN;
}

static void
tell(struct monitor *monitor, const struct backend *backend,
    enum backend_state from, const struct standing_cause *cause)
{
	bool misconfigured = backend->state == BACKEND_MISCONFIGURED;
	struct event event;

	table_begin_event(&event, backend, from, level_of(backend->state));
	event_str(&event, FIELD_WHY, cause->why);
	event_str(&event, FIELD_TEXT, misconfigured ? remedy : cause->text);
	if (backend->state == BACKEND_UP && cause->latency_us > 0)
		event_u64(&event, FIELD_LATENCY_MS, cause->latency_us / 1000);
	monitor_send(monitor, &event);
}

/* Checks go on while it stands aside, and are not why. */
static bool
is_set_aside(const struct node *node)
{
	return node->leaving || node->backend.admin != ADMIN_NONE ||
	       node->backend.state == BACKEND_EJECTED;
}

void
standing_settle(struct monitor *monitor, uint32_t index,
    const struct standing_cause *cause, bool dirty)
{
	struct node *node = &monitor->nodes[index];
	struct backend *backend = &node->backend;
	enum backend_state from = backend->state;
	enum backend_state state = standing_of(node);

	if (state != from) {
		backend->state = state;
		backend->since_ms = table_now(monitor);
		/* The first of all checks is no return. */
		backend->recovered_ms =
		    state == BACKEND_UP && from != BACKEND_UNCHECKED
			? backend->since_ms
			: 0;
	}
	if (state != from || !is_set_aside(node))
		dirty |= backend_set_why(backend, cause->why, cause->text);
	if (state != from || dirty)
		table_write(monitor, index);
	if (state != from)
		tell(monitor, backend, from, cause);
}

/* ---- ejection ---------------------------------------------------------- */

static bool
is_peer(const struct node *a, const struct node *b)
{
	return a->in_use && !a->leaving &&
	       strcmp(a->backend.pool, b->backend.pool) == 0;
}

static bool
may_be_ejected(const struct monitor *monitor, const struct node *node)
{
	uint32_t n = 0, n_ejected = 0, n_up = 0;

	if (node->backend.state != BACKEND_UP)
		return false;
	for (uint32_t i = 0; i < monitor->n_nodes; i++) {
		const struct node *peer = &monitor->nodes[i];
		if (!is_peer(peer, node))
			continue;
		n_up += peer->backend.state == BACKEND_UP;
		if (peer->backend.tier != node->backend.tier)
			continue;
		n++;
		n_ejected += peer->backend.state == BACKEND_EJECTED;
	}
	return n_up > 1 && (n_ejected + 1) * 2 <= n;
}

static void
eject(struct monitor *monitor, struct node *node)
{
	uint64_t first_ms = node->interval_ms > EJECT_FIRST_MS
				? node->interval_ms
				: EJECT_FIRST_MS;
	const struct standing_cause cause = {.why = "failures",
	    .text = "most attempts to log in there fail, for several clients"};

	eject_begin(&node->eject, first_ms, table_now(monitor));
	standing_settle(
	    monitor, (uint32_t)(node - monitor->nodes), &cause, false);
}

static void
release(struct monitor *monitor, struct node *node, const char *why)
{
	const struct standing_cause cause = {.why = why, .text = ""};

	eject_end(&node->eject, table_now(monitor));
	standing_settle(
	    monitor, (uint32_t)(node - monitor->nodes), &cause, false);
}

static bool
has_up(const struct monitor *monitor, const struct node *node)
{
	for (uint32_t i = 0; i < monitor->n_nodes; i++)
		if (is_peer(&monitor->nodes[i], node) &&
		    monitor->nodes[i].backend.state == BACKEND_UP)
			return true;
	return false;
}

static void
review(struct monitor *monitor)
{
	uint64_t now = table_now(monitor);

	for (uint32_t i = 0; i < monitor->n_nodes; i++) {
		struct node *node = &monitor->nodes[i];
		if (!node->in_use || node->eject.until_ms == 0)
			continue;
		if (now >= node->eject.until_ms)
			release(monitor, node, "again");
		else if (node->backend.state == BACKEND_EJECTED &&
			 !has_up(monitor, node))
			release(monitor, node, "last");
	}
}

static void
read_news(struct monitor *monitor, uint32_t slot)
{
	struct backend_ref ref;
	uint64_t client;

	while (load_area_next(
	    monitor->loads[slot], &monitor->news_seen[slot], &ref, &client)) {
		if (ref.index >= monitor->n_nodes)
			continue;
		struct node *node = &monitor->nodes[ref.index];
		if (!node->in_use || node->backend.generation != ref.generation)
			continue;
		if (eject_note(&node->eject, client, table_now(monitor)) &&
		    may_be_ejected(monitor, node))
			eject(monitor, node);
	}
}

static void
on_look(uv_timer_t *timer)
{
	struct monitor *monitor = timer->data;

	for (uint32_t i = 0; i < MONITOR_SLOTS_MAX; i++)
		if (monitor->loads[i] != NULL)
			read_news(monitor, i);
	review(monitor);
}

void
standing_start(struct monitor *monitor)
{
	/* What a predecessor has seen is not news. */
	for (uint32_t i = 0; i < MONITOR_SLOTS_MAX; i++)
		if (monitor->loads[i] != NULL)
			monitor->news_seen[i] =
			    atomic_load(&monitor->loads[i]->n_news);
	monitor->look.data = monitor;
	uv_timer_start(&monitor->look, on_look, LOOK_MS, LOOK_MS);
}
