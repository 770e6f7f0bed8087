/* SPDX-License-Identifier: ISC */
/* Lines of the log: one event, one line, nothing a terminal or a parser could
 * take for something else; and what happens when the disk is full. */
/* needs: proxy/observer/log.c proxy/observer/json.c proxy/observer/sink.c */
/* needs: proxy/ipc/event.c */
/* needs: proxy/base/addr.c proxy/base/span.c proxy/base/parse.c */
/* needs: proxy/base/ensure.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/ipc/event.h"
#include "proxy/observer/log.h"
#include "proxy/observer/sink.h"

static char line[LOG_LINE_MAX + 1];

static const char *
format(const struct event *event, enum config_log_format form)
{
	struct outbuf out;
	outbuf_init(&out, line, LOG_LINE_MAX);
	struct span message = span_of(event->data, event->len);
	assert_true(log_format(message, form, &out));
	line[out.len] = '\0';
	return line;
}

/* With a fixed time, so that whole lines can be compared. */
static void
begin(struct event *event, enum event_kind kind)
{
	event_begin(event, kind);
	uint64_t us = UINT64_C(1795168800123456);
	memcpy(event->data + offsetof(struct event_head, realtime_us), &us,
	    sizeof(us));
}

#define LOGFMT_HEAD "ts=2026-11-20T10:00:00.123456Z level=info event=session"
#define JSON_HEAD                                                     \
	"{\"ts\":\"2026-11-20T10:00:00.123456Z\",\"level\":\"info\"," \
	"\"event\":\"session\""

static void
put_session(struct event *event)
{
	struct addr peer = {
	    .family = ADDR_IPV4, .port = 40000, .ip = {192, 0, 2, 1}};
	begin(event, EVENT_SESSION);
	event_u64(event, FIELD_ID, 0xabcdef);
	event_addr(event, FIELD_PEER, &peer);
	event_bool(event, FIELD_RESUMED, false);
	event_str(event, FIELD_USER, "alice@example.org");
	event_u64(event, FIELD_BYTES_IN, UINT64_MAX);
}

static void
logfmt_line(void **state)
{
	(void)state;
	struct event event;
	put_session(&event);
	assert_string_equal(format(&event, LOG_AS_LOGFMT),
	    LOGFMT_HEAD " id=0000000000abcdef peer=192.0.2.1:40000 "
			"resumed=false user=alice@example.org "
			"in=18446744073709551615\n");
}

static void
json_line(void **state)
{
	(void)state;
	struct event event;
	put_session(&event);
	assert_string_equal(format(&event, LOG_AS_JSON),
	    JSON_HEAD ",\"id\":\"0000000000abcdef\","
		      "\"peer\":\"192.0.2.1:40000\",\"resumed\":false,"
		      "\"user\":\"alice@example.org\","
		      "\"in\":18446744073709551615}\n");
}

struct escape {
	const char *octets;
	size_t len;
	const char *logfmt;
	const char *json;
};

static const struct escape escapes[] = {
    {"plain-._:/@+[]", 14, "plain-._:/@+[]", "\"plain-._:/@+[]\""},
    {"a b", 3, "\"a b\"", "\"a b\""},
    {"a=b", 3, "\"a=b\"", "\"a=b\""},
    {"\"", 1, "\"\\\"\"", "\"\\\"\""},
    {"\\", 1, "\"\\\\\"", "\"\\\\\""},
    {"\r\n\t", 3, "\"\\r\\n\\t\"", "\"\\u000d\\u000a\\u0009\""},
    {"\0", 1, "\"\\x00\"", "\"\\u0000\""},
    {"\x1b[31m", 5, "\"\\x1b[31m\"", "\"\\u001b[31m\""},
    {"\x7f", 1, "\"\\x7f\"", "\"\\u007f\""},
    {"\xe2\x80\xae", 3, "\"\\xe2\\x80\\xae\"", "\"\\u00e2\\u0080\\u00ae\""},
    {"x user=root", 11, "\"x user=root\"", "\"x user=root\""},
};

static void
hostile_text_is_escaped(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		const struct escape *escape = &escapes[i];
		struct event event;
		char expected[256];
		begin(&event, EVENT_SESSION);
		event_text(
		    &event, FIELD_USER, span_of(escape->octets, escape->len));
		snprintf(expected, sizeof(expected), "%s user=%s\n",
		    LOGFMT_HEAD, escape->logfmt);
		assert_string_equal(format(&event, LOG_AS_LOGFMT), expected);
		snprintf(expected, sizeof(expected), "%s,\"user\":%s}\n",
		    JSON_HEAD, escape->json);
		assert_string_equal(format(&event, LOG_AS_JSON), expected);
	}
}

