/* SPDX-License-Identifier: ISC */
/* needs: proxy/master/expiry.c tls/ proxy/ipc/ proxy/base/ */
/* needs: config/builder.c config/value.c config/value_format.c */
/* needs: config/value_list.c config/schema.c config/load.c config/check.c */
/* needs: config/draft.c */
/* libs: boringssl inih */
/* What is said of certificates as days go by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "config/load.h"
#include "proxy/master/expiry.h"

#define DAY 86400
#define NOW INT64_C(1700000000)
#define MS  UINT64_C(5000) /* a CLOCK_MONOTONIC */

struct said {
	unsigned n;
	char state[8][16];
	char name[8][16];
	uint64_t days;
};

static void
on_emit(void *arg, const struct event *event)
{
	struct said *said = arg;
	struct event_reader reader;
	struct event_value value;
	unsigned at = said->n++;

	assert_true(at < 8);
	assert_true(
	    event_reader_init(&reader, span_of(event->data, event->len)));
	while (event_reader_next(&reader, &value)) {
		char *to = value.field == FIELD_STATE  ? said->state[at]
			   : value.field == FIELD_NAME ? said->name[at]
						       : NULL;
		if (value.field == FIELD_DAYS)
			said->days = value.number;
		if (to == NULL)
			continue;
		assert_true(value.text.len < 16);
		memcpy(to, value.text.data, value.text.len);
	}
}

/* Two certificates, "a" and "b", that end so many seconds from NOW. */
static struct builder *
make(int64_t a, int64_t b, uint8_t key)
{
	struct builder *builder = builder_new();
	struct config_certificate list[2];

	memset(list, 0, sizeof(list));
	list[0].warn_days = list[1].warn_days = 14;
	list[0].not_after = NOW + a;
	list[1].not_after = NOW + b;
	for (int i = 0; i < 2; i++) {
		struct text der = builder_text(builder, span_of(&key, 1));

		list[i].usable = true;
		list[i].loaded = NOW;
		list[i].name =
		    builder_text(builder, span_of(i == 0 ? "a" : "b", 1));
		list[i].spki[0] = key;
		list[i].ders = builder_items(builder, &der, 1, sizeof(der), 4);
	}
	struct items items =
	    builder_items(builder, list, 2, sizeof(list[0]), 8);
	builder_config(builder)->certificates = items;
	return builder;
}

static void
test_daily(void **state)
{
	struct said said = {0};
	struct expiry expiry;
	struct builder *builder = make(13 * DAY + 100, 40 * DAY, 1);
	const struct config *config = builder_config(builder);

	(void)state;
	expiry_init(&expiry, on_emit, &said, MS, NOW);
	/* What the start said is not said again before a day has gone. */
	for (int64_t s = 0; s < DAY; s += 600)
		expiry_step(&expiry, config, MS + (uint64_t)s * 1000, NOW + s);
	assert_int_equal(said.n, 0);
	for (int64_t s = DAY; s < 3 * DAY; s += 600)
		expiry_step(&expiry, config, MS + (uint64_t)s * 1000, NOW + s);
	assert_int_equal(said.n, 2);
	assert_string_equal(said.state[1], "expiring");
	assert_string_equal(said.name[1], "a");
	assert_int_equal(said.days, 11);
	builder_free(builder);
}

static void
test_the_end(void **state)
{
	struct said said = {0};
	struct expiry expiry;
	struct builder *builder = make(90, 40 * DAY, 1);
	const struct config *config = builder_config(builder);
	uint64_t ms = MS;

	(void)state;
	expiry_init(&expiry, on_emit, &said, ms, NOW);
	/* It asks to be called when there is something to say. */
	for (int i = 0; i < 3 && said.n == 0; i++)
		ms = expiry_step(
		    &expiry, config, ms, NOW + (int64_t)(ms - MS) / 1000);
	ms = expiry_step(&expiry, config, ms, NOW + (int64_t)(ms - MS) / 1000);
	assert_int_equal(said.n, 1);
	assert_string_equal(said.state[0], "expired");
	assert_true(ms - MS < 300000);
	/* Once, and then once a day. */
	expiry_step(&expiry, config, ms + 3600000, NOW + 4000);
	assert_int_equal(said.n, 1);
	expiry_step(&expiry, config, ms + 86400000, NOW + DAY + 200);
	assert_int_equal(said.n, 2);
	assert_string_equal(said.state[1], "expired");
	builder_free(builder);
}

static void
test_renewals(void **state)
{
	struct said said = {0};
	struct expiry expiry;
	struct builder *old = make(90, 90, 1);
	struct builder *same = make(90, 90, 1);
	struct builder *other = make(50 * DAY, 50 * DAY, 2);

	(void)state;
	expiry_init(&expiry, on_emit, &said, MS, NOW);
	expiry_compare(&expiry, builder_config(old), builder_config(same));
	assert_int_equal(said.n, 0);
	expiry_compare(&expiry, builder_config(old), builder_config(other));
	assert_int_equal(said.n, 4);
	assert_string_equal(said.state[0], "renewed");
	assert_string_equal(said.state[1], "pin_changed");
	assert_string_equal(said.name[3], "b");
	assert_int_equal(said.days, 50);
	builder_free(old);
	builder_free(same);
	builder_free(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_daily),
	    cmocka_unit_test(test_the_end),
	    cmocka_unit_test(test_renewals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
