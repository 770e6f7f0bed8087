/* SPDX-License-Identifier: ISC */
/* Session records: a reader gets a whole record or none, whatever happens. */
/* needs: proxy/ipc/slot.c proxy/ipc/tally.c proxy/base/ensure.c */
/* libs: pthread */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/ipc/slot.h"

#define ROUNDS 20000

/* Every octet of the texts depends on the round, so a torn copy shows. */
static void
write_round(struct slot_record *record, uint64_t round)
{
	slot_record_begin(record);
	record->in_use = 1;
	record->id = round;
	record->started_ms = round;
	memset(record->user, (int)(round % 26) + 'a', sizeof(record->user) - 1);
	memset(record->tls_version, (int)(round % 26) + 'a',
	    sizeof(record->tls_version) - 1);
	slot_record_end(record);
}

static bool
is_whole(const struct slot_record *record)
{
	char expected = (char)(record->id % 26 + 'a');
	for (size_t i = 0; i < sizeof(record->user) - 1; i++)
		if (record->user[i] != expected)
			return false;
	return record->started_ms == record->id &&
	       record->tls_version[0] == expected;
}

struct race {
	struct slot_record record;
	_Atomic bool done;
	uint64_t n_read;
	uint64_t n_torn;
};

static void *
read_on(void *arg)
{
	struct race *race = arg;
	struct slot_record copy;
	do {
		if (slot_record_read(&race->record, &copy)) {
			race->n_read++;
			race->n_torn += is_whole(&copy) ? 0 : 1;
		}
	} while (!atomic_load(&race->done));
	return NULL;
}

static void
reader_never_sees_a_torn_record(void **state)
{
	(void)state;
	static struct race race;
	pthread_t thread;
	write_round(&race.record, 1);
	assert_int_equal(pthread_create(&thread, NULL, read_on, &race), 0);
	for (uint64_t i = 2; i < ROUNDS; i++) {
		write_round(&race.record, i);
		slot_add(&race.record.bytes_in, 1);
		for (volatile int pause = 0; pause < 200; pause++)
			;
	}
	atomic_store(&race.done, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(race.n_read > 0);
	assert_int_equal(race.n_torn, 0);
}

static void
record_in_writing_or_not_in_use_is_skipped(void **state)
{
	(void)state;
	static struct slot_record record;
	struct slot_record copy;
	memset(&record, 0, sizeof(record));
	assert_false(slot_record_read(&record, &copy));
	write_round(&record, 3);
	assert_true(slot_record_read(&record, &copy));
	assert_int_equal(copy.id, 3);
	slot_record_begin(&record);
	assert_false(slot_record_read(&record, &copy));
	record.in_use = 0;
	slot_record_end(&record);
	assert_false(slot_record_read(&record, &copy));
}

static void
record_of_a_writer_that_died_in_writing_is_read(void **state)
{
	(void)state;
	static struct slot_record record;
	struct slot_record copy;
	memset(&record, 0, sizeof(record));
	assert_false(slot_record_read_left(&record, &copy));
	write_round(&record, 3);
	slot_record_begin(&record);
	assert_true(slot_record_read_left(&record, &copy));
	assert_int_equal(copy.id, 3);
}

static void
texts_are_terminated_for_the_reader(void **state)
{
	(void)state;
	static struct slot_record record;
	struct slot_record copy;
	slot_record_begin(&record);
	memset(&record.in_use, 'x',
	    sizeof(record) - offsetof(struct slot_record, in_use));
	slot_record_end(&record);
	assert_true(slot_record_read(&record, &copy));
	assert_int_equal(strlen(copy.user), sizeof(copy.user) - 1);
	assert_int_equal(strlen(copy.sni), sizeof(copy.sni) - 1);
	assert_int_equal(strlen(copy.group), sizeof(copy.group) - 1);
	assert_int_equal(strlen(copy.cipher), sizeof(copy.cipher) - 1);
	assert_int_equal(
	    strlen(copy.tls_version), sizeof(copy.tls_version) - 1);
}

static void
clearing_frees_records_and_gauges_keeps_counters(void **state)
{
	(void)state;
	const uint32_t n = 5;
	struct slot_area *area = calloc(1, slot_area_size(n));
	struct slot_record copy;
	assert_non_null(area);
	for (uint32_t i = 0; i < n; i++)
		write_round(&area->records[i], i);
	/* The worker died in the middle of a record, and had lied. */
	slot_record_begin(&area->records[2]);
	area->n_records = UINT32_MAX;
	slot_add(&area->accepted, 10);
	slot_add(&area->connections, 3);
	slot_add(&area->descriptors, 9);
	slot_area_clear(area, n);
	assert_int_equal(area->n_records, n);
	assert_int_equal(area->accepted, 10);
	assert_int_equal(area->connections, 0);
	assert_int_equal(area->descriptors, 0);
	for (uint32_t i = 0; i < n; i++) {
		slot_record_clear(&area->records[i]);
		assert_false(slot_record_read(&area->records[i], &copy));
		write_round(&area->records[i], i + 100);
		assert_true(slot_record_read(&area->records[i], &copy));
		assert_int_equal(copy.id, i + 100);
	}
	free(area);
}

static void
states_have_names(void **state)
{
	(void)state;
	assert_string_equal(session_state_name(SESSION_ACCEPT), "accept");
	assert_string_equal(session_state_name(SESSION_DONE), "done");
	assert_string_equal(session_state_name(SESSION_STATE_MAX), "unknown");
	assert_string_equal(session_state_name(255), "unknown");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reader_never_sees_a_torn_record),
	    cmocka_unit_test(record_in_writing_or_not_in_use_is_skipped),
	    cmocka_unit_test(record_of_a_writer_that_died_in_writing_is_read),
	    cmocka_unit_test(texts_are_terminated_for_the_reader),
	    cmocka_unit_test(clearing_frees_records_and_gauges_keeps_counters),
	    cmocka_unit_test(states_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
