/* SPDX-License-Identifier: ISC */
/*
 * What is known of pools: one view per pool of the snapshot, which follows what
 * the monitor writes into the backends area; what all members can do; who is
 * left alone for a while. Called by sessions and by choose.c.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/hash.h"
#include "proxy/base/ensure.h"
#include "proxy/imap/capability.h"
#include "proxy/worker/worker.h"

static bool
is_same(struct backend_ref a, struct backend_ref b)
{
	return a.index == b.index && a.generation == b.generation;
}

/* A backend that refused our word for the client's TLS is no use until its
 * configuration changes; the monitor cannot see that without a login. */
static void
apply_penalties(struct worker *worker, struct pool_view *view)
{
	bool has_any = worker->pools.forgive_ms != UINT64_MAX;

	for (uint32_t i = 0; has_any && i < view->n_members; i++) {
		struct member *member = &view->members[i];
		struct backend_ref ref = {member->index, member->generation};
		for (int j = 0; j < PENALTIES_MAX; j++) {
			struct penalty *penalty = &worker->pools.penalties[j];
			if (penalty->until_ms > worker->env.now_ms &&
			    is_same(penalty->ref, ref))
				member->state = BACKEND_MISCONFIGURED;
		}
	}
}

/* The search begins at the member's entry: most have the order of sections. */
static bool
is_configured(
    const struct config *config, uint32_t pool, const struct member *member)
{
	uint32_t n = config->backends.n;

	for (uint32_t i = 0; i < n; i++) {
		const struct config_backend *section =
		    config_backend_at(config, (member->index % n + i) % n);
		if (section->pool == pool &&
		    hash_octets(config_span(config, section->name)) ==
			member->name)
			return true;
	}
	return false;
}

/* We may know a configuration before the monitor does. */
static void
mark_removed(struct worker *worker, struct pool_view *view)
{
	uint32_t pool = (uint32_t)(view - worker->pools.views);

	for (uint32_t i = 0; i < view->n_members; i++)
		view->members[i].is_removed =
		    !is_configured(worker->snapshot, pool, &view->members[i]);
	view->is_new = false;
}

/* Of members with the same list the first one; most pools have one or two. */
static bool
is_first_of_its_kind(const struct pool_view *view, uint32_t number)
{
	uint64_t capabilities = view->members[number].capabilities;

	for (uint32_t i = 0; i < number; i++)
		if (view->members[i].capabilities == capabilities)
			return false;
	return true;
}

/* What all members can do. */
static void
learn_capabilities(struct worker *worker, struct pool_view *view)
{
	struct outbuf out;
	struct backend *backends =
	    calloc(view->n_members + 1, sizeof(*backends));
	struct span *lists = calloc(view->n_members + 1, sizeof(*lists));
	uint32_t n = 0;
	ENSURE(backends != NULL && lists != NULL);

	for (uint32_t i = 0; i < view->n_members; i++)
		if (is_first_of_its_kind(view, i) &&
		    backends_area_read(worker->backends, view->members[i].index,
			&backends[n])) {
			lists[n] = span_str(backends[n].capabilities);
			n++;
		}
	outbuf_init(&out, view->capabilities, sizeof(view->capabilities) - 1);
	capability_common(lists, n, &out);
	view->capabilities[out.len] = '\0';
	view->has_new_lists = false;
	free(lists);
	free(backends);
}

static void
refresh(struct worker *worker, struct pool_view *view,
    const struct config_pool *pool)
{
	uint64_t change = atomic_load_explicit(
	    &worker->backends->change, memory_order_acquire);

	if (view->is_made && view->seen == change)
		return;
	if (!pool_view_update(view, worker->backends,
		config_text(worker->snapshot, pool->name)))
		return; /* out of memory: the old view serves */
	apply_penalties(worker, view);
	if (view->is_new)
		mark_removed(worker, view);
	if (view->has_new_lists)
		learn_capabilities(worker, view);
}

/* The area may stay as it is for long: a penalty ends all the same. */
static void
forgive(struct worker *worker)
{
	struct pools *pools = &worker->pools;
	uint64_t now = worker->env.now_ms;

	if (now < pools->forgive_ms)
		return;
	pools->forgive_ms = UINT64_MAX;
	for (int i = 0; i < PENALTIES_MAX; i++) {
		uint64_t until_ms = pools->penalties[i].until_ms;
		if (until_ms > now && until_ms < pools->forgive_ms)
			pools->forgive_ms = until_ms;
	}
	for (uint32_t i = 0; i < pools->n_views; i++)
		pools->views[i].is_made = false;
}

