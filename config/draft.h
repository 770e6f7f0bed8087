/* SPDX-License-Identifier: ISC */
/*
 * A configuration while it is read: sections of each type in file order, with
 * the line of every key, so that rules over several keys can name a line.
 * Shared by load.c, which fills it, and check.c, which completes it.
 */
#ifndef CONFIG_DRAFT_H
#define CONFIG_DRAFT_H

#include "config/load.h"
#include "config/schema.h"

struct draft_section {
	void *fields;  /* the struct of the section, owned */
	uint32_t line; /* 0: in no file */
	uint32_t key_lines[SECTION_ROWS_MAX]; /* by row; 0: not given */
};

struct draft_list {
	struct draft_section *at;
	uint32_t n;
	uint32_t cap;
};

struct draft {
	struct builder *builder; /* holds texts and items */
	struct problems *problems;
	const char *path; /* of the file, for messages */
	struct draft_list lists[SECTION_TYPES];
};

/* Adds a section with every default; name is empty for [gateway], [limits]. */
struct draft_section *draft_add(struct draft *draft, enum section_type type,
    struct span name, uint32_t line);

/* The index of the section of that name in its list; CONFIG_NONE: none. */
uint32_t draft_find(
    const struct draft *draft, enum section_type type, struct span name);

void *draft_fields(
    const struct draft *draft, enum section_type type, uint32_t index);

/* The line that gives the key, or else that of its section. */
uint32_t draft_line(const struct draft *draft, enum section_type type,
    uint32_t index, const char *key);

/* "PATH:LINE: text"; line 0: the fault is in no line. */
__attribute__((format(printf, 3, 4))) void draft_error(
    struct draft *draft, uint32_t line, const char *format, ...);
__attribute__((format(printf, 3, 4))) void draft_warn(
    struct draft *draft, uint32_t line, const char *format, ...);

/* check.c: fills in what depends on other sections, and judges the whole. */
void check_draft(struct draft *draft);

#endif
