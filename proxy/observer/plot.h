/* SPDX-License-Identifier: ISC */
/* Parts of the page: plots of the last hour, numbers for people, HTML text. */
#ifndef OBSERVER_PLOT_H
#define OBSERVER_PLOT_H

#include "proxy/observer/history.h"
#include "proxy/observer/reply.h"

/* As text of an element or of a quoted attribute. */
void plot_text(struct reply *out, const char *text);

#define PLOT_NUMBER_MAX 24
/* "1,234,567" and "1.2 MB" (powers of 1000). Both return buf. */
const char *plot_count(uint64_t value, char buf[PLOT_NUMBER_MAX]);
const char *plot_octets(uint64_t value, char buf[PLOT_NUMBER_MAX]);
/* "3 d 4 h", "5 min 6 s": the two largest units. Returns buf. */
const char *plot_age(uint64_t seconds, char buf[PLOT_NUMBER_MAX]);

struct plot {
	const char *title;
	enum history_series series[2];
	bool octets; /* per second; else a count per minute */
};

/* A figure with both series, their legend and the scale. */
void plot_write(
    const struct view *view, const struct plot *plot, struct reply *out);

#endif
