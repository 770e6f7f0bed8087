/* SPDX-License-Identifier: ISC */
/*
 * The PROXY protocol. Reading is done on the octets that are there, from the
 * start each time: a header is short, and nothing has to be remembered between
 * reads, so the result cannot depend on where they split. Called by the
 * session (listeners with proxy_protocol, dialling) and by a probe.
 *
 * v2:  signature 12 | version, command 1 | family, transport 1 | length 2
 *      | source, destination | TLVs ...      (length counts these two lines)
 */
#include "backends/proxyhdr.h"

#include <arpa/inet.h>
#include <string.h>

#include "proxy/base/ensure.h"
#include "proxy/base/parse.h"

#define V1_MAX			107 /* the specification's worst case, CRLF included */
#define V2_HEAD			16
#define V2_TEXT_MAX		255 /* of one TLV that we write */

#define PP2_TYPE_ALPN		0x01
#define PP2_TYPE_AUTHORITY	0x02
#define PP2_TYPE_CRC32C		0x03
#define PP2_TYPE_SSL		0x20
#define PP2_SUBTYPE_SSL_VERSION 0x21
#define PP2_SUBTYPE_SSL_CIPHER	0x23
#define PP2_CLIENT_SSL		0x01

static const uint8_t v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";

/* How far a field that may be cut off has been understood. */
enum field {
	FIELD_CUT, /* a valid beginning, and nothing is behind it */
	FIELD_WHOLE,
	FIELD_WRONG,
};

/* ---- version 1 --------------------------------------------------------- */

/*
 * Some text is a valid beginning of an address if one of these makes it one:
 * each closes a different stage of the notation. The empty text is, too.
 */
static bool
begins_address(struct span text, uint8_t family)
{
	static const char *const endings[] = {"", "0", ".0", "0.0", ".0.0",
	    "0.0.0", ".0.0.0", "0.0.0.0", ":", "::", ":0"};
	char buf[ADDR_TEXT_MAX];
	struct addr addr;

	if (text.len > 45)
		return false;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		struct outbuf out;
		outbuf_init(&out, buf, sizeof(buf));
		outbuf_put(&out, text);
		outbuf_puts(&out, endings[i]);
		if (addr_parse_ip(outbuf_span(&out), &addr) &&
		    addr.family == family)
			return true;
	}
	return false;
}

static bool
parse_port(struct span text, uint16_t *out_port)
{
	uint64_t port;

	if (text.len > 1 && text.data[0] == '0')
		return false;
	if (!parse_u64(text, 0, 65535, &port))
		return false;
	*out_port = (uint16_t)port;
	return true;
}

/* Takes the octets up to `end` off the line; false: end is not there. */
static bool
take_field(struct span *line, char end, struct span *out_field)
{
	const uint8_t *at =
	    line->len == 0 ? NULL : memchr(line->data, end, line->len);

	*out_field = *line;
	if (at != NULL)
		out_field->len = (size_t)(at - line->data);
	span_advance(line, out_field->len + (at != NULL));
	return at != NULL;
}

static enum field
take_address(struct span *line, uint8_t family, struct addr *out_addr)
{
	struct span text;

	if (!take_field(line, ' ', &text))
		return begins_address(text, family) ? FIELD_CUT : FIELD_WRONG;
	if (!addr_parse_ip(text, out_addr) || out_addr->family != family)
		return FIELD_WRONG;
	return FIELD_WHOLE;
}

static enum field
take_port(struct span *line, char end, uint16_t *out_port)
{
	struct span text;

	bool whole = take_field(line, end, &text);
	if (!whole && text.len == 0)
		return FIELD_CUT;
	if (!parse_port(text, out_port))
		return FIELD_WRONG;
	return whole ? FIELD_WHOLE : FIELD_CUT;
}

/* "192.0.2.1 192.0.2.2 1234 993\r": the CR stands for the end of the line. */
static enum field
take_addresses(struct span line, uint8_t family, struct proxyhdr *header)
{
	uint16_t client_port = 0, local_port = 0;

	enum field field = take_address(&line, family, &header->client);
	if (field == FIELD_WHOLE)
		field = take_address(&line, family, &header->local);
	if (field == FIELD_WHOLE)
		field = take_port(&line, ' ', &client_port);
	if (field == FIELD_WHOLE)
		field = take_port(&line, '\r', &local_port);
	header->client.port = client_port;
	header->local.port = local_port;
	addr_unmap(&header->client);
	addr_unmap(&header->local);
	return field;
}

