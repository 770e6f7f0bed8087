/* SPDX-License-Identifier: ISC */
/* needs: backends/pool.c proxy/base/addr.c proxy/base/parse.c */
/* needs: proxy/base/span.c proxy/base/ensure.c */
/* libs: pthread */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/pool.h"
#include "backends/load.h"

static struct backends_area *
new_area(uint32_t n)
{
	struct backends_area *area = calloc(1, backends_area_size(n));
	assert_non_null(area);
	backends_area_init(area, n);
	return area;
}

static void
test_reads_what_was_written(void **state)
{
	(void)state;
	struct backends_area *area = new_area(3);
	struct backend backend = {.name = "a",
	    .pool = "mail",
	    .generation = 7,
	    .state = BACKEND_UP,
	    .endpoint = {.path = "/run/imap"},
	    .capabilities = "IMAP4rev1"};
	struct backend copy;

	assert_false(backends_area_read(area, 1, &copy));
	backends_area_write(area, 1, &backend);
	assert_true(backends_area_read(area, 1, &copy));
	assert_memory_equal(&backend, &copy, sizeof(copy));
	assert_int_equal(1, area->change);
	assert_false(backends_area_read(area, 0, &copy));
	assert_false(backends_area_read(area, 3, &copy));

	backend.state = BACKEND_UNUSED;
	backends_area_write(area, 1, &backend);
	assert_false(backends_area_read(area, 1, &copy));
	backends_area_peek(area, 1, &copy);
	assert_int_equal(7, copy.generation);
	assert_int_equal(2, area->change);
	free(area);
}

/* A writer that pauses or dies half way leaves what it wrote last. */
static void
test_half_written_entry(void **state)
{
	(void)state;
	struct backends_area *area = new_area(1);
	struct backend backend = {.generation = 3, .state = BACKEND_UP};
	struct backend copy;

	for (int i = 0; i < 4; i++) {
		backends_area_write(area, 0, &backend);
		uint32_t seq = area->entries[0].seq;
		memset(&area->entries[0].copies[(seq + 1) & 1], 'x',
		    sizeof(copy) / 2);
		assert_true(backends_area_read(area, 0, &copy));
		assert_memory_equal(&backend, &copy, sizeof(copy));
		backends_area_peek(area, 0, &copy);
		assert_memory_equal(&backend, &copy, sizeof(copy));
		backend.generation++;
	}
	free(area);
}

static void
test_reader_trusts_no_writer(void **state)
{
	(void)state;
	struct backends_area *area = new_area(1);
	struct backend backend, copy;

	memset(&backend, 'x', sizeof(backend));
	backends_area_write(area, 0, &backend);
	assert_true(backends_area_read(area, 0, &copy));
	assert_int_equal(BACKEND_NAME_MAX - 1, strlen(copy.name));
	assert_int_equal(BACKEND_NAME_MAX - 1, strlen(copy.pool));
	assert_int_equal(107, strlen(copy.endpoint.path));
	assert_int_equal(
	    BACKEND_CAPABILITIES_MAX - 1, strlen(copy.capabilities));
	assert_int_equal(BACKEND_SOURCES_MAX, copy.n_sources);
	free(area);
}

struct race {
	struct backends_area *area;
	_Atomic bool is_over;
	uint64_t n_read;
	uint64_t n_torn;
};

/* Every field that the writer sets says the same number. */
static bool
is_consistent(const struct backend *backend)
{
	char text[32];
	snprintf(text, sizeof(text), "c%u", backend->generation);
	return backend->weight == backend->generation &&
	       backend->since_ms == backend->generation &&
	       strcmp(backend->capabilities, text) == 0;
}

static void *
read_on(void *arg)
{
	struct race *race = arg;
	struct backend copy;

	while (!atomic_load(&race->is_over)) {
		if (!backends_area_read(race->area, 0, &copy))
			continue;
		race->n_read++;
		race->n_torn += !is_consistent(&copy);
	}
	return NULL;
}

