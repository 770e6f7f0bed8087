/* SPDX-License-Identifier: ISC */
#include "proxy/base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "proxy/base/ensure.h"
#include "proxy/base/parse.h"

static bool
copy_text(struct span text, char buf[ADDR_TEXT_MAX])
{
	if (text.len == 0 || text.len >= ADDR_TEXT_MAX ||
	    memchr(text.data, '\0', text.len) != NULL)
		return false;
	memcpy(buf, text.data, text.len);
	buf[text.len] = '\0';
	return true;
}

bool
addr_parse_ip(struct span text, struct addr *out_addr)
{
	char buf[ADDR_TEXT_MAX];

	*out_addr = (struct addr){.family = ADDR_NONE};
	if (!copy_text(text, buf))
		return false;
	if (inet_pton(AF_INET, buf, out_addr->ip) == 1)
		out_addr->family = ADDR_IPV4;
	else if (inet_pton(AF_INET6, buf, out_addr->ip) == 1)
		out_addr->family = ADDR_IPV6;
	return out_addr->family != ADDR_NONE;
}

static const uint8_t *
last_colon(struct span text)
{
	return text.len == 0 ? NULL : memrchr(text.data, ':', text.len);
}

bool
addr_parse(struct span text, struct addr *out_addr)
{
	*out_addr = (struct addr){.family = ADDR_NONE};
	const uint8_t *colon = last_colon(text);
	if (colon == NULL)
		return false;
	size_t host_len = (size_t)(colon - text.data);
	struct span host = span_of(text.data, host_len);
	struct span port = span_of(colon + 1, text.len - host_len - 1);
	bool bracketed = host_len >= 2 && host.data[0] == '[' &&
			 host.data[host_len - 1] == ']';
	if (bracketed)
		host = span_of(host.data + 1, host_len - 2);

	uint64_t number;
	struct addr addr;
	if (!parse_u64(port, 1, 65535, &number) || !addr_parse_ip(host, &addr))
		return false;
	if (bracketed != (addr.family == ADDR_IPV6))
		return false;
	addr.port = (uint16_t)number;
	*out_addr = addr;
	return true;
}

static uint32_t
family_bits(const struct addr *addr)
{
	return addr->family == ADDR_IPV4 ? 32 : 128;
}

static bool
bit_is_set(const struct addr *addr, uint32_t bit)
{
	return (addr->ip[bit / 8] >> (7 - bit % 8)) & 1;
}

bool
prefix_parse(struct span text, struct prefix *out_prefix)
{
	*out_prefix = (struct prefix){.bits = 0};
	const uint8_t *slash =
	    text.len == 0 ? NULL : memchr(text.data, '/', text.len);
	size_t ip_len = slash ? (size_t)(slash - text.data) : text.len;
	struct prefix prefix = {.bits = 0};
	if (!addr_parse_ip(span_of(text.data, ip_len), &prefix.addr))
		return false;

	uint64_t bits = family_bits(&prefix.addr);
	if (slash != NULL &&
	    !parse_u64(
		span_of(slash + 1, text.len - ip_len - 1), 0, bits, &bits))
		return false;
	prefix.bits = (uint32_t)bits;
	for (uint32_t i = prefix.bits; i < family_bits(&prefix.addr); i++)
		if (bit_is_set(&prefix.addr, i))
			return false;
	*out_prefix = prefix;
	return true;
}

bool
addr_equal_ip(const struct addr *a, const struct addr *b)
{
	return a->family == b->family &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

bool
addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_equal_ip(a, b) && a->port == b->port;
}

bool
prefix_contains(const struct prefix *prefix, const struct addr *addr)
{
	if (prefix->addr.family != addr->family)
		return false;
	uint32_t octets = prefix->bits / 8;
	if (memcmp(prefix->addr.ip, addr->ip, octets) != 0)
		return false;
	for (uint32_t i = octets * 8; i < prefix->bits; i++)
		if (bit_is_set(&prefix->addr, i) != bit_is_set(addr, i))
			return false;
	return true;
}

void
addr_unmap(struct addr *addr)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (addr->family != ADDR_IPV6 ||
	    memcmp(addr->ip, mapped, sizeof(mapped)) != 0)
		return;
	addr->family = ADDR_IPV4;
	memmove(addr->ip, addr->ip + 12, 4);
	memset(addr->ip + 4, 0, 12);
}

bool
addr_from_sockaddr(const struct sockaddr *sa, struct addr *out_addr)
{
	*out_addr = (struct addr){.family = ADDR_NONE};
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;
		out_addr->family = ADDR_IPV4;
		out_addr->port = ntohs(in->sin_port);
		memcpy(out_addr->ip, &in->sin_addr, 4);
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;
		out_addr->family = ADDR_IPV6;
		out_addr->port = ntohs(in6->sin6_port);
		memcpy(out_addr->ip, &in6->sin6_addr, 16);
		return true;
	}
	return false;
}

socklen_t
addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *out_sa)
{
	memset(out_sa, 0, sizeof(*out_sa));
	if (addr->family == ADDR_IPV4) {
		struct sockaddr_in *in = (void *)out_sa;
		in->sin_family = AF_INET;
		in->sin_port = htons(addr->port);
		memcpy(&in->sin_addr, addr->ip, 4);
		return sizeof(*in);
	}
	ENSURE(addr->family == ADDR_IPV6);
	struct sockaddr_in6 *in6 = (void *)out_sa;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(addr->port);
	memcpy(&in6->sin6_addr, addr->ip, 16);
	return sizeof(*in6);
}

const char *
addr_text_ip(const struct addr *addr, char buf[ADDR_TEXT_MAX])
{
	int family = addr->family == ADDR_IPV4 ? AF_INET : AF_INET6;

	if (addr->family == ADDR_NONE ||
	    inet_ntop(family, addr->ip, buf, ADDR_TEXT_MAX) == NULL)
		memcpy(buf, "-", 2);
	return buf;
}

const char *
addr_text(const struct addr *addr, char buf[ADDR_TEXT_MAX])
{
	char ip[ADDR_TEXT_MAX];

	addr_text_ip(addr, ip);
	if (addr->family == ADDR_NONE)
		memcpy(buf, ip, 2);
	else if (addr->family == ADDR_IPV4)
		snprintf(buf, ADDR_TEXT_MAX, "%.45s:%u", ip, addr->port);
	else
		snprintf(buf, ADDR_TEXT_MAX, "[%.45s]:%u", ip, addr->port);
	return buf;
}
