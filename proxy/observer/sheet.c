/* SPDX-License-Identifier: ISC */
/* See sheet.h. Called by metrics.c. */
#include "proxy/observer/sheet.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static void
put_label(struct reply *out, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '"' || c == '\\')
			reply_puts(out, "\\");
		else if (c < 0x20 || c > 0x7e)
			c = '?';
		reply_put(out, span_of(&c, 1));
	}
}

void
sheet_row(const struct sheet *sheet, const char *value, ...)
{
	struct reply *out = sheet->out;
	const char *before = "{";
	va_list args;
	reply_puts(out, "sallyport_");
	reply_puts(out, sheet->name);
	va_start(args, value);
	for (;;) {
		const char *label = va_arg(args, const char *);
		if (label == NULL)
			break;
		reply_puts(out, before);
		reply_puts(out, label);
		reply_puts(out, "=\"");
		put_label(out, va_arg(args, const char *));
		reply_puts(out, "\"");
		before = ",";
	}
	va_end(args);
	reply_puts(out, *before == ',' ? "} " : " ");
	reply_puts(out, value);
	reply_puts(out, "\n");
}

struct sheet_number
sheet_whole(uint64_t value)
{
	struct sheet_number number;
	snprintf(number.text, sizeof(number.text), "%" PRIu64, value);
	return number;
}

struct sheet_number
sheet_signed(int64_t value)
{
	struct sheet_number number;
	snprintf(number.text, sizeof(number.text), "%" PRId64, value);
	return number;
}

struct sheet_number
sheet_seconds(uint64_t us)
{
	struct sheet_number number;
	snprintf(number.text, sizeof(number.text), "%" PRIu64 ".%06" PRIu64,
	    us / 1000000, us % 1000000);
	return number;
}

void
sheet_plain(const struct sheet *sheet, uint64_t value)
{
	sheet_row(sheet, sheet_whole(value).text, SHEET_END);
}

void
sheet_count(const struct sheet *sheet, const char *label, const char *text,
    uint64_t value)
{
	sheet_row(sheet, sheet_whole(value).text, label, text, SHEET_END);
}

static uint64_t
sum_bucket(const struct sheet *sheet, size_t offset, unsigned int i)
{
	return view_sum(sheet->view, offset +
					 offsetof(struct tally_time, counts) +
					 i * sizeof(_Atomic uint64_t));
}

/* Not cumulative in the area, cumulative in Prometheus. */
void
sheet_histogram(const struct sheet *sheet, size_t offset)
{
	struct sheet part = *sheet;
	char name[64];
	uint64_t below = 0;
	part.name = name;
	snprintf(name, sizeof(name), "%s_bucket", sheet->name);
	for (unsigned int i = 0; i < TALLY_BUCKETS; i++) {
		struct sheet_number bound = sheet_seconds(tally_bound_us(i));
		below += sum_bucket(sheet, offset, i);
		sheet_row(&part, sheet_whole(below).text, "le",
		    i == TALLY_BUCKETS - 1 ? "+Inf" : bound.text, SHEET_END);
	}
	snprintf(name, sizeof(name), "%s_sum", sheet->name);
	uint64_t us =
	    view_sum(sheet->view, offset + offsetof(struct tally_time, sum_us));
	sheet_row(&part, sheet_seconds(us).text, SHEET_END);
	snprintf(name, sizeof(name), "%s_count", sheet->name);
	sheet_plain(&part, below);
}
