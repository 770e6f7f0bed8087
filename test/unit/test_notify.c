/* SPDX-License-Identifier: ISC */
/* needs: proxy/master/notify.c proxy/base/ */
/* What systemd would read, from a real datagram socket. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/master/notify.h"

static int
bind_abstract(char name[64])
{
	snprintf(name, 64, "@sallyport-test-notify-%d", (int)getpid());
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	memcpy(at.sun_path, name, strlen(name));
	at.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	socklen_t len =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	return fd;
}

static const char *
next(int fd)
{
	static char text[512];
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
	if (n < 0)
		return "";
	text[n] = '\0';
	return text;
}

static void
test_nobody_asks(void **state)
{
	(void)state;
	struct notify notify;
	unsetenv("NOTIFY_SOCKET");
	setenv("WATCHDOG_USEC", "1000000", 1);
	notify_init(&notify);
	assert_int_equal(notify.fd, -1);
	notify_send(&notify, "READY=1");
	assert_true(notify_step(&notify, 5) == UINT64_MAX);
	assert_null(getenv("WATCHDOG_USEC"));
	notify_fini(&notify);
}

static void
test_bad_addresses(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "@", "relative", "vsock:2:1"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct notify notify;
		setenv("NOTIFY_SOCKET", bad[i], 1);
		notify_init(&notify);
		assert_int_equal(notify.fd, -1);
	}
	char longest[200];
	memset(longest, 'a', sizeof(longest));
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	struct notify notify;
	setenv("NOTIFY_SOCKET", longest, 1);
	notify_init(&notify);
	assert_int_equal(notify.fd, -1);
}

static void
test_messages(void **state)
{
	(void)state;
	char name[64];
	struct notify notify;
	int fd = bind_abstract(name);
	setenv("NOTIFY_SOCKET", name, 1);
	notify_init(&notify);
	assert_true(notify.fd >= 0);
	assert_null(getenv("NOTIFY_SOCKET"));
	notify_send(&notify, "READY=1\nSTATUS=%s", "running");
	assert_string_equal(next(fd), "READY=1\nSTATUS=running");
	notify_reloading(&notify);
	unsigned long long us = 0;
	assert_int_equal(
	    sscanf(next(fd), "RELOADING=1\nMONOTONIC_USEC=%llu", &us), 1);
	assert_true(us > 0);
	notify_stopping(&notify, 2500);
	assert_string_equal(next(fd),
	    "STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=2500000");
	/* The reader is gone: nothing happens. */
	close(fd);
	notify_send(&notify, "READY=1");
	notify_fini(&notify);
}

static void
test_watchdog(void **state)
{
	(void)state;
	char name[64];
	struct notify notify;
	int fd = bind_abstract(name);
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "4000000", 1);
	notify_init(&notify);
	assert_true(notify_step(&notify, 1000) == 3000);
	assert_string_equal(next(fd), "WATCHDOG=1");
	assert_true(notify_step(&notify, 2999) == 3000);
	assert_string_equal(next(fd), "");
	assert_true(notify_step(&notify, 3500) == 5500);
	assert_string_equal(next(fd), "WATCHDOG=1");
	notify_fini(&notify);

	/* Meant for another process. */
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "4000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	notify_init(&notify);
	assert_true(notify_step(&notify, 1000) == UINT64_MAX);
	notify_fini(&notify);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nobody_asks),
	    cmocka_unit_test(test_bad_addresses),
	    cmocka_unit_test(test_messages),
	    cmocka_unit_test(test_watchdog),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
