/* SPDX-License-Identifier: ISC */
/*
 * The worker's start, its channel to the master and its clock. The master hands
 * in areas, listeners and snapshots; the end of the channel is the end of the
 * worker. One timer serves the wheel and the heartbeat.
 */
/* needs: proxy/worker/accept.c proxy/worker/conn.c proxy/worker/dial.c */
/* needs: proxy/worker/choose.c tls/backend.c tls/backends.c */
/* needs: proxy/worker/keys.c proxy/worker/pools.c proxy/worker/wheel.c */
/* needs: proxy/worker/shed.c proxy/worker/drain.c proxy/worker/events.c
 * proxy/worker/shakes.c */
/* needs: proxy/session/ */
/* needs: proxy/limits/admission.c proxy/limits/networks.c */
/* needs: proxy/limits/limiter.c proxy/limits/decide.c */
/* needs: proxy/limits/victim.c */
/* needs: proxy/limits/logins.c proxy/limits/ladder.c */
/* needs: proxy/imap/ proxy/ipc/ proxy/base/ config/snapshot.c */
/* needs: backends/pool.c backends/balance.c backends/view.c backends/reply.c */
/* needs: backends/hash.c backends/live.c config/route.c */
/* needs: backends/proxyhdr.c tls/stream.c tls/hello.c tls/sign.c tls/failure.c
 */
/* needs: tls/policy.c tls/names.c tls/ticket.c tls/random.c */
/* needs: tls/section.c tls/client_check.c tls/x509.c */
/* needs: tls/key_client.c */
/* libs: boringssl uv */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/snapshot.h"
#include "proxy/base/ensure.h"
#include "proxy/ipc/area.h"
#include "proxy/ipc/channel.h"
#include "proxy/ipc/clock.h"
#include "proxy/ipc/role.h"
#include "proxy/worker/shakes.h"
#include "proxy/worker/worker.h"

#define BEAT_MS	  1000
#define TEXT_SLAB 16384
/* So many have to have gone: some hundred KB. */
#define TRIM_CONNS 32

void
worker_touch_clock(struct worker *worker)
{
	worker->env.now_ms = uv_now(&worker->loop);
}

void
worker_emit(struct worker *worker, const struct event *event)
{
	if (!events_send(&worker->events, event))
		slot_add(&worker->area->events_dropped, 1);
}

void
worker_tell(struct worker *worker, uint32_t type, uint64_t arg)
{
	struct message message = {
	    .type = type, .slot = worker->slot, .arg = arg};

	if (channel_send(ROLE_CHANNEL_FD, &message) != CHANNEL_OK)
		role_fatal("the channel to the master failed");
}

static void
on_emit(void *arg, const struct event *event)
{
	worker_emit(arg, event);
}

/* What a crowd used is given back once most of it has gone: free() keeps it. */
static void
give_back_memory(struct worker *worker)
{
	if (worker->n_conns > worker->most_conns)
		worker->most_conns = worker->n_conns;
	if (worker->most_conns - worker->n_conns < TRIM_CONNS ||
	    worker->n_conns > worker->most_conns / 2)
		return;
	worker->most_conns = worker->n_conns;
	malloc_trim(0);
}

static void
beat(struct worker *worker)
{
	slot_add(&worker->area->heartbeat, 1);
	atomic_store_explicit(&worker->area->descriptors,
	    worker->n_conns + worker->n_backends + worker->n_listeners,
	    memory_order_relaxed);
	refusals_tick(&worker->env);
	accept_beat(worker);
	give_back_memory(worker);
	if (worker->env.draining)
		drain_step(worker);
	else
		drain_backends(worker);
}

/* How late the timer came is how long an event had to wait. */
static void
measure_lag(struct worker *worker)
{
	uint64_t due_ms = worker->timer_due_ms;
	uint64_t now_ms = worker->env.now_ms;

	if (due_ms != 0)
		tally_time_add(&worker->area->tally.lag,
		    now_ms > due_ms ? (now_ms - due_ms) * 1000 : 0);
}

static void
on_timer(uv_timer_t *timer)
{
	struct worker *worker = timer->data;

	worker_touch_clock(worker);
	measure_lag(worker);
	worker->timer_due_ms = 0;
	if (worker->env.now_ms / BEAT_MS != worker->last_beat_ms / BEAT_MS) {
		worker->last_beat_ms = worker->env.now_ms;
		beat(worker);
	} else if (worker->paused) {
		accept_resume(worker);
	}
	accept_give_way(worker);
	wheel_run(&worker->wheel, worker->env.now_ms, conn_fire, worker);
	worker_arm_timer(worker);
}

/* Who gives way when handshakes are too many, or has no room just now. */
static bool
looks_at_every_tick(const struct worker *worker)
{
	if (worker->paused && worker->resume_ms != UINT64_MAX)
		return true;
	return worker->env.limiter != NULL &&
	       limiter_handshakes_many(worker->env.limiter, worker->snapshot);
}

