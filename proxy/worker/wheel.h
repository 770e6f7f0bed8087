/* SPDX-License-Identifier: ISC */
/*
 * Deadlines of a loop: a wheel of slots of 100 ms, one for all connections.
 * An entry is put where it is due and not moved when its deadline moves on:
 * whoever is called looks whether it is really due and puts it back if not.
 * So traffic costs nothing here. Deadlines more than 10 s away share whole
 * seconds, so that an idle loop wakes once a second at most.
 */
#ifndef WORKER_WHEEL_H
#define WORKER_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/list.h"

#define WHEEL_TICK_MS 100
#define WHEEL_SLOTS   4096 /* 410 s; what is due later is looked at then */
#define WHEEL_IDLE_MS 1000

struct wheel_entry {
	struct list_link link;
	uint64_t due_ms; /* of the slot it is in; 0: in none */
};

struct wheel {
	uint64_t tick; /* the last one that was run */
	struct list_link slots[WHEEL_SLOTS];
};

typedef void wheel_fire(struct wheel_entry *entry, void *arg);

void wheel_init(struct wheel *wheel, uint64_t now_ms);
void wheel_entry_init(struct wheel_entry *entry);

/* Puts the entry where due_ms is, or up to a tick (a second) later. */
void wheel_set(struct wheel *wheel, struct wheel_entry *entry, uint64_t due_ms);
void wheel_remove(struct wheel_entry *entry);

/* Takes out and calls every entry up to now; fire may set any entry. */
void wheel_run(
    struct wheel *wheel, uint64_t now_ms, wheel_fire *fire, void *arg);

/* How long until the next slot with an entry, 1..WHEEL_IDLE_MS. */
uint64_t wheel_wait_ms(const struct wheel *wheel, uint64_t now_ms);

#endif