/* What follows UNKNOWN is to be ignored, but it is one line of text. */
static enum field
take_unknown(struct span line)
{
	struct span text;

	bool whole = take_field(&line, '\r', &text);
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] < 0x20 || text.data[i] > 0x7e)
			return FIELD_WRONG;
	if (text.len > 0 && text.data[0] != ' ')
		return FIELD_WRONG;
	return whole ? FIELD_WHOLE : FIELD_CUT;
}

/* Takes the word off the line. */
static enum field
take_word(struct span *line, const char *word)
{
	size_t len = strlen(word);
	size_t n = line->len < len ? line->len : len;

	if (n > 0 && memcmp(line->data, word, n) != 0)
		return FIELD_WRONG;
	if (n < len)
		return FIELD_CUT;
	span_advance(line, len);
	return FIELD_WHOLE;
}

static enum field
parse_v1_line(struct span line, struct proxyhdr *header)
{
	struct span tcp4 = line, tcp6 = line, unknown = line;
	enum field as_tcp4 = take_word(&tcp4, "PROXY TCP4 ");
	enum field as_tcp6 = take_word(&tcp6, "PROXY TCP6 ");
	enum field as_unknown = take_word(&unknown, "PROXY UNKNOWN");

	if (as_tcp4 == FIELD_WHOLE)
		return take_addresses(tcp4, ADDR_IPV4, header);
	if (as_tcp6 == FIELD_WHOLE)
		return take_addresses(tcp6, ADDR_IPV6, header);
	if (as_unknown == FIELD_WHOLE)
		return take_unknown(unknown);
	bool cut = as_tcp4 == FIELD_CUT || as_tcp6 == FIELD_CUT ||
		   as_unknown == FIELD_CUT;
	return cut ? FIELD_CUT : FIELD_WRONG;
}

static enum proxyhdr_result
parse_v1(struct span in, struct proxyhdr *header, size_t *out_len)
{
	size_t max = in.len < V1_MAX ? in.len : V1_MAX;
	const uint8_t *cr = memchr(in.data, '\r', max);
	struct span line = span_of(in.data, max);

	if (cr != NULL)
		line.len = (size_t)(cr - in.data) + 1;
	switch (parse_v1_line(line, header)) {
	case FIELD_WRONG:
		return PROXYHDR_BAD;
	case FIELD_CUT:
		/* Room for CR and LF must be left; a CR that the fields did
		 * not ask for was in the wrong place. */
		return cr != NULL || line.len > V1_MAX - 2 ? PROXYHDR_BAD
							   : PROXYHDR_MORE;
	case FIELD_WHOLE:
		break;
	}
	if (line.len == V1_MAX)
		return PROXYHDR_BAD;
	if (line.len == in.len)
		return PROXYHDR_MORE;
	if (in.data[line.len] != '\n')
		return PROXYHDR_BAD;
	*out_len = line.len + 1;
	return PROXYHDR_COMPLETE;
}

/* ---- version 2 --------------------------------------------------------- */

static size_t
read_u16(const uint8_t *p)
{
	return (size_t)p[0] << 8 | p[1];
}

static uint32_t
read_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

/* CRC-32C (RFC 3720 appendix B.4), bit by bit: a header is short. */
static uint32_t
crc32c(uint32_t crc, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
	}
	return crc;
}

/* The checksum is that of the header with the four octets at `at` zero. */
static bool
crc_is_right(const uint8_t *header, size_t len, size_t at)
{
	static const uint8_t zeros[4];

	uint32_t crc = crc32c(UINT32_MAX, header, at);
	crc = crc32c(crc, zeros, sizeof(zeros));
	crc = crc32c(crc, header + at + 4, len - at - 4);
	return ~crc == read_u32(header + at);
}

/* The first `have` octets of the header are there; `end` is its length. */
static enum field
check_tlvs(const uint8_t *header, size_t at, size_t end, size_t have)
{
	size_t crc_at = 0;

	while (at < end) {
		if (end - at < 3)
			return FIELD_WRONG;
		if (at + 3 > have)
			return FIELD_CUT;
		size_t len = read_u16(header + at + 1);
		if (len > end - at - 3)
			return FIELD_WRONG;
		if (header[at] == PP2_TYPE_CRC32C) {
			/* Two checksums cannot both be right. */
			if (len != 4 || crc_at != 0)
				return FIELD_WRONG;
			crc_at = at + 3;
		}
		at += 3 + len;
	}
	if (end > have)
		return FIELD_CUT;
	if (crc_at != 0 && !crc_is_right(header, end, crc_at))
		return FIELD_WRONG;
	return FIELD_WHOLE;
}

