/* SPDX-License-Identifier: ISC */
/* The wheel against a list of deadlines kept by hand. */
/* needs: proxy/worker/wheel.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "proxy/worker/wheel.h"

#define ENTRIES 500
#define TICK	((uint64_t)WHEEL_TICK_MS)

struct item {
	struct wheel_entry entry;
	uint64_t wanted_ms; /* 0: not set */
};

struct run {
	struct wheel *wheel;
	struct item items[ENTRIES];
	uint64_t now_ms;
	unsigned fired;
};

static void
on_fire(struct wheel_entry *entry, void *arg)
{
	struct run *run = arg;
	struct item *item = list_entry(entry, struct item, entry);

	assert_int_not_equal(item->wanted_ms, 0);
	/* Far deadlines are looked at early, never late. */
	if (item->wanted_ms > run->now_ms) {
		wheel_set(run->wheel, entry, item->wanted_ms);
		return;
	}
	item->wanted_ms = 0;
	run->fired++;
}

static struct run *
run_new(uint64_t now_ms)
{
	struct run *run = calloc(1, sizeof(*run));
	run->wheel = malloc(sizeof(*run->wheel));
	run->now_ms = now_ms;
	wheel_init(run->wheel, now_ms);
	for (int i = 0; i < ENTRIES; i++)
		wheel_entry_init(&run->items[i].entry);
	return run;
}

static void
run_free(struct run *run)
{
	free(run->wheel);
	free(run);
}

static void
assert_nothing_late(struct run *run)
{
	for (int i = 0; i < ENTRIES; i++) {
		uint64_t wanted = run->items[i].wanted_ms;
		if (wanted == 0)
			continue;
		uint64_t slack = 2 * TICK + WHEEL_IDLE_MS;
		assert_true(wanted + slack > run->now_ms);
	}
}

static void
test_random_deadlines_fire_in_time(void **state)
{
	struct run *run = run_new(123456789);
	(void)state;

	srand(7);
	for (int step = 0; step < 20000; step++) {
		struct item *item = &run->items[rand() % ENTRIES];
		if (rand() % 4 == 0) {
			wheel_remove(&item->entry);
			item->wanted_ms = 0;
		} else {
			uint64_t range = rand() % 10 == 0 ? 3000000 : 20000;
			item->wanted_ms =
			    run->now_ms + 1 + (uint64_t)rand() % range;
			wheel_set(run->wheel, &item->entry, item->wanted_ms);
		}
		run->now_ms += (uint64_t)rand() % 150;
		wheel_run(run->wheel, run->now_ms, on_fire, run);
		assert_nothing_late(run);
	}
	assert_true(run->fired > 1000);
	run_free(run);
}

static void
test_wait_never_passes_a_deadline(void **state)
{
	struct run *run = run_new(999);
	(void)state;

	srand(8);
	for (int step = 0; step < 5000; step++) {
		struct item *item = &run->items[rand() % ENTRIES];
		item->wanted_ms = run->now_ms + 1 + (uint64_t)rand() % 5000;
		wheel_set(run->wheel, &item->entry, item->wanted_ms);
		uint64_t wait = wheel_wait_ms(run->wheel, run->now_ms);
		assert_in_range(wait, 1, WHEEL_IDLE_MS);
		run->now_ms += wait;
		wheel_run(run->wheel, run->now_ms, on_fire, run);
		for (int i = 0; i < ENTRIES; i++)
			assert_true(
			    run->items[i].wanted_ms == 0 ||
			    run->items[i].wanted_ms + 2 * TICK > run->now_ms);
	}
	run_free(run);
}

static void
test_an_idle_wheel_waits_for_the_next_second(void **state)
{
	struct run *run = run_new(10 * 1000 + 1);
	(void)state;

	assert_int_equal(wheel_wait_ms(run->wheel, run->now_ms), 999);
	run->items[0].wanted_ms = run->now_ms + 60000;
	wheel_set(run->wheel, &run->items[0].entry, run->items[0].wanted_ms);
	assert_int_equal(run->items[0].entry.due_ms % 1000, 0);
	assert_int_equal(wheel_wait_ms(run->wheel, run->now_ms), 999);
	run_free(run);
}

static void
test_a_long_pause_misses_nothing(void **state)
{
	struct run *run = run_new(5000);
	(void)state;

	for (int i = 0; i < ENTRIES; i++) {
		run->items[i].wanted_ms = run->now_ms + 1 + (uint64_t)i * 700;
		wheel_set(
		    run->wheel, &run->items[i].entry, run->items[i].wanted_ms);
	}
	run->now_ms += 3600 * 1000;
	wheel_run(run->wheel, run->now_ms, on_fire, run);
	assert_int_equal(run->fired, ENTRIES);
	run_free(run);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random_deadlines_fire_in_time),
	    cmocka_unit_test(test_wait_never_passes_a_deadline),
	    cmocka_unit_test(test_an_idle_wheel_waits_for_the_next_second),
	    cmocka_unit_test(test_a_long_pause_misses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
