/* SPDX-License-Identifier: ISC */
/* See json.h. Pure. Called by log.c and the commands of the control socket. */
#include "proxy/observer/json.h"

void
json_begin(struct outbuf *out)
{
	outbuf_putc(out, '{');
}

void
json_end(struct outbuf *out)
{
	outbuf_puts(out, "}\n");
}

static void
put_key(struct outbuf *out, const char *key)
{
	if (out->len > 0 && out->data[out->len - 1] != '{')
		outbuf_putc(out, ',');
	outbuf_putc(out, '"');
	outbuf_puts(out, key);
	outbuf_puts(out, "\":");
}

static bool
is_plain(uint8_t c)
{
	return c >= 0x20 && c <= 0x7e && c != '"' && c != '\\';
}

static void
put_escaped(struct outbuf *out, uint8_t c)
{
	static const char digits[] = "0123456789abcdef";
	if (c == '"' || c == '\\') {
		outbuf_putc(out, '\\');
		outbuf_putc(out, (char)c);
	} else {
		outbuf_puts(out, "\\u00");
		outbuf_putc(out, digits[c >> 4]);
		outbuf_putc(out, digits[c & 15]);
	}
}

void
json_text(struct outbuf *out, const char *key, struct span text)
{
	put_key(out, key);
	outbuf_putc(out, '"');
	for (;;) {
		size_t n = 0;
		while (n < text.len && is_plain(text.data[n]))
			n++;
		outbuf_put(out, span_of(text.data, n));
		span_advance(&text, n);
		if (text.len == 0)
			break;
		put_escaped(out, text.data[0]);
		span_advance(&text, 1);
	}
	outbuf_putc(out, '"');
}

void
json_str(struct outbuf *out, const char *key, const char *text)
{
	json_text(out, key, span_str(text));
}

void
json_addr(struct outbuf *out, const char *key, const struct addr *addr)
{
	char text[ADDR_TEXT_MAX];
	json_str(out, key, addr_text(addr, text));
}

/* Thousands of rows have several each: printf would be most of the work. */
static void
put_number(struct outbuf *out, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	outbuf_put(out, span_of(digits + at, sizeof(digits) - at));
}

void
json_u64(struct outbuf *out, const char *key, uint64_t value)
{
	put_key(out, key);
	put_number(out, value);
}

void
json_i64(struct outbuf *out, const char *key, int64_t value)
{
	put_key(out, key);
	if (value < 0)
		outbuf_putc(out, '-');
	put_number(out, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void
json_bool(struct outbuf *out, const char *key, bool value)
{
	put_key(out, key);
	outbuf_puts(out, value ? "true" : "false");
}