/* Octets of one address of a family: none, IPv4, IPv6, Unix. */
static size_t
address_len(uint8_t family)
{
	static const size_t lens[] = {0, 4, 16, 108};
	return lens[family];
}

static void
copy_address(
    struct addr *addr, uint8_t family, const uint8_t *ip, const uint8_t *port)
{
	*addr = (struct addr){.family = family};
	memcpy(addr->ip, ip, address_len(family));
	addr->port = (uint16_t)read_u16(port);
	addr_unmap(addr);
}

/* The octets of a PROXY command behind the fixed head. */
static enum field
parse_v2_body(struct span in, size_t end, struct proxyhdr *header)
{
	uint8_t family = in.data[13] >> 4, transport = in.data[13] & 15;
	size_t ip_len = address_len(family);
	size_t block = family == 3 ? 2 * ip_len : 2 * (ip_len + 2);

	/* An address of an unknown family may have any length, so nobody can
	 * say where its TLVs would start: all of it is skipped. */
	if (family == 0)
		return in.len < end ? FIELD_CUT : FIELD_WHOLE;
	if (end - V2_HEAD < block)
		return FIELD_WRONG;
	enum field field = check_tlvs(
	    in.data, V2_HEAD + block, end, in.len < end ? in.len : end);
	if (field != FIELD_WHOLE || family == 3 || transport != 1)
		return field;
	const uint8_t *ip = in.data + V2_HEAD;
	const uint8_t *ports = ip + 2 * ip_len;
	_Static_assert(ADDR_IPV4 == 1 && ADDR_IPV6 == 2, "as on the wire");
	copy_address(&header->client, family, ip, ports);
	copy_address(&header->local, family, ip + ip_len, ports + 2);
	return field;
}

static bool
begins_v2(struct span in)
{
	size_t n = in.len < 12 ? in.len : 12;

	if (memcmp(in.data, v2_signature, n) != 0)
		return false;
	if (in.len > 12 && in.data[12] >> 4 != 2)
		return false;
	if (in.len > 12 && (in.data[12] & 15) > 1)
		return false;
	/* The family of a LOCAL header is to be ignored. */
	if (in.len > 13 && (in.data[12] & 15) == 1 &&
	    (in.data[13] >> 4 > 3 || (in.data[13] & 15) > 2))
		return false;
	return in.len < 15 || in.data[14] <= (PROXYHDR_MAX - V2_HEAD) >> 8;
}

static enum proxyhdr_result
parse_v2(struct span in, struct proxyhdr *header, size_t *out_len)
{
	if (!begins_v2(in))
		return PROXYHDR_BAD;
	if (in.len < V2_HEAD)
		return PROXYHDR_MORE;
	size_t end = V2_HEAD + read_u16(in.data + 14);
	if (end > PROXYHDR_MAX)
		return PROXYHDR_BAD;
	header->is_local = (in.data[12] & 15) == 0;
	enum field field = in.len < end ? FIELD_CUT : FIELD_WHOLE;
	if (!header->is_local)
		field = parse_v2_body(in, end, header);
	if (field == FIELD_WRONG)
		return PROXYHDR_BAD;
	if (field == FIELD_CUT)
		return PROXYHDR_MORE;
	*out_len = end;
	return PROXYHDR_COMPLETE;
}

enum proxyhdr_result
proxyhdr_parse(struct span in, struct proxyhdr *out_header, size_t *out_len)
{
	struct proxyhdr header = {.is_local = false};
	enum proxyhdr_result result;

	*out_len = 0;
	*out_header = header;
	if (in.len == 0)
		return PROXYHDR_MORE;
	if (in.data[0] == v2_signature[0])
		result = parse_v2(in, &header, out_len);
	else
		result = parse_v1(in, &header, out_len);
	if (result == PROXYHDR_COMPLETE)
		*out_header = header;
	return result;
}

/* ---- writing ----------------------------------------------------------- */

void
proxyhdr_write_v1(
    struct outbuf *out, const struct addr *client, const struct addr *local)
{
	char client_ip[ADDR_TEXT_MAX], local_ip[ADDR_TEXT_MAX];

