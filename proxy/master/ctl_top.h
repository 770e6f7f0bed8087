/* SPDX-License-Identifier: ISC */
/*
 * `sallyport ctl top` on a terminal: asks again every second, computes rates
 * from two answers, and redraws in place. q ends it; u, a, b choose what to
 * group by.
 */
#ifndef MASTER_CTL_TOP_H
#define MASTER_CTL_TOP_H

#include <stdint.h>

#include "proxy/master/ctl_json.h"

struct top_row {
	char name[192];
	uint64_t sessions;
	uint64_t in;
	uint64_t out;
	uint64_t in_rate; /* octets a second */
	uint64_t out_rate;
};

struct top_rows {
	struct top_row *list;
	size_t n;
	size_t cap;
};

/* Adds one line of the answer; lines that are none of a group are ignored. */
void top_rows_add(
    struct top_rows *rows, const struct ctl_member *members, size_t n_members);

/* Fills in the rates, ms after `before` was asked for (sorted by this function
 * then), and puts the busiest first. */
void top_rows_compare(
    struct top_rows *rows, struct top_rows *before, uint64_t ms);

void top_rows_free(struct top_rows *rows);

/*
 * Asks by calling `ask` with the request and a place for the rows; returns the
 * exit status of the last one. by: "user", "address" or "backend".
 */
typedef int top_ask(void *arg, const char *request, struct top_rows *rows);
int ctl_top(const char *by, top_ask *ask, void *arg);

#endif
