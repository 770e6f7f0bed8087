/* SPDX-License-Identifier: ISC */
/*
 * See table.h. Life of an entry:
 *
 *   UNUSED -> UNCHECKED -> (checks) -> DRAINING -> UNUSED, next generation
 *
 * Invariant: node->backend is what the entry holds; an entry becomes UNUSED
 * only when no worker counts a session on it, so an (index, generation) pair
 * means one backend at one address for ever.
 */
#include "proxy/monitor/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/ensure.h"
#include "proxy/monitor/check.h"
#include "proxy/monitor/resolve.h"
#include "proxy/monitor/rounds.h"
#include "proxy/monitor/standing.h"

/* A worker may have chosen the entry and not yet counted its session: time
 * enough for the slowest of its loop turns. */
#define DRAIN_MIN_MS 2000
#define SWEEP_MS     1000

uint64_t
table_now(const struct monitor *monitor)
{
	return uv_now(&monitor->loop);
}

void
table_write(struct monitor *monitor, uint32_t index)
{
	ENSURE(index < monitor->n_nodes);
	backends_area_write(
	    monitor->area, index, &monitor->nodes[index].backend);
}

void
table_begin_event(struct event *event, const struct backend *backend,
    enum backend_state from, int level)
{
	char text[ENDPOINT_TEXT_MAX];

	event_begin_level(event, EVENT_BACKEND, level);
	event_str(event, FIELD_BACKEND, backend->name);
	event_str(event, FIELD_POOL, backend->pool);
	event_str(
	    event, FIELD_ADDRESS, endpoint_text(&backend->endpoint, text));
	event_str(event, FIELD_FROM, backend_state_name(from));
	event_str(event, FIELD_STATE, backend_state_name(backend->state));
}

/* ---- entries come and go ----------------------------------------------- */

/* What the last check must have found. */
static enum backend_state
checked_state(const struct backend *backend)
{
	if (backend->admin != ADMIN_NONE)
		return BACKEND_UNCHECKED;
	return backend->state == BACKEND_EJECTED ? BACKEND_UP : backend->state;
}

static void
adopt(struct monitor *monitor, uint32_t index)
{
	struct node *node = &monitor->nodes[index];
	struct backend *backend = &node->backend;

	backends_area_peek(monitor->area, index, backend);
	if (backend->state == BACKEND_UNUSED)
		return;
	node->in_use = true;
	node->leaving =
	    backend->state == BACKEND_DRAINING && backend->admin != ADMIN_DRAIN;
	node->adopted = !node->leaving;
	node->health.state = checked_state(backend);
}

void
table_adopt(struct monitor *monitor)
{
	for (uint32_t i = 0; i < monitor->n_nodes; i++)
		adopt(monitor, i);
}

static void
on_sweep(uv_timer_t *timer)
{
	table_sweep(timer->data);
}