void
worker_arm_timer(struct worker *worker)
{
	uint64_t now = worker->env.now_ms;
	uint64_t wait = wheel_wait_ms(&worker->wheel, now);

	if (wait > WHEEL_TICK_MS && looks_at_every_tick(worker))
		wait = WHEEL_TICK_MS;
	if (worker->timer_due_ms != 0 && worker->timer_due_ms <= now + wait)
		return;
	worker->timer_due_ms = now + wait;
	uv_timer_start(&worker->timer, on_timer, wait, 0);
}

static void
on_turn(uv_prepare_t *turn)
{
	struct worker *worker = turn->data;

	slot_add(&worker->area->loop_turns, 1);
}

static void
take_hello(struct worker *worker, const struct message *message)
{
	struct hello hello;

	role_take_hello(message, &hello);
	worker->slot = message->slot;
	worker->n_slots = hello.n_slots;
	ENSURE(hello.n_slots <= CONFIG_WORKERS_MAX);
}

static void
take_slot_area(struct worker *worker, void *data, size_t size)
{
	worker->area = data;
	worker->env.slot = data;
	worker->n_records = worker->area->n_records;
	ENSURE(slot_area_size(worker->n_records) <= size);
	worker->conns = calloc(worker->n_records, sizeof(*worker->conns));
	worker->free_records =
	    calloc(worker->n_records, sizeof(*worker->free_records));
	ENSURE(worker->conns != NULL && worker->free_records != NULL);
	/* The lowest record is used first: few pages are touched. */
	for (uint32_t i = worker->n_records; i > 0; i--)
		worker->free_records[worker->n_free++] = i - 1;
}

/* All have the size of our own, which the master made and sealed. */
static void
take_users(struct worker *worker, uint32_t slot, void *data, size_t size)
{
	struct live_tables *live = &worker->live;

	ENSURE(slot < LIVE_TABLES_MAX);
	live->n_buckets = live_buckets(worker->n_records);
	ENSURE(live_size(live->n_buckets) <= size);
	live->all[slot] = data;
	if (slot == worker->slot)
		live->own = data;
	if (slot >= live->n_tables)
		live->n_tables = slot + 1;
}

static void
take_area(struct worker *worker, struct message *message)
{
	int fd = message_take_fd(message);
	bool is_mine =
	    message->slot == worker->slot &&
	    (message->arg == AREA_SLOT || message->arg == AREA_LOAD ||
		message->arg == AREA_USERS);
	bool is_shared = message->arg == AREA_LIMITER;
	size_t size;
	void *data = area_map(fd, is_mine || is_shared, &size);

	if (data == NULL)
		role_fatal("cannot map an area");
	close(fd);
	switch ((enum area_kind)message->arg) {
	case AREA_SLOT:
		take_slot_area(worker, data, size);
		break;
	case AREA_BACKENDS:
		worker->backends = data;
		break;
	case AREA_LOAD:
		ENSURE(message->slot < CONFIG_WORKERS_MAX);
		worker->loads[message->slot] = data;
		break;
	case AREA_TICKETS:
		worker->tickets = data;
		break;
	case AREA_USERS:
		take_users(worker, message->slot, data, size);
		break;
	case AREA_LIMITER:
		if (!limiter_attach(&worker->limiter, data, size,
			worker->n_slots, worker->slot))
			role_fatal("the limiter's area is not what it says");
		worker->limiter.evictions = &worker->area->evictions;
		worker->env.limiter = &worker->limiter;
		break;
	}
}

static void
take_snapshot(struct worker *worker, struct message *message)
{
	int fd = message_take_fd(message);
	const struct config *old = worker->snapshot;
	const struct config *config = snapshot_map(fd);
	struct message ack = {
	    .type = MESSAGE_ACK, .slot = 1, .arg = message->arg};

	close(fd);
	if (config != NULL && pools_use(&worker->pools, config)) {
		tls_backends_forget(&worker->secure);
		ack.slot = 0;
		worker->snapshot = worker->env.config = config;
		tls_engine_use(worker->env.tls, config, worker->tickets);
		accept_configure(worker);
		accept_resume(worker);
		if (old != NULL)
			snapshot_unmap(old);
	}
	if (channel_send(ROLE_CHANNEL_FD, &ack) != CHANNEL_OK)
		role_fatal("the channel to the master failed");
}

static void
take_listener(struct worker *worker, struct message *message)
{
	struct addr addr;

	ENSURE(message->len == sizeof(addr));
	memcpy(&addr, message->body, sizeof(addr));
	if (!accept_add(worker, message_take_fd(message), message->slot, &addr))
		role_fatal("cannot take a listener");
}

