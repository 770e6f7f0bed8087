/* SPDX-License-Identifier: ISC */
/* See pulse.h. Called by the master. */
#include "proxy/master/pulse.h"

#include "proxy/master/brief.h"
#include "proxy/master/master.h"
#include "proxy/master/report.h"

#define LOOK_MS	    1000
#define MISSED_HUNG 2
#define MISSED_DEAD 4

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

/* Without it no new client comes in, however well the workers are. */
static void
ping(struct child *keeper, bool was_paused)
{
	if (!keeper->ready || was_paused)
		keeper->missed = 0;
	if (!keeper->ready)
		return;
	if (keeper->missed >= MISSED_DEAD)
		child_kill(keeper, "hang");
	keeper->missed++;
	child_tell(keeper, MESSAGE_PING, 0);
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
	ping(master_child(master, CHILD_KEEPER), was_paused);
	return now_ms + LOOK_MS;
}

/* All of them: a reload may add a [tls] section. */
void
pulse_start_tickets(struct master *master, uint64_t now_ms)
{
	struct tickets_area *area = areas_tickets(&master->areas);
	for (uint32_t i = 0; i < TICKET_RINGS; i++) {
		ticket_ring_start(&area->rings[i]);
		master->rotated_ms[i] = now_ms;
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
