/* SPDX-License-Identifier: ISC */
/* The commands of the control socket over areas whose writers lie: counts are
 * bounded by the mapping, texts need no end, every line is one flat object. */
/* needs: proxy/observer/command.c proxy/observer/view.c */
/* needs: proxy/observer/json.c proxy/observer/log.c */
/* needs: proxy/master/ctl_json.c */
/* needs: proxy/ipc/area.c proxy/ipc/slot.c proxy/ipc/event.c */
/* needs: backends/pool.c backends/health.c */
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
#include <sys/mman.h>

#include "proxy/ipc/area.h"
#include "proxy/master/ctl_json.h"
#include "proxy/observer/command.h"

#define N_RECORDS  3
#define N_BACKENDS 2

struct world {
	struct area slot;
	struct area load;
	struct area backends;
	struct view view;
};

static int
set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	assert_non_null(world);
	assert_true(
	    area_create("slot", slot_area_size(N_RECORDS), &world->slot));
	assert_true(
	    area_create("load", load_area_size(N_BACKENDS), &world->load));
	assert_true(area_create(
	    "backends", backends_area_size(N_BACKENDS), &world->backends));
	slot_area_clear(world->slot.data, N_RECORDS);
	load_area_init(world->load.data, N_BACKENDS);
	backends_area_init(world->backends.data, N_BACKENDS);
	struct view *view = &world->view;
	assert_true(view_map(&view->slots[1], world->slot.ro_fd, 1));
	assert_true(view_map(&view->loads[1], world->load.ro_fd, 1));
	assert_true(view_map(&view->backends, world->backends.ro_fd, 1));
	*state = world;
	return 0;
}

static void
unmap(const struct mapping *mapping)
{
	munmap((void *)(uintptr_t)mapping->data, mapping->size);
}

static int
tear_down(void **state)
{
	struct world *world = *state;
	unmap(&world->view.slots[1]);
	unmap(&world->view.loads[1]);
	unmap(&world->view.backends);
	area_close(&world->slot);
	area_close(&world->load);
	area_close(&world->backends);
	free(world);
	return 0;
}

/* The reply as a string; the caller frees it. */
static char *
run(const struct world *world, const char *request)
{
	struct reply reply = {0};
	command_run(&world->view, span_str(request), &reply);
	char *text = malloc(reply.len + 1);
	assert_non_null(text);
	memcpy(text, reply.data, reply.len);
	text[reply.len] = '\0';
	free(reply.data);
	return text;
}

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
count_of(const struct world *world, const char *request)
{
	char *text = run(world, request);
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
	slot_record_begin(record);
	record->in_use = 1;
	record->state = SESSION_RELAY;
	record->id = 0xab;
	record->client = (struct addr){
	    .family = ADDR_IPV4, .port = 1000, .ip = {192, 0, 2, 9}};
	record->backend = CONFIG_NONE;
	memcpy(record->user, "al\"ice", 7);
	memcpy(record->tls_version, "TLSv1.3", 8);
	slot_record_end(record);
	slot_add(&record->bytes_out, 5);
	char *text = run(world, " sessions ");
	assert_non_null(strstr(text,
	    "{\"id\":\"00000000000000ab\",\"worker\":1,\"state\":\"relay\","
	    "\"listener\":\"\",\"client\":\"192.0.2.9:1000\","
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
		memset(&area->entries[i].backend, 'x',
		    sizeof(area->entries[i].backend));
		area->entries[i].seq = 2;
	}
	area->n_entries = UINT32_MAX;
	assert_int_equal(view_n_backends(&world->view), N_BACKENDS);
	char *text = run(world, "backends");
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
	    .weight = 3};
	memcpy(backend.endpoint.path, "/run/x", 7);
	backends_area_write(world->backends.data, 1, &backend);
	load->active[1] = 17;
	load->n_entries = UINT32_MAX;
	char *text = run(world, "backends");
	assert_non_null(strstr(text,
	    "{\"name\":\"a\",\"pool\":\"mail\",\"address\":\"unix:/run/x\","
	    "\"state\":\"up\",\"sessions\":17,\"weight\":3,"
	    "\"latency_ms\":2,"));
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
		char *text = run(world, requests[i]);
		assert_memory_equal(text, "{\"error\":\"", 10);
		assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
		free(text);
	}
	struct view none = {0};
	static const char *const commands[] = {"status", "sessions", "backends",
	    "certificates", "listeners", "help"};
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct reply reply = {0};
		command_run(&none, span_str(commands[i]), &reply);
		assert_true(reply.len > 12);
		assert_memory_equal(
		    reply.data + reply.len - 13, "{\"end\":true}\n", 13);
		free(reply.data);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(session_is_shown_as_it_is),
	    TEST(lying_worker_harms_nobody),
	    TEST(lying_monitor_harms_nobody),
	    TEST(backend_shows_its_sessions),
	    TEST(wrong_requests_are_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
