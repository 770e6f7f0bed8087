/* SPDX-License-Identifier: ISC */
/* A worker dies: all that it wrote is cleared, and nothing else is touched. */
/* needs: proxy/master/areas.c proxy/ipc/area.c proxy/ipc/slot.c */
/* needs: proxy/ipc/tally.c proxy/limits/limiter.c proxy/limits/decide.c */
/* needs: proxy/limits/victim.c proxy/limits/ladder.c proxy/base/siphash.c */
/* needs: proxy/base/addr.c proxy/base/parse.c proxy/base/span.c */
/* needs: proxy/base/ensure.c backends/live.c backends/pool.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>

#include "proxy/master/areas.h"

#define CAPACITY 100000 /* 38 MB of records */

static void
open_areas(struct areas *areas)
{
	static struct config config;
	config.gateway.workers = 1;
	config.gateway.max_backends = 16;
	config.limits.table_entries = 1024;
	assert_true(areas_open(areas, &config, CAPACITY));
}

/* Its end is not written: it may lie in a page that is a hole. */
static void
begin_record(struct areas *areas, uint32_t i)
{
	struct slot_record *record = &areas_slot(areas, 0)->records[i];
	slot_record_begin(record);
	record->in_use = 1;
	record->id = i + 1;
	slot_record_end(record);
}

static void
use_record(struct areas *areas, uint32_t i)
{
	struct slot_record *record = &areas_slot(areas, 0)->records[i];
	begin_record(areas, i);
	memset(record->client_cert, 'x', sizeof(record->client_cert));
}

static uint32_t
count_sessions(const struct areas *areas)
{
	struct areas_walk walk = {0};
	struct slot_record *record, copy;
	uint32_t n = 0;
	while ((record = areas_next_record(areas, 0, &walk)) != NULL)
		n += slot_record_read_left(record, &copy);
	return n;
}

static uint64_t
memory_of(const struct area *area)
{
	struct stat status;
	assert_int_equal(fstat(area->rw_fd, &status), 0);
	return (uint64_t)status.st_blocks * 512;
}

static void
records_are_found_wherever_they_are(void **state)
{
	static const uint32_t used[] = {
	    0, 1, 2, 9, 10, 11, 500, 77777, CAPACITY - 1};
	const uint32_t n = sizeof(used) / sizeof(used[0]);
	struct areas areas;
	(void)state;
	open_areas(&areas);
	assert_int_equal(count_sessions(&areas), 0);
	for (uint32_t i = 0; i < n; i++) {
		use_record(&areas, used[i]);
		assert_int_equal(count_sessions(&areas), i + 1);
	}
	areas_clear_slot(&areas, 0);
	assert_int_equal(count_sessions(&areas), 0);
	for (uint32_t i = 0; i < CAPACITY; i++)
		use_record(&areas, i);
	assert_int_equal(count_sessions(&areas), CAPACITY);
	areas_clear_slot(&areas, 0);
	assert_int_equal(count_sessions(&areas), 0);
	areas_close(&areas);
}

static void
records_that_end_in_a_hole_are_found_once(void **state)
{
	struct areas areas;
	(void)state;
	open_areas(&areas);
	for (uint32_t last = 0; last < 40; last++) {
		for (uint32_t i = 0; i <= last; i++)
			begin_record(&areas, i);
		/* Behind the hole there is data again. */
		begin_record(&areas, last + 20);
		assert_int_equal(count_sessions(&areas), last + 2);
		areas_close(&areas);
		open_areas(&areas);
	}
	areas_close(&areas);
}

static void
unused_records_get_no_memory(void **state)
{
	struct areas areas;
	(void)state;
	open_areas(&areas);
	use_record(&areas, 3);
	use_record(&areas, 50000);
	uint64_t before = memory_of(&areas.slots[0]);
	assert_int_equal(count_sessions(&areas), 2);
	areas_clear_slot(&areas, 0);
	assert_int_equal(count_sessions(&areas), 0);
	assert_true(memory_of(&areas.slots[0]) <= before + 4 * 4096);
	areas_close(&areas);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(records_are_found_wherever_they_are),
	    cmocka_unit_test(records_that_end_in_a_hole_are_found_once),
	    cmocka_unit_test(unused_records_get_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
