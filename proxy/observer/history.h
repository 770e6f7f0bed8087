/* SPDX-License-Identifier: ISC */
/* The last hour in steps of ten seconds, for the plots of the page: rings of
 * what counters grew by. It begins anew with the observer. */
#ifndef OBSERVER_HISTORY_H
#define OBSERVER_HISTORY_H

#include "proxy/observer/view.h"

#define HISTORY_STEP_S 10
#define HISTORY_STEPS  360

/* id, what the page calls it */
#define HISTORY_SERIES(X)          \
	X(BYTES_IN, "in")          \
	X(BYTES_OUT, "out")        \
	X(LOGINS_OK, "accepted")   \
	X(LOGINS_FAILED, "failed") \
	X(REFUSED, "before TLS")   \
	X(TLS_FAILED, "in TLS")    \
	X(CONNECTIONS, "connections")

#define X(id, name) HISTORY_##id,
enum history_series {
	HISTORY_SERIES(X) HISTORY_SERIES_MAX
};
#undef X

struct history {
	uint64_t last_ms; /* end of the newest step; 0: none yet */
	uint32_t n;	  /* steps there are */
	uint32_t newest;  /* index of the last one written */
	uint64_t before[HISTORY_SERIES_MAX];
	uint64_t steps[HISTORY_SERIES_MAX][HISTORY_STEPS];
};

/* Now and then, at least every HISTORY_STEP_S. */
void history_tick(
    struct history *history, const struct view *view, uint64_t now_ms);

/* age 0 is the newest step; age < history->n. CONNECTIONS is a level, the
 * others are sums over the step. */
uint64_t history_at(
    const struct history *history, enum history_series series, uint32_t age);

/* Over the last hour, the step that is not finished included. */
uint64_t history_sum(const struct history *history, const struct view *view,
    enum history_series series);

#endif
