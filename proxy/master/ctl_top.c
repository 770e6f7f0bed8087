/* SPDX-License-Identifier: ISC */
/* See ctl_top.h. Called by ctl.c. What is drawn was checked to be printable
 * when it was read. */
#include "proxy/master/ctl_top.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/ensure.h"
#include "proxy/base/parse.h"
#include "proxy/ipc/clock.h"

#define PERIOD_MS 1000

static uint64_t
number_of(const char *text)
{
	uint64_t value = 0;
	(void)parse_u64(span_str(text), 0, UINT64_MAX, &value);
	return value;
}

void
top_rows_add(
    struct top_rows *rows, const struct ctl_member *members, size_t n_members)
{
	if (n_members != 4 || strcmp(members[1].key, "sessions") != 0)
		return;
	if (rows->n == rows->cap) {
		rows->cap = rows->cap == 0 ? 64 : rows->cap * 2;
		rows->list =
		    realloc(rows->list, rows->cap * sizeof(rows->list[0]));
		ENSURE(rows->list != NULL);
	}
	struct top_row *row = &rows->list[rows->n++];
	*row = (struct top_row){.sessions = number_of(members[1].value),
	    .in = number_of(members[2].value),
	    .out = number_of(members[3].value)};
	snprintf(row->name, sizeof(row->name), "%s", members[0].value);
}

void
top_rows_free(struct top_rows *rows)
{
	free(rows->list);
	*rows = (struct top_rows){0};
}

static int
by_name(const void *a, const void *b)
{
	const struct top_row *left = a, *right = b;
	return strcmp(left->name, right->name);
}

static int
by_rate(const void *a, const void *b)
{
	const struct top_row *left = a, *right = b;
	uint64_t x = left->in_rate + left->out_rate;
	uint64_t y = right->in_rate + right->out_rate;
	if (x != y)
		return x < y ? 1 : -1;
	if (left->sessions != right->sessions)
		return left->sessions < right->sessions ? 1 : -1;
	return by_name(a, b);
}

/* Sessions that ended took their octets with them. */
static uint64_t
rate(uint64_t now, uint64_t before, uint64_t ms)
{
	return now > before && ms > 0 ? (now - before) * 1000 / ms : 0;
}

void
top_rows_compare(struct top_rows *rows, struct top_rows *before, uint64_t ms)
{
	if (before->n > 0)
		qsort(
		    before->list, before->n, sizeof(before->list[0]), by_name);
	for (size_t i = 0; i < rows->n; i++) {
		struct top_row *row = &rows->list[i];
		const struct top_row *old =
		    before->n == 0 ? NULL
				   : bsearch(row, before->list, before->n,
					 sizeof(*row), by_name);
		if (old == NULL)
			continue;
		row->in_rate = rate(row->in, old->in, ms);
		row->out_rate = rate(row->out, old->out, ms);
	}
	if (rows->n > 0)
		qsort(rows->list, rows->n, sizeof(rows->list[0]), by_rate);
}

/* --- the terminal --------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void
on_signal(int number)
{
	interrupted = number;
}

static bool
take_terminal(struct termios *out_before)
{
	struct termios raw;
	struct sigaction action = {.sa_handler = on_signal};
	if (tcgetattr(STDIN_FILENO, out_before) != 0)
		return false;
	raw = *out_before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	/* The other screen, without a cursor. */
	fputs("\033[?1049h\033[?25l", stdout);
	return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

static void
give_terminal_back(const struct termios *before)
{
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSANOW, before);
}

static const char *
octets(uint64_t value, char buf[32])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	double scaled = (double)value;
	int unit = 0;
	for (; scaled >= 999.5 && unit < 4; unit++)
		scaled /= 1000;
	snprintf(buf, 32, "%.*f %s", unit == 0 ? 0 : 1, scaled, units[unit]);
	return buf;
}

static void
draw_row(const struct top_row *row, int name_width)
{
	char in_rate[32], out_rate[32], in[32], out[32];
	printf("%-*.*s %9" PRIu64 " %11s/s %11s/s %11s %11s\033[K\r\n",
	    name_width, name_width, row->name, row->sessions,
	    octets(row->in_rate, in_rate), octets(row->out_rate, out_rate),
	    octets(row->in, in), octets(row->out, out));
}

static struct top_row
total_of(const struct top_rows *rows)
{
	struct top_row total = {.name = "all"};
	for (size_t i = 0; i < rows->n; i++) {
		total.sessions += rows->list[i].sessions;
		total.in += rows->list[i].in;
		total.out += rows->list[i].out;
		total.in_rate += rows->list[i].in_rate;
		total.out_rate += rows->list[i].out_rate;
	}
	return total;
}

static void
draw(const char *by, const struct top_rows *rows)
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	char clock[16];
	time_t now = time(NULL);
	struct tm tm;
	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	localtime_r(&now, &tm);
	strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	int width = size.ws_col > 90 ? size.ws_col - 63 : 20;
	size_t room = size.ws_row > 5 ? size.ws_row - 5U : 1;
	struct top_row total = total_of(rows);
	printf("\033[H\033[1msallyport top\033[0m  by %s  %s"
	       "   (u)ser (a)ddress (b)ackend (q)uit\033[K\r\n\033[K\r\n",
	    by, clock);
	printf("\033[7m%-*s %9s %13s %13s %11s %11s\033[K\033[0m\r\n", width,
	    by, "sessions", "in", "out", "in all", "out all");
	for (size_t i = 0; i < rows->n && i < room; i++)
		draw_row(&rows->list[i], width);
	draw_row(&total, width);
	fputs("\033[J", stdout);
	fflush(stdout);
}

/* Waits for the period to end, or a key. NULL: the end was wanted. */
static const char *
wait_for_key(const char *by)
{
	struct pollfd stdin_fd = {.fd = STDIN_FILENO, .events = POLLIN};
	char key;
	if (interrupted || poll(&stdin_fd, 1, PERIOD_MS) < 0)
		return NULL;
	if (stdin_fd.revents == 0)
		return by;
	if (read(STDIN_FILENO, &key, 1) != 1)
		return NULL;
	switch (key) {
	case 'u':
		return "user";
	case 'a':
		return "address";
	case 'b':
		return "backend";
	case 'q':
		return NULL;
	default:
		return by;
	}
}

static int
watch(const char *by, top_ask *ask, void *arg)
{
	struct top_rows before = {0};
	uint64_t before_ms = clock_ms();
	int status = 0;
	while (by != NULL && status == 0) {
		struct top_rows rows = {0};
		char request[32];
		uint64_t asked_ms = clock_ms();
		snprintf(request, sizeof(request), "top %s", by);
		status = ask(arg, request, &rows);
		top_rows_compare(&rows, &before, asked_ms - before_ms);
		if (status == 0)
			draw(by, &rows);
		top_rows_free(&before);
		before = rows;
		before_ms = asked_ms;
		by = status == 0 ? wait_for_key(by) : NULL;
	}
	top_rows_free(&before);
	return status;
}

int
ctl_top(const char *by, top_ask *ask, void *arg)
{
	struct termios before;
	if (!take_terminal(&before)) {
		fprintf(stderr, "sallyport: terminal: %s\n", strerror(errno));
		return 2;
	}
	int status = watch(by, ask, arg);
	give_terminal_back(&before);
	return status;
}
