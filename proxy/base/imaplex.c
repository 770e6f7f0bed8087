/* SPDX-License-Identifier: ISC */
/*
 * See imaplex.h. Used by everything that reads or writes IMAP: command, sasl
 * and login, the readers of backends. Decoding leaves no copy of what it
 * decoded: a failed one wipes what it had.
 */
#include "proxy/base/imaplex.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/ensure.h"

bool
imap_is_atom_char(uint8_t c)
{
	/* atom-specials of RFC 9051 section 9; CTL includes DEL. */
	switch (c) {
	case '(':
	case ')':
	case '{':
	case '%':
	case '*':
	case '"':
	case '\\':
	case ']':
		return false;
	default:
		return c > 0x20 && c < 0x7f;
	}
}

bool
imap_is_astring_char(uint8_t c)
{
	return imap_is_atom_char(c) || c == ']';
}

bool
imap_is_tag_char(uint8_t c)
{
	return imap_is_astring_char(c) && c != '+';
}

static bool
is_all(struct span text, bool (*is_char)(uint8_t))
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_char(text.data[i]))
			return false;
	return text.len > 0;
}

bool
imap_is_atom(struct span text)
{
	return is_all(text, imap_is_atom_char);
}

bool
imap_is_tag(struct span text)
{
	return is_all(text, imap_is_tag_char);
}

bool
imap_next_word(struct span *text, struct span *out_word)
{
	while (text->len > 0 && text->data[0] == ' ')
		span_advance(text, 1);
	const uint8_t *end =
	    text->len > 0 ? memchr(text->data, ' ', text->len) : NULL;
	size_t len = end != NULL ? (size_t)(end - text->data) : text->len;
	*out_word = span_of(text->data, len);
	span_advance(text, len);
	return len > 0;
}

bool
imap_is_quotable(struct span octets)
{
	for (size_t i = 0; i < octets.len; i++) {
		uint8_t c = octets.data[i];
		if (c == '\0' || c == '\r' || c == '\n' || c >= 0x80)
			return false;
	}
	return true;
}

void
imap_put_quoted(struct outbuf *out, struct span octets)
{
	ENSURE(imap_is_quotable(octets));
	outbuf_putc(out, '"');
	for (size_t i = 0; i < octets.len; i++) {
		char c = (char)octets.data[i];
		if (c == '"' || c == '\\')
			outbuf_putc(out, '\\');
		outbuf_putc(out, c);
	}
	outbuf_putc(out, '"');
}

/* The six bits of a base64 digit, or -1. */
static int
digit_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/*
 * Decodes four digits of which the last n_pad are "="; writes 3 - n_pad
 * octets.
 */
static bool
decode_group(const uint8_t *digits, size_t n_pad, uint8_t *to)
{
	uint32_t bits = 0;
	for (size_t i = 0; i < 4; i++) {
		int value = i < 4 - n_pad ? digit_value(digits[i]) : 0;
		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
	}
	for (size_t i = 0; i < 3 - n_pad; i++)
		to[i] = (uint8_t)(bits >> (16 - 8 * i));
	/* Bits behind the end would make two texts of the same octets. */
	return n_pad == 0 || (bits & (n_pad == 1 ? 0xffU : 0xffffU)) == 0;
}

static size_t
count_padding(struct span text)
{
	size_t n = 0;
	while (n < 2 && n < text.len && text.data[text.len - 1 - n] == '=')
		n++;
	return n;
}

bool
imap_base64_decode(struct span text, struct secret *out_octets)
{
	ENSURE(out_octets->len == 0);
	if (text.len % 4 != 0)
		return false;
	size_t n_pad = count_padding(text);
	size_t len = text.len / 4 * 3 - n_pad;
	struct secret octets = {.data = malloc(len + 1), .len = len};
	if (octets.data == NULL)
		return false;
	octets.data[len] = '\0';
	for (size_t i = 0; i < text.len / 4; i++) {
		size_t pad = (i + 1) * 4 == text.len ? n_pad : 0;
		if (!decode_group(
			text.data + i * 4, pad, octets.data + i * 3)) {
			secret_wipe(&octets);
			return false;
		}
	}
	secret_wipe(out_octets);
	*out_octets = octets;
	return true;
}

void
imap_base64_encode(struct outbuf *out, struct span octets)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < octets.len; i += 3) {
		size_t n = octets.len - i < 3 ? octets.len - i : 3;
		uint32_t bits = 0;
		for (size_t k = 0; k < 3; k++)
			bits = bits << 8 | (k < n ? octets.data[i + k] : 0U);
		for (size_t k = 0; k < 4; k++)
			outbuf_putc(out,
			    k <= n ? digits[bits >> (18 - 6 * k) & 63] : '=');
	}
}
