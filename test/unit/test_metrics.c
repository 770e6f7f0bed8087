/* SPDX-License-Identifier: ISC */
/* The metrics as Prometheus reads them, the page as a browser does, over areas
 * that lie as well as over true ones. */
/* needs: proxy/observer/metrics.c proxy/observer/sheet.c */
/* needs: proxy/observer/page.c proxy/ipc/reason.c */
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
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/observer/metrics.h"
#include "proxy/observer/page.h"
#include "test/support/observer_world.h"

/* The value of the line that starts with this; UINT64_MAX: there is none. */
static uint64_t
value_of(const char *text, const char *line)
{
	char start[256];
	snprintf(start, sizeof(start), "\n%s ", line);
	const char *at = strstr(text, start);
	return at == NULL ? UINT64_MAX : strtoull(at + strlen(start), NULL, 10);
}

static void
every_row_is_described(void **state)
{
	char *text = world_write(*state, metrics_write);
#define X(id, type, labels, help)                         \
	assert_non_null(                                  \
	    strstr(text, "# HELP sallyport_" #id " " help \
			 "\n# TYPE sallyport_" #id " " #type "\n"));
	METRICS(X)
#undef X
	for (const char *c = text; *c != '\0'; c++)
		assert_true(*c == '\n' || (*c >= 0x20 && *c <= 0x7e));
	free(text);
}

static void
counters_are_sums(void **state)
{
	struct world *world = *state;
	struct slot_area *area = world->slot.data;
	slot_add(&area->accepted, 12);
	slot_add(&area->states[SESSION_RELAY], 3);
	tally_handshake(&area->tally, "TLS_AES_128_GCM_SHA256", "X25519");
	tally_handshake(&area->tally, "TLS_NULL_WITH_EVIL{}", "\"");
	tally_login(&area->tally, "failed", "PLAIN");
	tally_login(&area->tally, "failed", "X-ODD");
	char *text = world_write(world, metrics_write);
	assert_int_equal(
	    value_of(text, "sallyport_connections_accepted_total"), 12);
	assert_int_equal(
	    value_of(text, "sallyport_connections{state=\"relay\"}"), 3);
	assert_int_equal(value_of(text, "sallyport_handshake_ciphers_total{"
					"cipher=\"TLS_AES_128_GCM_SHA256\"}"),
	    1);
	assert_int_equal(value_of(text, "sallyport_handshake_ciphers_total{"
					"cipher=\"other\"}"),
	    1);
	assert_int_equal(
	    value_of(text, "sallyport_handshake_groups_total{group=\"other\"}"),
	    1);
	assert_int_equal(
	    value_of(text, "sallyport_logins_total{"
			   "verdict=\"failed\",mechanism=\"PLAIN\"}"),
	    1);
	assert_int_equal(
	    value_of(text, "sallyport_logins_total{"
			   "verdict=\"failed\",mechanism=\"other\"}"),
	    1);
	assert_null(strstr(text, "EVIL"));
	free(text);
}

static void
histograms_are_cumulative(void **state)
{
	struct world *world = *state;
	struct slot_area *area = world->slot.data;
	tally_time_add(&area->tally.login, 0);
	tally_time_add(&area->tally.login, 1000);
	tally_time_add(&area->tally.login, 1001);
	tally_time_add(&area->tally.login, UINT64_C(40000000));
	char *text = world_write(world, metrics_write);
	assert_int_equal(
	    value_of(text, "sallyport_login_seconds_bucket{le=\"0.000100\"}"),
	    1);
	assert_int_equal(
	    value_of(text, "sallyport_login_seconds_bucket{le=\"0.001000\"}"),
	    2);
	assert_int_equal(
	    value_of(text, "sallyport_login_seconds_bucket{le=\"30.000000\"}"),
	    3);
	assert_int_equal(
	    value_of(text, "sallyport_login_seconds_bucket{le=\"+Inf\"}"), 4);
	assert_int_equal(value_of(text, "sallyport_login_seconds_count"), 4);
	assert_non_null(
	    strstr(text, "\nsallyport_login_seconds_sum 40.002001\n"));
	free(text);
}

/* The master clears gauges of a worker that died; what it counted stays. */
static void
counters_survive_their_worker(void **state)
{
	struct world *world = *state;
	struct slot_area *area = world->slot.data;
	slot_add(&area->logins_ok, 5);
	slot_add(&area->states[SESSION_RELAY], 5);
	tally_time_add(&area->tally.key, 10);
	slot_area_clear(area, N_RECORDS);
	char *text = world_write(world, metrics_write);
	assert_int_equal(value_of(text, "sallyport_keeper_seconds_count"), 1);
	assert_int_equal(
	    value_of(text, "sallyport_connections{state=\"relay\"}"), 0);
	free(text);
}

static void
write_page(const struct view *view, struct reply *reply)
{
	page_write(view, "n", reply);
}

static void
lies_are_escaped(void **state)
{
	struct world *world = *state;
	struct backend backend = {
	    .name = "<b>\"&'\n\\", .pool = "p\x1b[0m", .state = 77};
	backends_area_write(world->backends.data, 0, &backend);
	char *text = world_write(world, metrics_write);
	assert_non_null(
	    strstr(text, "backend=\"<b>\\\"&'?\\\\\",pool=\"p?[0m\""));
	free(text);
	text = world_write(world, write_page);
	assert_null(strstr(text, "<b>\"&"));
	assert_non_null(strstr(text, "&#60;b&#62;&#34;&#38;&#39;?\\"));
	free(text);
	memset(world->slot.data, 0xff, world->slot.size);
	memset(world->backends.data, 0xff, world->backends.size);
	free(world_write(world, metrics_write));
	free(world_write(world, write_page));
}

/* No login name, no address of a client, no script, nothing from elsewhere. */
static void
page_tells_nothing_private(void **state)
{
	struct world *world = *state;
	world_session(world, 0, "very-private", "TLSv1.2");
	char *text = world_write(world, write_page);
	assert_null(strstr(text, "very-private"));
	assert_null(strstr(text, "192.0.2.9"));
	assert_null(strstr(text, "<script"));
	assert_null(strstr(text, "http://"));
	assert_null(strstr(text, "https://"));
	assert_null(strstr(text, " style=\""));
	assert_non_null(strstr(text, "<style nonce=\"n\">"));
	assert_non_null(strstr(text, "1 of 1 clients"));
	free(text);
}

static void
history_is_an_hour(void **state)
{
	struct world *world = *state;
	struct slot_area *area = world->slot.data;
	struct history *history = &world->history;
	slot_add(&area->logins_ok, 100); /* before anybody looked */
	history_tick(history, &world->view, 5000);
	assert_int_equal(history->n, 0);
	for (uint64_t i = 1; i <= 500; i++) {
		slot_add(&area->logins_ok, i);
		history_tick(history, &world->view, 5000 + i * 10000 - 1);
		history_tick(history, &world->view, 5000 + i * 10000);
	}
	assert_int_equal(history->n, HISTORY_STEPS);
	for (uint32_t age = 0; age < HISTORY_STEPS; age++)
		assert_int_equal(
		    history_at(history, HISTORY_LOGINS_OK, age), 500 - age);
	/* What is going on is in the sum before its step is over. */
	uint64_t sum = history_sum(history, &world->view, HISTORY_LOGINS_OK);
	slot_add(&area->logins_ok, 3);
	assert_int_equal(
	    history_sum(history, &world->view, HISTORY_LOGINS_OK), sum + 3);
	slot_add(&area->logins_ok, (uint64_t)-3);
	/* A pause of the machine is one step. */
	slot_add(&area->logins_ok, 7);
	history_tick(history, &world->view, UINT64_C(99000000));
	assert_int_equal(history_at(history, HISTORY_LOGINS_OK, 0), 7);
	assert_int_equal(history_at(history, HISTORY_LOGINS_OK, 1), 500);
	free(world_write(world, write_page));
}

static void
losses_and_deaths_are_counted(void **state)
{
	struct world *world = *state;
	struct event event;
	event_begin(&event, EVENT_ROLE);
	event_str(&event, FIELD_ROLE, "worker");
	event_str(&event, FIELD_STATE, "ended");
	ledger_take(&world->ledger, span_of(event.data, event.len));
	event_begin(&event, EVENT_RELOAD);
	event_str(&event, FIELD_VERDICT, "failed");
	ledger_take(&world->ledger, span_of(event.data, event.len));
	event_begin(&event, EVENT_GATEWAY);
	event_str(&event, FIELD_STATE, "stopping");
	ledger_take(&world->ledger, span_of(event.data, event.len));
	char *text = world_write(world, metrics_write);
	assert_int_equal(
	    value_of(text, "sallyport_role_restarts_total{role=\"worker\"}"),
	    1);
	assert_int_equal(
	    value_of(text, "sallyport_reloads_total{verdict=\"failed\"}"), 1);
	assert_int_equal(value_of(text, "sallyport_ready"), 0);
	free(text);
	/* Who ends when everything ends is no loss. */
	event_begin(&event, EVENT_ROLE);
	event_str(&event, FIELD_ROLE, "worker");
	event_str(&event, FIELD_STATE, "ended");
	ledger_take(&world->ledger, span_of(event.data, event.len));
	assert_int_equal(world->ledger.restarts[ROLE_WORKER], 1);
}

static void
take_certificate(struct world *world, int level, const char *name)
{
	struct event event;
	event_begin_level(&event, EVENT_CERTIFICATE, level);
	event_str(&event, FIELD_STATE, name);
	ledger_take(&world->ledger, span_of(event.data, event.len));
}

static void
expiry_is_no_fault(void **state)
{
	struct world *world = *state;
	take_certificate(world, LEVEL_WARN, "expiring");
	take_certificate(world, LEVEL_ERROR, "expired");
	take_certificate(world, LEVEL_WARN, "pin_changed");
	take_certificate(world, LEVEL_INFO, "renewed");
	assert_int_equal(world->ledger.certificate_faults, 0);
	take_certificate(world, LEVEL_ERROR, "refused");
	assert_int_equal(world->ledger.certificate_faults, 1);
}

int
main(void)
{
#define TEST(f) \
	cmocka_unit_test_setup_teardown(f, world_set_up, world_tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(every_row_is_described),
	    TEST(counters_are_sums),
	    TEST(histograms_are_cumulative),
	    TEST(counters_survive_their_worker),
	    TEST(lies_are_escaped),
	    TEST(page_tells_nothing_private),
	    TEST(history_is_an_hour),
	    TEST(losses_and_deaths_are_counted),
	    TEST(expiry_is_no_fault),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
