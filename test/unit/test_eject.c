/* SPDX-License-Identifier: ISC */
/* needs: backends/eject.c backends/pool.c proxy/base/addr.c */
/* needs: proxy/base/parse.c proxy/base/span.c proxy/base/ensure.c */
/* Passive health: who is ejected, for how long; the news it is made from. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "backends/eject.h"
#include "backends/load.h"
#include "backends/pool.h"

static void
test_several_clients(void **state)
{
	struct eject eject = {0};
	(void)state;

	for (int i = 0; i < 1000; i++)
		assert_false(eject_note(&eject, 7, 100));
	assert_false(eject_note(&eject, 8, 100));
	assert_true(eject_note(&eject, 9, 100));
}

static void
test_most_must_fail(void **state)
{
	struct eject eject = {0};
	(void)state;

	for (uint64_t i = 1; i < 100; i++) {
		assert_false(i > 2 && eject_note(&eject, i, 100 + i));
		eject_note(&eject, 0, 100 + i);
		eject_note(&eject, 0, 100 + i);
	}
}

static void
test_window(void **state)
{
	struct eject eject = {0};
	(void)state;

	assert_false(eject_note(&eject, 1, 1000));
	assert_false(eject_note(&eject, 2, 1000));
	assert_false(eject_note(&eject, 3, 1001 + EJECT_WINDOW_MS));
	assert_false(eject_note(&eject, 4, 1001 + EJECT_WINDOW_MS));
	assert_true(eject_note(&eject, 5, 1001 + EJECT_WINDOW_MS));
}

static void
test_grows_and_is_forgotten(void **state)
{
	struct eject eject = {0};
	uint64_t now = 1000, length = 5000;
	(void)state;

	for (int i = 0; i < 20; i++) {
		eject_begin(&eject, 5000, now);
		assert_int_equal(now + length, eject.until_ms);
		now = eject.until_ms;
		eject_end(&eject, now);
		assert_int_equal(0, eject.until_ms);
		length = length * 2 < EJECT_LONGEST_MS ? length * 2
						       : EJECT_LONGEST_MS;
	}
	eject_begin(&eject, 5000, now + EJECT_FORGET_MS + 1);
	assert_int_equal(now + EJECT_FORGET_MS + 1 + 5000, eject.until_ms);
}

static void
test_news(void **state)
{
	struct load_area *area = calloc(1, load_area_size(4));
	struct backend_ref ref;
	uint64_t seen = 0, client;
	(void)state;

	load_area_init(area, 4);
	assert_false(load_area_next(area, &seen, &ref, &client));
	for (uint64_t i = 1; i <= 10; i++)
		load_area_tell(area, (struct backend_ref){(uint32_t)i, 77}, i);
	for (uint64_t i = 1; i <= 10; i++) {
		assert_true(load_area_next(area, &seen, &ref, &client));
		assert_int_equal(i, ref.index);
		assert_int_equal(77, ref.generation);
		assert_int_equal(i, client);
	}
	assert_false(load_area_next(area, &seen, &ref, &client));
	/* Too many at once: the last ones are there. */
	for (uint64_t i = 1; i <= 3 * LOAD_NEWS; i++)
		load_area_tell(area, (struct backend_ref){1, 1}, i);
	uint64_t n = 0, last = 0;
	while (load_area_next(area, &seen, &ref, &client)) {
		assert_true(client > last);
		last = client;
		n++;
	}
	assert_int_equal(3 * LOAD_NEWS, last);
	assert_in_range(n, LOAD_NEWS / 2, LOAD_NEWS);
	/* Its writer died, the area was cleared. */
	atomic_store(&area->n_news, 0);
	assert_false(load_area_next(area, &seen, &ref, &client));
	load_area_tell(area, (struct backend_ref){2, 1}, 5);
	assert_true(load_area_next(area, &seen, &ref, &client));
	free(area);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_several_clients),
	    cmocka_unit_test(test_most_must_fail),
	    cmocka_unit_test(test_window),
	    cmocka_unit_test(test_grows_and_is_forgotten),
	    cmocka_unit_test(test_news),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
