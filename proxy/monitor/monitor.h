/* SPDX-License-Identifier: ISC */
/*
 * The monitor: names are resolved, backends are probed, and what is found out
 * goes into the backends area. One process, one loop, one struct.
 *
 * entry     a place in the backends area, by its index
 * node      what the monitor itself knows of the entry with the same index
 * round     the first check of every backend; then each has its own time
 *
 * main.c obeys the master, table.c says which entries there are, rounds.c when
 * they are checked, standing.c what state that makes, check.c drives one
 * probe's socket, keys.c asks the keeper, resolve.c asks for names.
 */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

#include <uv.h>

#include "backends/eject.h"
#include "backends/load.h"
#include "backends/health.h"
#include "backends/pool.h"
#include "config/config.h"
#include "proxy/ipc/channel.h"
#include "proxy/ipc/event.h"
#include "proxy/monitor/keys.h"
#include "tls/backend.h"

#define MONITOR_SLOTS_MAX 64 /* as many workers as a configuration allows */

struct check;
struct resolver;

struct node {
	bool in_use;  /* the entry is not UNUSED */
	bool leaving; /* not wanted any more, sessions are still there */
	bool wanted;  /* by the configuration and the names' addresses */
	bool adopted; /* of a predecessor, not yet seen in the configuration */
	bool checked; /* since this process started */
	struct backend backend; /* as last written into the area */
	struct health health;
	struct eject eject;
	uint32_t pool; /* index in the snapshot */
	uint32_t rise;
	uint32_t fall;
	uint64_t interval_ms;
	uint64_t timeout_ms;
	uint64_t latency_us; /* smoothed; the entry has it roughly */
	uint64_t due_ms;     /* of the next check, in the loop's time */
	struct check *check; /* under way; NULL: none */
};

struct monitor {
	uv_loop_t loop;
	uv_poll_t channel;
	uv_timer_t tick;  /* the next check that is due */
	uv_timer_t sweep; /* once a second while an entry drains */
	uv_timer_t look;  /* at what workers tell */
	uv_timer_t ready; /* READY is not delayed for longer than this */
	struct backends_area *area;
	size_t area_size;
	struct load_area *loads[MONITOR_SLOTS_MAX]; /* by slot; NULL: none */
	size_t load_sizes[MONITOR_SLOTS_MAX];
	uint64_t news_seen[MONITOR_SLOTS_MAX];
	uint32_t n_slots;
	const struct config *config; /* the snapshot that is mapped now */
	struct node *nodes;	     /* area->n_entries of them */
	uint32_t n_nodes;
	struct tls_backends secure;
	struct keys keys;
	/* Of checks, by pool: of the snapshot, and of the one to come. */
	struct secret passwords[CHANNEL_PASSWORDS_MAX];
	struct secret new_passwords[CHANNEL_PASSWORDS_MAX];
	struct resolver *resolver;
	uint32_t n_checks; /* under way */
	uint32_t cursor;   /* where the search for due checks begins */
	uint64_t random;
	int events_fd;
	uint64_t n_events_lost;
	bool is_started; /* START came */
	bool is_ready;	 /* READY was sent */
	bool is_full;	 /* a backend has no entry: said once */
};

/* Sends the event; one that is lost is counted and told with the next. */
void monitor_send(struct monitor *monitor, const struct event *event);

/* Sends READY once the first round is over. */
void monitor_check_ready(struct monitor *monitor);

/* 0 <= result < bound; not for secrets. */
uint64_t monitor_random(struct monitor *monitor, uint64_t bound);

#endif
