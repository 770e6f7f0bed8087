/* SPDX-License-Identifier: ISC */
/* See json.h. Pure. Called by log.c and the commands of the control socket. */
#include "proxy/observer/json.h"

#include <inttypes.h>
#include <string.h>

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

static void
put_octet(struct outbuf *out, uint8_t c)
{
	static const char digits[] = "0123456789abcdef";
	if (c == '"' || c == '\\') {
		outbuf_putc(out, '\\');
		outbuf_putc(out, (char)c);
	} else if (c >= 0x20 && c <= 0x7e) {
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
	for (size_t i = 0; i < text.len; i++)
		put_octet(out, text.data[i]);
	outbuf_putc(out, '"');
}

void
json_str(struct outbuf *out, const char *key, const char *text)
{
	json_text(out, key, span_str(text));
}

void
json_field(struct outbuf *out, const char *key, const char *text, size_t size)
{
	json_text(out, key, span_of(text, strnlen(text, size)));
}

void
json_addr(struct outbuf *out, const char *key, const struct addr *addr)
{
	char text[ADDR_TEXT_MAX];
	json_str(out, key, addr_text(addr, text));
}

void
json_u64(struct outbuf *out, const char *key, uint64_t value)
{
	put_key(out, key);
	outbuf_printf(out, "%" PRIu64, value);
}

void
json_i64(struct outbuf *out, const char *key, int64_t value)
{
	put_key(out, key);
	outbuf_printf(out, "%" PRId64, value);
}

void
json_bool(struct outbuf *out, const char *key, bool value)
{
	put_key(out, key);
	outbuf_puts(out, value ? "true" : "false");
}
