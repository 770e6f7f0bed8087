/* SPDX-License-Identifier: ISC */
/* See notify.h. Only the master calls it. */
#include "proxy/master/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/parse.h"
#include "proxy/ipc/clock.h"

/* An absolute path, or "@name" in the abstract name space. */
static bool
take_address(struct notify *notify, const char *path)
{
	size_t len = strlen(path);
	if (len < 2 || len >= sizeof(notify->to.sun_path) ||
	    (path[0] != '/' && path[0] != '@'))
		return false;
	notify->to.sun_family = AF_UNIX;
	memcpy(notify->to.sun_path, path, len);
	if (path[0] == '@')
		notify->to.sun_path[0] = '\0';
	notify->to_len =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	return true;
}

static bool
read_number(const char *name, uint64_t *out)
{
	const char *text = getenv(name);
	return text != NULL && parse_u64(span_str(text), 1, UINT64_MAX, out);
}

static uint64_t
watchdog_interval(void)
{
	uint64_t microseconds, pid;
	if (!read_number("WATCHDOG_USEC", &microseconds))
		return 0;
	if (read_number("WATCHDOG_PID", &pid) && pid != (uint64_t)getpid())
		return 0;
	uint64_t half_ms = microseconds / 1000 / 2;
	return half_ms == 0 ? 1 : half_ms;
}

void
notify_init(struct notify *notify)
{
	*notify = (struct notify){.fd = -1};
	const char *path = getenv("NOTIFY_SOCKET");
	if (path != NULL && take_address(notify, path))
		notify->fd = socket(
		    AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (notify->fd >= 0)
		notify->watchdog_ms = watchdog_interval();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void
notify_fini(struct notify *notify)
{
	if (notify->fd >= 0)
		close(notify->fd);
	notify->fd = -1;
}

void
notify_send(struct notify *notify, const char *format, ...)
{
	char text[1024];
	va_list args;
	if (notify->fd < 0)
		return;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n <= 0 || (size_t)n >= sizeof(text))
		return;
	/* A supervisor that does not listen is not worth a wait. */
	(void)sendto(notify->fd, text, (size_t)n, MSG_NOSIGNAL,
	    (const struct sockaddr *)&notify->to, notify->to_len);
}

void
notify_reloading(struct notify *notify)
{
	notify_send(notify,
	    "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reloading",
	    clock_us());
}

void
notify_stopping(struct notify *notify, uint64_t at_most_ms)
{
	notify_send(notify,
	    "STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=%" PRIu64,
	    at_most_ms * 1000);
}

uint64_t
notify_step(struct notify *notify, uint64_t now_ms)
{
	if (notify->fd < 0 || notify->watchdog_ms == 0)
		return UINT64_MAX;
	if (now_ms >= notify->next_ms) {
		notify_send(notify, "WATCHDOG=1");
		notify->next_ms = now_ms + notify->watchdog_ms;
	}
	return notify->next_ms;
}
