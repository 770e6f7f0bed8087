/* SPDX-License-Identifier: ISC */
/* See sink.h. Called by the observer, for the log and for the audit log. */
#include "proxy/observer/sink.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "proxy/ipc/clock.h"

void
sink_init(struct sink *sink)
{
	*sink = (struct sink){.target = LOG_TO_STDERR,
	    .fd = -1,
	    .syslog_fd = -1,
	    .syslog_path = SINK_SYSLOG,
	    .patience_ms = SINK_PATIENCE_MS};
}

static void
replace(int *fd, int by)
{
	if (*fd >= 0)
		close(*fd);
	*fd = by;
}

void
sink_fini(struct sink *sink)
{
	sink_set_file(sink, -1);
	replace(&sink->syslog_fd, -1);
}

void
sink_configure(struct sink *sink, uint32_t target, uint32_t facility)
{
	sink->target = target;
	sink->facility = facility;
	replace(&sink->syslog_fd, -1);
}

void
sink_set_file(struct sink *sink, int fd)
{
	replace(&sink->fd, fd);
	sink->torn = false;
}

void
sink_tick(struct sink *sink)
{
	sink->patience_ms = SINK_PATIENCE_MS;
}

/* --- waiting -------------------------------------------------------------- */

/* False: nobody reads there. A fault is for who writes to see. */
static bool
has_room(struct sink *sink, int fd)
{
	struct pollfd room = {.fd = fd, .events = POLLOUT};
	if (poll(&room, 1, 0) != 0)
		return true;
	if (sink->patience_ms <= 0)
		return false;
	uint64_t began_ms = clock_ms();
	int n = poll(&room, 1, sink->patience_ms);
	uint64_t waited_ms = clock_ms() - began_ms;
	sink->patience_ms -=
	    waited_ms < SINK_PATIENCE_MS ? (int)waited_ms : SINK_PATIENCE_MS;
	return n != 0;
}

/* --- stderr and files ----------------------------------------------------- */

/* How much was written: all, unless the disk is full or nobody reads. */
static size_t
put(struct sink *sink, int fd, struct span text)
{
	size_t done = 0;
	while (done < text.len && has_room(sink, fd)) {
		size_t len = text.len - done;
		ssize_t n = write(
		    fd, text.data + done, len < PIPE_BUF ? len : PIPE_BUF);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

/* Half a line may have been taken: what follows must not be glued to it. */
static bool
write_fd(struct sink *sink, int fd, struct span line)
{
	if (sink->torn && put(sink, fd, span_str("\n")) == 0)
		return false;
	size_t n = put(sink, fd, line);
	sink->torn = n > 0 && n < line.len;
	return n == line.len;
}

/* --- syslog: as syslog(3) does it, which would wait ----------------------- */

static bool
connect_syslog(struct sink *sink)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int type = SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", sink->syslog_path);
	replace(&sink->syslog_fd, socket(AF_UNIX, type, 0));
	if (sink->syslog_fd < 0)
		return false;
	if (connect(
		sink->syslog_fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return true;
	replace(&sink->syslog_fd, -1);
	return false;
}

static bool
send_syslog(struct sink *sink, struct iovec *parts, size_t n_parts)
{
	struct msghdr header = {.msg_iov = parts, .msg_iovlen = n_parts};
	return has_room(sink, sink->syslog_fd) &&
	       sendmsg(sink->syslog_fd, &header, MSG_NOSIGNAL) >= 0;
}

static bool
write_syslog(struct sink *sink, int level, struct span line)
{
	static const int priorities[] = {
	    LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
	char head[64], when[32];
	time_t now = time(NULL);
	struct tm tm;
	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%b %e %T", &tm);
	int n = snprintf(head, sizeof(head),
	    "<%u>%s sallyport: ", sink->facility | (unsigned)priorities[level],
	    when);
	struct iovec parts[2] = {
	    {head, (size_t)n}, {(void *)(uintptr_t)line.data, line.len - 1}};
	errno = 0;
	if (sink->syslog_fd >= 0 && send_syslog(sink, parts, 2))
		return true;
	/* Its socket is another one after each of its restarts. */
	bool is_slow = sink->syslog_fd >= 0 && (errno == 0 || errno == EAGAIN);
	return !is_slow && connect_syslog(sink) && send_syslog(sink, parts, 2);
}

bool
sink_write(struct sink *sink, int level, struct span line)
{
	bool to_file = sink->target == LOG_TO_FILE && sink->fd >= 0;
	bool good =
	    sink->target == LOG_TO_SYSLOG
		? write_syslog(sink, level, line)
		: write_fd(sink, to_file ? sink->fd : STDERR_FILENO, line);
	sink->dropped += !good;
	return good;
}