static void
start(struct worker *worker)
{
	ENSURE(worker->area != NULL && worker->snapshot != NULL &&
	       worker->backends != NULL && worker->loads[worker->slot] != NULL);
	accept_configure(worker);
	accept_start(worker);
	uv_prepare_start(&worker->turn, on_turn);
	worker_arm_timer(worker);
	worker_tell(worker, MESSAGE_READY, 0);
}

static _Noreturn void
leave(struct worker *worker)
{
	if (worker->area != NULL)
		drain_now(worker);
	events_finish(&worker->events);
	exit(0);
}

/* Those that are still there; one that ends already is left to end. */
static void
kick(struct worker *worker, const struct message *message)
{
	for (uint32_t at = 0; at + 8 <= message->len; at += 8) {
		uint64_t id;
		memcpy(&id, message->body + at, sizeof(id));
		struct conn *conn = conn_by_id(worker, id);
		if (conn != NULL && conn_session(conn)->state < SESSION_LINGER)
			conn_stop(conn, REASON_KICKED);
	}
}

static bool
take(void *arg, struct message *message)
{
	struct worker *worker = arg;

	switch ((enum message_type)message->type) {
	case MESSAGE_HELLO:
		take_hello(worker, message);
		break;
	case MESSAGE_AREA:
		take_area(worker, message);
		break;
	case MESSAGE_EVENTS:
		events_connect(
		    &worker->events, &worker->loop, message_take_fd(message));
		break;
	case MESSAGE_KEEPER:
		keys_connect(&worker->keys, message_take_fd(message));
		break;
	case MESSAGE_LISTENER:
		take_listener(worker, message);
		break;
	case MESSAGE_SNAPSHOT:
		take_snapshot(worker, message);
		break;
	case MESSAGE_START:
		start(worker);
		break;
	case MESSAGE_DRAIN:
		drain_start(worker, message->arg);
		break;
	case MESSAGE_KICK:
		kick(worker, message);
		break;
	case MESSAGE_STOP:
		leave(worker);
	default:
		break;
	}
	return true;
}

static void
on_channel(uv_poll_t *poll, int status, int events)
{
	struct worker *worker = poll->data;

	(void)events;
	worker_touch_clock(worker);
	if (status < 0 || channel_read(ROLE_CHANNEL_FD, CHANNEL_NO_BUDGET, take,
			      worker) == CHANNEL_CLOSED)
		leave(worker);
}

static uint8_t *
slab_new(size_t size)
{
	uint8_t *slab = malloc(size);

	ENSURE(slab != NULL);
	return slab;
}

static void
init_slabs(struct worker *worker)
{
	struct session_env *env = &worker->env;

	worker->slab = slab_new(SLAB_IN);
	for (int i = 0; i < SIDE_MAX; i++)
		outbuf_init(&env->out[i], slab_new(SLAB_OUT), SLAB_OUT);
	outbuf_init(&env->plain, slab_new(SLAB_OUT), SLAB_OUT);
	outbuf_init(&env->text, slab_new(TEXT_SLAB), TEXT_SLAB);
}

/* Unique over restarts unless more than 256 clients a second come for ever. */
static uint64_t
first_serial(void)
{
	return clock_realtime_us() / 1000000 << 8;
}

static void
worker_init(struct worker *worker)
{
	events_init(&worker->events);
	worker->next_serial = first_serial();
	list_init(&worker->strangers);
	list_init(&worker->preauth);
	ENSURE(uv_loop_init(&worker->loop) == 0);
	worker_touch_clock(worker);
	wheel_init(&worker->wheel, worker->env.now_ms);
	keys_init(&worker->keys, worker);
	pools_init(&worker->pools, &worker->ops);
	choose_init(&worker->ops);
	worker->ops.emit = on_emit;
	worker->env.ops = &worker->ops;
	worker->env.arg = worker;
	worker->env.tls = tls_engine_new(keys_submit, worker);
	worker->secure.submit = keys_submit;
	worker->secure.arg = worker;
	ENSURE(worker->env.tls != NULL);
	tls_engine_set_admit(worker->env.tls, conn_may_handshake);
	refusals_init(&worker->env.refusals);
	init_slabs(worker);

	shakes_init(worker);
	uv_timer_init(&worker->loop, &worker->timer);
	worker->timer.data = worker;
	uv_prepare_init(&worker->loop, &worker->turn);
	worker->turn.data = worker;
	ENSURE(uv_poll_init(&worker->loop, &worker->channel, ROLE_CHANNEL_FD) ==
	       0);
	worker->channel.data = worker;
	uv_poll_start(&worker->channel, UV_READABLE, on_channel);
}

int
main(void)
{
	role_init("worker");
	role_be_prompt();
	struct worker *worker = calloc(1, sizeof(*worker));
	ENSURE(worker != NULL);
	worker_init(worker);
	uv_run(&worker->loop, UV_RUN_DEFAULT);
	return 0;
}
