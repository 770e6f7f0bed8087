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
load(struct secret *password, const char *path, struct problems *problems)
{
	struct secret text;

	if (!compile_read(path, &text, problems))
		return;
	struct span line = without_line_end(span_secret(&text));
	if (line.len == 0 || line.len > CHECK_PASSWORD_MAX ||
	    !imap_is_quotable(line))
		problems_error(problems,
		    "%s: expected one line with a password of up to %d octets",
		    path, CHECK_PASSWORD_MAX);
	else
		ENSURE(secret_set(password, line));
	secret_wipe(&text);
}

void
passwords_load(struct passwords *passwords, const struct config *config,
    struct problems *problems)
{
	passwords->n = config->pools.n;
	passwords->list =
	    calloc((size_t)passwords->n + 1, sizeof(*passwords->list));
	ENSURE(passwords->list != NULL);
	for (uint32_t i = 0; i < passwords->n; i++) {
		const struct config_pool *pool = config_pool_at(config, i);
		if (pool->check_password_file.len == 0)
			continue;
		if (i >= CHANNEL_PASSWORDS_MAX)
			problems_error(problems,
			    "[pool %s]: only the first %d pools may have a "
			    "check_user",
			    config_text(config, pool->name),
			    CHANNEL_PASSWORDS_MAX);
		else
			load(&passwords->list[i],
			    config_text(config, pool->check_password_file),
			    problems);
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
