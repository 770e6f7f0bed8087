/* SPDX-License-Identifier: ISC */
/* needs: proxy/master/spawn.c proxy/master/privilege.c proxy/ipc/ */
/* needs: proxy/base/ */
/*
 * Real processes: this program starts itself as a role, which tells over its
 * channel what it finds. As root the child must have become somebody else.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/ipc/channel.h"
#include "proxy/ipc/role.h"
#include "proxy/master/spawn.h"

/* What the child says of itself. */
struct finding {
	char title[32];
	uint32_t uid;
	uint32_t gid;
	uint32_t n_groups;
	uint32_t n_descriptors; /* above the channel */
	uint32_t n_environment;
	uint64_t permitted;
	bool has_tz;
	bool no_new_privs;
	bool dies_with_parent;
	bool blocks_signals;
	bool ignores_pipe;
	bool dumps_core;
};

static uint32_t
count_descriptors(void)
{
	uint32_t n = 0;
	for (int fd = ROLE_CHANNEL_FD + 1; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static uint64_t
permitted_capabilities(void)
{
	char line[256];
	unsigned long long value = UINT64_MAX;
	FILE *file = fopen("/proc/self/status", "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "CapPrm: %llx", &value) == 1)
			break;
	if (file != NULL)
		fclose(file);
	return value;
}

static void
look_around(struct finding *out, const char *title)
{
	sigset_t blocked;
	struct sigaction action;
	struct rlimit core;
	int death_signal = 0;
	snprintf(out->title, sizeof(out->title), "%s", title);
	out->uid = getuid();
	out->gid = getgid();
	out->n_groups = (uint32_t)getgroups(0, NULL);
	out->n_descriptors = count_descriptors();
	for (char **entry = environ; *entry != NULL; entry++)
		out->n_environment++;
	out->has_tz = getenv("TZ") != NULL;
	out->permitted = permitted_capabilities();
	out->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
	prctl(PR_GET_PDEATHSIG, &death_signal, 0, 0, 0);
	out->dies_with_parent = death_signal == SIGKILL;
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	out->blocks_signals = sigismember(&blocked, SIGTERM) == 1;
	sigaction(SIGPIPE, NULL, &action);
	out->ignores_pipe = action.sa_handler == SIG_IGN;
	getrlimit(RLIMIT_CORE, &core);
	out->dumps_core = core.rlim_max != 0;
}

static int
be_the_role(const char *title)
{
	struct message message = {
	    .type = MESSAGE_READY, .len = sizeof(struct finding)};
	struct finding finding = {0};
	look_around(&finding, title);
	memcpy(message.body, &finding, sizeof(finding));
	return channel_send(ROLE_CHANNEL_FD, &message) == CHANNEL_OK ? 7 : 8;
}

static void
wait_for(pid_t pid, int *out_status)
{
	assert_int_equal(waitpid(pid, out_status, 0), pid);
}

static struct finding
start_and_ask(const struct identity *identity)
{
	int pair[2], status;
	struct finding finding;
	struct message message;
	int fd = spawn_open("test_spawn");
	assert_true(fd >= 10);
	assert_true(channel_pair(pair));
	struct spawn spawn = {fd, "sallyport: tester 3", pair[1], identity};
	pid_t pid = spawn_start(&spawn);
	assert_true(pid > 0);
	close(pair[1]);
	close(fd);
	struct pollfd readable = {pair[0], POLLIN, 0};
	assert_int_equal(poll(&readable, 1, 20000), 1);
	assert_int_equal(channel_recv(pair[0], &message), CHANNEL_OK);
	assert_int_equal(message.len, sizeof(finding));
	memcpy(&finding, message.body, sizeof(finding));
	wait_for(pid, &status);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	close(pair[0]);
	return finding;
}

static void
test_what_a_role_gets(void **state)
{
	(void)state;
	struct identity nobody;
	assert_int_equal(identity_find("nobody", &nobody), IDENTITY_FOUND);
	bool is_root = geteuid() == 0;
	/* None of these may reach the child. */
	setenv("TZ", "UTC", 1);
	setenv("LD_PRELOAD_NOT", "x", 1);
	setenv("NOTIFY_SOCKET", "/x", 1);
	signal(SIGPIPE, SIG_IGN);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);

	struct finding finding = start_and_ask(is_root ? &nobody : NULL);
	assert_string_equal(finding.title, "sallyport: tester 3");
	assert_int_equal(finding.uid, is_root ? nobody.uid : getuid());
	assert_int_equal(finding.gid, is_root ? nobody.gid : getgid());
	assert_int_equal(finding.permitted, 0);
	assert_int_equal(finding.n_descriptors, 0);
	assert_true(finding.has_tz);
	assert_true(finding.no_new_privs);
	assert_true(finding.dies_with_parent);
	assert_false(finding.blocks_signals);
	assert_false(finding.ignores_pipe);
	assert_false(finding.dumps_core);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static uint32_t
count_sanitizer_options(void)
{
	static const char *const names[] = {
	    "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS"};
	uint32_t n = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		n += getenv(names[i]) != NULL;
	return n;
}

static void
test_environment(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	struct finding finding = start_and_ask(NULL);
	assert_int_equal(finding.n_environment, 1 + count_sanitizer_options());
	unsetenv("TZ");
	finding = start_and_ask(NULL);
	assert_int_equal(finding.n_environment, count_sanitizer_options());
}

/* Not where the channel goes. */
static int
open_high(const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC);
	assert_true(fd >= 0);
	int high = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	close(fd);
	return high;
}

/* The path may be gone by then: an upgrade. */
static void
test_executable_is_replaced(void **state)
{
	(void)state;
	char directory[] = "/tmp/sallyport-spawn-XXXXXX";
	char path[64];
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/role", directory);
	/* A hard link would need the same file system. */
	FILE *to = fopen(path, "we");
	FILE *from = fopen("/bin/true", "re");
	assert_non_null(to);
	assert_non_null(from);
	char buf[4096];
	size_t n;
	while ((n = fread(buf, 1, sizeof(buf), from)) > 0)
		assert_int_equal(fwrite(buf, 1, n, to), n);
	fclose(from);
	fclose(to);
	assert_int_equal(chmod(path, 0755), 0);
	int fd = open_high(path);
	unlink(path);
	rmdir(directory);

	int pair[2], status;
	assert_true(channel_pair(pair));
	struct spawn spawn = {fd, "role", pair[1], NULL};
	wait_for(spawn_start(&spawn), &status);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

static void
test_channel_is_already_in_place(void **state)
{
	(void)state;
	int pair[2], status;
	int saved = fcntl(ROLE_CHANNEL_FD, F_DUPFD_CLOEXEC, 20);
	assert_true(channel_pair(pair));
	int mine = fcntl(pair[0], F_DUPFD_CLOEXEC, 30);
	int role = fcntl(pair[1], F_DUPFD_CLOEXEC, 31);
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(dup3(role, ROLE_CHANNEL_FD, O_CLOEXEC), 3);
	close(role);
	int fd = spawn_open("test_spawn");
	struct spawn spawn = {fd, "sallyport: x", ROLE_CHANNEL_FD, NULL};
	pid_t pid = spawn_start(&spawn);
	wait_for(pid, &status);
	assert_int_equal(WEXITSTATUS(status), 7);
	close(fd);
	close(ROLE_CHANNEL_FD);
	if (saved >= 0) {
		dup2(saved, ROLE_CHANNEL_FD);
		close(saved);
	}
	close(mine);
}

static void
test_not_an_executable(void **state)
{
	(void)state;
	assert_int_equal(spawn_open("no-such-role"), -1);
	assert_int_equal(errno, ENOENT);
	int pair[2], status;
	int fd = open_high("/etc/passwd");
	assert_true(channel_pair(pair));
	struct spawn spawn = {fd, "role", pair[1], NULL};
	wait_for(spawn_start(&spawn), &status);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 126);
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

static void
test_identities(void **state)
{
	(void)state;
	struct identity identity;
	assert_int_equal(identity_find("root", &identity), IDENTITY_IS_ROOT);
	assert_int_equal(
	    identity_find("no-such-user-here", &identity), IDENTITY_UNKNOWN);
	assert_int_equal(identity_find("nobody", &identity), IDENTITY_FOUND);
	assert_true(identity.uid != 0);
	assert_true(identity.n_groups >= 1);
}

int
main(int argc, char **argv)
{
	if (argc == 1 && strncmp(argv[0], "sallyport: ", 11) == 0)
		return be_the_role(argv[0]);
	/* As the master does; a test runner may have left something open. */
	close_range(3, ~0U, 0);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_a_role_gets),
	    cmocka_unit_test(test_environment),
	    cmocka_unit_test(test_executable_is_replaced),
	    cmocka_unit_test(test_channel_is_already_in_place),
	    cmocka_unit_test(test_not_an_executable),
	    cmocka_unit_test(test_identities),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
