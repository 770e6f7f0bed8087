/* SPDX-License-Identifier: ISC */
/* See compile.h. Opens the files that the configuration names, and no other. */
#include "proxy/master/compile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
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

#define TEXT_MAX (64 << 20) /* octets of a file */
#define READ_LEN 16384
/* Listeners, areas, channels, spare ones. */
#define DESCRIPTORS_RESERVED 64
#define DESCRIPTORS_MIN	     128
/* The master's for each worker: channels, areas, what waits in its queue at the
 * start; beside them a socket an address. */
#define DESCRIPTORS_WORKER 28
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

/* Room doubles, so that a long file isn't copied once for every read. False:
 * the file is too large. */
static bool
make_room(struct secret *text, size_t got)
{
	struct secret larger = {.len = text->len * 2 + READ_LEN};

	if (larger.len > TEXT_MAX)
		larger.len = TEXT_MAX + 1;
	if (larger.len == text->len)
		return false;
	larger.data = malloc(larger.len + 1);
	ENSURE(larger.data != NULL);
	if (got > 0)
		memcpy(larger.data, text->data, got);
	secret_wipe(text);
	*text = larger;
	return true;
}

/* NULL, or why not. */
static const char *
read_all(int fd, struct secret *out_text)
{
	size_t got = 0;
	ssize_t n;

	do {
		if (got == out_text->len && !make_room(out_text, got))
			return strerror(EFBIG);
		n = read(fd, out_text->data + got, out_text->len - got);
		if (n > 0)
			got += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0)
		return strerror(errno);
	out_text->data[got] = '\0';
	out_text->len = got;
	return NULL;
}

