/* SPDX-License-Identifier: ISC */
/* Rise and fall. At most one of `good` and `bad` is not zero. Called by the
 * monitor after every check. */
#include "backends/health.h"

static bool
enter(struct health *health, enum backend_state state)
{
	bool changed = health->state != state;

	health->state = state;
	return changed;
}

static bool
note_good(struct health *health, uint32_t rise)
{
	health->bad = 0;
	if (health->good < UINT32_MAX)
		health->good++;
	if (health->state == BACKEND_UNCHECKED || health->good >= rise)
		return enter(health, BACKEND_UP);
	return false;
}

static bool
note_bad(struct health *health, uint32_t fall)
{
	health->good = 0;
	if (health->bad < UINT32_MAX)
		health->bad++;
	if (health->state == BACKEND_UNCHECKED || health->bad >= fall)
		return enter(health, BACKEND_DOWN);
	return false;
}

bool
health_note(struct health *health, enum health_outcome outcome, uint32_t rise,
    uint32_t fall)
{
	switch (outcome) {
	case HEALTH_GOOD:
		return note_good(health, rise);
	case HEALTH_BAD:
		return note_bad(health, fall);
	case HEALTH_MISCONFIGURED:
		health->good = health->bad = 0;
		return enter(health, BACKEND_MISCONFIGURED);
	}
	return false;
}

uint64_t
health_next_check_ms(
    uint64_t interval_ms, bool has_been_checked, uint64_t random)
{
	if (!has_been_checked)
		return 1 + random % interval_ms;
	return interval_ms - interval_ms / 10 + random % (interval_ms / 5 + 1);
}

const char *
backend_state_name(enum backend_state state)
{
	switch (state) {
	case BACKEND_UNUSED:
		return "unused";
	case BACKEND_UNCHECKED:
		return "unchecked";
	case BACKEND_UP:
		return "up";
	case BACKEND_DOWN:
		return "down";
	case BACKEND_MISCONFIGURED:
		return "misconfigured";
	case BACKEND_DRAINING:
		return "draining";
	case BACKEND_EJECTED:
		return "ejected";
	}
	return "?";
}
