/* SPDX-License-Identifier: ISC */
/*
 * Who gets which backend: the choice itself, the place at the backend, the
 * queue before a full pool, the table of users and their sessions, and the news
 * of how attempts went. Called by sessions.
 *
 * Places: workers count at the same time and nobody holds a lock. Whoever wants
 * one counts itself first, then looks at the sum: of two that want the last
 * one at once one or both step back, never do both get it.
 *
 * The queue is each worker's own, so a pool's `queue` is divided among them.
 * Whoever waits looks again every BACKEND_POLL_MS, and gets a place when no
 * more wait before it than there are places. Where the user decides there is no
 * order: each waits for a backend of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/hash.h"
#include "proxy/base/ensure.h"
#include "proxy/worker/worker.h"
#include "tls/random.h"

#define SUSPECT_MS 10000 /* as long as the monitor remembers failures */

static uint64_t
random_u64(void)
{
	uint64_t value;

	tls_random(&value, sizeof(value));
	return value;
}

/* ---- places ------------------------------------------------------------ */

static void
count(struct worker *worker, uint32_t index, int change)
{
	_Atomic uint32_t *active = &worker->loads[worker->slot]->active[index];
	uint32_t value = atomic_load_explicit(active, memory_order_relaxed);

	ENSURE(change > 0 || value > 0);
	atomic_store(active, value + (uint32_t)change);
}

static bool
take_place(struct worker *worker, const struct backend *backend, uint32_t index)
{
	uint32_t max = backend->max_connections;

	count(worker, index, 1);
	atomic_thread_fence(memory_order_seq_cst);
	if (max == 0 ||
	    backend_active(worker->loads, worker->n_slots, index) <= max)
		return true;
	count(worker, index, -1);
	return false;
}

/* ---- the queue --------------------------------------------------------- */

static bool
is_first(const struct queue *queue, const struct session *session, uint32_t n)
{
	const struct list_link *link = queue->sessions.next;

	for (; n > 0 && link != &queue->sessions; n--, link = link->next)
		if (link == &session->queue)
			return true;
	/* Fewer wait than there are places. */
	return n > 0;
}

static enum balance_result
join_queue(struct worker *worker, struct queue *queue,
    const struct config_pool *pool, struct session *session)
{
	uint32_t max = (pool->queue + worker->n_slots - 1) / worker->n_slots;
	uint32_t n = 0;

	if (!list_is_empty(&session->queue))
		return BALANCE_ALL_FULL;
	for (const struct list_link *link = queue->sessions.next;
	     link != &queue->sessions; link = link->next)
		n++;
	if (n >= max)
		return BALANCE_NO_QUEUE;
	list_append(&queue->sessions, &session->queue);
	return BALANCE_ALL_FULL;
}

/* ---- the choice -------------------------------------------------------- */

static uint64_t
key_of(const struct config_pool *pool, const struct session *session)
{
	if (pool->balance == BALANCE_SOURCE)
		return hash_client(&session->client);
	return session->user_key;
}

static uint64_t
only_of(const struct worker *worker, struct route route)
{
	const struct config *config = worker->snapshot;

	if (route.backend == CONFIG_NONE)
		return 0;
	return hash_octets(config_span(
	    config, config_backend_at(config, route.backend)->name));
}

static struct balance_request
request_of(struct worker *worker, const struct session *session,
    const struct config_pool *pool)
{
	struct balance_request request = {
	    .balance = pool->balance,
	    .min_available = pool->min_available,
	    .random = random_u64(),
	    .now_ms = worker->env.now_ms,
	    .slow_start_ms = pool->slow_start_ms,
	    .key = key_of(pool, session),
	    .only = only_of(worker, session_route(session)),
	    .loads = worker->loads,
	    .n_loads = worker->n_slots,
	};

	request.tried = session_tried(session, &request.n_tried);
	if (pool->balance == BALANCE_USER)
		request.has_live =
		    live_find(&worker->live, session->user_key, &request.live);
	return request;
}

static enum balance_result
try_to_choose(struct worker *worker, struct pool_view *view,
    const struct balance_request *request, struct backend_ref *out_ref,
    struct backend *out_backend)
{
	enum balance_result result = balance_choose(view, request, out_ref);

