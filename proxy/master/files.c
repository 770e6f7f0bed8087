/* SPDX-License-Identifier: ISC */
/* See files.h. Called by the master at its start, on USR1 and by a reload. */
#include "proxy/master/files.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NO_GROUP ((gid_t)-1)

void
files_init(struct files *files)
{
	*files = (struct files){
	    .log = -1, .audit = -1, .control = -1, .metrics = -1};
}

/*
 * The master gave up CAP_DAC_OVERRIDE: in a directory that belongs to the log's
 * user it can create nothing as root. As that user it can, and no more.
 */
static bool
become_owner_of_directory(const char *path)
{
	char copy[PATH_MAX];
	struct stat status;
	if ((size_t)snprintf(copy, sizeof(copy), "%s", path) >= sizeof(copy))
		return false;
	if (stat(dirname(copy), &status) != 0)
		return false;
	setfsgid(status.st_gid);
	setfsuid(status.st_uid);
	return true;
}

static void
become_ourselves(void)
{
	setfsuid(geteuid());
	setfsgid(getegid());
}

static int
open_for_appending(const char *path)
{
	/* Nobody waits for a FIFO's reader, here or when it is written to. */
	int flags =
	    O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	int fd = open(path, flags, 0640);
	if (fd >= 0 || errno != EACCES || geteuid() != 0 ||
	    !become_owner_of_directory(path))
		return fd;
	fd = open(path, flags, 0640);
	int saved = errno;
	become_ourselves();
	errno = saved;
	return fd;
}

/* An empty path gives -1, which is fine. */
static bool
open_log(const char *path, int *out_fd, char out_why[FILES_WHY_MAX])
{
	*out_fd = -1;
	if (path[0] == '\0')
		return true;
	*out_fd = open_for_appending(path);
	if (*out_fd >= 0)
		return true;
	snprintf(
	    out_why, FILES_WHY_MAX, "log %.200s: %s", path, strerror(errno));
	return false;
}

static void
replace(int *fd, int by)
{
	if (*fd >= 0)
		close(*fd);
	*fd = by;
}

bool
files_open_logs(struct files *files, const struct config *config,
    char out_why[FILES_WHY_MAX])
{
	const struct config_gateway *gateway = &config->gateway;
	const char *path = gateway->log == LOG_TO_FILE
			       ? config_text(config, gateway->log_path)
			       : "";
	int log, audit;
	if (!open_log(path, &log, out_why))
		return false;
	if (!open_log(
		config_text(config, gateway->audit_log), &audit, out_why)) {
		replace(&log, -1);
		return false;
	}
	replace(&files->log, log);
	replace(&files->audit, audit);
	return true;
}

