/* SPDX-License-Identifier: ISC */
/*
 * See spawn.h. The master has one thread, so a child may call anything between
 * fork and exec. Every descriptor of the master is close-on-exec; the child
 * gets 0, 1, 2 and its channel. Called by child.c.
 */
#include "proxy/master/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/base/ensure.h"
#include "proxy/ipc/role.h"

/* exec_fd must not be where the channel goes. */
#define LOWEST_FD 10

static int
open_in(const char *directory, const char *name)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (n < 0 || (size_t)n >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (access(path, X_OK) != 0)
		return -1;
	int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int high = fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_FD);
	int saved = errno;
	close(fd);
	errno = saved;
	return high;
}

int
spawn_open(const char *name)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n > 0) {
		self[n] = '\0';
		char *slash = strrchr(self, '/');
		if (slash != NULL)
			*slash = '\0';
		int fd = open_in(self, name);
		if (fd >= 0 || errno != ENOENT)
			return fd;
	}
	return open_in(SALLYPORT_LIBEXEC, name);
}

static _Noreturn void
child_fail(const char *title, const char *what)
{
	dprintf(STDERR_FILENO, "%s: %s: %s\n", title, what, strerror(errno));
	_exit(126);
}

static bool
take_channel(int channel)
{
	if (channel == ROLE_CHANNEL_FD)
		return fcntl(channel, F_SETFD, 0) == 0;
	return dup2(channel, ROLE_CHANNEL_FD) == ROLE_CHANNEL_FD;
}

static void
reset_signals(void)
{
	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The environment of a role: the time zone, and what a sanitizer is told. */
#define KEPT_MAX 8

static void
keep_environment(char *out_kept[KEPT_MAX + 1])
{
	static const char *const names[] = {"TZ=", "ASAN_OPTIONS=",
	    "UBSAN_OPTIONS=", "LSAN_OPTIONS=", "TSAN_OPTIONS="};
	size_t n = 0;
	for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
		for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
			if (n < KEPT_MAX &&
			    strncmp(*entry, names[i], strlen(names[i])) == 0)
				out_kept[n++] = *entry;
	out_kept[n] = NULL;
}

static _Noreturn void
become_role(const struct spawn *spawn, pid_t master)
{
	char title[64];
	snprintf(title, sizeof(title), "%s", spawn->title);
	char *argv[] = {title, NULL};
	char *environment[KEPT_MAX + 1];
	keep_environment(environment);

	struct rlimit none = {0, 0};
	(void)setrlimit(RLIMIT_CORE, &none);
	if (!take_channel(spawn->channel))
		child_fail(title, "cannot pass the channel");
	if (!privilege_drop(spawn->identity))
		child_fail(title, "cannot drop privileges");
	/* A change of credentials clears it, so it comes behind. A belt: roles
	 * leave by themselves when their channel ends. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != master)
		_exit(126);
	reset_signals();
	fexecve(spawn->exec_fd, argv, environment);
	child_fail(title, "cannot execute");
}

pid_t
spawn_start(const struct spawn *spawn)
{
	ENSURE(spawn->exec_fd != ROLE_CHANNEL_FD);
	pid_t master = getpid();
	pid_t pid = fork();
	if (pid == 0)
		become_role(spawn, master);
	return pid;
}
