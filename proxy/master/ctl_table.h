/* SPDX-License-Identifier: ISC */
/* Rows with the same keys, printed as an aligned table. */
#ifndef MASTER_CTL_TABLE_H
#define MASTER_CTL_TABLE_H

#include <stdio.h>

#include "proxy/master/ctl_json.h"

/* Starts zeroed; owns copies of everything. */
struct ctl_table {
	size_t n_columns;
	char *keys[CTL_MEMBERS_MAX];
	size_t widths[CTL_MEMBERS_MAX];
	bool is_number[CTL_MEMBERS_MAX];
	size_t *cells; /* row by row: where in text each begins */
	size_t n_cells;
	size_t cells_cap;
	char *text; /* of all cells, each terminated */
	size_t text_len;
	size_t text_cap;
	bool printed; /* one already: a blank line comes before the next */
};

/* Adds a row; when its keys are others, what is there is printed first. Out of
 * memory ends the program. */
void ctl_table_add(struct ctl_table *table, const struct ctl_member *members,
    size_t n_members, FILE *out);

/* Prints and forgets what is there. */
void ctl_table_flush(struct ctl_table *table, FILE *out);

#endif
