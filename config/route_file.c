/* SPDX-License-Identifier: ISC */
/* The text of a route file into rules of the image. Called by the master. */
#include "config/route.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/ensure.h"
#include "proxy/base/parse.h"

#define ERRORS_MAX 20 /* a wrong file need not be shown line by line */

struct rule {
	struct span key; /* in the text */
	uint32_t pool;
	uint32_t backend;
	uint32_t line;
};

struct reader {
	const struct config *config;
	struct problems *problems;
	const char *path;
	struct rule *rules;
	uint32_t n;
	uint32_t cap;
	uint32_t line;
	uint32_t n_errors;
};

static void
complain(struct reader *reader, uint32_t line, const char *what)
{
	if (reader->n_errors++ < ERRORS_MAX)
		problems_error(
		    reader->problems, "%s:%u: %s", reader->path, line, what);
}

static bool
find_target(struct reader *reader, struct span kind, struct span name,
    struct rule *rule)
{
	const struct config *config = reader->config;

	rule->backend = CONFIG_NONE;
	if (span_equal(kind, span_str("pool"))) {
		for (uint32_t i = 0; i < config->pools.n; i++) {
			rule->pool = i;
			if (span_equal(
				name, config_span(config,
					  config_pool_at(config, i)->name)))
				return true;
		}
		return false;
	}
	for (uint32_t i = 0; i < config->backends.n; i++) {
		const struct config_backend *backend =
		    config_backend_at(config, i);
		if (!span_equal(name, config_span(config, backend->name)))
			continue;
		rule->backend = i;
		rule->pool = backend->pool;
		return true;
	}
	return false;
}

static void
add(struct reader *reader, const struct rule *rule)
{
	if (reader->n == reader->cap) {
		reader->cap = reader->cap == 0 ? 256 : reader->cap * 2;
		reader->rules = realloc(
		    reader->rules, reader->cap * sizeof(*reader->rules));
		ENSURE(reader->rules != NULL);
	}
	reader->rules[reader->n++] = *rule;
}

static void
read_line(struct reader *reader, struct span line)
{
	struct rule rule = {.line = reader->line};

	struct span kind, name, more;

	if (!parse_next_word(&line, &rule.key) || rule.key.data[0] == '#')
		return;
	parse_next_word(&line, &kind);
	parse_next_word(&line, &name);
	bool is_kind = span_equal(kind, span_str("pool")) ||
		       span_equal(kind, span_str("backend"));
	if (!is_kind || name.len == 0 || parse_next_word(&line, &more))
		complain(reader, rule.line,
		    "expected USER or @DOMAIN, pool or backend, and its name");
	else if (rule.key.len > ROUTE_KEY_MAX)
		complain(reader, rule.line, "the user's name is too long");
	else if (!find_target(reader, kind, name, &rule))
		complain(reader, rule.line, "no section has that name");
	else {
		/* In place: the text is the master's own copy. */
		route_fold((uint8_t *)(uintptr_t)rule.key.data, rule.key.len);
		add(reader, &rule);
	}
}

static int
compare(const void *left, const void *right)
{
	const struct rule *a = left, *b = right;

	return route_compare(a->key, b->key);
}

static void
sort(struct reader *reader)
{
	if (reader->n == 0)
		return;
	qsort(reader->rules, reader->n, sizeof(*reader->rules), compare);
	for (uint32_t i = 1; i < reader->n; i++)
		if (compare(&reader->rules[i - 1], &reader->rules[i]) == 0)
			complain(reader, reader->rules[i].line,
			    "there are two rules for this user or domain");
}

static struct items
place(struct builder *builder, const struct reader *reader)
{
	struct items items = builder_items(builder, NULL, reader->n,
	    sizeof(struct config_route), _Alignof(struct config_route));

	for (uint32_t i = 0; i < reader->n; i++) {
		const struct rule *rule = &reader->rules[i];
		struct config_route route = {builder_text(builder, rule->key),
		    rule->pool, rule->backend};
		memcpy(builder->data + items.off + i * sizeof(route), &route,
		    sizeof(route));
	}
	return items;
}

void
route_load_text(struct builder *builder, uint32_t pool, const char *path,
    struct span text, struct problems *problems)
{
	struct reader reader = {.config = builder_config(builder),
	    .problems = problems,
	    .path = path};

	while (text.len > 0) {
		const uint8_t *end = memchr(text.data, '\n', text.len);
		size_t len = end == NULL ? text.len : (size_t)(end - text.data);
		reader.line++;
		struct span line = span_of(text.data, len);
		span_advance(&text, end == NULL ? len : len + 1);
		if (line.len > 0 && line.data[line.len - 1] == '\r')
			line.len--;
		read_line(&reader, line);
	}
	sort(&reader);
	if (reader.n_errors == 0) {
		struct items routes = place(builder, &reader);
		builder_pool_at(builder, pool)->routes = routes;
	}
	free(reader.rules);
}
