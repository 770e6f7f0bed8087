/* SPDX-License-Identifier: ISC */
/* See eject.h. Called by the monitor. */
#include "backends/eject.h"

static void
forget(struct eject *eject)
{
	eject->window_ms = 0;
	eject->n_clients = 0;
	eject->n_failures = 0;
	eject->n_good = 0;
}

static void
note_client(struct eject *eject, uint64_t client)
{
	for (uint32_t i = 0; i < eject->n_clients; i++)
		if (eject->clients[i] == client)
			return;
	if (eject->n_clients < EJECT_CLIENTS)
		eject->clients[eject->n_clients++] = client;
}

bool
eject_note(struct eject *eject, uint64_t client, uint64_t now_ms)
{
	if (eject->window_ms != 0 &&
	    now_ms - eject->window_ms > EJECT_WINDOW_MS)
		forget(eject);
	if (client == 0) {
		eject->n_good += eject->window_ms != 0;
		return false;
	}
	if (eject->window_ms == 0)
		eject->window_ms = now_ms;
	eject->n_failures++;
	note_client(eject, client);
	return eject->n_clients == EJECT_CLIENTS &&
	       eject->n_failures > eject->n_good;
}

void
eject_begin(struct eject *eject, uint64_t first_ms, uint64_t now_ms)
{
	uint64_t length_ms = first_ms;

	if (eject->n_times > 0 && now_ms - eject->ended_ms > EJECT_FORGET_MS)
		eject->n_times = 0;
	for (uint32_t i = 0; i < eject->n_times && length_ms < EJECT_LONGEST_MS;
	     i++)
		length_ms *= 2;
	if (length_ms > EJECT_LONGEST_MS)
		length_ms = EJECT_LONGEST_MS;
	eject->n_times++;
	eject->until_ms = now_ms + length_ms;
	forget(eject);
}

void
eject_end(struct eject *eject, uint64_t now_ms)
{
	eject->until_ms = 0;
	eject->ended_ms = now_ms;
	forget(eject);
}
