/* SPDX-License-Identifier: ISC */
/* See pulse.h. Called by the master. */
#include "proxy/master/pulse.h"

#include "proxy/ipc/clock.h"
#include "proxy/master/brief.h"
#include "proxy/master/master.h"
#include "proxy/master/report.h"

#define LOOK_MS		   1000
#define MISSED_HUNG	   2
#define MISSED_DEAD	   4
#define MISSED_DEAD_OTHERS 10

/* was_paused: we came late ourselves, so nobody else is to blame. */
static void
look(struct child *worker, bool was_paused)
{
	struct slot_area *area =
	    areas_slot(&worker->master->areas, worker->slot);
	uint64_t beat =
	    atomic_load_explicit(&area->heartbeat, memory_order_relaxed);
	if (beat != worker->beat || was_paused || !worker->ready) {
		worker->beat = beat;
		worker->missed = 0;
		if (!worker->hung)
			return;
		worker->hung = false;
		report_role(worker, "answers again", NULL);
		master_steer(worker->master);
		return;
	}
	worker->missed++;
	if (worker->missed == MISSED_HUNG) {
		worker->hung = true;
		report_role(worker, "hangs", "no heartbeat");
		master_steer(worker->master);
	}
	if (worker->missed >= MISSED_DEAD)
		child_kill(worker, "hang");
}

/* Without the keeper no new client comes in, however well the workers are.
 * The others may be busy for a while, and nobody waits for them. */
static uint32_t
patience(const struct child *child)
{
	return child->kind == CHILD_KEEPER ? MISSED_DEAD : MISSED_DEAD_OTHERS;
}

/* Who has no heart of its own to look at. */
static void
ping(struct child *child, bool was_paused)
{
	if (!child->ready || was_paused)
		child->missed = 0;
	if (!child->ready)
		return;
	if (child->missed >= patience(child))
		child_kill(child, "hang");
	child->missed++;
	child_tell(child, MESSAGE_PING, 0);
}

uint64_t
pulse_hearts(struct master *master, uint64_t now_ms)
{
	if (master->state != MASTER_RUNNING)
		return UINT64_MAX;
	if (now_ms - master->beat_ms < LOOK_MS)
		return master->beat_ms + LOOK_MS;
	bool was_paused = master->skipped_ms != master->beat_skipped_ms;
	master->beat_ms = now_ms;
	master->beat_skipped_ms = master->skipped_ms;
	for (uint32_t i = 0; i < master->areas.n_slots; i++)
		look(master_worker(master, i), was_paused);
	for (int i = 0; i < CHILD_WORKER; i++)
		ping(master_child(master, (enum child_kind)i), was_paused);
	return now_ms + LOOK_MS;
}

/* Of the fleet: what counts is the time of day, not how long we run. */
static void
derive_ring(struct master *master, uint32_t i)
{
	const struct config *config = master_config(master);
	const struct config_tls *tls = config_tls_at(config, i);
	uint64_t slice =
	    ticket_slice(clock_realtime_us() / 1000, tls->ticket_rotation_ms);
	if (slice == master->slices[i])
		return;
	ticket_ring_derive(&areas_tickets(&master->areas)->rings[i],
	    &master->secrets.of[i], config_span(config, tls->name),
	    tls->ticket_rotation_ms, slice);
	master->slices[i] = slice;
}

static void
start_ring(struct master *master, uint32_t i, uint64_t now_ms)
{
	ticket_ring_start(&areas_tickets(&master->areas)->rings[i]);
	master->rotated_ms[i] = now_ms;
	master->slices[i] = 0;
}

/* All of them: a reload may add a [tls] section. */
void
pulse_start_tickets(struct master *master, uint64_t now_ms)
{
	for (uint32_t i = 0; i < TICKET_RINGS; i++)
		start_ring(master, i, now_ms);
	pulse_renew_tickets(master, now_ms);
}

void
pulse_renew_tickets(struct master *master, uint64_t now_ms)
{
	uint32_t n = master_config(master)->tls.n;
	for (uint32_t i = 0; i < TICKET_RINGS; i++) {
		bool was_derived = master->slices[i] != 0;
		master->slices[i] = 0;
		if (i < n && master->secrets.of[i].is_given)
			derive_ring(master, i);
		else if (was_derived)
			start_ring(master, i, now_ms);
	}
}

uint64_t
pulse_tickets(struct master *master, uint64_t now_ms)
{
	const struct config *config = master_config(master);
	struct tickets_area *area = areas_tickets(&master->areas);
	uint64_t next_ms = UINT64_MAX;
	for (uint32_t i = 0; i < config->tls.n && i < TICKET_RINGS; i++) {
		const struct config_tls *tls = config_tls_at(config, i);
		if (!tls->tickets)
			continue;
		/* At every tick of the master: clocks are set, too. */
		if (master->secrets.of[i].is_given) {
			derive_ring(master, i);
			continue;
		}
		if (now_ms - master->rotated_ms[i] >= tls->ticket_rotation_ms) {
			ticket_ring_rotate(&area->rings[i]);
			master->rotated_ms[i] = now_ms;
			brief_ticket(
			    master_child(master, CHILD_OBSERVER), i, 0);
		}
		uint64_t due_ms =
		    master->rotated_ms[i] + tls->ticket_rotation_ms;
		if (due_ms < next_ms)
			next_ms = due_ms;
	}
	return next_ms;
}
