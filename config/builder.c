/* SPDX-License-Identifier: ISC */
/*
 * The growing image and the list of problems. Used by everything that adds to
 * a configuration before it is sealed: load.c, check.c, and tls/ for chains.
 * Invariant: sizeof(struct config) <= len <= cap <= IMAGE_MAX, and every octet
 * between two appended pieces is zero.
 */
#include "config/load.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/ensure.h"

#define IMAGE_MAX ((size_t)1 << 30)

static _Noreturn void
die(const char *why)
{
	fprintf(stderr, "sallyport: configuration: %s\n", why);
	abort();
}

static void
grow(struct builder *builder, size_t cap)
{
	size_t doubled = builder->cap * 2;

	if (cap <= builder->cap)
		return;
	if (cap > IMAGE_MAX)
		die("the image would exceed 1 GB");
	if (doubled > cap)
		cap = doubled > IMAGE_MAX ? IMAGE_MAX : doubled;
	uint8_t *data = realloc(builder->data, cap);
	if (data == NULL)
		die("out of memory");
	builder->data = data;
	builder->cap = cap;
}

struct builder *
builder_new(void)
{
	struct builder *builder = calloc(1, sizeof(*builder));
	if (builder == NULL)
		die("out of memory");
	grow(builder, 4096 + sizeof(struct config));
	memset(builder->data, 0, sizeof(struct config));
	builder->len = sizeof(struct config);
	return builder;
}

uint32_t
builder_append(
    struct builder *builder, const void *data, size_t len, size_t align)
{
	ENSURE(align > 0 && align <= 16 && (align & (align - 1)) == 0);
	size_t off = (builder->len + align - 1) & ~(align - 1);
	if (len > IMAGE_MAX)
		die("the image would exceed 1 GB");
	grow(builder, off + len);
	memset(builder->data + builder->len, 0, off - builder->len);
	if (data == NULL)
		memset(builder->data + off, 0, len);
	else if (len > 0)
		memcpy(builder->data + off, data, len);
	builder->len = off + len;
	return (uint32_t)off;
}

struct items
builder_items(struct builder *builder, const void *data, size_t n, size_t size,
    size_t align)
{
	struct items items = {0, 0};
	size_t len;

	if (n == 0)
		return items;
	if (__builtin_mul_overflow(n, size, &len))
		die("the image would exceed 1 GB");
	items.off = builder_append(builder, data, len, align);
	items.n = (uint32_t)n;
	return items;
}

struct text
builder_text(struct builder *builder, struct span bytes)
{
	struct text text = {0, 0};

	if (bytes.len == 0)
		return text;
	text.off = builder_append(builder, bytes.data, bytes.len, 1);
	text.len = (uint32_t)bytes.len;
	builder_append(builder, "", 1, 1);
	return text;
}

void
text_list_add(
    struct builder *builder, struct text_list *list, struct span bytes)
{
	struct text *texts = reallocarray(
	    list->texts, (size_t)list->n + 1, sizeof(*list->texts));

	if (texts == NULL)
		die("out of memory");
	list->texts = texts;
	list->texts[list->n++] = builder_text(builder, bytes);
}

struct items
text_list_end(struct builder *builder, struct text_list *list)
{
	struct items items = builder_items(builder, list->texts, list->n,
	    sizeof(*list->texts), _Alignof(struct text));

	free(list->texts);
	*list = (struct text_list){0};
	return items;
}

struct items
builder_copy_texts(
    struct builder *builder, const struct config *from, struct items items)
{
	const struct text *texts = config_items(from, items);
	struct text_list list = {0};

	for (uint32_t i = 0; i < items.n; i++)
		text_list_add(builder, &list, config_span(from, texts[i]));
	return text_list_end(builder, &list);
}

void
builder_free(struct builder *builder)
{
	if (builder == NULL)
		return;
	free(builder->lines);
	free(builder->data);
	free(builder);
}

/* Appends a line to *text; beyond the bound it is counted but not kept. */
__attribute__((format(printf, 2, 0))) static void
add_line(char **text, const char *format, va_list args)
{
	char *line;
	size_t old = *text == NULL ? 0 : strlen(*text);

	if (old >= PROBLEMS_TEXT_MAX)
		return;
	int n = vasprintf(&line, format, args);
	if (n < 0)
		die("out of memory");
	char *longer = realloc(*text, old + (size_t)n + 2);
	if (longer == NULL)
		die("out of memory");
	memcpy(longer + old, line, (size_t)n);
	memcpy(longer + old + n, "\n", 2);
	*text = longer;
	free(line);
}

void
problems_error(struct problems *problems, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_line(&problems->errors, format, args);
	va_end(args);
	problems->n_errors++;
}

void
problems_warn(struct problems *problems, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add_line(&problems->warnings, format, args);
	va_end(args);
	problems->n_warnings++;
}

bool
problems_next(const char **lines, struct span *out_line)
{
	if (*lines == NULL || **lines == '\0')
		return false;
	*out_line = span_of(*lines, strcspn(*lines, "\n"));
	*lines += out_line->len;
	*lines += **lines == '\n';
	return true;
}

void
problems_free(struct problems *problems)
{
	free(problems->errors);
	free(problems->warnings);
	*problems = (struct problems){NULL, NULL, 0, 0};
}
