/* SPDX-License-Identifier: ISC */
/*
 * Any message becomes one line or is refused. A line is printable ASCII with
 * one LF, at its end; and a logfmt line, read by the grammar of log.h, gives
 * back every octet of every text, so nothing in a text can pass for a field.
 */
/* needs: proxy/observer/log.c proxy/observer/json.c */
/* needs: proxy/ipc/event.c */
/* needs: proxy/base/addr.c proxy/base/span.c proxy/base/parse.c */
/* needs: proxy/base/ensure.c */
#include <string.h>

#include "proxy/base/ensure.h"
#include "proxy/ipc/event.h"
#include "proxy/observer/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_is_one_line(struct span line)
{
	ENSURE(line.len > 1 && line.data[line.len - 1] == '\n');
	for (size_t i = 0; i + 1 < line.len; i++)
		ENSURE(line.data[i] >= 0x20 && line.data[i] <= 0x7e);
}

static void
take(struct span *line, const char *text)
{
	size_t len = strlen(text);
	ENSURE(line->len >= len && memcmp(line->data, text, len) == 0);
	span_advance(line, len);
}

static uint8_t
hex_digit(uint8_t c)
{
	ENSURE((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static uint8_t
take_escape(struct span *line)
{
	ENSURE(line->len >= 2);
	uint8_t c = line->data[0];
	span_advance(line, 1);
	if (c == 'x') {
		uint8_t high = hex_digit(line->data[0]);
		uint8_t low = hex_digit(line->data[1]);
		span_advance(line, 2);
		return (uint8_t)(high << 4 | low);
	}
	static const char names[] = "nrt\"\\";
	static const char octets[] = "\n\r\t\"\\";
	const char *at = strchr(names, c);
	ENSURE(c != '\0' && at != NULL);
	return (uint8_t)octets[at - names];
}

/* Ends behind the value; what it was goes to out. */
static void
take_text(struct span *line, struct outbuf *out)
{
	bool quoted = line->data[0] == '"';
	if (quoted)
		span_advance(line, 1);
	while (line->len > 0) {
		uint8_t c = line->data[0];
		if (quoted ? c == '"' : c == ' ' || c == '\n')
			break;
		span_advance(line, 1);
		if (quoted && c == '\\')
			c = take_escape(line);
		outbuf_putc(out, (char)c);
	}
	if (quoted)
		take(line, "\"");
}

static void
check_value(struct span *line, const struct event_value *value)
{
	uint8_t data[EVENT_MAX];
	struct outbuf octets;
	outbuf_init(&octets, data, sizeof(data));
	take(line, " ");
	take(line, event_field_name(value->field));
	take(line, "=");
	take_text(line, &octets);
	ENSURE(!octets.overflow);
	if (value->type == TYPE_TEXT)
		ENSURE(span_equal(outbuf_span(&octets), value->text));
	if (!value->truncated)
		return;
	take(line, " ");
	take(line, event_field_name(value->field));
	take(line, "_truncated=true");
}

static void
check_logfmt(struct span line, struct span message)
{
	struct event_reader reader;
	struct event_value value;
	uint8_t data[64];
	struct outbuf skipped;
	static const char *const head[] = {"ts=", " level=", " event="};
	ENSURE(event_reader_init(&reader, message));
	for (size_t i = 0; i < 3; i++) {
		take(&line, head[i]);
		outbuf_init(&skipped, data, sizeof(data));
		take_text(&line, &skipped);
	}
	while (event_reader_next(&reader, &value))
		check_value(&line, &value);
	take(&line, "\n");
	ENSURE(line.len == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span message = span_of(data, size);
	static uint8_t line[LOG_LINE_MAX];
	struct outbuf logfmt, json;
	outbuf_init(&json, line, sizeof(line));
	bool as_json = log_format(message, LOG_AS_JSON, &json);
	if (as_json)
		check_is_one_line(outbuf_span(&json));
	ENSURE(!json.overflow);
	outbuf_init(&logfmt, line, sizeof(line));
	bool as_logfmt = log_format(message, LOG_AS_LOGFMT, &logfmt);
	ENSURE(as_json == as_logfmt);
	ENSURE(!logfmt.overflow);
	if (!as_logfmt)
		return 0;
	check_is_one_line(outbuf_span(&logfmt));
	check_logfmt(outbuf_span(&logfmt), message);
	return 0;
}
