/* SPDX-License-Identifier: ISC */
/* See sink.h. Called by the observer, for the log and for the audit log. */
#include "proxy/observer/sink.h"

#include <errno.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

void
sink_init(struct sink *sink)
{
	*sink = (struct sink){.target = LOG_TO_STDERR, .fd = -1};
}

void
sink_fini(struct sink *sink)
{
	sink_set_file(sink, -1);
}

void
sink_configure(struct sink *sink, uint32_t target, uint32_t facility)
{
	sink->target = target;
	if (target == LOG_TO_SYSLOG) {
		closelog();
		openlog("sallyport", LOG_NDELAY, (int)facility);
	}
}

void
sink_set_file(struct sink *sink, int fd)
{
	if (sink->fd >= 0)
		close(sink->fd);
	sink->fd = fd;
	sink->torn = false;
}

static void
write_syslog(int level, struct span line)
{
	static const int priorities[] = {
	    LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
	syslog(priorities[level], "%.*s", (int)line.len - 1,
	    (const char *)line.data);
}

static ssize_t
write_parts(int fd, struct iovec *parts, int n_parts)
{
	ssize_t n;
	do
		n = writev(fd, parts, n_parts);
	while (n < 0 && errno == EINTR);
	return n;
}

/* A full disk may take half a line: what follows must not be glued to it. */
static bool
write_fd(struct sink *sink, int fd, struct span line)
{
	struct iovec parts[2] = {
	    {(void *)(uintptr_t) "\n", sink->torn ? 1 : 0},
	    {(void *)(uintptr_t)line.data, line.len},
	};
	size_t total = parts[0].iov_len + line.len;
	ssize_t n = write_parts(fd, parts, 2);
	if (n <= 0)
		return false;
	size_t left = total - (size_t)n;
	while (left > 0) {
		span_advance(&line, line.len > left ? line.len - left : 0);
		n = write(fd, line.data, line.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		left -= (size_t)n;
	}
	sink->torn = left > 0;
	return left == 0;
}

bool
sink_write(struct sink *sink, int level, struct span line)
{
	if (sink->target == LOG_TO_SYSLOG) {
		write_syslog(level, line);
		return true;
	}
	bool to_file = sink->target == LOG_TO_FILE && sink->fd >= 0;
	if (write_fd(sink, to_file ? sink->fd : STDERR_FILENO, line))
		return true;
	sink->dropped++;
	return false;
}
