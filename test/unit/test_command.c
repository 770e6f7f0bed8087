/* SPDX-License-Identifier: ISC */
/* The commands of the control socket over areas whose writers lie: counts are
 * bounded by the mapping, texts need no end, every line is one flat object. */
/* needs: test/support/observer_world.c proxy/observer/command.c */
/* needs: proxy/observer/command_view.c proxy/observer/command_sessions.c */
/* needs: proxy/observer/command_client.c proxy/observer/command_change.c */
/* needs: proxy/observer/journal.c proxy/observer/sink.c */
/* needs: proxy/observer/view.c proxy/observer/reply.c proxy/observer/ledger.c
 */
/* needs: proxy/observer/dryrun.c */
/* needs: proxy/observer/trace.c proxy/observer/alarm.c proxy/observer/plot.c */
/* needs: proxy/observer/history.c proxy/limits/admission.c */
/* needs: proxy/observer/command_limits.c */
/* needs: proxy/limits/networks.c proxy/limits/limiter.c */
/* needs: proxy/limits/victim.c */
/* needs: proxy/limits/decide.c proxy/limits/ladder.c */
/* needs: proxy/limits/logins.c proxy/base/siphash.c */
/* needs: proxy/observer/json.c proxy/observer/log.c */
/* needs: proxy/ipc/area.c proxy/ipc/slot.c proxy/ipc/tally.c */
/* needs: proxy/ipc/event.c backends/pool.c backends/health.c */
/* needs: proxy/base/addr.c proxy/base/ensure.c proxy/base/parse.c */
/* needs: proxy/base/span.c */
/* needs: proxy/master/ctl_json.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/ipc/event.h"
#include "proxy/ipc/request.h"
#include "proxy/master/ctl_json.h"
#include "test/support/observer_world.h"

/* Every line must be what ctl reads; returns how many came before the end. */
static unsigned int
count_lines(char *text)
{
	unsigned int n = 0;
	char *line = text;
	for (;;) {
		char *end = strchr(line, '\n');
		assert_non_null(end);
		*end = '\0';
		struct ctl_member members[CTL_MEMBERS_MAX];
		size_t n_members;
		assert_true(ctl_json_parse(line, members, &n_members));
		line = end + 1;
		if (strcmp(members[0].key, "end") == 0)
			break;
		n++;
	}
	assert_string_equal(line, "");
	return n;
}

static unsigned int
count_of(struct world *world, const char *request)
{
	char *text = world_run(world, request);
	unsigned int n = count_lines(text);
	free(text);
	return n;
}

static void
session_is_shown_as_it_is(void **state)
{
	struct world *world = *state;
	struct slot_area *area = world->slot.data;
	struct slot_record *record = &area->records[2];
	assert_int_equal(count_of(world, "sessions"), 0);
	world_session(world, 2, "al\"ice", "TLSv1.3");
	record->id = 0xab;
	slot_add(&record->bytes_out, 5);
	char *text = world_run(world, " sessions ");
	assert_non_null(strstr(text,
	    "{\"id\":\"00000000000000ab\",\"worker\":1,\"state\":\"relay\","
	    "\"listener\":\"\",\"peer\":\"192.0.2.9:1000\","
	    "\"user\":\"al\\\"ice\",\"backend\":\"\",\"tls\":\"TLSv1.3\","
	    "\"cipher\":\"\",\"in\":0,\"out\":5,\"age_s\":"));
	assert_int_equal(count_lines(text), 1);
	free(text);
}

static void
lying_worker_harms_nobody(void **state)
{
	struct world *world = *state;
	struct slot_area *area = world->slot.data;
	memset(area->records, 0xfe, N_RECORDS * sizeof(area->records[0]));
	area->n_records = UINT32_MAX;
	area->connections = UINT64_MAX;
	assert_int_equal(view_n_records(&world->view, 1), N_RECORDS);
	assert_int_equal(count_of(world, "sessions"), N_RECORDS);
	memset(world->slot.data, 0xff, world->slot.size);
	assert_int_equal(count_of(world, "sessions"), 0);
	assert_true(count_of(world, "status") > 25);
}