static void
cut_text_is_marked(void **state)
{
	(void)state;
	struct event event;
	uint8_t text[65536];
	memset(text, '\n', sizeof(text));
	begin(&event, EVENT_SESSION);
	event_text(&event, FIELD_SNI, span_of(text, sizeof(text)));
	event_str(&event, FIELD_USER, "a");
	assert_non_null(strstr(format(&event, LOG_AS_LOGFMT),
	    "\\n\" sni_truncated=true user=a\n"));
	assert_non_null(strstr(format(&event, LOG_AS_JSON),
	    "\",\"sni_truncated\":true,\"user\":\"a\"}\n"));
}

static void
longest_event_fits(void **state)
{
	(void)state;
	struct event event;
	uint8_t text[600];
	memset(text, 0xff, sizeof(text));
	begin(&event, EVENT_SESSION);
	for (int i = 0; i < EVENT_FIELD_MAX; i++)
		event_text(&event, (enum event_field)i,
		    span_of(text, i < 7 ? sizeof(text) : 12));
	assert_true(event.len > EVENT_MAX - 20);
	size_t len = strlen(format(&event, LOG_AS_JSON));
	assert_true(len > 20000 && len < LOG_LINE_MAX);
}

static void
malformed_and_doubled_are_refused(void **state)
{
	(void)state;
	struct event event;
	struct outbuf out;
	outbuf_init(&out, line, LOG_LINE_MAX);
	begin(&event, EVENT_LOGIN);
	event_str(&event, FIELD_USER, "a");
	assert_false(
	    log_format(span_of(event.data, event.len - 1u), LOG_AS_JSON, &out));
	event_str(&event, FIELD_USER, "b");
	outbuf_init(&out, line, LOG_LINE_MAX);
	assert_false(
	    log_format(span_of(event.data, event.len), LOG_AS_JSON, &out));
}

static void
any_time_gives_a_line(void **state)
{
	(void)state;
	struct event event;
	begin(&event, EVENT_LOGIN);
	memset(event.data + offsetof(struct event_head, realtime_us), 0xff, 8);
	assert_memory_equal(
	    format(&event, LOG_AS_LOGFMT), "ts=9999-12-31T23:59:59.", 23);
}

static size_t
read_back(int fd, char *buf, size_t size)
{
	ssize_t n = pread(fd, buf, size - 1, 0);
	assert_true(n >= 0);
	buf[n] = '\0';
	return (size_t)n;
}

/* RLIMIT_FSIZE stands for a full disk: the first write is cut, the next one
 * fails, and then there is room again. */
static void
full_disk_drops_and_counts_and_never_glues(void **state)
{
	(void)state;
	char buf[256];
	int fd = memfd_create("log", MFD_CLOEXEC);
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	struct sink sink;
	sink_init(&sink);
	sink_configure(&sink, LOG_TO_FILE, 0);
	sink_set_file(&sink, open(path, O_WRONLY | O_APPEND | O_CLOEXEC));
	signal(SIGXFSZ, SIG_IGN);
	struct rlimit saved, small;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &saved), 0);
	small = saved;
	small.rlim_cur = 12;

	assert_true(sink_write(&sink, LEVEL_INFO, span_str("one two\n")));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_false(sink_write(&sink, LEVEL_INFO, span_str("three four\n")));
	assert_false(sink_write(&sink, LEVEL_INFO, span_str("five\n")));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &saved), 0);
	assert_int_equal(sink.dropped, 2);
	assert_true(sink_write(&sink, LEVEL_INFO, span_str("six\n")));
	assert_true(sink_write(&sink, LEVEL_INFO, span_str("seven\n")));
	read_back(fd, buf, sizeof(buf));
	assert_string_equal(buf, "one two\nthre\nsix\nseven\n");
	sink_fini(&sink);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(logfmt_line),
	    cmocka_unit_test(json_line),
	    cmocka_unit_test(hostile_text_is_escaped),
	    cmocka_unit_test(cut_text_is_marked),
	    cmocka_unit_test(longest_event_fits),
	    cmocka_unit_test(malformed_and_doubled_are_refused),
	    cmocka_unit_test(any_time_gives_a_line),
	    cmocka_unit_test(full_disk_drops_and_counts_and_never_glues),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
