/* SPDX-License-Identifier: ISC */
/* Lines of the Prometheus text format: one metric at a time. */
#ifndef OBSERVER_SHEET_H
#define OBSERVER_SHEET_H

#include "proxy/observer/reply.h"
#include "proxy/observer/view.h"

struct sheet {
	const struct view *view;
	struct reply *out;
	const char *name; /* of the metric, without "sallyport_" */
};

struct sheet_number {
	char text[32];
};
struct sheet_number sheet_whole(uint64_t value);
struct sheet_number sheet_signed(int64_t value);
struct sheet_number sheet_seconds(uint64_t us);

#define SHEET_END ((const char *)NULL)

/* Then names and texts of labels in turn, then SHEET_END. Texts are escaped;
 * what isn't printable ASCII becomes a question mark. */
__attribute__((sentinel)) void sheet_row(
    const struct sheet *sheet, const char *value, ...);

/* Without a label. */
void sheet_plain(const struct sheet *sheet, uint64_t value);

/* With one label. */
void sheet_count(const struct sheet *sheet, const char *label, const char *text,
    uint64_t value);

/* Of a struct tally_time at this offset of the slot areas. */
void sheet_histogram(const struct sheet *sheet, size_t offset);

#endif
