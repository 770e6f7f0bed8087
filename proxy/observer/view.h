/* SPDX-License-Identifier: ISC */
/*
 * What the observer can see: the shared areas, read-only, and the snapshot.
 * Areas are written by roles that may have been taken over, so every count in
 * them is bounded by the size of the mapping, and no text in them is trusted
 * to be terminated.
 */
#ifndef OBSERVER_VIEW_H
#define OBSERVER_VIEW_H

#include "backends/load.h"
#include "config/config.h"
#include "proxy/ipc/slot.h"
#include "proxy/limits/limiter.h"

#define VIEW_SLOTS_MAX CONFIG_WORKERS_MAX

struct mapping {
	const void *data; /* NULL: not received */
	size_t size;
};

struct ledger;
struct history;
struct trace;

struct view {
	struct mapping slots[VIEW_SLOTS_MAX]; /* struct slot_area */
	struct mapping loads[VIEW_SLOTS_MAX]; /* struct load_area */
	struct mapping backends;	      /* struct backends_area */
	struct mapping limits;		      /* struct limiter_area */
	struct limiter limiter;	     /* on it; area NULL: not received */
	const struct config *config; /* NULL before the first */
	uint64_t started_ms;	     /* CLOCK_MONOTONIC */
	int master_pid;
	/* the observer's own memory; never NULL in the observer */
	struct ledger *ledger;
	struct history *history;
	struct trace *trace;
};

/* Maps fd (not closed) in place of what was there. False: errno; unchanged. */
bool view_map(struct mapping *mapping, int fd, size_t min_size);

/* NULL when the slot was not received. */
const struct slot_area *view_slot(const struct view *view, uint32_t slot);

/* How many records and entries lie inside the mappings. */
uint32_t view_n_records(const struct view *view, uint32_t slot);
uint32_t view_n_backends(const struct view *view);

/* Of a counter or gauge of the slot areas, by its offset; all slots. */
uint64_t view_sum(const struct view *view, size_t offset);
#define VIEW_SUM(view, member) \
	view_sum(view, offsetof(struct slot_area, member))
/* The same of element i of an array of them. */
#define VIEW_SUM_AT(view, member, i)                        \
	view_sum(view, offsetof(struct slot_area, member) + \
			   (size_t)(i) * sizeof(_Atomic uint64_t))

/* Seconds since a time of CLOCK_MONOTONIC; 0 also when it is yet to come. */
uint64_t view_age_s(uint64_t then_ms);

/*
 * Calls back with a copy of every session there is, slot by slot, until it
 * returns false. Records behind the last session of a slot are not touched:
 * that would allocate their pages.
 */
typedef bool view_session(
    void *arg, uint32_t slot, const struct slot_record *record);
void view_sessions(const struct view *view, view_session *each, void *arg);

/* Logins that an entry could not take, since the gateway started. */
uint64_t view_backend_failures(const struct view *view, uint32_t index);

/* Seconds until it expires; negative when it has. */
int64_t view_left_s(const struct config_certificate *certificate);

/* NULL: ready for clients; else what is missing. */
const char *view_not_ready(const struct view *view);

/* Sessions at a backend, all slots together. */
uint64_t view_backend_sessions(const struct view *view, uint32_t index);

/* Whether a backend of the pool is in this state. */
bool view_has_backend(
    const struct view *view, const char *pool, enum backend_state state);

/* A copy with terminated texts; false: unused or not readable now. */
bool view_backend(
    const struct view *view, uint32_t index, struct backend *out_backend);

/* Its state in words; "unknown" for what is none. */
const char *view_state_name(const struct backend *backend);

/* The backend a session record refers to; "" when it is none or another. */
void view_backend_name(const struct view *view,
    const struct slot_record *record, char out_name[BACKEND_NAME_MAX]);

/* Name of a [listen] section by index; empty when there is none. */
struct span view_listener_name(const struct view *view, uint32_t index);

#endif
