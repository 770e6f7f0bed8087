/* SPDX-License-Identifier: ISC */
/* See watch.h. Called by the master. Nothing is read but directory entries. */
#include "proxy/master/watch.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUIET_MS 500
#define POLL_MS	 30000
/* A link of links of links: more is nobody's, or has no end. */
#define LINKS_MAX 4
#define MARK_EVENTS                                            \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | \
	    IN_CLOSE_WRITE | IN_ATTRIB)

/* FNV-1a: files change by administration, not by an adversary. */
static uint64_t
mix(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *octets = data;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ octets[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static uint64_t
mix_file(uint64_t hash, const char *path)
{
	struct stat status;
	if (path[0] == '\0' || stat(path, &status) != 0)
		return mix(hash, "-", 1);
	hash = mix(hash, &status.st_dev, sizeof(status.st_dev));
	hash = mix(hash, &status.st_ino, sizeof(status.st_ino));
	hash = mix(hash, &status.st_size, sizeof(status.st_size));
	hash = mix(hash, &status.st_mode, sizeof(status.st_mode));
	hash = mix(hash, &status.st_mtim.tv_sec, sizeof(status.st_mtim.tv_sec));
	return mix(
	    hash, &status.st_mtim.tv_nsec, sizeof(status.st_mtim.tv_nsec));
}

#define FILES_PER_SECTION 3

/* The number-th watched file of all: of the certificates, then of the [tls],
 * [pool] and [backend] sections; empty where a section names none. NULL: there
 * are no more. */
static const char *
watched_file(const struct config *config, uint64_t number)
{
	uint64_t i = number / FILES_PER_SECTION;
	uint64_t n = config->certificates.n;
	if (i < n) {
		const struct config_certificate *at =
		    config_certificate_at(config, (uint32_t)i);
		const struct text files[] = {at->chain, at->key, at->ocsp};
		return config_text(config, files[number % FILES_PER_SECTION]);
	}
	if (i - n < config->tls.n) {
		const struct config_tls *at =
		    config_tls_at(config, (uint32_t)(i - n));
		const struct text files[] = {
		    at->client_ca, at->client_crl, at->ticket_secret};
		return config_text(config, files[number % FILES_PER_SECTION]);
	}
	n += config->tls.n;
	if (i - n < config->pools.n) {
		const struct config_pool *at =
		    config_pool_at(config, (uint32_t)(i - n));
		const struct text files[] = {
		    at->route, at->check_password_file, {0, 0}};
		return config_text(config, files[number % FILES_PER_SECTION]);
	}
	n += config->pools.n;
	if (i - n < config->backends.n) {
		const struct config_backend *at =
		    config_backend_at(config, (uint32_t)(i - n));
		return number % FILES_PER_SECTION == 0
			   ? config_text(config, at->backend_tls_ca)
			   : "";
	}
	return NULL;
}

uint64_t
watch_signature(const struct config *config)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	const char *file;
	for (uint64_t i = 0; (file = watched_file(config, i)) != NULL; i++)
		hash = mix_file(hash, file);
	return hash;
}

void
watch_init(struct watch *watch)
{
	*watch = (struct watch){.look_ms = UINT64_MAX};
	watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
}

static void
remove_marks(struct watch *watch)
{
	/* One directory may be there many times; the first removal counts. */
	for (size_t i = 0; i < watch->n_marks; i++)
		(void)inotify_rm_watch(watch->fd, watch->marks[i]);
	free(watch->marks);
	watch->marks = NULL;
	watch->n_marks = 0;
}

void
watch_fini(struct watch *watch)
{
	remove_marks(watch);
	if (watch->fd >= 0)
		close(watch->fd);
	*watch = (struct watch){.fd = -1, .look_ms = UINT64_MAX};
}

static void
add_mark(struct watch *watch, int mark)
{
	size_t cap = watch->n_marks;
	/* Powers of two from 16 on are when it is full. */
	if (mark < 0)
		return;
	if (cap == 0 || (cap >= 16 && (cap & (cap - 1)) == 0)) {
		int *marks = reallocarray(
		    watch->marks, cap == 0 ? 16 : cap * 2, sizeof(*marks));
		if (marks == NULL)
			return; /* stat(2) goes on */
		watch->marks = marks;
	}
	watch->marks[watch->n_marks++] = mark;
}

static size_t
directory_len(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

static void
mark_directory_of(struct watch *watch, const char *path)
{
	char directory[PATH_MAX];
	size_t len = directory_len(path);
	if (len + 1 >= sizeof(directory))
		return;
	memcpy(directory, path, len);
	directory[len] = '.';
	directory[len + 1] = '\0';
	add_mark(watch, inotify_add_watch(watch->fd, directory, MARK_EVENTS));
}

/* False: `link` is none. */
static bool
read_link(const char *link, char out[PATH_MAX])
{
	char target[PATH_MAX];
	size_t base = directory_len(link);
	ssize_t n = readlink(link, target, sizeof(target));
	if (n <= 0)
		return false;
	if (target[0] == '/')
		base = 0;
	if (base + (size_t)n >= PATH_MAX)
		return false;
	memcpy(out, link, base);
	memcpy(out + base, target, (size_t)n);
	out[base + (size_t)n] = '\0';
	return true;
}

/* Where a name on the way is a link, its directory is where it is swapped. */
static void
mark_links(struct watch *watch, const char *path, int depth)
{
	char at[PATH_MAX], target[PATH_MAX];
	for (size_t i = 1; i < sizeof(at) && path[i - 1] != '\0'; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(at, path, i);
		at[i] = '\0';
		if (!read_link(at, target))
			continue;
		mark_directory_of(watch, at);
		if (depth < LINKS_MAX)
			mark_links(watch, target, depth + 1);
	}
}

static void
mark_file(struct watch *watch, const char *path)
{
	if (path[0] == '\0')
		return;
	mark_directory_of(watch, path);
	mark_links(watch, path, 0);
	char target[PATH_MAX];
	if (realpath(path, target) != NULL)
		mark_directory_of(watch, target);
}

static void
add_marks(struct watch *watch)
{
	const struct config *config = watch->config;
	const char *file;
	for (uint64_t i = 0; (file = watched_file(config, i)) != NULL; i++)
		mark_file(watch, file);
}

void
watch_set(struct watch *watch, const struct config *config, uint64_t signature,
    uint64_t now_ms)
{
	remove_marks(watch);
	watch->config = config;
	if (watch->fd >= 0)
		add_marks(watch);
	watch_done(watch, signature);
	/* At once: the marks are younger than the signature. */
	watch->look_ms = now_ms + QUIET_MS;
}

void
watch_done(struct watch *watch, uint64_t signature)
{
	watch->loaded = signature;
	watch->seen = signature;
}

void
watch_ready(struct watch *watch, uint64_t now_ms)
{
	char events[4096];
	while (read(watch->fd, events, sizeof(events)) > 0)
		;
	if (watch->look_ms > now_ms + QUIET_MS)
		watch->look_ms = now_ms + QUIET_MS;
}

bool
watch_step(struct watch *watch, uint64_t now_ms, uint64_t *out_next_ms)
{
	*out_next_ms = watch->look_ms;
	if (watch->config == NULL || now_ms < watch->look_ms)
		return false;
	uint64_t now_is = watch_signature(watch->config);
	bool differs = now_is != watch->loaded;
	bool is_quiet = now_is == watch->seen;
	watch->seen = now_is;
	watch->look_ms = now_ms + (differs && !is_quiet ? QUIET_MS : POLL_MS);
	*out_next_ms = watch->look_ms;
	return differs && is_quiet;
}