static void
start_sweeping(struct monitor *monitor)
{
	monitor->sweep.data = monitor;
	if (!uv_is_active((const uv_handle_t *)&monitor->sweep))
		uv_timer_start(&monitor->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
}

static void
drain(struct monitor *monitor, uint32_t index)
{
	struct node *node = &monitor->nodes[index];
	enum backend_state from = node->backend.state;
	struct event event;

	rounds_forget(monitor, index);
	node->adopted = false;
	node->leaving = true;
	node->backend.admin = ADMIN_NONE;
	node->backend.state = BACKEND_DRAINING;
	node->backend.since_ms = table_now(monitor);
	backend_set_why(&node->backend, "removed", "");
	table_write(monitor, index);
	table_begin_event(&event, &node->backend, from, LEVEL_INFO);
	event_str(&event, FIELD_WHY, "removed");
	monitor_send(monitor, &event);
}

static void
release(struct monitor *monitor, uint32_t index)
{
	struct node *node = &monitor->nodes[index];
	uint32_t generation = node->backend.generation;

	memset(node, 0, sizeof(*node));
	node->backend.generation = generation;
	table_write(monitor, index);
}

static bool
has_drained(const struct monitor *monitor, uint32_t index)
{
	uint64_t since = monitor->nodes[index].backend.since_ms;

	return table_now(monitor) >= since + DRAIN_MIN_MS &&
	       backend_active(monitor->loads, monitor->n_slots, index) == 0;
}

void
table_sweep(struct monitor *monitor)
{
	bool is_draining = false, is_free = false;

	for (uint32_t i = 0; i < monitor->n_nodes; i++) {
		const struct node *node = &monitor->nodes[i];
		if (!node->in_use || !node->leaving)
			continue;
		if (has_drained(monitor, i)) {
			release(monitor, i);
			is_free = true;
		} else {
			is_draining = true;
		}
	}
	if (!is_draining)
		uv_timer_stop(&monitor->sweep);
	if (is_free && monitor->is_full)
		table_sync(monitor);
}

/* ---- what the configuration wants -------------------------------------- */

/* One backend section, with its pool, at one address. */
struct wish {
	const struct config_backend *backend;
	const struct config_pool *pool;
	const char *name;
	const char *pool_name;
	struct endpoint endpoint;
};

/* Where the previous wish was found: the order rarely changes, so the next
 * one is most likely behind it. */
struct search {
	struct monitor *monitor;
	uint32_t cursor;
	bool is_full;
};

static bool
is_backend(const struct node *node, const struct wish *wish)
{
	return node->in_use && strcmp(node->backend.name, wish->name) == 0 &&
	       strcmp(node->backend.pool, wish->pool_name) == 0;
}

static bool
is_wish(const struct node *node, const struct wish *wish)
{
	const struct endpoint *endpoint = &node->backend.endpoint;

	return is_backend(node, wish) &&
	       addr_equal(&endpoint->addr, &wish->endpoint.addr) &&
	       strcmp(endpoint->path, wish->endpoint.path) == 0;
}

static struct node *
find(struct search *search, const struct wish *wish)
{
	struct monitor *monitor = search->monitor;

	for (uint32_t i = 0; i < monitor->n_nodes; i++) {
		uint32_t at = (search->cursor + i) % monitor->n_nodes;
		if (!is_wish(&monitor->nodes[at], wish))
			continue;
		search->cursor = at + 1;
		return &monitor->nodes[at];
	}
	return NULL;
}

static struct node *
find_free(struct monitor *monitor)
{
	for (uint32_t i = 0; i < monitor->n_nodes; i++)
		if (!monitor->nodes[i].in_use)
			return &monitor->nodes[i];
	return NULL;
}

static uint32_t
index_of(const struct monitor *monitor, const struct node *node)
{
	return (uint32_t)(node - monitor->nodes);
}

static void
copy_sources(const struct config *config, const struct config_backend *from,
    struct backend *to)
{
	const struct addr *sources = config_items(config, from->source_ip);
	uint32_t n = from->source_ip.n;

	to->n_sources = n < BACKEND_SOURCES_MAX ? n : BACKEND_SOURCES_MAX;
	memset(to->sources, 0, sizeof(to->sources));
	for (uint32_t i = 0; i < to->n_sources; i++)
		to->sources[i] = sources[i];
}

/* What may change without the backend becoming another one. */
static void
update(struct monitor *monitor, struct node *node, const struct wish *wish)
{
	struct backend was = node->backend;
	struct backend *backend = &node->backend;
	const struct config_pool *pool = wish->pool;
	uint64_t latest = table_now(monitor) + pool->check_interval_ms;

	node->wanted = true;
	node->adopted = false;
	node->pool = wish->backend->pool;
	node->rise = pool->check_rise;
	node->fall = pool->check_fall;
	node->interval_ms = pool->check_interval_ms;
	node->timeout_ms = pool->check_timeout_ms;
	if (node->due_ms > latest)
		node->due_ms = latest;
	backend->weight = wish->backend->weight;
	backend->tier = wish->backend->tier;
	backend->max_connections = wish->backend->max_connections;
	backend->client_ip = wish->backend->client_ip;
	copy_sources(monitor->config, wish->backend, backend);
	if (node->leaving) {
		node->leaving = false;
		node->health = (struct health){.state = BACKEND_UNCHECKED};
		backend->state = BACKEND_UNCHECKED;
		backend->since_ms = table_now(monitor);
		backend_set_why(backend, "", "");
	}
	if (memcmp(&was, backend, sizeof(was)) == 0)
		return;
	/* A change may be the cure: see at once, and with the new values. */
	rounds_forget(monitor, index_of(monitor, node));
	node->due_ms = 0;
	table_write(monitor, index_of(monitor, node));
}

static void
say_full(struct search *search, const struct wish *wish)
{
	struct monitor *monitor = search->monitor;
	struct event event;

	search->is_full = true;
	if (monitor->is_full)
		return;
	monitor->is_full = true;
	event_begin(&event, EVENT_WARNING);
	event_str(&event, FIELD_BACKEND, wish->name);
	event_str(&event, FIELD_POOL, wish->pool_name);
	event_u64(&event, FIELD_COUNT, monitor->n_nodes);
	event_str(&event, FIELD_WHY, "max_backends");
	event_str(&event, FIELD_TEXT,
	    "there are more backends (or addresses of backends) than "
	    "max_backends: the rest is not used until one has drained");
	monitor_send(monitor, &event);
}

/* Another address of a section that was drained is drained, too. */
static uint32_t
admin_of(const struct monitor *monitor, const struct wish *wish)
{
	for (uint32_t i = 0; i < monitor->n_nodes; i++)
		if (is_backend(&monitor->nodes[i], wish) &&
		    monitor->nodes[i].backend.admin != ADMIN_NONE)
			return monitor->nodes[i].backend.admin;
	return ADMIN_NONE;
}

static struct node *
add(struct search *search, const struct wish *wish)
{
	struct monitor *monitor = search->monitor;
	struct node *node = find_free(monitor);

	if (node == NULL) {
		say_full(search, wish);
		return NULL;
	}
	uint32_t generation = node->backend.generation + 1;
	memset(node, 0, sizeof(*node));
	node->in_use = true;
	node->health.state = BACKEND_UNCHECKED;
	struct backend *backend = &node->backend;
	snprintf(backend->name, sizeof(backend->name), "%s", wish->name);
	snprintf(backend->pool, sizeof(backend->pool), "%s", wish->pool_name);
	backend->endpoint = wish->endpoint;
	backend->generation = generation;
	backend->state = BACKEND_UNCHECKED;
	backend->since_ms = table_now(monitor);
	backend->admin = admin_of(monitor, wish);
	if (backend->admin != ADMIN_NONE) {
		backend->state = backend->admin == ADMIN_DOWN
				     ? BACKEND_DOWN
				     : BACKEND_DRAINING;
		backend_set_why(backend, "by_hand", "");
	}
	return node;
}

static void
want(struct search *search, const struct wish *wish)
{
	struct node *node = find(search, wish);

	if (node == NULL)
		node = add(search, wish);
	if (node != NULL)
		update(search->monitor, node, wish);
}

/* The name has no answer yet: what a predecessor knew stays in use. */
static void
keep_adopted(struct monitor *monitor, const struct wish *wish)
{
	for (uint32_t i = 0; i < monitor->n_nodes; i++) {
		struct node *node = &monitor->nodes[i];
		if (!node->adopted || !is_backend(node, wish) ||
		    node->backend.endpoint.addr.port != wish->backend->port)
			continue;
		update(monitor, node, wish);
		node->adopted = true;
	}
}

static void
want_name(struct search *search, struct wish *wish, const char *host)
{
	struct addr addrs[RESOLVER_ADDRS_MAX];
	uint32_t n = resolver_lookup(search->monitor->resolver, host,
	    wish->pool->resolve_interval_ms, addrs);

	for (uint32_t i = 0; i < n; i++) {
		wish->endpoint.addr = addrs[i];
		wish->endpoint.addr.port = (uint16_t)wish->backend->port;
		want(search, wish);
	}
	if (n == 0)
		keep_adopted(search->monitor, wish);
}

static void
want_backend(struct search *search, const struct config_backend *backend)
{
	const struct config *config = search->monitor->config;
	const struct config_pool *pool = config_pool_at(config, backend->pool);
	const char *host = config_text(config, backend->host);
	char name[BACKEND_NAME_MAX], pool_name[BACKEND_NAME_MAX];
	struct wish wish = {.backend = backend,
	    .pool = pool,
	    .name = name,
	    .pool_name = pool_name};

	snprintf(name, sizeof(name), "%s", config_text(config, backend->name));
	snprintf(pool_name, sizeof(pool_name), "%s",
	    config_text(config, pool->name));
	if (backend->unix_path.len > 0) {
		snprintf(wish.endpoint.path, sizeof(wish.endpoint.path), "%s",
		    config_text(config, backend->unix_path));
		want(search, &wish);
	} else if (addr_parse_ip(span_str(host), &wish.endpoint.addr)) {
		wish.endpoint.addr.port = (uint16_t)backend->port;
		want(search, &wish);
	} else {
		want_name(search, &wish, host);
	}
}

void
table_set_admin(struct monitor *monitor, struct span name, uint32_t admin)
{
	static const struct standing_cause cause = {
	    .why = "by_hand", .text = ""};

	if (!monitor->is_started || admin > ADMIN_DOWN)
		return;
	for (uint32_t i = 0; i < monitor->n_nodes; i++) {
		struct node *node = &monitor->nodes[i];
		if (!node->in_use || node->leaving ||
		    !span_equal(name, span_str(node->backend.name)))
			continue;
		node->backend.admin = admin;
		standing_settle(monitor, i, &cause, true);
	}
}

void
table_sync(struct monitor *monitor)
{
	const struct config *config = monitor->config;
	struct search search = {.monitor = monitor};
	bool is_draining = false;

	for (uint32_t i = 0; i < monitor->n_nodes; i++)
		monitor->nodes[i].wanted = false;
	resolver_begin(monitor->resolver);
	for (uint32_t i = 0; i < config->backends.n; i++)
		if (config_backend_at(config, i)->pool < config->pools.n)
			want_backend(&search, config_backend_at(config, i));
	resolver_end(monitor->resolver);
	monitor->is_full = search.is_full;
	for (uint32_t i = 0; i < monitor->n_nodes; i++) {
		const struct node *node = &monitor->nodes[i];
		if (!node->in_use || node->wanted)
			continue;
		if (!node->leaving)
			drain(monitor, i);
		is_draining = true;
	}
	if (is_draining)
		start_sweeping(monitor);
	rounds_arm(monitor);
}
