/* SPDX-License-Identifier: ISC */
/* See wheel.h. Invariant: an entry in a slot has a tick after wheel->tick. */
#include "proxy/worker/wheel.h"

#define TICKS_PER_SECOND (1000 / WHEEL_TICK_MS)
#define COARSE_TICKS	 (10 * TICKS_PER_SECOND)

void
wheel_init(struct wheel *wheel, uint64_t now_ms)
{
	wheel->tick = now_ms / WHEEL_TICK_MS;
	for (int i = 0; i < WHEEL_SLOTS; i++)
		list_init(&wheel->slots[i]);
}

void
wheel_entry_init(struct wheel_entry *entry)
{
	list_init(&entry->link);
	entry->due_ms = 0;
}

static uint64_t
round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

void
wheel_set(struct wheel *wheel, struct wheel_entry *entry, uint64_t due_ms)
{
	uint64_t tick = round_up(due_ms, WHEEL_TICK_MS) / WHEEL_TICK_MS;

	if (tick <= wheel->tick)
		tick = wheel->tick + 1;
	if (tick - wheel->tick > COARSE_TICKS)
		tick = round_up(tick, TICKS_PER_SECOND);
	if (tick - wheel->tick >= WHEEL_SLOTS)
		tick = (wheel->tick + WHEEL_SLOTS - 1) / TICKS_PER_SECOND *
		       TICKS_PER_SECOND;
	list_remove(&entry->link);
	list_append(&wheel->slots[tick % WHEEL_SLOTS], &entry->link);
	entry->due_ms = tick * WHEEL_TICK_MS;
}

void
wheel_remove(struct wheel_entry *entry)
{
	list_remove(&entry->link);
	entry->due_ms = 0;
}

static void
run_slot(struct list_link *slot, wheel_fire *fire, void *arg)
{
	struct list_link due;

	if (list_is_empty(slot))
		return;
	/* Aside first: what fires may be put into this very slot again. */
	due = *slot;
	due.next->prev = due.prev->next = &due;
	list_init(slot);
	while (!list_is_empty(&due)) {
		struct wheel_entry *entry =
		    list_entry(due.next, struct wheel_entry, link);
		wheel_remove(entry);
		fire(entry, arg);
	}
}

void
wheel_run(struct wheel *wheel, uint64_t now_ms, wheel_fire *fire, void *arg)
{
	uint64_t now = now_ms / WHEEL_TICK_MS;

	/* After a long pause one turn of the wheel passes every slot. */
	if (now > wheel->tick + WHEEL_SLOTS)
		wheel->tick = now - WHEEL_SLOTS;
	while (wheel->tick < now) {
		wheel->tick++;
		run_slot(&wheel->slots[wheel->tick % WHEEL_SLOTS], fire, arg);
	}
}

uint64_t
wheel_wait_ms(const struct wheel *wheel, uint64_t now_ms)
{
	uint64_t next_second = round_up(now_ms + 1, WHEEL_IDLE_MS);

	for (uint64_t i = 1; i <= TICKS_PER_SECOND; i++) {
		uint64_t due_ms = (wheel->tick + i) * WHEEL_TICK_MS;
		if (due_ms >= next_second)
			break;
		if (!list_is_empty(
			&wheel->slots[(wheel->tick + i) % WHEEL_SLOTS]))
			return due_ms > now_ms ? due_ms - now_ms : 1;
	}
	return next_second - now_ms;
}
