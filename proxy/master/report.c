/* SPDX-License-Identifier: ISC */
/* See report.h. An event that the socket has no room for is lost: the master
 * never waits for a log. */
#include "proxy/master/report.h"

#include <sys/wait.h>

#include "config/config.h"
#include "proxy/master/master.h"

static void
send_event(struct master *master, const struct event *event)
{
	(void)event_send(master->events[0], event);
}

void
report_event(void *arg, const struct event *event)
{
	send_event(arg, event);
}

void
report_text(struct master *master, enum event_kind kind, const char *text)
{
	struct event event;
	event_begin(&event, kind);
	event_str(&event, FIELD_TEXT, text);
	send_event(master, &event);
}

void
report_lines(struct master *master, enum event_kind kind, const char *lines)
{
	struct span line;
	while (problems_next(&lines, &line)) {
		struct event event;
		event_begin(&event, kind);
		event_text(&event, FIELD_TEXT, line);
		send_event(master, &event);
	}
}

void
report_faults(struct master *master, const struct problems *faults)
{
	const char *lines = faults->errors;
	struct span line;
	while (problems_next(&lines, &line)) {
		struct event event;
		event_begin_level(&event, EVENT_CERTIFICATE, LEVEL_ERROR);
		event_str(&event, FIELD_STATE, "refused");
		event_text(&event, FIELD_TEXT, line);
		send_event(master, &event);
	}
	report_lines(master, EVENT_WARNING, faults->warnings);
}

void
report_gateway(struct master *master, const char *state, const char *why)
{
	struct event event;
	event_begin(&event, EVENT_GATEWAY);
	event_str(&event, FIELD_STATE, state);
	if (why != NULL)
		event_str(&event, FIELD_WHY, why);
	event_str(&event, FIELD_VERSION, SALLYPORT_VERSION);
	event_u64(&event, FIELD_PID, (uint64_t)getpid());
	event_u64(&event, FIELD_GENERATION, master->generation);
	send_event(master, &event);
}

static void
begin_role(struct event *event, const struct child *child, int level,
    const char *state)
{
	event_begin_level(event, EVENT_ROLE, level);
	event_str(event, FIELD_ROLE, child_kind_name(child->kind));
	if (child->kind == CHILD_WORKER)
		event_u64(event, FIELD_SLOT, child->slot);
	event_u64(event, FIELD_PID, (uint64_t)child->pid);
	event_str(event, FIELD_STATE, state);
}

void
report_role(struct child *child, const char *state, const char *why)
{
	struct event event;
	begin_role(&event, child, why == NULL ? LEVEL_INFO : LEVEL_WARN, state);
	if (why != NULL)
		event_str(&event, FIELD_WHY, why);
	send_event(child->master, &event);
}

void
report_death(struct child *child, int status)
{
	struct event event;
	bool is_expected = master_is_stopping(child->master) &&
			   WIFEXITED(status) && WEXITSTATUS(status) == 0;
	begin_role(
	    &event, child, is_expected ? LEVEL_INFO : LEVEL_WARN, "ended");
	if (WIFEXITED(status))
		event_u64(&event, FIELD_STATUS, (uint64_t)WEXITSTATUS(status));
	if (WIFSIGNALED(status))
		event_u64(&event, FIELD_SIGNAL, (uint64_t)WTERMSIG(status));
	if (child->why != NULL)
		event_str(&event, FIELD_WHY, child->why);
	send_event(child->master, &event);
}

void
report_reload(struct master *master, const char *verdict, const char *text,
    uint32_t n_errors)
{
	struct event event;
	int level = n_errors > 0 ? LEVEL_ERROR : LEVEL_INFO;
	event_begin_level(&event, EVENT_RELOAD, level);
	event_str(&event, FIELD_VERDICT, verdict);
	event_u64(&event, FIELD_GENERATION, master->generation);
	if (n_errors > 0)
		event_u64(&event, FIELD_COUNT, n_errors);
	event_str(&event, FIELD_TEXT, text);
	send_event(master, &event);
}
