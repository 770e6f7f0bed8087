/* SPDX-License-Identifier: ISC */
/* See check.h. Nothing stays bound, nothing is created or started here. */
#include "proxy/master/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/master/compile.h"
#include "proxy/master/files.h"
#include "tls/policy.h"

void
check_show(const struct problems *problems)
{
	const char *lines = problems->warnings;
	struct span line;
	if (problems->errors != NULL)
		fprintf(stderr, "%s", problems->errors);
	while (problems_next(&lines, &line))
		fprintf(stderr, "warning: %.*s\n", (int)line.len,
		    (const char *)line.data);
}

static void
find_user(const struct builder *builder, const char *key, const char *name,
    struct identity *out, struct problems *problems)
{
	char place[PLACE_MAX];

	builder_place(builder, "gateway", 0, key, place);
	switch (identity_find(name, out)) {
	case IDENTITY_FOUND:
		break;
	case IDENTITY_UNKNOWN:
		problems_error(problems,
		    "%s: [gateway] %s = %s: there is no such user", place, key,
		    name);
		break;
	case IDENTITY_IS_ROOT:
		problems_error(problems,
		    "%s: [gateway] %s = %s: a role must not be root", place,
		    key, name);
		break;
	}
}

void
check_identities(struct builder *builder, struct identity *out_user,
    struct identity *out_keeper_user, struct problems *problems)
{
	const struct config *config = builder_config(builder);
	char place[PLACE_MAX];
	const char *user = config_text(config, config->gateway.user);
	const char *keeper = config_text(config, config->gateway.keeper_user);
	*out_user = (struct identity){0};
	find_user(builder, "user", user, out_user, problems);
	*out_keeper_user = *out_user;
	if (keeper[0] == '\0' || strcmp(keeper, user) == 0)
		return;
	struct identity found;
	if (identity_find(keeper, &found) == IDENTITY_UNKNOWN)
		problems_warn(problems,
		    "%s: [gateway] keeper_user = %s: there is no such user, "
		    "the keeper runs as %s",
		    builder_place(builder, "gateway", 0, "keeper_user", place),
		    keeper, user);
	else
		find_user(
		    builder, "keeper_user", keeper, out_keeper_user, problems);
}

static bool
compile_path(const char *path, struct compiled *out)
{
	struct secret text;
	*out = (struct compiled){0};
	if (!compile_read(path, &text, &out->problems))
		return false;
	uint64_t n_descriptors = privilege_raise_descriptors();
	struct compile_request request = {
	    .path = path,
	    .text = span_secret(&text),
	    .capacity = compile_capacity(n_descriptors),
	    .n_descriptors = n_descriptors,
	};
	bool compiled = compile(&request, out);
	secret_wipe(&text);
	return compiled;
}

static void
say_good(const char *path, const struct config *config)
{
	const struct config_gateway *gateway = &config->gateway;
	policy_print(config, stdout);
	printf("max_connections: %u (%u workers, %u sessions each)\n",
	    gateway->max_connections, gateway->workers,
	    gateway->max_connections / gateway->workers);
	printf("%s: the configuration is good\n", path);
}

/* Whoever checks may be another machine than the one that starts: what it has
 * no address for is only worth a warning. */
static bool
is_elsewhere(struct addr at)
{
	struct sockaddr_storage sa;
	at.port = 0;
	socklen_t len = addr_to_sockaddr(&at, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool elsewhere = bind(fd, (const struct sockaddr *)&sa, len) != 0 &&
			 errno == EADDRNOTAVAIL;
	close(fd);
	return elsewhere;
}

static void
check_places(struct builder *builder, struct items items, const char *section,
    uint32_t line, const char *key, struct problems *problems)
{
	const struct addr *at = config_items(builder_config(builder), items);
	char place[PLACE_MAX], text[ADDR_TEXT_MAX];
	for (uint32_t i = 0; i < items.n; i++)
		if (is_elsewhere(at[i]))
			problems_warn(problems,
			    "%s: %s: this machine does not have the address %s",
			    builder_place(builder, section, line, key, place),
			    key, addr_text_ip(&at[i], text));
}

static void
check_addresses(struct builder *builder, struct problems *problems)
{
	const struct config *config = builder_config(builder);
	for (uint32_t i = 0; i < config->listens.n; i++) {
		const struct config_listen *l = config_listen_at(config, i);
		check_places(builder, l->addresses, "listen", l->line,
		    "address", problems);
	}
	for (uint32_t i = 0; i < config->backends.n; i++) {
		const struct config_backend *b = config_backend_at(config, i);
		check_places(builder, b->source_ip, "backend", b->line,
		    "source_ip", problems);
	}
}

int
check_run(const char *path)
{
	struct compiled compiled;
	bool good = compile_path(path, &compiled);
	if (good && geteuid() == 0) {
		struct identity user, keeper;
		check_identities(
		    compiled.builder, &user, &keeper, &compiled.problems);
	}
	if (good)
		files_check(compiled.builder, &compiled.problems);
	if (good)
		check_addresses(compiled.builder, &compiled.problems);
	check_show(&compiled.problems);
	check_show(&compiled.faults);
	/* A faulty certificate would not stop the start; whoever asks wants to
	 * know all the same. */
	good = good && compiled.problems.n_errors == 0 &&
	       compiled.faults.n_errors == 0;
	if (good)
		say_good(path, builder_config(compiled.builder));
	compiled_fini(&compiled);
	return good ? 0 : 1;
}

int
check_print(const char *path)
{
	struct problems problems = {0};
	struct builder *builder = compile_load(path, &problems);
	if (builder != NULL)
		policy_check(builder, path, &problems);
	bool good = builder != NULL && problems.n_errors == 0;
	check_show(&problems);
	if (good)
		config_print(builder_config(builder), stdout);
	builder_free(builder);
	problems_free(&problems);
	return good ? 0 : 1;
}
