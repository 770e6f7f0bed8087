/* SPDX-License-Identifier: ISC */
/* See passwords.h. Called by compile.c and by whoever holds a configuration. */
#include "proxy/master/passwords.h"

#include <stdlib.h>

#include "proxy/base/ensure.h"
#include "proxy/base/imaplex.h"
#include "proxy/ipc/channel.h"
#include "proxy/master/compile.h"

/* The end of the line is not the password's. */
static struct span
without_line_end(struct span text)
{
	while (text.len > 0 && (text.data[text.len - 1] == '\n' ||
				   text.data[text.len - 1] == '\r'))
		text.len--;
	return text;
}

static void
load(struct secret *password, const struct compile_name *name,
    struct problems *problems)
{
	struct secret text;

	if (!compile_read_named(name, &text, problems))
		return;
	struct span line = without_line_end(span_secret(&text));
	if (line.len == 0 || line.len > CHECK_PASSWORD_MAX ||
	    !imap_is_quotable(line))
		problems_error(problems,
		    "%s: expected one line with a password of up to %d octets",
		    config_text(builder_config(name->builder), name->path),
		    CHECK_PASSWORD_MAX);
	else
		ENSURE(secret_set(password, line));
	secret_wipe(&text);
}

void
passwords_load(struct passwords *passwords, struct builder *builder,
    struct problems *problems)
{
	const struct config *config = builder_config(builder);
	passwords->n = config->pools.n;
	passwords->list =
	    calloc((size_t)passwords->n + 1, sizeof(*passwords->list));
	ENSURE(passwords->list != NULL);
	for (uint32_t i = 0; i < passwords->n; i++) {
		const struct config_pool *pool = config_pool_at(config, i);
		struct compile_name name = {builder, "pool", pool->line,
		    "check_password_file", pool->check_password_file};
		if (pool->check_password_file.len == 0)
			continue;
		if (i >= CHANNEL_PASSWORDS_MAX)
			problems_error(problems,
			    "[pool %s]: only the first %d pools may have a "
			    "check_user",
			    config_text(config, pool->name),
			    CHANNEL_PASSWORDS_MAX);
		else
			load(&passwords->list[i], &name, problems);
	}
}

void
passwords_free(struct passwords *passwords)
{
	for (uint32_t i = 0; i < passwords->n; i++)
		secret_wipe(&passwords->list[i]);
	free(passwords->list);
	*passwords = (struct passwords){0};
}
