/* SPDX-License-Identifier: ISC */
/* See ctl_table.h. Called by ctl.c. */
#include "proxy/master/ctl_table.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/ensure.h"

static char *
copy(const char *text)
{
	char *new = strdup(text);
	ENSURE(new != NULL);
	return new;
}

static bool
has_keys(const struct ctl_table *table, const struct ctl_member *members,
    size_t n_members)
{
	if (table->n_columns != n_members)
		return false;
	for (size_t i = 0; i < n_members; i++)
		if (strcmp(table->keys[i], members[i].key) != 0)
			return false;
	return true;
}

static void
set_keys(
    struct ctl_table *table, const struct ctl_member *members, size_t n_members)
{
	table->n_columns = n_members;
	for (size_t i = 0; i < n_members; i++) {
		table->keys[i] = copy(members[i].key);
		table->widths[i] = strlen(members[i].key);
		table->is_number[i] = true;
	}
}

static void
add_cell(struct ctl_table *table, size_t column, const char *text)
{
	if (table->n_cells == table->cap) {
		table->cap = table->cap == 0 ? 64 : table->cap * 2;
		table->cells =
		    realloc(table->cells, table->cap * sizeof(table->cells[0]));
		ENSURE(table->cells != NULL);
	}
	table->cells[table->n_cells++] = copy(text);
	size_t width = strlen(text);
	if (table->widths[column] < width)
		table->widths[column] = width;
}

void
ctl_table_add(struct ctl_table *table, const struct ctl_member *members,
    size_t n_members, FILE *out)
{
	ENSURE(n_members > 0 && n_members <= CTL_MEMBERS_MAX);
	if (!has_keys(table, members, n_members)) {
		ctl_table_flush(table, out);
		set_keys(table, members, n_members);
	}
	for (size_t i = 0; i < n_members; i++) {
		const char *value = members[i].value;
		if (members[i].is_text ||
		    strspn(value, "-0123456789") != strlen(value))
			table->is_number[i] = false;
		add_cell(table, i, value[0] == '\0' ? "-" : value);
	}
}

static void
print_cell(
    const struct ctl_table *table, size_t column, const char *text, FILE *out)
{
	int width = (int)table->widths[column];
	if (table->is_number[column])
		fprintf(out, "%*s", width, text);
	else if (column + 1 < table->n_columns)
		fprintf(out, "%-*s", width, text);
	else
		fputs(text, out);
	fputs(column + 1 < table->n_columns ? "  " : "\n", out);
}

static void
print_head(struct ctl_table *table, FILE *out)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		for (char *c = table->keys[i]; *c != '\0'; c++)
			*c = (char)toupper((unsigned char)*c);
		print_cell(table, i, table->keys[i], out);
	}
}

static void
forget(struct ctl_table *table)
{
	bool printed = table->printed;
	for (size_t i = 0; i < table->n_columns; i++)
		free(table->keys[i]);
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i]);
	free(table->cells);
	*table = (struct ctl_table){.printed = printed};
}

void
ctl_table_flush(struct ctl_table *table, FILE *out)
{
	if (table->n_cells > 0) {
		if (table->printed)
			fputc('\n', out);
		table->printed = true;
		print_head(table, out);
	}
	for (size_t i = 0; i < table->n_cells; i++)
		print_cell(table, i % table->n_columns, table->cells[i], out);
	forget(table);
}
