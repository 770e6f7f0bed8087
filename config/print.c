/* SPDX-License-Identifier: ISC */
/*
 * A configuration as text: -T prints it, and two are compared by it, so that
 * "the same" means what a person would call the same.
 */
#include "config/load.h"

#include <stdlib.h>

#include "config/schema.h"
#include "config/value.h"
#include "proxy/base/ensure.h"

/* More than a line: names found in a certificate may be many. */
#define VALUE_PRINT_MAX ((size_t)1 << 20)

static const void *
fields_at(
    const struct config *config, const struct section *section, uint32_t index)
{
	const char *base = (const char *)config;
	const struct items *items = (const void *)(base + section->off);

	if (!section->is_many)
		return base + section->off;
	return base + items->off + (size_t)index * section->size;
}

static uint32_t
count(const struct config *config, const struct section *section)
{
	const struct items *items =
	    (const void *)((const char *)config + section->off);

	return section->is_many ? items->n : 1;
}

static void
print_row(const struct config *config, const struct row *row,
    const void *fields, FILE *file)
{
	struct outbuf out;
	char *buf = malloc(VALUE_PRINT_MAX);

	ENSURE(buf != NULL);
	outbuf_init(&out, buf, VALUE_PRINT_MAX);
	value_format(config, row, fields, &out);
	fprintf(file, "%s =%s%.*s\n", row->key, out.len > 0 ? " " : "",
	    (int)out.len, buf);
	free(buf);
}

static void
print_section(const struct config *config, const struct section *section,
    uint32_t index, FILE *file)
{
	const void *fields = fields_at(config, section, index);
	const struct section_head *head = fields;

	if (section->is_many)
		fprintf(file, "[%s %s]\n", section->name,
		    config_text(config, head->name));
	else
		fprintf(file, "[%s]\n", section->name);
	for (uint32_t i = 0; i < section->n_rows; i++)
		print_row(config, &section->rows[i], fields, file);
	fputc('\n', file);
}

/* A certificate that is written in a [backend] section. */
static bool
is_of_backend(
    const struct config *config, enum section_type type, uint32_t index)
{
	return type == SECTION_CERTIFICATE &&
	       config_certificate_at(config, index)->is_for_backends;
}

void
config_print(const struct config *config, FILE *file)
{
	for (enum section_type type = 0; type < SECTION_TYPES; type++) {
		const struct section *section = schema_section(type);
		for (uint32_t i = 0; i < count(config, section); i++)
			if (!is_of_backend(config, type, i))
				print_section(config, section, i, file);
	}
}

/* The section of that name, or the only one; NULL: there is none. */
static const void *
find_fields(const struct config *config, const struct section *section,
    struct span name)
{
	for (uint32_t i = 0; i < count(config, section); i++) {
		const struct section_head *head = fields_at(config, section, i);
		if (!section->is_many ||
		    span_equal(config_span(config, head->name), name))
			return head;
	}
	return NULL;
}

static bool
row_differs(const struct config *a, const void *a_fields,
    const struct config *b, const void *b_fields, const struct row *row)
{
	char a_buf[CONFIG_LINE_MAX], b_buf[CONFIG_LINE_MAX];
	struct outbuf a_out, b_out;

	if (a_fields == NULL || b_fields == NULL)
		return true;
	outbuf_init(&a_out, a_buf, sizeof(a_buf));
	outbuf_init(&b_out, b_buf, sizeof(b_buf));
	value_format(a, row, a_fields, &a_out);
	value_format(b, row, b_fields, &b_out);
	return !span_equal(outbuf_span(&a_out), outbuf_span(&b_out));
}

static void
put_key(struct outbuf *out, const struct section *section, struct span name,
    const char *key)
{
	outbuf_printf(out, "[%s", section->name);
	if (name.len > 0)
		outbuf_putc(out, ' ');
	outbuf_put(out, name);
	outbuf_printf(out, "] %s\n", key);
}

/* One section of `from` against that of the same name in `to`. */
static bool
section_differs(const struct config *from, const struct config *to,
    const struct section *section, uint32_t index, struct outbuf *out)
{
	const void *fields = fields_at(from, section, index);
	const struct section_head *head = fields;
	struct span name = span_of(NULL, 0);
	bool differs = false;

	if (section->is_many)
		name = config_span(from, head->name);
	const void *others = find_fields(to, section, name);
	for (uint32_t i = 0; i < section->n_rows; i++) {
		const struct row *row = &section->rows[i];
		if (row->reload != RESTART ||
		    !row_differs(from, fields, to, others, row))
			continue;
		put_key(out, section, name, row->key);
		differs = true;
	}
	return differs;
}

/* Sections of `wanted` that are not in `running` at all. */
static bool
is_new(const struct config *running, const struct config *wanted,
    const struct section *section, uint32_t index)
{
	const struct section_head *head = fields_at(wanted, section, index);

	return section->is_many && find_fields(running, section,
				       config_span(wanted, head->name)) == NULL;
}

bool
config_restart_differs(const struct config *running,
    const struct config *wanted, struct outbuf *out)
{
	bool differs = false;

	for (enum section_type type = 0; type < SECTION_TYPES; type++) {
		const struct section *section = schema_section(type);
		for (uint32_t i = 0; i < count(running, section); i++)
			differs |=
			    section_differs(running, wanted, section, i, out);
		for (uint32_t i = 0; i < count(wanted, section); i++)
			if (is_new(running, wanted, section, i))
				differs |= section_differs(
				    wanted, running, section, i, out);
	}
	return differs;
}

/* Of that name, at or after `from`; `n` when there is none. */
static uint32_t
find_listen(const struct config *config, uint32_t from, struct span name)
{
	uint32_t n = config->listens.n;

	while (from < n &&
	       !span_equal(name,
		   config_span(config, config_listen_at(config, from)->name)))
		from++;
	return from;
}

void
config_keep_order(struct builder *builder, const struct config *running)
{
	const struct config *config = builder_config(builder);
	struct config_listen *listens = builder_listen_at(builder, 0);
	uint32_t n_placed = 0;

	for (uint32_t i = 0; i < running->listens.n; i++) {
		const struct config_listen *like = config_listen_at(running, i);
		uint32_t at = find_listen(
		    config, n_placed, config_span(running, like->name));
		if (at == config->listens.n)
			continue; /* refused elsewhere */
		struct config_listen found = listens[at];
		listens[at] = listens[n_placed];
		listens[n_placed++] = found;
	}
}