struct pool_view *
pools_view(struct worker *worker, uint32_t pool)
{
	struct pool_view *view = &worker->pools.views[pool];

	forgive(worker);
	refresh(worker, view, config_pool_at(worker->snapshot, pool));
	return view;
}

static struct penalty *
oldest_penalty(struct pools *pools, struct backend_ref ref)
{
	struct penalty *oldest = &pools->penalties[0];

	for (int i = 0; i < PENALTIES_MAX; i++) {
		if (is_same(pools->penalties[i].ref, ref))
			return &pools->penalties[i];
		if (pools->penalties[i].until_ms < oldest->until_ms)
			oldest = &pools->penalties[i];
	}
	return oldest;
}

static void
emit_misconfigured(struct worker *worker, const struct backend *backend)
{
	char address[ENDPOINT_TEXT_MAX];
	struct event event;

	event_begin_level(&event, EVENT_BACKEND, LEVEL_ERROR);
	event_str(&event, FIELD_BACKEND, backend->name);
	event_str(&event, FIELD_POOL, backend->pool);
	event_str(
	    &event, FIELD_ADDRESS, endpoint_text(&backend->endpoint, address));
	event_str(&event, FIELD_STATE, "misconfigured");
	event_str(&event, FIELD_WHY, "privacyrequired");
	event_str(&event, FIELD_TEXT,
	    "the backend wants TLS for logins: have it trust this gateway "
	    "(Dovecot: login_trusted_networks, or haproxy_trusted_networks "
	    "with client_ip = proxy_v2)");
	worker_emit(worker, &event);
}

void
pools_penalise(struct worker *worker, struct backend_ref ref,
    const struct backend *backend)
{
	struct penalty *penalty = oldest_penalty(&worker->pools, ref);
	bool is_known = is_same(penalty->ref, ref) &&
			penalty->until_ms > worker->env.now_ms;

	penalty->ref = ref;
	penalty->until_ms = worker->env.now_ms + MISCONFIGURED_MS;
	if (penalty->until_ms < worker->pools.forgive_ms)
		worker->pools.forgive_ms = penalty->until_ms;
	tally_backend_untrusting(
	    &worker->env.slot->tally, ref.index, penalty->until_ms);
	for (uint32_t i = 0; i < worker->pools.n_views; i++)
		apply_penalties(worker, &worker->pools.views[i]);
	if (!is_known)
		emit_misconfigured(worker, backend);
}

static bool
on_capabilities(void *arg, const struct session *session, struct outbuf *out)
{
	struct worker *worker = arg;
	const struct config_listen *listener =
	    config_listen_at(worker->snapshot, session->listen);
	const struct config_pool *pool =
	    config_pool_at(worker->snapshot, listener->pool);
	struct pool_view *view = pools_view(worker, listener->pool);
	struct span common =
	    pool->capabilities.len > 0
		? config_span(worker->snapshot, pool->capabilities)
		: span_str(view->capabilities);

	capability_before_login(
	    common, session_mechanisms(session), listener->login_command, out);
	return pool_view_is_available(view);
}

static void
on_backend_name(void *arg, struct backend_ref ref, char out[BACKEND_NAME_MAX])
{
	struct worker *worker = arg;
	struct backend backend;

	out[0] = '\0';
	if (backends_area_read(worker->backends, ref.index, &backend) &&
	    backend.generation == ref.generation)
		memcpy(out, backend.name, BACKEND_NAME_MAX);
}

void
pools_init(struct pools *pools, struct session_ops *ops)
{
	*pools = (struct pools){.forgive_ms = UINT64_MAX};
	ops->capabilities = on_capabilities;
	ops->backend_name = on_backend_name;
}

/* Those that wait are queued anew when they look again. */
static void
forget_queue(struct queue *queue)
{
	while (!list_is_empty(&queue->sessions))
		list_remove(queue->sessions.next);
}

bool
pools_use(struct pools *pools, const struct config *config)
{
	struct pool_view *views = calloc(config->pools.n, sizeof(*views));
	struct queue *queues = calloc(config->pools.n, sizeof(*queues));

	if (views == NULL || queues == NULL) {
		free(views);
		free(queues);
		return false;
	}
	for (uint32_t i = 0; i < pools->n_views; i++) {
		pool_view_fini(&pools->views[i]);
		forget_queue(&pools->queues[i]);
	}
	for (uint32_t i = 0; i < config->pools.n; i++)
		list_init(&queues[i].sessions);
	free(pools->views);
	free(pools->queues);
	pools->views = views;
	pools->queues = queues;
	pools->n_views = config->pools.n;
	return true;
}
