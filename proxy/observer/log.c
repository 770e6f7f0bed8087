/* SPDX-License-Identifier: ISC */
/* See log.h. Called by the observer for every event it reads or makes. */
#include "proxy/observer/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proxy/ipc/event.h"
#include "proxy/observer/json.h"

/* 9999-12-31T23:59:59Z: the form has four digits for the year. */
#define LAST_SECOND UINT64_C(253402300799)

_Static_assert(EVENT_FIELD_MAX <= 64, "one bit of `seen` per field");

const char *
log_id_text(uint64_t id, char buf[LOG_ID_MAX])
{
	for (int i = LOG_ID_MAX - 2; i >= 0; i--, id >>= 4)
		buf[i] = "0123456789abcdef"[id & 15];
	buf[LOG_ID_MAX - 1] = '\0';
	return buf;
}

const char *
log_time_text(uint64_t realtime_us, char buf[LOG_TIME_MAX])
{
	uint64_t second = realtime_us / 1000000;
	time_t when = (time_t)(second < LAST_SECOND ? second : LAST_SECOND);
	struct tm tm;
	char day[24];
	gmtime_r(&when, &tm);
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	unsigned int us = (unsigned int)(realtime_us % 1000000);
	snprintf(buf, LOG_TIME_MAX, "%s.%06uZ", day, us);
	return buf;
}

static const char *
level_name(int level)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	return names[level];
}

static bool
is_bare(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("._:/@+-[]", c) != NULL);
}

static void
put_quoted_octet(struct outbuf *out, uint8_t c)
{
	static const char digits[] = "0123456789abcdef";
	static const char named[] = "\"\\\n\r\t";
	static const char names[] = "\"\\nrt";
	const char *at = c == '\0' ? NULL : strchr(named, c);
	if (at != NULL) {
		outbuf_putc(out, '\\');
		outbuf_putc(out, names[at - named]);
	} else if (c >= 0x20 && c <= 0x7e) {
		outbuf_putc(out, (char)c);
	} else {
		outbuf_puts(out, "\\x");
		outbuf_putc(out, digits[c >> 4]);
		outbuf_putc(out, digits[c & 15]);
	}
}

static void
logfmt_text(struct outbuf *out, const char *name, struct span text)
{
	if (out->len > 0)
		outbuf_putc(out, ' ');
	outbuf_puts(out, name);
	outbuf_putc(out, '=');
	bool bare = text.len > 0;
	for (size_t i = 0; i < text.len && bare; i++)
		bare = is_bare(text.data[i]);
	if (bare) {
		outbuf_put(out, text);
		return;
	}
	outbuf_putc(out, '"');
	for (size_t i = 0; i < text.len; i++)
		put_quoted_octet(out, text.data[i]);
	outbuf_putc(out, '"');
}

/* A line in one of the two forms. */
struct line {
	struct outbuf *out;
	bool json;
};

static void
put_text(struct line *line, const char *name, struct span text)
{
	if (line->json)
		json_text(line->out, name, text);
	else
		logfmt_text(line->out, name, text);
}

static void
put_u64(struct line *line, const char *name, uint64_t value)
{
	if (line->json)
		json_u64(line->out, name, value);
	else
		outbuf_printf(line->out, " %s=%" PRIu64, name, value);
}

static void
put_bool(struct line *line, const char *name, bool value)
{
	if (line->json)
		json_bool(line->out, name, value);
	else
		outbuf_printf(
		    line->out, " %s=%s", name, value ? "true" : "false");
}

static void
put_value(struct line *line, const struct event_value *value)
{
	const char *name = event_field_name(value->field);
	char addr[ADDR_TEXT_MAX];
	char id[LOG_ID_MAX];
	char mark[64];
	switch (value->type) {
	case TYPE_U64:
		if (value->field == FIELD_ID)
			put_text(line, name,
			    span_str(log_id_text(value->number, id)));
		else
			put_u64(line, name, value->number);
		break;
	case TYPE_TEXT:
		put_text(line, name, value->text);
		break;
	case TYPE_ADDR:
		put_text(line, name, span_str(addr_text(&value->addr, addr)));
		break;
	case TYPE_BOOL:
		put_bool(line, name, value->number != 0);
		break;
	}
	if (value->truncated) {
		snprintf(mark, sizeof(mark), "%s_truncated", name);
		put_bool(line, mark, true);
	}
}

static void
put_head(struct line *line, const struct event_head *head)
{
	char ts[LOG_TIME_MAX];
	if (line->json)
		json_begin(line->out);
	put_text(line, "ts", span_str(log_time_text(head->realtime_us, ts)));
	put_text(line, "level", span_str(level_name(head->level)));
	const char *kind = event_kind_name((enum event_kind)head->kind);
	put_text(line, "event", span_str(kind));
}

bool
log_format(
    struct span message, enum config_log_format format, struct outbuf *out)
{
	struct event_reader reader;
	if (!event_reader_init(&reader, message))
		return false;
	struct line line = {out, format == LOG_AS_JSON};
	put_head(&line, &reader.head);
	uint64_t seen = 0;
	struct event_value value;
	while (event_reader_next(&reader, &value)) {
		uint64_t bit = UINT64_C(1) << value.field;
		if ((seen & bit) != 0)
			return false;
		seen |= bit;
		put_value(&line, &value);
	}
	if (line.json)
		json_end(out);
	else
		outbuf_putc(out, '\n');
	return !reader.malformed && !out->overflow;
}
