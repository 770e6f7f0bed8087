/* SPDX-License-Identifier: ISC */
/*
 * Hostile texts in every field that a peer controls, in both forms: one event
 * stays one line of the documented grammar, and gives back every octet. The
 * reader here is written from the grammar in log.h, not from the writer.
 * SCALE=10 (make check-full) makes it a million.
 */
/* needs: proxy/observer/log.c proxy/observer/json.c proxy/ipc/event.c */
/* needs: proxy/base/addr.c proxy/base/span.c proxy/base/parse.c */
/* needs: proxy/base/ensure.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/ipc/event.h"
#include "proxy/observer/log.h"

static const enum event_field fields[] = {FIELD_USER, FIELD_SNI,
    FIELD_CLIENT_NAME, FIELD_CLIENT_VERSION, FIELD_CLIENT_OS, FIELD_TEXT,
    FIELD_MECHANISM, FIELD_CODE, FIELD_ALPN, FIELD_NAME};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))
#define TEXT_MAX 160 /* ten of them fit an event */

static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

struct hostile {
	uint8_t octets[TEXT_MAX];
	size_t len;
};

/* Pieces that look like the log itself, and octets that end or hide lines. */
static void
make_text(uint64_t *random, struct hostile *text)
{
	static const char *const pieces[] = {"\n", "\r\n", "\" ", "\\", "\\\"",
	    "\x1b[2J", "ts=2026-11-20T00:00:00.000000Z", " level=info",
	    " event=login", " verdict=ok", "\"}\n{\"ts\":\"", "\xe2\x80\xae",
	    "\xff\xfe", "%s%n", "=", "user=", "\t", "\x7f", "\xc2\x85", "root",
	    "\\x41", "\\u0041", ",\"a\":1", "{", "}"};
	text->len = 0;
	uint64_t n = next_random(random) % 8;
	while (n-- > 0) {
		uint64_t which = next_random(random) % 28;
		uint8_t octet = (uint8_t)next_random(random);
		const void *piece = &octet;
		size_t len = 1;
		if (which < sizeof(pieces) / sizeof(pieces[0])) {
			piece = pieces[which];
			len = strlen(pieces[which]);
		}
		if (text->len + len > TEXT_MAX)
			return;
		memcpy(text->octets + text->len, piece, len);
		text->len += len;
	}
}

static void
expect(const char **at, const char *text)
{
	assert_int_equal(strncmp(*at, text, strlen(text)), 0);
	*at += strlen(text);
}

static uint8_t
hex_value(char c)
{
	assert_true((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static uint8_t
read_escape(const char **at, bool json)
{
	static const char named[] = "nrt";
	static const char octets[] = "\n\r\t";
	char c = *(*at)++;
	if (c == '"' || c == '\\')
		return (uint8_t)c;
	const char *name = strchr(named, c);
	if (!json && c != '\0' && name != NULL)
		return (uint8_t)octets[name - named];
	if (json)
		expect(at, "00");
	assert_int_equal(c, json ? 'u' : 'x');
	uint8_t high = hex_value(*(*at)++);
	return (uint8_t)(high << 4 | hex_value(*(*at)++));
}

static void
check_value(const char **at, const struct hostile *text, bool json)
{
	size_t n = 0;
	bool quoted = **at == '"';
	if (quoted)
		(*at)++;
	assert_true(quoted || (!json && text->len > 0));
	while (quoted ? **at != '"' : strchr(" \n", **at) == NULL) {
		uint8_t octet = (uint8_t) * (*at)++;
		assert_true(octet >= 0x20 && octet <= 0x7e);
		if (octet == '\\')
			octet = read_escape(at, json);
		assert_true(n < text->len);
		assert_int_equal(octet, text->octets[n++]);
	}
	*at += quoted;
	assert_int_equal(n, text->len);
}

static void
check_line(const char *line, const struct hostile *texts, bool json)
{
	const char *at = line;
	char head[64];
	expect(&at, json ? "{\"ts\":\"" : "ts=");
	at += strlen("2026-11-20T00:00:00.000000Z");
	expect(&at, json ? "\",\"level\":\"info\",\"event\":\"login\""
			 : " level=info event=login");
	for (size_t i = 0; i < N_FIELDS; i++) {
		if (texts[i].len == 0)
			continue; /* left out */
		snprintf(head, sizeof(head),
		    json ? ",\"%s\":" : " %s=", event_field_name(fields[i]));
		expect(&at, head);
		check_value(&at, &texts[i], json);
	}
	expect(&at, json ? "}\n" : "\n");
	assert_int_equal(*at, '\0');
}

static void
hostile_texts_stay_in_their_field(void **state)
{
	static struct event event;
	static uint8_t line[LOG_LINE_MAX + 1];
	struct hostile texts[N_FIELDS];
	const char *scale = getenv("SCALE");
	double times = scale == NULL ? 1 : strtod(scale, NULL);
	uint64_t rounds = (uint64_t)(100000 * times / N_FIELDS);
	uint64_t random = 88172645463325252;
	(void)state;
	for (uint64_t i = 0; i < rounds; i++) {
		event_begin(&event, EVENT_LOGIN);
		for (size_t j = 0; j < N_FIELDS; j++) {
			make_text(&random, &texts[j]);
			event_text(&event, fields[j],
			    span_of(texts[j].octets, texts[j].len));
		}
		for (int json = 0; json < 2; json++) {
			struct outbuf out;
			outbuf_init(&out, line, LOG_LINE_MAX);
			assert_true(log_format(span_of(event.data, event.len),
			    json ? LOG_AS_JSON : LOG_AS_LOGFMT, &out));
			line[out.len] = '\0';
			check_line((const char *)line, texts, json);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hostile_texts_stay_in_their_field),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
