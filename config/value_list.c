/* SPDX-License-Identifier: ISC */
/*
 * Values that are lists: items separated by commas, blanks or both. Called by
 * value.c. Every item has a reader and a writer; the rest is the same for all.
 */
#include "config/value.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/ensure.h"
#include "proxy/base/parse.h"

/* Any item of a list. */
union item {
	struct addr addr;
	struct prefix prefix;
	struct text text;
	struct config_rung rung;
};

struct list_type {
	enum value_type type;
	size_t size;
	size_t align;
	bool (*parse)(
	    struct builder *builder, struct span text, union item *out_item);
	void (*format)(const struct config *image, const union item *item,
	    struct outbuf *out);
};

static bool
parse_endpoint(struct builder *builder, struct span text, union item *out_item)
{
	(void)builder;
	return addr_parse(text, &out_item->addr);
}

static void
format_endpoint(
    const struct config *image, const union item *item, struct outbuf *out)
{
	char buf[ADDR_TEXT_MAX];

	(void)image;
	outbuf_puts(out, addr_text(&item->addr, buf));
}

static bool
parse_address(struct builder *builder, struct span text, union item *out_item)
{
	(void)builder;
	return addr_parse_ip(text, &out_item->addr);
}

static void
format_address(
    const struct config *image, const union item *item, struct outbuf *out)
{
	char buf[ADDR_TEXT_MAX];

	(void)image;
	outbuf_puts(out, addr_text_ip(&item->addr, buf));
}

static bool
parse_network(struct builder *builder, struct span text, union item *out_item)
{
	(void)builder;
	return prefix_parse(text, &out_item->prefix);
}

static void
format_network(
    const struct config *image, const union item *item, struct outbuf *out)
{
	char buf[ADDR_TEXT_MAX];

	(void)image;
	outbuf_printf(out, "%s/%u", addr_text_ip(&item->prefix.addr, buf),
	    item->prefix.bits);
}

static bool
parse_section(struct builder *builder, struct span text, union item *out_item)
{
	if (!schema_is_name(text))
		return false;
	out_item->text = builder_text(builder, text);
	return true;
}

static bool
parse_host(struct builder *builder, struct span text, union item *out_item)
{
	struct span host = text;

	if (text.len > 2 && memcmp(text.data, "*.", 2) == 0)
		span_advance(&host, 2);
	if (!value_is_host(host))
		return false;
	out_item->text = builder_text(builder, text);
	return true;
}

static bool
parse_pin(struct builder *builder, struct span text, union item *out_item)
{
	if (!value_is_pin(text))
		return false;
	out_item->text = builder_text(builder, text);
	return true;
}

static void
format_text(
    const struct config *image, const union item *item, struct outbuf *out)
{
	outbuf_put(out, config_span(image, item->text));
}

/* "64" or "56:4". */
static bool
parse_rung(struct builder *builder, struct span text, union item *out_item)
{
	uint64_t bits, factor = 1;
	const uint8_t *colon =
	    text.len == 0 ? NULL : memchr(text.data, ':', text.len);
	size_t n = colon == NULL ? text.len : (size_t)(colon - text.data);

	(void)builder;
	if (!parse_u64(span_of(text.data, n), 16, 64, &bits))
		return false;
	if (colon != NULL && !parse_u64(span_of(colon + 1, text.len - n - 1), 1,
				 1000000, &factor))
		return false;
	out_item->rung.bits = (uint32_t)bits;
	out_item->rung.factor = (uint32_t)factor;
	return true;
}

static void
format_rung(
    const struct config *image, const union item *item, struct outbuf *out)
{
	(void)image;
	outbuf_printf(out, "%u", item->rung.bits);
	if (item->rung.factor != 1)
		outbuf_printf(out, ":%u", item->rung.factor);
}

#define LIST(type, struct_type, parse, format)                           \
	{                                                                \
		type, sizeof(struct_type), _Alignof(struct_type), parse, \
		    format                                               \
	}

static const struct list_type list_types[] = {
    LIST(VALUE_ENDPOINTS, struct addr, parse_endpoint, format_endpoint),
    LIST(VALUE_ADDRESSES, struct addr, parse_address, format_address),
    LIST(VALUE_NETWORKS, struct prefix, parse_network, format_network),
    LIST(VALUE_SECTIONS, struct text, parse_section, format_text),
    LIST(VALUE_HOSTS, struct text, parse_host, format_text),
    LIST(VALUE_PINS, struct text, parse_pin, format_text),
    LIST(VALUE_LADDER, struct config_rung, parse_rung, format_rung),
};

static const struct list_type *
find_type(const struct row *row)
{
	size_t n = sizeof(list_types) / sizeof(list_types[0]);
	size_t i = 0;

	while (i < n && list_types[i].type != row->type)
		i++;
	ENSURE(i < n);
	return &list_types[i];
}

/* False: an item is not what it should be. */
static bool
parse_items(struct builder *builder, const struct list_type *type,
    struct span text, uint8_t *items, size_t *out_n)
{
	struct span word;
	size_t n = 0;

	while (parse_next_item(&text, &word)) {
		union item item;
		memset(&item, 0, sizeof(item));
		/* A semicolon behind a blank would not be read back. */
		if ((word.len > 0 && word.data[0] == ';') ||
		    !type->parse(builder, word, &item))
			return false;
		memcpy(items + n++ * type->size, &item, type->size);
	}
	*out_n = n;
	return true;
}

bool
value_list_parse(struct builder *builder, const struct row *row,
    struct span text, struct items *out_items)
{
	const struct list_type *type = find_type(row);
	size_t n = 0;

	/* There are fewer items than octets. */
	uint8_t *items = calloc(text.len + 1, type->size);
	ENSURE(items != NULL);
	bool ok = parse_items(builder, type, text, items, &n) && n >= row->min;
	if (ok)
		*out_items =
		    builder_items(builder, items, n, type->size, type->align);
	free(items);
	return ok;
}

void
value_list_format(const struct config *image, const struct row *row,
    struct items items, struct outbuf *out)
{
	const struct list_type *type = find_type(row);
	const uint8_t *at = config_items(image, items);

	for (uint32_t i = 0; i < items.n; i++) {
		union item item;
		memcpy(&item, at + i * type->size, type->size);
		if (i > 0)
			outbuf_puts(out, ", ");
		type->format(image, &item, out);
	}
}