static void
lying_monitor_harms_nobody(void **state)
{
	struct world *world = *state;
	struct backends_area *area = world->backends.data;
	for (uint32_t i = 0; i < N_BACKENDS; i++) {
		memset(&area->entries[i].copies, 'x',
		    sizeof(area->entries[i].copies));
	}
	area->n_entries = UINT32_MAX;
	assert_int_equal(view_n_backends(&world->view), N_BACKENDS);
	char *text = world_run(world, "backends");
	assert_non_null(strstr(text, "\"state\":\"unknown\""));
	assert_int_equal(count_lines(text), N_BACKENDS);
	free(text);
	memset(world->backends.data, 0xff, world->backends.size);
	(void)count_of(world, "backends");
}

static void
backend_shows_its_sessions(void **state)
{
	struct world *world = *state;
	struct load_area *load = world->load.data;
	struct backend backend = {.name = "a",
	    .pool = "mail",
	    .generation = 4,
	    .state = BACKEND_UP,
	    .latency_us = 2500,
	    .weight = 3,
	    .why = "bye",
	    .text = "too \"busy\""};
	memcpy(backend.endpoint.path, "/run/x", 7);
	backends_area_write(world->backends.data, 1, &backend);
	load->active[1] = 17;
	load->n_entries = UINT32_MAX;
	char *text = world_run(world, "backends");
	assert_non_null(strstr(text,
	    "{\"name\":\"a\",\"pool\":\"mail\",\"address\":\"unix:/run/x\","
	    "\"state\":\"up\",\"sessions\":17,\"weight\":3,"
	    "\"latency_ms\":2,"));
	assert_non_null(
	    strstr(text, ",\"why\":\"bye\",\"text\":\"too \\\"busy\\\"\"}"));
	free(text);
	assert_int_equal(view_backend_sessions(&world->view, UINT32_MAX), 0);

	struct slot_record record = {.backend = 1, .backend_generation = 4};
	char name[BACKEND_NAME_MAX];
	view_backend_name(&world->view, &record, name);
	assert_string_equal(name, "a");
	record.backend_generation = 5;
	view_backend_name(&world->view, &record, name);
	assert_string_equal(name, "");
	record.backend = UINT32_MAX;
	view_backend_name(&world->view, &record, name);
	assert_string_equal(name, "");
}

static void
wrong_requests_are_errors(void **state)
{
	struct world *world = *state;
	static const char *const requests[] = {
	    "", "  ", "nope", "status x", "sessions,", "STATUS", ","};
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		char *text = world_run(world, requests[i]);
		assert_memory_equal(text, "{\"error\":\"", 10);
		assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
		free(text);
	}
}

static void
nothing_received_is_no_fault(void **state)
{
	struct world *world = *state;
	static const char *const commands[] = {"status", "sessions", "backends",
	    "certificates", "listeners", "help", "top", "tls-report",
	    "why 192.0.2.1"};
	struct view none = {.ledger = world->view.ledger,
	    .history = world->view.history,
	    .trace = world->view.trace};
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct reply reply = {0};
		struct command command = {.view = &none};
		assert_int_equal(
		    command_run(&command, span_str(commands[i]), &reply),
		    COMMAND_DONE);
		assert_true(reply.len > 12);
		assert_memory_equal(
		    reply.data + reply.len - 13, "{\"end\":true}\n", 13);
		free(reply.data);
	}
}

static void
filters_choose(void **state)
{
	struct world *world = *state;
	for (uint32_t i = 0; i < 30; i++)
		world_session(world, i, i % 3 == 0 ? "anna" : NULL, "TLSv1.3");
	assert_int_equal(count_of(world, "sessions"), 30);
	assert_int_equal(count_of(world, "sessions user=anna"), 10);
	assert_int_equal(count_of(world, "sessions ann"), 10);
	assert_int_equal(count_of(world, "sessions user=ann"), 0);
	assert_int_equal(count_of(world, "sessions user="), 20);
	assert_int_equal(count_of(world, "sessions state=preauth"), 20);
	assert_int_equal(
	    count_of(world, "sessions anna tls=TLSv1.3 192.0.2."), 10);
	assert_int_equal(count_of(world, "sessions anna state=preauth"), 0);
	assert_int_equal(count_of(world, "sessions id=0000000000000001"), 1);
	char *text = world_run(world, "sessions colour=red");
	assert_memory_equal(text, "{\"error\"", 8);
	free(text);
}

