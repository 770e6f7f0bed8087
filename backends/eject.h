/* SPDX-License-Identifier: ISC */
/*
 * Passive health, pure: from how logins went to a decision that a backend is
 * best left alone for a while. Checks see a backend every few seconds and from
 * one address; logins see it all the time, and may fail where checks succeed.
 */
#ifndef BACKENDS_EJECT_H
#define BACKENDS_EJECT_H

#include <stdbool.h>
#include <stdint.h>

/* Failures count together for so long. */
#define EJECT_WINDOW_MS 10000
/* Clients that must have seen one: a single one may be banned there. */
#define EJECT_CLIENTS 3
/* The longest ejection, and how long one is held against a backend. */
#define EJECT_LONGEST_MS 300000
#define EJECT_FORGET_MS	 600000

struct eject {
	uint64_t window_ms; /* its begin; 0: no failure is known */
	uint64_t clients[EJECT_CLIENTS];
	uint32_t n_clients; /* distinct ones */
	uint32_t n_failures;
	uint32_t n_good;
	uint32_t n_times;  /* ejected lately */
	uint64_t until_ms; /* 0: it is not ejected */
	uint64_t ended_ms;
};

/*
 * One more attempt: client is 0 when it went well. True: most of the lately
 * known ones failed, for several clients; the caller decides.
 */
bool eject_note(struct eject *eject, uint64_t client, uint64_t now_ms);

/* For first_ms the first time, twice as long each further time. */
void eject_begin(struct eject *eject, uint64_t first_ms, uint64_t now_ms);

void eject_end(struct eject *eject, uint64_t now_ms);

#endif