static const char *
read_file(const char *path, int flags, struct secret *out_text)
{
	struct stat st;

	*out_text = (struct secret){0};
	int fd = open(path, flags | O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return strerror(errno);
	const char *why;
	if ((flags & O_NONBLOCK) && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
		why = "is a pipe";
	else
		why = read_all(fd, out_text);
	close(fd);
	if (why != NULL)
		secret_wipe(out_text);
	return why;
}

bool
compile_read(
    const char *path, struct secret *out_text, struct problems *problems)
{
	const char *why = read_file(path, 0, out_text);

	if (why != NULL)
		problems_error(problems, "%s: %s", path, why);
	return why == NULL;
}

bool
compile_read_named(const struct compile_name *name, struct secret *out_text,
    struct problems *problems)
{
	char place[PLACE_MAX];
	const char *path =
	    config_text(builder_config(name->builder), name->path);

	*out_text = (struct secret){0};
	if (name->path.len == 0)
		return false;
	const char *why = read_file(path, O_NONBLOCK, out_text);
	if (why != NULL)
		problems_error(problems, "%s: %s = %s: %s",
		    builder_place(name->builder, name->section, name->line,
			name->key, place),
		    name->key, path, why);
	return why == NULL;
}

struct builder *
compile_load(const char *path, struct problems *problems)
{
	struct secret text;
	if (!compile_read(path, &text, problems))
		return NULL;
	struct builder *builder =
	    config_load_text(path, span_secret(&text), problems);
	secret_wipe(&text);
	return builder;
}

/* What the start opens must not be the first to say so. */
static void
check_descriptors(
    const struct compile_request *request, struct compiled *compiled)
{
	const struct config *config = builder_config(compiled->builder);
	uint32_t workers = config->gateway.workers;
	uint64_t each = DESCRIPTORS_WORKER;
	char place[PLACE_MAX];

	for (uint32_t i = 0; i < config->listens.n; i++)
		each += config_listen_at(config, i)->addresses.n;
	uint64_t needed = DESCRIPTORS_RESERVED + workers * each;
	if (needed < DESCRIPTORS_MIN)
		needed = DESCRIPTORS_MIN;
	if (request->n_descriptors == 0 || request->n_descriptors >= needed)
		return;
	problems_error(&compiled->problems,
	    "%s: %" PRIu64 " open files are too few: at least %" PRIu64
	    " for %u workers (LimitNOFILE, ulimit -n)",
	    builder_place(compiled->builder, "gateway", 0, "workers", place),
	    request->n_descriptors, needed, workers);
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
	char place[PLACE_MAX];
	problems_warn(&compiled->problems,
	    "%s: max_connections = %" PRIu64 " is lowered to %" PRIu64
	    ": %u workers hold %u sessions each, two descriptors a session "
	    "(LimitNOFILE, ulimit -n)",
	    builder_place(
		compiled->builder, "gateway", 0, "max_connections", place),
	    wanted, allowed, gateway->workers, request->capacity);
}

static void
load_routes(struct compiled *compiled)
{
	struct builder *builder = compiled->builder;
	struct secret text;

	for (uint32_t i = 0; i < builder_config(builder)->pools.n; i++) {
		const struct config *config = builder_config(builder);
		const struct config_pool *pool = config_pool_at(config, i);
		struct compile_name name = {
		    builder, "pool", pool->line, "route", pool->route};

		if (!compile_read_named(&name, &text, &compiled->problems))
			continue;
		route_load_text(builder, i, config_text(config, name.path),
		    span_secret(&text), &compiled->problems);
		secret_wipe(&text);
	}
}

static void
load_authorities(struct compiled *compiled)
{
	struct builder *builder = compiled->builder;
	struct secret text;

	for (uint32_t i = 0; i < builder_config(builder)->backends.n; i++) {
		const struct config_backend *backend =
		    config_backend_at(builder_config(builder), i);
		struct compile_name name = {builder, "backend", backend->line,
		    "backend_tls_ca", backend->backend_tls_ca};

		if (!compile_read_named(&name, &text, &compiled->problems))
			continue;
		const char *why =
		    tls_backend_load_ca(builder, i, span_secret(&text));
		if (why != NULL)
			problems_error(&compiled->problems, "%s: %s",
			    config_text(builder_config(builder), name.path),
			    why);
		secret_wipe(&text);
	}
}

static void
read_networks(struct compiled *compiled, const char *section, uint32_t line,
    const char *key, struct text path, struct secret *out_text)
{
	struct compile_name name = {
	    compiled->builder, section, line, key, path};

	compile_read_named(&name, out_text, &compiled->problems);
}

static void
load_networks(struct compiled *compiled)
{
	const struct config *config = builder_config(compiled->builder);
	uint32_t n = config->listens.n;
	struct secret exempt, deny, allow[CONFIG_MAX_LISTENERS];

	read_networks(compiled, "limits", 0, "exempt_file",
	    config->limits.exempt_file, &exempt);
	read_networks(compiled, "limits", 0, "deny_file",
	    config->limits.deny_file, &deny);
	struct networks_files files = {
	    .exempt = span_secret(&exempt), .deny = span_secret(&deny)};
	for (uint32_t i = 0; i < n; i++) {
		const struct config_listen *listen =
		    config_listen_at(config, i);
		read_networks(compiled, "listen", listen->line, "allow_file",
		    listen->allow_file, &allow[i]);
		files.allow[i] = span_secret(&allow[i]);
	}
	networks_build(compiled->builder, &files, &compiled->problems);
	secret_wipe(&exempt);
	secret_wipe(&deny);
	for (uint32_t i = 0; i < n; i++)
		secret_wipe(&allow[i]);
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
	passwords_load(&out->passwords, out->builder, &out->problems);
	load_networks(out);
	check_descriptors(request, out);
	if (out->problems.n_errors > 0)
		goto fail;
	settle_connections(request, out);
	bool good = certificates_load(out->builder, request->path,
	    request->running, request->running_keys, &out->faults, &out->keys);
	good =
	    good && policy_check_fit(out->builder, request->path, &out->faults);
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
	builder_free(compiled->builder);
	key_image_free(&compiled->keys);
	ticket_secrets_wipe(&compiled->secrets);
	passwords_free(&compiled->passwords);
	problems_free(&compiled->problems);
	problems_free(&compiled->faults);
	*compiled = (struct compiled){0};
}