static void
top_adds_up(void **state)
{
	struct world *world = *state;
	struct slot_area *area = world->slot.data;
	for (uint32_t i = 0; i < 30; i++) {
		world_session(world, i, i % 3 == 0 ? "anna" : "ben", "TLSv1.3");
		slot_add(&area->records[i].bytes_in, i % 3 == 0 ? 100 : 1);
	}
	char *text = world_run(world, "top user");
	assert_string_equal(text,
	    "{\"user\":\"anna\",\"sessions\":10,\"in\":1000,\"out\":0}\n"
	    "{\"user\":\"ben\",\"sessions\":20,\"in\":20,\"out\":0}\n"
	    "{\"end\":true}\n");
	free(text);
	assert_int_equal(count_of(world, "top address"), 1);
	text = world_run(world, "top state");
	assert_memory_equal(text, "{\"error\"", 8);
	free(text);
}

/* More than one message holds: every session once, in whole messages. */
static void
kick_names_every_session(void **state)
{
	struct world *world = *state;
	uint32_t n = 0;
	for (uint32_t i = 0; i < N_RECORDS; i++) {
		world_session(world, i, i % 2 == 0 ? "anna" : "ben", "TLSv1.3");
		n += i % 2 == 0;
	}
	char *text = world_run(world, "kick user anna");
	assert_string_equal(text, "{\"sessions\":300}\n{\"end\":true}\n");
	free(text);
	assert_int_equal(n, 300);
	assert_int_equal(world->n_ids, 300);
	assert_int_equal(
	    world->n_sent, (300 + REQUEST_IDS_MAX - 1) / REQUEST_IDS_MAX);
	assert_int_equal(world->sent.slot, 1);
	for (uint32_t i = 0; i < 300; i++)
		assert_int_equal(world->ids[i], 2 * i + 1);
	text = world_run(world, "kick tls TLSv1.3");
	assert_memory_equal(text, "{\"error\"", 8);
	free(text);
	text = world_run(world, "kick user nobody");
	assert_string_equal(text, "{\"sessions\":0}\n{\"end\":true}\n");
	free(text);
	assert_int_equal(world->n_ids, 300);
}

static void
reload_waits_for_the_master(void **state)
{
	struct world *world = *state;
	char *text = world_run(world, "reload");
	assert_string_equal(text, "");
	free(text);
	assert_int_equal(world->sent.type, MESSAGE_REQUEST);
	assert_int_equal(world->sent.arg, 7);
	struct request_head head;
	memcpy(&head, world->sent.body, sizeof(head));
	assert_int_equal(head.kind, REQUEST_RELOAD);
	assert_int_equal(head.uid, 5);

	struct reply reply = {0};
	struct message line = {.slot = REPLY_LINE, .len = 3, .body = "a\"b"};
	struct message end = {.slot = REPLY_FAILED, .len = 2, .body = "no"};
	assert_false(command_go_on(&line, &reply));
	assert_true(command_go_on(&end, &reply));
	static const char expected[] = "{\"message\":\"a\\\"b\"}\n"
				       "{\"error\":\"no\"}\n";
	assert_int_equal(reply.len, strlen(expected));
	assert_memory_equal(reply.data, expected, reply.len);
	free(reply.data);
}

static void
take_refusal(struct trace *trace, uint8_t last, uint32_t n)
{
	struct addr peer = {.family = ADDR_IPV4, .ip = {198, 51, 100, last}};
	for (uint32_t i = 0; i < n; i++) {
		struct event event;
		char why[24];
		snprintf(why, sizeof(why), "rule%u", i);
		event_begin(&event, EVENT_REFUSED);
		event_addr(&event, FIELD_PEER, &peer);
		event_str(&event, FIELD_WHY, why);
		trace_take(trace, span_of(event.data, event.len));
	}
}