	if (result != BALANCE_CHOSEN)
		return result;
	if (!backends_area_read(
		worker->backends, out_ref->index, out_backend) ||
	    out_backend->generation != out_ref->generation)
		return BALANCE_ALL_DOWN; /* it changed just now: look again */
	return take_place(worker, out_backend, out_ref->index)
		   ? BALANCE_CHOSEN
		   : BALANCE_ALL_FULL;
}

static enum balance_result
on_choose(void *arg, struct session *session, struct backend_ref *out_ref,
    struct backend *out_backend, bool *out_has_other)
{
	struct worker *worker = arg;
	uint32_t index = session_route(session).pool;
	const struct config_pool *pool =
	    config_pool_at(worker->snapshot, index);
	struct pool_view *view = pools_view(worker, index);
	struct queue *queue = &worker->pools.queues[index];
	struct balance_request request = request_of(worker, session, pool);
	enum balance_result result = BALANCE_ALL_FULL;

	if (pool->balance == BALANCE_USER || list_is_empty(&queue->sessions) ||
	    is_first(queue, session, balance_room(view, &request)))
		result =
		    try_to_choose(worker, view, &request, out_ref, out_backend);
	if (result == BALANCE_ALL_FULL)
		return join_queue(worker, queue, pool, session);
	list_remove(&session->queue);
	*out_has_other = result == BALANCE_CHOSEN &&
			 balance_has_other(view, &request, *out_ref);
	if (result == BALANCE_CHOSEN && pool->balance == BALANCE_USER)
		session->is_known =
		    live_add(&worker->live, session->user_key, *out_ref);
	return result;
}

static void
on_release(void *arg, struct session *session)
{
	struct worker *worker = arg;

	count(worker, session->backend.index, -1);
	if (session->is_known)
		live_remove(&worker->live, session->user_key, session->backend);
	session->is_known = false;
}

/* ---- how it went ------------------------------------------------------- */

/*
 * Trouble that says something of the backend's health: not our own, and once it
 * heard of the client only silence, or whoever knows a name, a mechanism or a
 * password that crashes a server's session could have it ejected.
 */
static bool
is_its_fault(enum outcome outcome, const char *why)
{
	static const char *const ours[] = {
	    "no_source_port", "no_descriptors", "memory", "no_mechanism"};

	if (outcome == OUTCOME_LOST)
		return strcmp(why, "timeout") == 0 ||
		       strcmp(why, "greeting_timeout") == 0;
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (strcmp(why, ours[i]) == 0)
			return false;
	return true;
}

static uint64_t *
suspect(struct worker *worker, uint32_t index)
{
	struct pools *pools = &worker->pools;

	if (pools->suspect_until_ms == NULL)
		pools->suspect_until_ms =
		    calloc(worker->backends->n_entries, sizeof(uint64_t));
	ENSURE(pools->suspect_until_ms != NULL);
	return &pools->suspect_until_ms[index];
}

static void
on_outcome(void *arg, const struct session *session, struct backend_ref ref,
    enum outcome outcome, const char *why)
{
	struct worker *worker = arg;
	struct load_area *load = worker->loads[worker->slot];
	uint64_t *until = suspect(worker, ref.index);

	switch (outcome) {
	case OUTCOME_GOOD:
		if (worker->env.now_ms < *until)
			load_area_tell(load, ref, 0);
		break;
	case OUTCOME_FAILED:
	case OUTCOME_LOST:
		if (!is_its_fault(outcome, why))
			break;
		*until = worker->env.now_ms + SUSPECT_MS;
		load_area_tell(load, ref, hash_client(&session->client));
		break;
	case OUTCOME_MISCONFIGURED:
		pools_penalise(worker, ref, session_backend(session));
		break;
	}
}

static bool
on_secure(void *arg, const struct session *session,
    const struct backend *backend, struct tls_stream **out_stream)
{
	struct worker *worker = arg;

	return tls_backends_connect(&worker->secure, worker->snapshot,
	    span_str(backend->name), session->backend.index, session->id,
	    out_stream);
}

void
choose_init(struct session_ops *ops)
{
	ops->choose = on_choose;
	ops->secure = on_secure;
	ops->release = on_release;
	ops->outcome = on_outcome;
}