static void
test_readers_see_whole_entries(void **state)
{
	(void)state;
	struct race races[2] = {{.area = new_area(1)}};
	struct backend backend = {.state = BACKEND_UP};
	pthread_t threads[2];

	races[1].area = races[0].area;
	for (int i = 0; i < 2; i++)
		assert_int_equal(
		    0, pthread_create(&threads[i], NULL, read_on, &races[i]));
	for (uint32_t n = 1; n <= 100000; n++) {
		backend.generation = backend.weight = n;
		backend.since_ms = n;
		snprintf(backend.capabilities, sizeof(backend.capabilities),
		    "c%u", n);
		backends_area_write(races[0].area, 0, &backend);
	}
	for (int i = 0; i < 2; i++) {
		atomic_store(&races[i].is_over, true);
		pthread_join(threads[i], NULL);
		assert_int_equal(0, races[i].n_torn);
	}
	assert_int_equal(100000, races[0].area->change);
	free(races[0].area);
}

static void
test_active_sums_all_slots(void **state)
{
	(void)state;
	struct load_area *loads[3] = {
	    calloc(1, load_area_size(2)), NULL, calloc(1, load_area_size(2))};

	load_area_init(loads[0], 2);
	load_area_init(loads[2], 2);
	assert_int_equal(0, backend_active(loads, 3, 1));
	loads[0]->active[1] = 5;
	loads[2]->active[1] = 6;
	assert_int_equal(11, backend_active(loads, 3, 1));
	assert_int_equal(0, backend_active(loads, 3, 0));
	assert_int_equal(0, backend_active(loads, 3, 2));
	loads[2]->active[1] = UINT32_MAX;
	assert_int_equal(UINT32_MAX, backend_active(loads, 3, 1));
	free(loads[0]);
	free(loads[2]);
}

static void
test_endpoint_text(void **state)
{
	(void)state;
	char text[ENDPOINT_TEXT_MAX];
	struct endpoint endpoint = {.path = ""};

	assert_true(addr_parse(span_str("127.0.0.1:143"), &endpoint.addr));
	assert_string_equal("127.0.0.1:143", endpoint_text(&endpoint, text));
	assert_true(addr_parse(span_str("[::1]:143"), &endpoint.addr));
	assert_string_equal("[::1]:143", endpoint_text(&endpoint, text));
	memset(endpoint.path, 'p', 107);
	assert_int_equal(112, strlen(endpoint_text(&endpoint, text)));
	assert_memory_equal("unix:pp", text, 7);
}

static void
test_why_is_kept_and_cut(void **state)
{
	(void)state;
	char long_text[200];
	struct backend backend = {.why = ""}, same;

	assert_true(backend_set_why(&backend, "connect", "connection refused"));
	/* What it says may change each time: that alone is no news. */
	assert_false(backend_set_why(&backend, "connect", "something else"));
	assert_string_equal("connection refused", backend.text);
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	assert_true(backend_set_why(&backend, long_text, long_text));
	assert_false(backend_set_why(&backend, long_text, long_text));
	assert_int_equal(BACKEND_WHY_MAX - 1, strlen(backend.why));
	assert_int_equal(BACKEND_TEXT_MAX - 1, strlen(backend.text));
	/* Nothing of what was there before is left behind. */
	assert_true(backend_set_why(&backend, "good", ""));
	same = (struct backend){.why = "good"};
	assert_memory_equal(&same, &backend, sizeof(same));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_reads_what_was_written),
	    cmocka_unit_test(test_half_written_entry),
	    cmocka_unit_test(test_reader_trusts_no_writer),
	    cmocka_unit_test(test_readers_see_whole_entries),
	    cmocka_unit_test(test_active_sums_all_slots),
	    cmocka_unit_test(test_endpoint_text),
	    cmocka_unit_test(test_why_is_kept_and_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