static void
why_tells_the_last_events(void **state)
{
	struct world *world = *state;
	take_refusal(world->view.trace, 1, 25);
	take_refusal(world->view.trace, 2, 3);
	assert_int_equal(count_of(world, "why 198.51.100.1"), TRACE_EVENTS);
	assert_int_equal(count_of(world, "why 198.51.100.2"), 3);
	assert_int_equal(count_of(world, "why 198.51.100.3"), 0);
	char *text = world_run(world, "why ::ffff:198.51.100.1");
	assert_non_null(strstr(text, "\"why\":\"rule24\""));
	assert_null(strstr(text, "\"why\":\"rule14\""));
	free(text);
	text = world_run(world, "why not.an.address");
	assert_memory_equal(text, "{\"error\"", 8);
	free(text);
}

static void
take_session(struct world *world, const char *user, const char *state,
    const char *tls, const char *observed)
{
	struct event event;
	struct addr peer = {.family = ADDR_IPV4, .ip = {198, 51, 100, 1}};
	event_begin(&event, EVENT_SESSION);
	event_addr(&event, FIELD_PEER, &peer);
	event_str(&event, FIELD_USER, user);
	event_str(&event, FIELD_TLS, tls);
	event_str(&event, FIELD_OBSERVED, observed);
	event_str(&event, FIELD_STATE, state);
	trace_take(world->view.trace, span_of(event.data, event.len));
}

/* Nothing is observed: whoever is older than TLS 1.3 and did log in. */
static void
tls_report_names_users(void **state)
{
	struct world *world = *state;
	world_session(world, 0, "old", "TLSv1.2");
	world_session(world, 1, "new", "TLSv1.3");
	take_session(world, "gone", "relay", "TLSv1.2", "");
	take_session(world, "guessed", "preauth", "TLSv1.2", "");
	take_session(world, "modern", "relay", "TLSv1.3", "");
	char *text = world_run(world, "tls-report");
	assert_non_null(strstr(text, "\"user\":\"old\""));
	assert_non_null(strstr(text, "\"user\":\"gone\""));
	assert_null(strstr(text, "\"user\":\"new\""));
	assert_null(strstr(text, "\"user\":\"guessed\""));
	assert_null(strstr(text, "\"user\":\"modern\""));
	assert_non_null(strstr(text, "\"clients_now\":2,\"cut_off_now\":1}"));
	free(text);
}

/* With a dry run its word counts, and nothing else. */
static void
tls_report_follows_the_dry_run(void **state)
{
	struct world *world = *state;
	struct {
		struct config config;
		struct config_tls tls;
	} image = {.config.tls = {offsetof(__typeof__(image), tls), 1},
	    .tls.observe_min_version = 0x0303};
	world->view.config = &image.config;
	world_session(world, 0, "old", "TLSv1.2");
	world_session(world, 1, "odd", "TLSv1.2");
	((struct slot_area *)world->slot.data)->records[1].observed = 2;
	take_session(world, "fine", "relay", "TLSv1.2", "");
	take_session(world, "gone", "relay", "TLSv1.2", "version,cipher");
	char *text = world_run(world, "tls-report");
	assert_null(strstr(text, "\"user\":\"old\""));
	assert_null(strstr(text, "\"user\":\"fine\""));
	assert_non_null(strstr(text, "\"user\":\"odd\""));
	assert_non_null(strstr(text, "\"cut_off_by\":\"cipher\""));
	assert_non_null(strstr(text, "\"user\":\"gone\""));
	assert_non_null(strstr(text, "\"cut_off_by\":\"version,cipher\""));
	assert_non_null(strstr(text, "\"observe_min_version\":\"1.2\""));
	free(text);
}

int
main(void)
{
#define TEST(f) \
	cmocka_unit_test_setup_teardown(f, world_set_up, world_tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(session_is_shown_as_it_is),
	    TEST(lying_worker_harms_nobody),
	    TEST(lying_monitor_harms_nobody),
	    TEST(backend_shows_its_sessions),
	    TEST(wrong_requests_are_errors),
	    TEST(nothing_received_is_no_fault),
	    TEST(filters_choose),
	    TEST(top_adds_up),
	    TEST(kick_names_every_session),
	    TEST(reload_waits_for_the_master),
	    TEST(why_tells_the_last_events),
	    TEST(tls_report_names_users),
	    TEST(tls_report_follows_the_dry_run),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
