/* SPDX-License-Identifier: ISC */
/* See role.h. Runs before a role has taken any descriptor or input. */
#include "proxy/ipc/role.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/ipc/channel.h"

#define PROMPT_SLICE_NS 100000 /* the shortest that the kernel takes */
#define PATIENT_NICE	10

static _Noreturn void
fail(const char *name, const char *text)
{
	fprintf(stderr, "%s: %s\n", name, text);
	exit(1);
}

static int
socket_option(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);
	if (getsockopt(fd, SOL_SOCKET, option, &value, &len) != 0)
		return -1;
	return value;
}

static void
find_channel(const char *name)
{
	if (socket_option(ROLE_CHANNEL_FD, SO_DOMAIN) != AF_UNIX ||
	    socket_option(ROLE_CHANNEL_FD, SO_TYPE) != SOCK_SEQPACKET)
		fail(name, "this program is started by sallyport only");
	if (fcntl(ROLE_CHANNEL_FD, F_SETFD, FD_CLOEXEC) != 0)
		fail(name, "cannot prepare the channel");
}

static void
ignore_signals(void)
{
	static const int ignored[] = {
	    SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGPIPE};
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	/* The master's mask is inherited; with it nobody could stop us. */
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void
role_init(const char *name)
{
	/* exec made us dumpable again: until this line a process of the same
	 * uid could read our memory, which holds nothing yet. */
	if (!ROLE_SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		fail(name, "cannot become undumpable");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		fail(name, "cannot give up new privileges");
	ignore_signals();
	find_channel(name);
	if (close_range(ROLE_CHANNEL_FD + 1, ~0U, 0) != 0)
		fail(name, "cannot close inherited descriptors");
	prctl(PR_SET_NAME, name, 0, 0, 0);
}

/* The C library has no function for these before 2.41. */
static bool
get_schedule(struct sched_attr *out)
{
	*out = (struct sched_attr){.size = SCHED_ATTR_SIZE_VER0};
	return syscall(SYS_sched_getattr, 0, out, out->size, 0) == 0;
}

static void
set_schedule(struct sched_attr *schedule)
{
	(void)syscall(SYS_sched_setattr, 0, schedule, 0);
}

void
role_be_prompt(void)
{
	struct sched_attr schedule;

	if (!get_schedule(&schedule) || schedule.sched_policy != SCHED_NORMAL)
		return;
	schedule.sched_runtime = PROMPT_SLICE_NS;
	set_schedule(&schedule);
}

void
role_be_patient(void)
{
	struct sched_attr schedule;

	/* By itself: some sandboxes refuse what follows. */
	(void)!nice(PATIENT_NICE);
	if (!get_schedule(&schedule) || schedule.sched_policy != SCHED_NORMAL)
		return;
	schedule.sched_policy = SCHED_BATCH;
	set_schedule(&schedule);
}

void
role_take_hello(const struct message *message, struct hello *out_hello)
{
	if (message->len != sizeof(*out_hello))
		role_fatal("the master is of another version");
	memcpy(out_hello, message->body, sizeof(*out_hello));
	if (out_hello->layout != IPC_LAYOUT)
		role_fatal("the master is of another version");
}

_Noreturn void
role_fatal(const char *text)
{
	fail(program_invocation_short_name, text);
}
