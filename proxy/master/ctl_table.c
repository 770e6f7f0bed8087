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

/* Room for n more behind the first used ones of so many octets each. */
static void *
grown(void *list, size_t used, size_t n, size_t size, size_t *cap)
{
	if (*cap - used >= n)
		return list;
	while (*cap - used < n)
		*cap = *cap == 0 ? 4096 : *cap * 2;
	void *new = realloc(list, *cap * size);
	ENSURE(new != NULL);
	return new;
}

static void
add_cell(struct ctl_table *table, size_t column, const char *text)
{
	size_t width = strlen(text);
	table->cells = grown(table->cells, table->n_cells, 1,
	    sizeof(table->cells[0]), &table->cells_cap);
	table->text =
	    grown(table->text, table->text_len, width + 1, 1, &table->text_cap);
	table->cells[table->n_cells++] = table->text_len;
	memcpy(table->text + table->text_len, text, width + 1);
	table->text_len += width + 1;
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
print_blanks(size_t n, FILE *out)
{
	while (n-- > 0)
		putc_unlocked(' ', out);
}

/* The last column needs no blanks behind it. */
static void
print_cell(
    const struct ctl_table *table, size_t column, const char *text, FILE *out)
{
	size_t len = strlen(text);
	size_t blanks = table->widths[column] - len;
	bool is_last = column + 1 == table->n_columns;
	if (table->is_number[column])
		print_blanks(blanks, out);
	fwrite(text, 1, len, out);
	if (is_last)
		fputc('\n', out);
	else
		print_blanks(table->is_number[column] ? 2 : blanks + 2, out);
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
	free(table->cells);
	free(table->text);
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
		print_cell(table, i % table->n_columns,
		    table->text + table->cells[i], out);
	forget(table);
}
