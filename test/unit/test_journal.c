/* SPDX-License-Identifier: ISC */
/* Which events are in the audit stream, and that it goes where it should. */
/* needs: proxy/observer/journal.c proxy/observer/sink.c */
/* needs: proxy/observer/log.c proxy/observer/json.c proxy/observer/view.c */
/* needs: proxy/ipc/area.c proxy/ipc/event.c proxy/ipc/reason.c */
/* needs: proxy/ipc/slot.c proxy/ipc/tally.c backends/pool.c */
/* needs: backends/health.c proxy/limits/limiter.c proxy/limits/decide.c */
/* needs: proxy/limits/ladder.c proxy/limits/victim.c proxy/base/siphash.c */
/* needs: proxy/base/addr.c proxy/base/span.c proxy/base/parse.c */
/* needs: proxy/base/ensure.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "proxy/observer/journal.h"

static void
take(struct journal *journal, enum event_kind kind, const char *name,
    const char *why)
{
	struct event event;
	event_begin(&event, kind);
	event_str(&event, FIELD_NAME, name);
	event_str(&event, FIELD_WHY, why);
	journal_take(journal, span_of(event.data, event.len));
}

static const struct {
	enum event_kind kind;
	const char *name;
	const char *why;
	bool audited;
} cases[] = {
    {EVENT_LOGIN, "", "", true},
    {EVENT_LOGIN_NEW_PREFIX, "", "", true},
    {EVENT_BAN, "", "", true},
    {EVENT_REFUSED, "", "denied", true},
    {EVENT_CERTIFICATE, "", "", true},
    {EVENT_RELOAD, "", "", true},
    {EVENT_GATEWAY, "", "", true},
    {EVENT_CONTROL, "", "", true},
    {EVENT_SESSION, "", "closed", false},
    {EVENT_SESSION, "", "", false},
    {EVENT_SESSION, "", "not_tls", false},
    {EVENT_SESSION, "", "tls_version", true},
    {EVENT_SESSION, "", "tls_client_certificate", true},
    {EVENT_SUMMARY, "session", "timeout_handshake", false},
    {EVENT_SUMMARY, "session", "tls", true},
    {EVENT_SUMMARY, "login", "failed", true},
    {EVENT_SUMMARY, "refused", "banned", true},
    {EVENT_BACKEND, "", "", false},
    {EVENT_ROLE, "", "", false},
    {EVENT_WARNING, "", "", false},
};

#define N_CASES (sizeof(cases) / sizeof(cases[0]))

static off_t
size_of(int fd)
{
	return lseek(fd, 0, SEEK_END);
}

static void
what_is_audited(void **state)
{
	struct journal journal;
	struct config_gateway gateway = {
	    .log = LOG_TO_FILE, .audit = LOG_TO_FILE, .log_level = LEVEL_INFO};
	int log = memfd_create("log", 0), audit = memfd_create("audit", 0);
	(void)state;
	journal_init(&journal);
	journal_configure(&journal, &gateway);
	sink_set_file(&journal.log, dup(log));
	sink_set_file(&journal.audit, dup(audit));
	for (size_t i = 0; i < N_CASES; i++) {
		off_t logged = size_of(log), audited = size_of(audit);
		take(&journal, cases[i].kind, cases[i].name, cases[i].why);
		assert_int_equal(size_of(audit) > audited, cases[i].audited);
		assert_int_equal(size_of(log) > logged, !cases[i].audited);
	}
	/* Without a place of its own it is in the log. */
	gateway.audit = LOG_TO_STDERR;
	journal_configure(&journal, &gateway);
	for (size_t i = 0; i < N_CASES; i++) {
		off_t logged = size_of(log);
		take(&journal, cases[i].kind, cases[i].name, cases[i].why);
		assert_true(size_of(log) > logged);
	}
	journal_fini(&journal);
	close(log);
	close(audit);
}

/* At any level of the log. */
static void
audit_to_syslog(void **state)
{
	struct journal journal;
	struct config_gateway gateway = {.log = LOG_TO_FILE,
	    .audit = LOG_TO_SYSLOG,
	    .audit_facility = LOG_AUTHPRIV,
	    .log_level = LEVEL_ERROR};
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	char directory[] = "/tmp/test-journal-XXXXXX", text[256] = "";
	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(at.sun_path, sizeof(at.sun_path), "%s/log", directory);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	journal_init(&journal);
	journal.audit.syslog_path = at.sun_path;
	journal_configure(&journal, &gateway);
	take(&journal, EVENT_LOGIN, "", "");
	assert_true(recv(fd, text, sizeof(text) - 1, 0) > 0);
	char start[8];
	snprintf(start, sizeof(start), "<%d>", LOG_AUTHPRIV | LOG_INFO);
	assert_memory_equal(text, start, strlen(start));
	assert_non_null(strstr(text, " event=login"));
	take(&journal, EVENT_SESSION, "", "closed");
	assert_true(recv(fd, text, sizeof(text) - 1, 0) < 0);
	journal_fini(&journal);
	close(fd);
	unlink(at.sun_path);
	rmdir(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_audited),
	    cmocka_unit_test(audit_to_syslog),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