	if (client->family != local->family || client->family == ADDR_NONE) {
		outbuf_puts(out, "PROXY UNKNOWN\r\n");
		return;
	}
	char line[V1_MAX + 1];
	struct outbuf buf;
	outbuf_init(&buf, line, sizeof(line));
	outbuf_printf(&buf, "PROXY TCP%c %s %s %u %u\r\n",
	    client->family == ADDR_IPV4 ? '4' : '6',
	    addr_text_ip(client, client_ip), addr_text_ip(local, local_ip),
	    client->port, local->port);
	ENSURE(!buf.overflow);
	outbuf_put(out, outbuf_span(&buf));
}

static void
put_u16(struct outbuf *out, size_t value)
{
	uint8_t octets[2] = {(uint8_t)(value >> 8), (uint8_t)value};
	outbuf_put(out, span_of(octets, sizeof(octets)));
}

static void
put_ip(struct outbuf *out, const struct addr *addr, bool as_ipv6)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (as_ipv6 && addr->family == ADDR_IPV4)
		outbuf_put(out, span_of(mapped, sizeof(mapped)));
	outbuf_put(out, span_of(addr->ip, address_len(addr->family)));
}

static void
put_addresses(
    struct outbuf *out, const struct addr *client, const struct addr *local)
{
	bool as_ipv6 = client->family != local->family;

	put_ip(out, client, as_ipv6);
	put_ip(out, local, as_ipv6);
	put_u16(out, client->port);
	put_u16(out, local->port);
}

/* A value that is too long is left out: a client chose some of them. */
static void
put_tlv(struct outbuf *out, uint8_t type, const char *text)
{
	size_t len = text == NULL ? 0 : strlen(text);

	if (len == 0 || len > V2_TEXT_MAX)
		return;
	outbuf_put(out, span_of(&type, 1));
	put_u16(out, len);
	outbuf_put(out, span_of(text, len));
}

static void
put_tls(struct outbuf *out, const struct proxyhdr_tls *tls)
{
	/* Client flags, and "verify" not zero: no certificate was verified. */
	static const uint8_t fixed[5] = {PP2_CLIENT_SSL, 0, 0, 0, 1};
	uint8_t value[5 + 2 * (3 + V2_TEXT_MAX)];
	const uint8_t type = PP2_TYPE_SSL;
	struct outbuf ssl;

	put_tlv(out, PP2_TYPE_ALPN, tls->alpn);
	put_tlv(out, PP2_TYPE_AUTHORITY, tls->sni);
	outbuf_init(&ssl, value, sizeof(value));
	outbuf_put(&ssl, span_of(fixed, sizeof(fixed)));
	put_tlv(&ssl, PP2_SUBTYPE_SSL_VERSION, tls->version);
	put_tlv(&ssl, PP2_SUBTYPE_SSL_CIPHER, tls->cipher);
	outbuf_put(out, span_of(&type, 1));
	put_u16(out, ssl.len);
	outbuf_put(out, outbuf_span(&ssl));
}

static uint8_t
v2_family(const struct addr *client, const struct addr *local)
{
	if (client->family == ADDR_NONE || local->family == ADDR_NONE)
		return 0x00;
	bool ipv4 = client->family == ADDR_IPV4 && local->family == ADDR_IPV4;
	return ipv4 ? 0x11 : 0x21;
}

void
proxyhdr_write_v2(struct outbuf *out, const struct addr *client,
    const struct addr *local, const struct proxyhdr_tls *tls)
{
	uint8_t octets[V2_HEAD + 36 + 4 * (3 + V2_TEXT_MAX) + 8];
	const uint8_t head[2] = {0x21, v2_family(client, local)};
	struct outbuf buf;

	outbuf_init(&buf, octets, sizeof(octets));
	outbuf_put(&buf, span_of(v2_signature, sizeof(v2_signature)));
	outbuf_put(&buf, span_of(head, sizeof(head)));
	put_u16(&buf, 0);
	if (head[1] != 0)
		put_addresses(&buf, client, local);
	if (tls != NULL)
		put_tls(&buf, tls);
	ENSURE(!buf.overflow);
	octets[14] = (uint8_t)((buf.len - V2_HEAD) >> 8);
	octets[15] = (uint8_t)(buf.len - V2_HEAD);
	outbuf_put(out, outbuf_span(&buf));
}
