/* SPDX-License-Identifier: ISC */
/* See history.h. Called by the observer's timer and the page. */
#include "proxy/observer/history.h"

#include <stddef.h>

#define STEP_MS (HISTORY_STEP_S * UINT64_C(1000))

static uint64_t
sum_of_refusals(const struct view *view)
{
	uint64_t sum = 0;
#define X(counter, why) sum += VIEW_SUM(view, counter);
	SLOT_REFUSALS(X)
#undef X
	return sum;
}

static uint64_t
sum_of_failures(const struct view *view)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < SLOT_TLS_FAILURES; i++)
		sum += VIEW_SUM_AT(view, tls_failures, i);
	return sum;
}

static uint64_t
level(const struct view *view, enum history_series series)
{
	switch (series) {
	case HISTORY_BYTES_IN:
		return VIEW_SUM(view, bytes_from_clients);
	case HISTORY_BYTES_OUT:
		return VIEW_SUM(view, bytes_to_clients);
	case HISTORY_LOGINS_OK:
		return VIEW_SUM(view, logins_ok);
	case HISTORY_LOGINS_FAILED:
		return VIEW_SUM(view, logins_failed);
	case HISTORY_REFUSED:
		return sum_of_refusals(view);
	case HISTORY_TLS_FAILED:
		return sum_of_failures(view);
	case HISTORY_CONNECTIONS:
		return VIEW_SUM(view, connections);
	case HISTORY_SERIES_MAX:
		break;
	}
	return 0;
}

static void
step(struct history *history, const struct view *view)
{
	history->newest = (history->newest + 1) % HISTORY_STEPS;
	history->n += history->n < HISTORY_STEPS;
	for (int i = 0; i < HISTORY_SERIES_MAX; i++) {
		uint64_t now = level(view, (enum history_series)i);
		uint64_t before = history->before[i];
		uint64_t grown = now > before ? now - before : 0;
		history->before[i] = now;
		history->steps[i][history->newest] =
		    i == HISTORY_CONNECTIONS ? now : grown;
	}
}

static void
begin(struct history *history, const struct view *view, uint64_t now_ms)
{
	history->last_ms = now_ms;
	for (int i = 0; i < HISTORY_SERIES_MAX; i++)
		history->before[i] = level(view, (enum history_series)i);
}

/* After a pause of the machine what was missed is one step, not many. */
void
history_tick(struct history *history, const struct view *view, uint64_t now_ms)
{
	if (history->last_ms == 0) {
		begin(history, view, now_ms);
		return;
	}
	if (now_ms < history->last_ms + STEP_MS)
		return;
	step(history, view);
	history->last_ms += STEP_MS;
	if (now_ms >= history->last_ms + STEP_MS)
		history->last_ms = now_ms;
}

uint64_t
history_at(
    const struct history *history, enum history_series series, uint32_t age)
{
	uint32_t index = history->newest + HISTORY_STEPS - age;
	return history->steps[series][index % HISTORY_STEPS];
}

uint64_t
history_sum(const struct history *history, const struct view *view,
    enum history_series series)
{
	uint64_t now = level(view, series);
	uint64_t before = history->before[series];
	uint64_t sum = history->last_ms != 0 && now > before ? now - before : 0;
	for (uint32_t age = 0; age < history->n; age++)
		sum += history_at(history, series, age);
	return sum;
}
