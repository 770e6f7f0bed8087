/* SPDX-License-Identifier: ISC */
/*
 * Reads a configuration. Our reader hands lines to inih one by one and keeps
 * to itself what inih gets wrong: line numbers, section headers (inih cuts
 * names at 49 octets and hides empty sections), lines that are too long (it
 * would cut them in two), continuation lines. What is left to inih is to take
 * "key = value ; comment" apart. Called by the master only: inih's settings
 * are global to the process.
 */
#include "config/load.h"

#include <stdlib.h>
#include <string.h>

/* Debian's library passes five arguments. The fifth is not looked at, so
 * another build, which passes four, does as well. */
#define INI_HANDLER_LINENO 1
#include <ini.h>

#include "config/draft.h"
#include "config/value.h"
#include "proxy/base/ensure.h"
#include "proxy/base/parse.h"

/*
 * is_pending: the line should be a pair, and on_pair() was not called for it.
 * When inih asks for the next line it never will: there was no key.
 */
struct reader {
	struct draft draft;
	struct span rest;
	uint32_t line;
	bool is_pending;
	bool is_inside;	 /* a section that we know has begun */
	bool is_skipped; /* the keys that follow belong to no known section */
	enum section_type type; /* of the section that has begun */
};

static void
end_line(struct reader *reader)
{
	if (reader->is_pending)
		draft_error(&reader->draft, reader->line,
		    "expected key = value, a [section] or a comment");
	reader->is_pending = false;
}

/* The type and the name of a header; false after an error. */
static bool
split_header(struct reader *reader, struct span header, struct span *out_type,
    struct span *out_name)
{
	size_t n = 0;

	while (
	    n < header.len && header.data[n] != ' ' && header.data[n] != '\t')
		n++;
	*out_type = span_of(header.data, n);
	*out_name = parse_trim(span_of(header.data + n, header.len - n));
	if (out_name->len == 0 || schema_is_name(*out_name))
		return true;
	draft_error(&reader->draft, reader->line,
	    "[%.*s]: a name has 1 to 63 of A-Z a-z 0-9 _ . -", (int)header.len,
	    header.data);
	return false;
}

static enum section_type
find_section(struct reader *reader, struct span name)
{
	enum section_type type = schema_find_section(name);

	if (type != SECTION_TYPES)
		return type;
	const char *nearest = schema_nearest_section(name);
	draft_error(&reader->draft, reader->line,
	    "[%.*s]: unknown section%s%s%s; expected gateway, listen, tls, "
	    "certificate, limits, pool or backend",
	    (int)name.len, name.data, nearest ? "; did you mean [" : "",
	    nearest ? nearest : "", nearest ? "]?" : "");
	return type;
}

static void
add_section(struct reader *reader, enum section_type type, struct span name)
{
	const struct section *section = schema_section(type);
	struct draft *draft = &reader->draft;

	if (section->is_many && name.len == 0)
		draft_error(draft, reader->line,
		    "[%s]: expected a name, as in [%s NAME]", section->name,
		    section->name);
	if (!section->is_many && name.len > 0)
		draft_error(draft, reader->line,
		    "[%s]: expected no name, there is only one", section->name);
	uint32_t first = draft_find(draft, type, name);
	if (first != CONFIG_NONE && draft->lists[type].at[first].line > 0)
		draft_error(draft, reader->line,
		    "[%s%s%.*s]: given twice (first in line %u)", section->name,
		    name.len > 0 ? " " : "", (int)name.len, name.data,
		    draft->lists[type].at[first].line);
	/* A second one is read, too: its keys may have errors of their own. */
	draft_add(draft, type, name, reader->line);
	reader->type = type;
	reader->is_inside = true;
	reader->is_skipped = false;
}

