/* SPDX-License-Identifier: ISC */
/* A reader of the log that stands still costs lines, which are counted, and
 * never a wait without end. */
/* needs: proxy/observer/sink.c proxy/base/span.c proxy/base/ensure.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "proxy/observer/sink.h"

#define LINE "ts=1 level=info event=session\n"

static bool
write_line(struct sink *sink)
{
	return sink_write(sink, LEVEL_INFO, span_str(LINE));
}

/* Until one is lost; how many were not. */
static unsigned
fill(struct sink *sink)
{
	unsigned n = 0;
	while (write_line(sink))
		n++;
	return n;
}

static void
unread_pipe_loses_lines(void **state)
{
	struct sink sink;
	int ends[2];
	char *text = calloc(1, 1 << 20);
	(void)state;
	assert_non_null(text);
	assert_int_equal(pipe(ends), 0);
	sink_init(&sink);
	sink_configure(&sink, LOG_TO_FILE, 0);
	sink_set_file(&sink, ends[1]); /* a blocking description */
	unsigned n = fill(&sink);
	assert_true(n > 100);
	assert_true(sink.patience_ms <= 0);
	for (int i = 0; i < 1000; i++)
		assert_false(write_line(&sink));
	assert_int_equal(sink.dropped, 1001);
	ssize_t len = read(ends[0], text, 1 << 20);
	assert_int_equal(len, n * strlen(LINE));
	sink_tick(&sink);
	assert_true(write_line(&sink));
	len = read(ends[0], text, 1 << 20);
	assert_int_equal(len, strlen(LINE));
	assert_memory_equal(text, LINE, strlen(LINE));
	sink_fini(&sink);
	close(ends[0]);
	free(text);
}

/* Longer than a pipe takes at once: the rest is lost, the next is whole. */
static void
half_a_line_is_ended(void **state)
{
	struct sink sink;
	int ends[2];
	static char text[1 << 16], line[20000];
	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, 8192) >= 8192);
	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 2] = '\n';
	sink_init(&sink);
	sink_configure(&sink, LOG_TO_FILE, 0);
	sink_set_file(&sink, ends[1]);
	assert_false(sink_write(&sink, LEVEL_INFO, span_str(line)));
	ssize_t half = read(ends[0], text, sizeof(text));
	assert_true(half > 0 && half < (ssize_t)strlen(line));
	assert_true(write_line(&sink));
	ssize_t len = read(ends[0], text, sizeof(text));
	assert_int_equal(len, 1 + strlen(LINE));
	assert_memory_equal(text, "\n" LINE, strlen("\n" LINE));
	sink_fini(&sink);
	close(ends[0]);
}

/* --- syslog --------------------------------------------------------------- */

static int
listen_at(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	unlink(path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void
expect_line(int fd)
{
	char text[256] = "";
	unsigned priority;
	int at = 0;
	ssize_t len = recv(fd, text, sizeof(text) - 1, 0);
	assert_true(len > 0);
	/* "<22>Nov 20 14:00:00 sallyport: ts=1 ..." */
	assert_int_equal(sscanf(text, "<%u>%n", &priority, &at), 1);
	assert_int_equal(priority, LOG_MAIL | LOG_INFO);
	assert_int_equal(strcmp(text + at + strlen("Nov 20 14:00:00 "),
			     "sallyport: ts=1 level=info event=session"),
	    0);
}

static void
syslog_goes_on_after_a_pause_and_a_restart(void **state)
{
	struct sink sink;
	char directory[] = "/tmp/test-sink-XXXXXX", path[64];
	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/log", directory);
	sink_init(&sink);
	sink.syslog_path = path;
	sink_configure(&sink, LOG_TO_SYSLOG, LOG_MAIL);
	assert_false(write_line(&sink)); /* nobody is there */
	int fd = listen_at(path);
	unsigned n = fill(&sink);
	assert_true(n > 0);
	assert_int_equal(sink.dropped, 2);
	for (; n > 0; n--)
		expect_line(fd);
	assert_true(write_line(&sink));
	expect_line(fd);
	close(fd);
	fd = listen_at(path);
	assert_true(write_line(&sink));
	expect_line(fd);
	sink_fini(&sink);
	close(fd);
	unlink(path);
	rmdir(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(unread_pipe_loses_lines),
	    cmocka_unit_test(half_a_line_is_ended),
	    cmocka_unit_test(syslog_goes_on_after_a_pause_and_a_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
