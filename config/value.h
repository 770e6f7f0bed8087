/* SPDX-License-Identifier: ISC */
/* One value of the configuration: from text to field and back. */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "config/load.h"
#include "config/schema.h"

/* Of a line of the file, without its end; also bounds what is printed. */
#define CONFIG_LINE_MAX 4096

/*
 * Reads text (blanks at its ends removed) into the field of the row in the
 * struct that fields points to; what is variable goes into the builder. On
 * failure the field is not written and why says what was expected.
 */
bool value_parse(struct builder *builder, const struct row *row,
    struct span text, void *fields, struct outbuf *why);

/* Writes the field so that value_parse() reads the same. */
void value_format(const struct config *image, const struct row *row,
    const void *fields, struct outbuf *out);

/* "90s", "2h": in the largest unit that is exact. */
void value_put_duration(struct outbuf *out, uint64_t ms);

/* Used by value.c and value_format.c alone: the types that are lists, in
 * value_list.c. */
bool value_list_parse(struct builder *builder, const struct row *row,
    struct span text, struct items *out_items);
void value_list_format(const struct config *image, const struct row *row,
    struct items items, struct outbuf *out);
bool value_is_pin(struct span text);
bool value_is_host(struct span text);

#endif
