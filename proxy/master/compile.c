/* SPDX-License-Identifier: ISC */
/* See compile.h. Opens the files that the configuration names, and no other. */
#include "proxy/master/compile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/route.h"
#include "proxy/base/ensure.h"
#include "proxy/limits/networks.h"
#include "proxy/master/watch.h"
#include "tls/client_load.h"
#include "tls/backend_load.h"
#include "tls/policy.h"

#define TEXT_MAX (64 << 20)
/* Listeners, areas, channels, spare ones. */
#define DESCRIPTORS_RESERVED 64
/* 131,072 records are 48 MB of an area: more sessions than a thread serves. */
#define CAPACITY_MAX 131072

uint32_t
compile_capacity(uint64_t n_descriptors)
{
	if (n_descriptors < DESCRIPTORS_RESERVED + 2)
		return 1;
	uint64_t capacity = (n_descriptors - DESCRIPTORS_RESERVED) / 2;
	return capacity > CAPACITY_MAX ? CAPACITY_MAX : (uint32_t)capacity;
}

/* The networks of a file. */
static void
read_networks(const struct config *config, struct text path,
    struct secret *out_text, struct problems *problems)
{
	*out_text = (struct secret){0};
	if (path.len > 0)
		(void)compile_read(
		    config_text(config, path), out_text, problems);
}

static void
build_networks(struct builder *builder, struct problems *problems)
{
	const struct config *config = builder_config(builder);
	uint32_t n = config->listens.n;
	struct secret exempt, deny, allow[CONFIG_MAX_LISTENERS];
	read_networks(config, config->limits.exempt_file, &exempt, problems);
	read_networks(config, config->limits.deny_file, &deny, problems);
	struct networks_files files = {
	    .exempt = span_secret(&exempt), .deny = span_secret(&deny)};
	for (uint32_t i = 0; i < n; i++) {
		read_networks(config, config_listen_at(config, i)->allow_file,
		    &allow[i], problems);
		files.allow[i] = span_secret(&allow[i]);
	}
	networks_build(builder, &files, problems);
	secret_wipe(&exempt);
	secret_wipe(&deny);
	for (uint32_t i = 0; i < n; i++)
		secret_wipe(&allow[i]);
}

static bool
read_all(int fd, struct secret *out_text)
{
	char buf[16384];
	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));
		if (n == 0)
			return true;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (out_text->len + (size_t)n > TEXT_MAX) {
			errno = EFBIG;
			return false;
		}
		ENSURE(secret_append(out_text, span_of(buf, (size_t)n)));
	}
}

bool
compile_read(
    const char *path, struct secret *out_text, struct problems *problems)
{
	*out_text = (struct secret){0};
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0 && read_all(fd, out_text)) {
		close(fd);
		return true;
	}
	problems_error(problems, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	secret_wipe(out_text);
	return false;
}

/* auto is what the descriptors allow, and no more than that can be had. */
static void
settle_connections(
    const struct compile_request *request, struct compiled *compiled)
{
	struct config_gateway *gateway =
	    &builder_config(compiled->builder)->gateway;
	uint64_t allowed = (uint64_t)gateway->workers * request->capacity;
	uint64_t wanted = gateway->max_connections;
	if (wanted != 0 && wanted <= allowed)
		return;
	gateway->max_connections = (uint32_t)allowed;
	if (wanted == 0)
		return;
	problems_warn(&compiled->problems,
	    "%s: max_connections = %" PRIu64 " is lowered to %" PRIu64
	    ": %u workers hold %u sessions each, two descriptors a session "
	    "(LimitNOFILE, ulimit -n)",
	    request->path, wanted, allowed, gateway->workers,
	    request->capacity);
}

static void
load_routes(struct compiled *compiled)
{
	struct builder *builder = compiled->builder;

	for (uint32_t i = 0; i < builder_config(builder)->pools.n; i++) {
		const struct config *config = builder_config(builder);
		char path[PATH_MAX];
		struct secret text;
		snprintf(path, sizeof(path), "%s",
		    config_text(config, config_pool_at(config, i)->route));
		if (path[0] == '\0' ||
		    !compile_read(path, &text, &compiled->problems))
			continue;
		route_load_text(
		    builder, i, path, span_secret(&text), &compiled->problems);
		secret_wipe(&text);
	}
}

static void
load_authorities(struct compiled *compiled)
{
	struct builder *builder = compiled->builder;

	for (uint32_t i = 0; i < builder_config(builder)->backends.n; i++) {
		const struct config *config = builder_config(builder);
		char path[PATH_MAX];
		struct secret text;
		snprintf(path, sizeof(path), "%s",
		    config_text(
			config, config_backend_at(config, i)->backend_tls_ca));
		if (path[0] == '\0' ||
		    !compile_read(path, &text, &compiled->problems))
			continue;
		const char *why =
		    tls_backend_load_ca(builder, i, span_secret(&text));
		if (why != NULL)
			problems_error(
			    &compiled->problems, "%s: %s", path, why);
		secret_wipe(&text);
	}
}

bool
compile(const struct compile_request *request, struct compiled *out)
{
	*out = (struct compiled){0};
	out->builder =
	    config_load_text(request->path, request->text, &out->problems);
	if (out->builder == NULL)
		return false;
	if (request->running != NULL)
		config_keep_order(out->builder, request->running);
	policy_check(out->builder, request->path, &out->problems);
	/* Before its files are read: a change meanwhile is seen later. */
	out->files = watch_signature(builder_config(out->builder));
	load_routes(out);
	load_authorities(out);
	passwords_load(
	    &out->passwords, builder_config(out->builder), &out->problems);
	build_networks(out->builder, &out->problems);
	if (out->problems.n_errors > 0)
		goto fail;
	settle_connections(request, out);
	bool good = certificates_load(out->builder, request->path,
	    request->running, request->running_keys, &out->faults, &out->keys);
	good = client_files_load(out->builder, request->path, request->running,
		   &out->faults) &&
	       good;
	good = ticket_secrets_load(&out->secrets, builder_config(out->builder),
		   request->path, request->running, request->running_secrets,
		   &out->faults) &&
	       good;
	if (good)
		return true;
fail:
	builder_free(out->builder);
	out->builder = NULL;
	return false;
}

void
compiled_fini(struct compiled *compiled)
{
	if (compiled->builder != NULL)
		builder_free(compiled->builder);
	if (compiled->keys.data != NULL)
		key_image_free(&compiled->keys);
	ticket_secrets_wipe(&compiled->secrets);
	passwords_free(&compiled->passwords);
	problems_free(&compiled->problems);
	problems_free(&compiled->faults);
	*compiled = (struct compiled){0};
}