static void
begin_section(struct reader *reader, struct span line)
{
	const uint8_t *close = memchr(line.data, ']', line.len);
	struct span type_name, name;

	reader->is_inside = false;
	reader->is_skipped = true;
	if (close == NULL) {
		draft_error(&reader->draft, reader->line,
		    "expected a ] at the end of the section's name");
		return;
	}
	size_t n = (size_t)(close - line.data);
	struct span tail = parse_trim(span_of(close + 1, line.len - n - 1));
	if (tail.len > 0 && tail.data[0] != ';')
		draft_error(&reader->draft, reader->line,
		    "expected nothing but a comment behind the ]");
	struct span header = parse_trim(span_of(line.data + 1, n - 1));
	if (!split_header(reader, header, &type_name, &name))
		return;
	enum section_type type = find_section(reader, type_name);
	if (type != SECTION_TYPES)
		add_section(reader, type, name);
}

/* Why no line may hold these octets; NULL: it may. */
static const char *
find_fault(struct span line)
{
	if (line.len > CONFIG_LINE_MAX)
		return "the line is longer than 4096 octets";
	for (size_t i = 0; i < line.len; i++) {
		uint8_t c = line.data[i];
		if (c == '\0')
			return "the line contains a NUL";
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return "the line contains a control character";
	}
	return NULL;
}

/* inih takes a colon as well; one way to write a thing is enough. */
static bool
has_colon_first(struct span line)
{
	size_t i = 0;

	while (i < line.len && line.data[i] != '=' && line.data[i] != ':')
		i++;
	return i < line.len && line.data[i] == ':';
}

/* True: inih shall see the line. */
static bool
accept_line(struct reader *reader, struct span line)
{
	const char *fault = find_fault(line);
	struct span trimmed = parse_trim(line);

	if (fault != NULL) {
		draft_error(&reader->draft, reader->line, "%s", fault);
		return false;
	}
	if (trimmed.len == 0 || trimmed.data[0] == ';' ||
	    trimmed.data[0] == '#')
		return false;
	if (trimmed.data != line.data) {
		draft_error(&reader->draft, reader->line,
		    "the line begins with a blank: a value can't be continued "
		    "on the next line");
		return false;
	}
	if (line.data[0] == '[') {
		begin_section(reader, line);
		return false;
	}
	reader->is_pending = true;
	return !has_colon_first(line);
}

