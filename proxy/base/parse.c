/* SPDX-License-Identifier: ISC */
#include "proxy/base/parse.h"

#include <string.h>

static bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

bool
parse_u64(struct span text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (text.len == 0 || text.len > 20)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (!is_digit(text.data[i]))
			return false;
		uint64_t digit = (uint64_t)(text.data[i] - '0');
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return false;
	}
	if (value < min || value > max)
		return false;
	*out = value;
	return true;
}

static size_t
count_digits(struct span text)
{
	size_t n = 0;
	while (n < text.len && is_digit(text.data[n]))
		n++;
	return n;
}

bool
parse_duration(struct span text, uint64_t *out_ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000},
	    {"d", 86400000}};
	size_t n = count_digits(text);
	struct span suffix = span_of(text.data + n, text.len - n);
	uint64_t number, ms;

	if (!parse_u64(span_of(text.data, n), 0, UINT64_MAX, &number))
		return false;
	if (number == 0 && text.len == 1) {
		*out_ms = 0;
		return true;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (!span_equal(suffix, span_str(units[i].name)))
			continue;
		if (__builtin_mul_overflow(number, units[i].ms, &ms))
			return false;
		*out_ms = ms;
		return true;
	}
	return false;
}

bool
parse_rate(struct span text, uint64_t *out_count, uint64_t *out_period_ms)
{
	uint64_t count, period_ms;
	const uint8_t *slash =
	    text.len == 0 ? NULL : memchr(text.data, '/', text.len);
	if (slash == NULL)
		return false;
	size_t n = (size_t)(slash - text.data);
	struct span period = span_of(slash + 1, text.len - n - 1);

	if (!parse_u64(span_of(text.data, n), 1, UINT32_MAX, &count))
		return false;
	/* "/s" is short for "/1s". */
	if (span_equal(period, span_str("s")))
		period_ms = 1000;
	else if (span_equal(period, span_str("m")))
		period_ms = 60000;
	else if (span_equal(period, span_str("h")))
		period_ms = 3600000;
	else if (!parse_duration(period, &period_ms) || period_ms == 0)
		return false;
	*out_count = count;
	*out_period_ms = period_ms;
	return true;
}

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

struct span
parse_trim(struct span text)
{
	while (text.len > 0 && is_blank(text.data[0]))
		span_advance(&text, 1);
	while (text.len > 0 && is_blank(text.data[text.len - 1]))
		text.len--;
	return text;
}

bool
parse_next_word(struct span *text, struct span *out_word)
{
	*text = parse_trim(*text);
	size_t n = 0;
	while (n < text->len && !is_blank(text->data[n]))
		n++;
	*out_word = span_of(text->data, n);
	span_advance(text, n);
	return n > 0;
}

bool
parse_next_item(struct span *text, struct span *out_item)
{
	*text = parse_trim(*text);
	if (text->len == 0)
		return false;
	size_t n = 0;
	while (
	    n < text->len && !is_blank(text->data[n]) && text->data[n] != ',')
		n++;
	*out_item = span_of(text->data, n);
	span_advance(text, n);
	*text = parse_trim(*text);
	if (text->len > 0 && text->data[0] == ',')
		span_advance(text, 1);
	return true;
}
