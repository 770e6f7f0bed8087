/* SPDX-License-Identifier: ISC */
/* needs: proxy/base/span.c proxy/base/ensure.c */
/* Spans, bounded output, secrets; and the list, which is as small. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/base/list.h"
#include "proxy/base/span.h"

static void
test_compare(void **state)
{
	(void)state;
	assert_true(span_equal(span_of(NULL, 0), span_str("")));
	assert_true(span_equal(span_of("a\0b", 3), span_of("a\0b", 3)));
	assert_false(span_equal(span_str("a"), span_str("A")));
	assert_true(span_equal_nocase(span_str("Imap@["), span_str("iMAP@[")));
	assert_false(span_equal_nocase(span_str("@["), span_str("`{")));
	assert_false(span_equal_nocase(span_str("a"), span_str("ab")));
	struct span span = span_str("abc");
	span_advance(&span, 2);
	assert_true(span_equal(span, span_str("c")));
}

static void
test_outbuf_overflow_stays(void **state)
{
	char buf[8];
	struct outbuf out;

	(void)state;
	outbuf_init(&out, buf, sizeof(buf));
	outbuf_puts(&out, "abcd");
	outbuf_put(&out, span_of(NULL, 0));
	assert_int_equal(outbuf_room(&out), 4);
	outbuf_printf(&out, "%d", 123);
	assert_true(span_equal(outbuf_span(&out), span_str("abcd123")));
	assert_false(out.overflow);
	outbuf_puts(&out, "xy");
	assert_true(out.overflow);
	outbuf_putc(&out, 'z');
	assert_int_equal(out.len, 7);
}

static void
test_outbuf_fills_exactly(void **state)
{
	char buf[3];
	struct outbuf out;

	(void)state;
	outbuf_init(&out, buf, sizeof(buf));
	outbuf_puts(&out, "abc");
	assert_false(out.overflow);
	assert_int_equal(outbuf_room(&out), 0);
	outbuf_printf(&out, "%s", "d");
	assert_true(out.overflow);
	assert_int_equal(out.len, 3);
}

static void
test_secret(void **state)
{
	struct secret secret = {NULL, 0};

	(void)state;
	assert_true(secret_append(&secret, span_str("ab")));
	assert_true(secret_append(&secret, span_of("\0c", 2)));
	assert_int_equal(secret.len, 4);
	assert_memory_equal(secret.data, "ab\0c", 5);
	assert_true(secret_set(&secret, span_str("x")));
	assert_true(span_equal(span_secret(&secret), span_str("x")));
	secret_wipe(&secret);
	assert_null(secret.data);
	secret_wipe(&secret);
	assert_true(secret_set(&secret, span_of(NULL, 0)));
	assert_non_null(secret.data);
	assert_int_equal(secret.data[0], 0);
	secret_wipe(&secret);
}

struct element {
	int value;
	struct list_link link;
};

static int
sum(const struct list_link *head)
{
	struct list_link *it;
	int total = 0;

	list_for_each (it, head)
		total =
		    total * 10 + list_entry(it, struct element, link)->value;
	return total;
}

static void
test_list(void **state)
{
	struct element elements[3] = {{.value = 1}, {.value = 2}, {.value = 3}};
	struct list_link head, *it, *tmp;

	(void)state;
	list_init(&head);
	assert_true(list_is_empty(&head));
	for (int i = 0; i < 3; i++)
		list_append(&head, &elements[i].link);
	assert_int_equal(sum(&head), 123);
	list_remove(&elements[1].link);
	list_remove(&elements[1].link);
	assert_int_equal(sum(&head), 13);
	list_append(&head, &elements[1].link);
	assert_int_equal(sum(&head), 132);
	list_for_each_safe (it, tmp, &head)
		list_remove(it);
	assert_true(list_is_empty(&head));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_compare),
	    cmocka_unit_test(test_outbuf_overflow_stays),
	    cmocka_unit_test(test_outbuf_fills_exactly),
	    cmocka_unit_test(test_secret),
	    cmocka_unit_test(test_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
