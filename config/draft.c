/* SPDX-License-Identifier: ISC */
/* See draft.h. Called by load.c and check.c. */
#include "config/draft.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/value.h"
#include "proxy/base/ensure.h"

static struct draft_section *
append(struct draft_list *list)
{
	if (list->n == list->cap) {
		list->cap = list->cap == 0 ? 8 : list->cap * 2;
		list->at =
		    reallocarray(list->at, list->cap, sizeof(list->at[0]));
		ENSURE(list->at != NULL);
	}
	list->at[list->n] = (struct draft_section){.fields = NULL};
	return &list->at[list->n++];
}

/* The defaults are written as a file would, so the table can be read. */
static void
set_default(struct draft *draft, const struct row *row, void *fields)
{
	char buf[256];
	struct outbuf why;

	if (row->def == NULL)
		return;
	outbuf_init(&why, buf, sizeof(buf));
	bool ok =
	    value_parse(draft->builder, row, span_str(row->def), fields, &why);
	ENSURE(ok);
}

struct draft_section *
draft_add(struct draft *draft, enum section_type type, struct span name,
    uint32_t line)
{
	const struct section *section = schema_section(type);
	struct draft_section *added = append(&draft->lists[type]);

	added->line = line;
	added->fields = calloc(1, section->size);
	ENSURE(added->fields != NULL);
	if (section->is_many) {
		struct section_head *head = added->fields;
		head->name = builder_text(draft->builder, name);
		head->line = line;
	}
	for (uint32_t i = 0; i < section->n_rows; i++)
		set_default(draft, &section->rows[i], added->fields);
	return added;
}

uint32_t
draft_find(const struct draft *draft, enum section_type type, struct span name)
{
	const struct draft_list *list = &draft->lists[type];
	const struct config *image = builder_config(draft->builder);

	for (uint32_t i = 0; i < list->n; i++) {
		const struct section_head *head = list->at[i].fields;
		if (!schema_section(type)->is_many ||
		    span_equal(config_span(image, head->name), name))
			return i;
	}
	return CONFIG_NONE;
}

void *
draft_fields(const struct draft *draft, enum section_type type, uint32_t index)
{
	ENSURE(index < draft->lists[type].n);
	return draft->lists[type].at[index].fields;
}

uint32_t
draft_line(const struct draft *draft, enum section_type type, uint32_t index,
    const char *key)
{
	const struct section *section = schema_section(type);
	const struct draft_section *at = &draft->lists[type].at[index];
	uint32_t row = schema_find_key(section, span_str(key));

	ENSURE(index < draft->lists[type].n && row < section->n_rows);
	return at->key_lines[row] != 0 ? at->key_lines[row] : at->line;
}

#define MESSAGE_MAX 1024

/* problems_error() or problems_warn(). */
typedef __attribute__((format(printf, 2, 3))) void say_to(
    struct problems *problems, const char *format, ...);

__attribute__((format(printf, 4, 0))) static void
say(struct draft *draft, say_to *to, uint32_t line, const char *format,
    va_list args)
{
	char text[MESSAGE_MAX];
	char number[16] = "";

	vsnprintf(text, sizeof(text), format, args);
	if (line != 0)
		snprintf(number, sizeof(number), ":%u", line);
	to(draft->problems, "%s%s: %s", draft->path, number, text);
}

void
draft_error(struct draft *draft, uint32_t line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(draft, problems_error, line, format, args);
	va_end(args);
}

void
draft_warn(struct draft *draft, uint32_t line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(draft, problems_warn, line, format, args);
	va_end(args);
}