static struct span
take_line(struct reader *reader)
{
	const uint8_t *end = memchr(reader->rest.data, '\n', reader->rest.len);
	size_t n = end ? (size_t)(end - reader->rest.data) : reader->rest.len;
	struct span line = span_of(reader->rest.data, n);

	span_advance(&reader->rest, end ? n + 1 : n);
	reader->line++;
	if (line.len > 0 && line.data[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* What inih reads from, in the manner of fgets(). */
static char *
next_line(char *buf, int size, void *stream)
{
	struct reader *reader = stream;

	end_line(reader);
	while (reader->rest.len > 0) {
		struct span line = take_line(reader);
		if (!accept_line(reader, line)) {
			end_line(reader);
			continue;
		}
		ENSURE(size > 0 && line.len + 2 <= (size_t)size);
		memcpy(buf, line.data, line.len);
		memcpy(buf + line.len, "\n", 2);
		return buf;
	}
	return NULL;
}

/* Where a key stands that is not of this section; NULL: nowhere. */
static const char *
find_home(const char *key)
{
	for (enum section_type type = 0; type < SECTION_TYPES; type++) {
		const struct section *section = schema_section(type);
		if (schema_find_key(section, span_str(key)) < section->n_rows)
			return section->name;
	}
	return NULL;
}

static void
report_unknown_key(struct reader *reader, const char *key)
{
	const struct section *section = schema_section(reader->type);
	const char *nearest = schema_nearest_key(section, span_str(key));
	const char *home = find_home(key);

	if (key[0] == '\0')
		draft_error(&reader->draft, reader->line,
		    "expected a key before the =");
	else if (home != NULL)
		draft_error(&reader->draft, reader->line,
		    "%.64s: unknown key in [%s]; it belongs in [%s]", key,
		    section->name, home);
	else if (nearest != NULL)
		draft_error(&reader->draft, reader->line,
		    "%.64s: unknown key in [%s]; did you mean %s?", key,
		    section->name, nearest);
	else
		draft_error(&reader->draft, reader->line,
		    "%.64s: unknown key in [%s]", key, section->name);
}

/* Whatever was read must fit in a line when it is printed. */
static bool
fits_in_a_line(struct reader *reader, const struct row *row, const void *fields)
{
	char buf[CONFIG_LINE_MAX];
	struct outbuf out;

	outbuf_init(&out, buf, sizeof(buf) - strlen(row->key) - strlen(" = "));
	value_format(builder_config(reader->draft.builder), row, fields, &out);
	return !out.overflow;
}

static void
set_value(struct reader *reader, const struct row *row, void *fields,
    const char *value)
{
	struct draft *draft = &reader->draft;
	char buf[512];
	struct outbuf why;

	outbuf_init(&why, buf, sizeof(buf) - 1);
	if (!value_parse(draft->builder, row, span_str(value), fields, &why)) {
		buf[why.len] = '\0';
		draft_error(draft, reader->line, "%s = %.64s: %s", row->key,
		    value, buf);
	} else if (!fits_in_a_line(reader, row, fields)) {
		draft_error(
		    draft, reader->line, "%s: the value is too long", row->key);
	}
}

static int
on_pair(void *user, const char *unused_section, const char *key,
    const char *value, int unused_line)
{
	struct reader *reader = user;

	(void)unused_section;
	(void)unused_line;
	reader->is_pending = false;
	if (!reader->is_inside) {
		if (!reader->is_skipped)
			draft_error(&reader->draft, reader->line,
			    "%.64s: a key before the first [section]", key);
		return 1;
	}
	const struct section *section = schema_section(reader->type);
	struct draft_list *list = &reader->draft.lists[reader->type];
	struct draft_section *at = &list->at[list->n - 1];
	uint32_t i = schema_find_key(section, span_str(key));
	if (i == section->n_rows) {
		report_unknown_key(reader, key);
		return 1;
	}
	if (at->key_lines[i] != 0)
		draft_error(&reader->draft, reader->line,
		    "%s: given twice (first in line %u)", key,
		    at->key_lines[i]);
	else
		at->key_lines[i] = reader->line;
	set_value(reader, &section->rows[i], at->fields, value);
	return 1;
}

/* Settings of Debian's inih: a buffer for our longest line, no surprises. */
static void
set_up_inih(void)
{
	ini_max_line = CONFIG_LINE_MAX + 3;
	ini_initial_alloc = CONFIG_LINE_MAX + 3;
	ini_use_stack = false;
	ini_allow_realloc = false;
	ini_allow_multiline = false;
	ini_allow_bom = false;
	ini_allow_inline_comments = true;
	ini_allow_no_value = false;
	ini_stop_on_first_error = false;
}

static void
read_lines(struct reader *reader)
{
	static const uint8_t bom[3] = {0xef, 0xbb, 0xbf};

	if (reader->rest.len >= sizeof(bom) &&
	    memcmp(reader->rest.data, bom, sizeof(bom)) == 0)
		span_advance(&reader->rest, sizeof(bom));
	set_up_inih();
	/* Its result is a line number of its own counting: not ours. */
	int result = ini_parse_stream(next_line, reader, on_pair, reader);
	ENSURE(result >= 0);
}

static void
require_keys(struct draft *draft, enum section_type type, uint32_t index)
{
	const struct section *section = schema_section(type);
	const struct draft_section *at = &draft->lists[type].at[index];
	const struct section_head *head = at->fields;

	for (uint32_t i = 0; i < section->n_rows; i++)
		if (section->rows[i].def == NULL && at->key_lines[i] == 0)
			draft_error(draft, at->line, "[%s %s]: expected %s",
			    section->name,
			    config_text(
				builder_config(draft->builder), head->name),
			    section->rows[i].key);
}

static void
require_all_keys(struct draft *draft)
{
	for (enum section_type type = 0; type < SECTION_TYPES; type++)
		for (uint32_t i = 0; i < draft->lists[type].n; i++)
			require_keys(draft, type, i);
}

static void
place_list(struct draft *draft, enum section_type type)
{
	const struct section *section = schema_section(type);
	const struct draft_list *list = &draft->lists[type];
	uint32_t off = builder_append(
	    draft->builder, NULL, (size_t)list->n * section->size, 16);
	struct items items = {list->n == 0 ? 0 : off, list->n};

	for (uint32_t i = 0; i < list->n; i++)
		memcpy(draft->builder->data + off + i * section->size,
		    list->at[i].fields, section->size);
	memcpy(draft->builder->data + section->off, &items, sizeof(items));
}

/* Moves the sections into the image, where offsets replace pointers. */
static void
place_sections(struct draft *draft)
{
	for (enum section_type type = 0; type < SECTION_TYPES; type++) {
		const struct section *section = schema_section(type);
		if (section->is_many)
			place_list(draft, type);
		else
			memcpy(draft->builder->data + section->off,
			    draft->lists[type].at[0].fields, section->size);
	}
}

/* Where a key stands; row SECTION_ROWS_MAX is the section's own line. */
struct place_line {
	enum section_type type;
	uint32_t section_line;
	uint32_t row;
	uint32_t line;
};

static void
keep_line(struct builder *builder, enum section_type type,
    uint32_t section_line, uint32_t row, uint32_t line)
{
	if (line == 0)
		return;
	struct place_line *longer = reallocarray(builder->lines,
	    (size_t)builder->n_lines + 1, sizeof(*builder->lines));
	ENSURE(longer != NULL);
	builder->lines = longer;
	builder->lines[builder->n_lines++] =
	    (struct place_line){type, section_line, row, line};
}

static void
keep_lines(struct builder *builder, enum section_type type,
    const struct draft_section *at)
{
	keep_line(builder, type, at->line, SECTION_ROWS_MAX, at->line);
	for (uint32_t row = 0; row < schema_section(type)->n_rows; row++)
		keep_line(builder, type, at->line, row, at->key_lines[row]);
}

/* Of the sections only their lines stay, for messages. */
static void
end_lists(struct draft *draft)
{
	for (enum section_type type = 0; type < SECTION_TYPES; type++) {
		for (uint32_t i = 0; i < draft->lists[type].n; i++) {
			keep_lines(
			    draft->builder, type, &draft->lists[type].at[i]);
			free(draft->lists[type].at[i].fields);
		}
		free(draft->lists[type].at);
	}
}

/* The last that fits is the most exact: a section's line comes first. */
static uint32_t
find_line(const struct builder *builder, enum section_type type,
    uint32_t section_line, uint32_t row)
{
	uint32_t found = section_line;

	for (uint32_t i = 0; i < builder->n_lines; i++) {
		const struct place_line *at = &builder->lines[i];
		if (at->type == type &&
		    (at->row == row || at->row == SECTION_ROWS_MAX) &&
		    (!schema_section(type)->is_many ||
			at->section_line == section_line))
			found = at->line;
	}
	return found;
}

const char *
builder_place(const struct builder *builder, const char *section,
    uint32_t section_line, const char *key, char out[PLACE_MAX])
{
	enum section_type type = schema_find_section(span_str(section));

	ENSURE(type != SECTION_TYPES);
	uint32_t row = schema_find_key(schema_section(type), span_str(key));
	ENSURE(row < schema_section(type)->n_rows);
	uint32_t line = find_line(builder, type, section_line, row);
	if (line == 0)
		snprintf(out, PLACE_MAX, "%s", builder->path);
	else
		snprintf(out, PLACE_MAX, "%s:%u", builder->path, line);
	return out;
}

struct builder *
config_load_text(const char *path, struct span text, struct problems *problems)
{
	struct reader reader = {.rest = text};
	struct draft *draft = &reader.draft;
	uint32_t n_errors = problems->n_errors;

	draft->builder = builder_new();
	draft->builder->path = path;
	draft->problems = problems;
	draft->path = path;
	read_lines(&reader);
	require_all_keys(draft);
	check_draft(draft);
	place_sections(draft);
	end_lists(draft);
	if (problems->n_errors == n_errors)
		return draft->builder;
	builder_free(draft->builder);
	return NULL;
}