/* A socket that nobody accepts at: left over by a process that was killed. */
static bool
is_stale(const struct sockaddr_un *at)
{
	struct stat status;
	if (lstat(at->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
		return false;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	bool dead =
	    connect(fd, (const struct sockaddr *)at, sizeof(*at)) != 0 &&
	    errno == ECONNREFUSED;
	close(fd);
	return dead;
}

static bool
bind_path(int fd, const struct sockaddr_un *at)
{
	const struct sockaddr *sa = (const struct sockaddr *)at;
	mode_t before = umask(0117);
	bool bound = bind(fd, sa, sizeof(*at)) == 0;
	if (!bound && errno == EADDRINUSE) {
		if (is_stale(at) && unlink(at->sun_path) == 0)
			bound = bind(fd, sa, sizeof(*at)) == 0;
		else
			errno = EADDRINUSE;
	}
	int saved = errno;
	umask(before);
	errno = saved;
	return bound;
}

static void
make_directory(const char *path)
{
	char copy[108];
	snprintf(copy, sizeof(copy), "%s", path);
	(void)mkdir(dirname(copy), 0755);
}

static bool
listen_at(struct files *files, const struct sockaddr_un *at, gid_t group)
{
	struct stat status;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	if (!bind_path(fd, at))
		goto fail;
	if ((group != NO_GROUP && chown(at->sun_path, (uid_t)-1, group) != 0) ||
	    listen(fd, 16) != 0 || stat(at->sun_path, &status) != 0) {
		int why = errno;
		unlink(at->sun_path);
		errno = why;
		goto fail;
	}
	files->control = fd;
	files->control_dev = status.st_dev;
	files->control_ino = status.st_ino;
	return true;
fail:;
	int saved = errno;
	close(fd);
	errno = saved;
	return false;
}

static bool
find_group(const char *name, gid_t *out_gid)
{
	*out_gid = NO_GROUP;
	if (name[0] == '\0')
		return true;
	/* The master has one thread. */
	/* cppcheck-suppress getgrnamCalled */
	const struct group *entry = getgrnam(name);
	if (entry == NULL)
		return false;
	*out_gid = entry->gr_gid;
	return true;
}

static const char *
why_not_bound(const char *path)
{
	struct stat status;
	if (errno != EADDRINUSE)
		return strerror(errno);
	return lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode)
		   ? "there is a file that is no socket"
		   : "somebody else answers there";
}

enum control_result
files_bind_control(struct files *files, const struct config *config,
    char out_why[FILES_WHY_MAX])
{
	const char *path = config_text(config, config->gateway.control);
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	out_why[0] = '\0';
	if (path[0] == '\0')
		return CONTROL_OFF;
	if (strlen(path) >= sizeof(at.sun_path)) {
		snprintf(
		    out_why, FILES_WHY_MAX, "control: the path is too long");
		return CONTROL_FAILED;
	}
	memcpy(at.sun_path, path, strlen(path));
	gid_t group;
	const char *name = config_text(config, config->gateway.control_group);
	if (!find_group(name, &group)) {
		snprintf(out_why, FILES_WHY_MAX,
		    "control_group: there is no group \"%.64s\"", name);
		return CONTROL_FAILED;
	}
	bool is_default = strcmp(path, CONFIG_CONTROL_DEFAULT) == 0;
	if (is_default)
		make_directory(path);
	if (listen_at(files, &at, group)) {
		memcpy(files->control_path, path, strlen(path) + 1);
		return CONTROL_BOUND;
	}
	bool passes = is_default && (errno == ENOENT || errno == EACCES);
	snprintf(out_why, FILES_WHY_MAX, "control %.107s: %s%s", path,
	    why_not_bound(path), passes ? ": there is no control socket" : "");
	return passes ? CONTROL_OFF : CONTROL_FAILED;
}

/* Of a file that is made or bound at the start: its directory must be there,
 * and no directory have its name. */
static void
check_place(const struct builder *builder, const char *key, const char *file,
    struct problems *problems)
{
	char copy[PATH_MAX], place[PLACE_MAX];
	struct stat status;
	const char *wrong = copy, *why;
	snprintf(copy, sizeof(copy), "%s", file);
	if (file[0] == '\0')
		return;
	if (stat(dirname(copy), &status) != 0) {
		why = strerror(errno);
	} else if (stat(file, &status) == 0 && S_ISDIR(status.st_mode)) {
		wrong = file;
		why = strerror(EISDIR);
	} else {
		return;
	}
	problems_error(problems, "%s: [gateway] %s = %s: %s: %s",
	    builder_place(builder, "gateway", 0, key, place), key, file, wrong,
	    why);
}

void
files_check(struct builder *builder, struct problems *problems)
{
	const struct config *config = builder_config(builder);
	const struct config_gateway *gateway = &config->gateway;
	const char *control = config_text(config, gateway->control);
	const char *group = config_text(config, gateway->control_group);
	char place[PLACE_MAX];
	gid_t gid;
	if (gateway->log == LOG_TO_FILE)
		check_place(builder, "log",
		    config_text(config, gateway->log_path), problems);
	check_place(builder, "audit_log",
	    config_text(config, gateway->audit_log), problems);
	if (strcmp(control, CONFIG_CONTROL_DEFAULT) != 0)
		check_place(builder, "control", control, problems);
	if (!find_group(group, &gid))
		problems_error(problems,
		    "%s: [gateway] control_group = %s: there is no such group",
		    builder_place(
			builder, "gateway", 0, "control_group", place),
		    group);
}

static bool
listen_tcp(int fd, const struct addr *at)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(at, &sa);
	int on = 1;
	return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	       bind(fd, (const struct sockaddr *)&sa, len) == 0 &&
	       listen(fd, 64) == 0;
}

bool
files_bind_metrics(struct files *files, const struct config *config,
    char out_why[FILES_WHY_MAX])
{
	const struct addr *at = &config->gateway.metrics;
	char text[ADDR_TEXT_MAX];
	if (at->family == ADDR_NONE)
		return true;
	int family = at->family == ADDR_IPV4 ? AF_INET : AF_INET6;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && listen_tcp(fd, at)) {
		files->metrics = fd;
		return true;
	}
	snprintf(out_why, FILES_WHY_MAX, "metrics %s: %s", addr_text(at, text),
	    strerror(errno));
	if (fd >= 0)
		close(fd);
	return false;
}

static void
unlink_control(const struct files *files)
{
	struct stat status;
	if (stat(files->control_path, &status) == 0 &&
	    status.st_dev == files->control_dev &&
	    status.st_ino == files->control_ino &&
	    unlink(files->control_path) != 0 && geteuid() == 0 &&
	    become_owner_of_directory(files->control_path)) {
		(void)unlink(files->control_path);
		become_ourselves();
	}
}

void
files_fini(struct files *files)
{
	if (files->control >= 0)
		unlink_control(files);
	replace(&files->log, -1);
	replace(&files->audit, -1);
	replace(&files->control, -1);
	replace(&files->metrics, -1);
	files_init(files);
}
