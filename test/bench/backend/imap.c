/* SPDX-License-Identifier: ISC */
/*
 * The stand-in's IMAP: just enough for gateways and for the load generator.
 * It keeps a command's verb and tag and forgets everything else.
 */
#include "test/bench/backend/imap.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proxy/base/ensure.h"

#define CAPABILITIES                                                      \
	"IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE NAMESPACE AUTH=PLAIN " \
	"AUTH=LOGIN"

enum verb {
	VERB_OTHER,
	VERB_APPEND,
	VERB_AUTHENTICATE,
	VERB_CAPABILITY,
	VERB_FETCH,
	VERB_ID,
	VERB_IDLE,
	VERB_LOGIN,
	VERB_LOGOUT,
	VERB_NOOP,
};

static const char *const VERB_NAMES[] = {
    [VERB_APPEND] = "APPEND",
    [VERB_AUTHENTICATE] = "AUTHENTICATE",
    [VERB_CAPABILITY] = "CAPABILITY",
    [VERB_FETCH] = "FETCH",
    [VERB_ID] = "ID",
    [VERB_IDLE] = "IDLE",
    [VERB_LOGIN] = "LOGIN",
    [VERB_LOGOUT] = "LOGOUT",
    [VERB_NOOP] = "NOOP",
};

static void
put(struct loop *l, const char *text, size_t len)
{
	ENSURE(len <= sizeof(l->out) - l->out_len);
	memcpy(l->out + l->out_len, text, len);
	l->out_len += len;
}

static void
puts_out(struct loop *l, const char *text)
{
	put(l, text, strlen(text));
}

static void
put_tagged(struct loop *l, const struct conn *c, const char *text)
{
	puts_out(l, c->tag);
	puts_out(l, text);
}

void
imap_fill_body(struct loop *l, struct conn *c)
{
	if (c->body_left == 0)
		return;
	size_t room = sizeof(l->out) - REPLY_ROOM - l->out_len;
	size_t n = c->body_left < room ? (size_t)c->body_left : room;
	memset(l->out + l->out_len, 'x', n);
	l->out_len += n;
	c->body_left -= n;
	if (c->body_left == 0) {
		puts_out(l, ")\r\n");
		put_tagged(l, c, " OK Fetched\r\n");
	}
}

static enum verb
find_verb(const char *word, size_t len)
{
	for (size_t i = 1; i < sizeof(VERB_NAMES) / sizeof(*VERB_NAMES); i++) {
		if (strlen(VERB_NAMES[i]) == len &&
		    strncasecmp(VERB_NAMES[i], word, len) == 0)
			return (enum verb)i;
	}
	return VERB_OTHER;
}

static size_t
word_len(const char *p, const char *end)
{
	const char *space = memchr(p, ' ', (size_t)(end - p));
	return (size_t)((space ? space : end) - p);
}

static uint64_t
number_at(const char *p, const char *end)
{
	uint64_t n = 0;
	for (; p < end && isdigit((unsigned char)*p) && n < UINT32_MAX; p++)
		n = n * 10 + (uint64_t)(*p - '0');
	return n;
}

/* Whether a line ends in {n} or {n+}; the octets are then skipped. */
static bool
begin_literal(struct loop *l, struct conn *c, const char *line, size_t len)
{
	if (len < 3 || line[len - 1] != '}')
		return false;
	bool plus = line[len - 2] == '+' || line[len - 2] == '-';
	const char *open = memrchr(line, '{', len);
	if (!open)
		return false;
	c->literal_left = number_at(open + 1, line + len);
	c->continued = true;
	c->state = c->literal_left > 0 ? STATE_LITERAL : STATE_COMMAND;
	if (!plus)
		puts_out(l, "+ OK\r\n");
	return true;
}

static void
reply_login(struct loop *l, struct conn *c)
{
	c->state = STATE_COMMAND;
	put_tagged(l, c, " OK [CAPABILITY " CAPABILITIES "] Logged in\r\n");
}

static void
reply_authenticate(
    struct loop *l, struct conn *c, const char *args, const char *end)
{
	size_t mech = word_len(args, end);
	bool initial = args + mech < end;
	bool login = mech == 5 && strncasecmp(args, "LOGIN", 5) == 0;
	c->sasl_lines = (uint8_t)((login ? 2 : 1) - (initial ? 1 : 0));
	if (c->sasl_lines == 0) {
		reply_login(l, c);
		return;
	}
	c->state = STATE_SASL;
	puts_out(l, login && !initial ? "+ VXNlcm5hbWU6\r\n" : "+ \r\n");
}

static void
on_sasl_line(struct loop *l, struct conn *c)
{
	c->sasl_lines--;
	if (c->sasl_lines == 0)
		reply_login(l, c);
	else
		puts_out(l, "+ UGFzc3dvcmQ6\r\n");
}

static void
reply_fetch(struct loop *l, struct conn *c, const char *args, const char *end)
{
	uint64_t kb = number_at(args, end);
	char head[96];
	int n = snprintf(head, sizeof(head), "* %llu FETCH (BODY[] {%llu}\r\n",
	    (unsigned long long)kb, (unsigned long long)kb * 1024);
	put(l, head, (size_t)n);
	c->body_left = kb * 1024;
	if (kb == 0) {
		puts_out(l, ")\r\n");
		put_tagged(l, c, " OK Fetched\r\n");
	}
}

static void
reply(struct loop *l, struct conn *c, const char *args, const char *end)
{
	switch ((enum verb)c->verb) {
	case VERB_LOGIN:
		reply_login(l, c);
		break;
	case VERB_AUTHENTICATE:
		reply_authenticate(l, c, args, end);
		break;
	case VERB_CAPABILITY:
		puts_out(l, "* CAPABILITY " CAPABILITIES "\r\n");
		put_tagged(l, c, " OK Done\r\n");
		break;
	case VERB_ID:
		puts_out(l, "* ID (\"name\" \"bench\")\r\n");
		put_tagged(l, c, " OK Done\r\n");
		break;
	case VERB_IDLE:
		c->state = STATE_IDLE;
		puts_out(l, "+ idling\r\n");
		break;
	case VERB_FETCH:
		reply_fetch(l, c, args, end);
		break;
	case VERB_LOGOUT:
		c->state = STATE_LOGOUT;
		puts_out(l, "* BYE Logging out\r\n");
		put_tagged(l, c, " OK Done\r\n");
		break;
	case VERB_APPEND:
	case VERB_NOOP:
	case VERB_OTHER:
		put_tagged(l, c, " OK Done\r\n");
		break;
	}
}

static void
on_command_line(struct loop *l, struct conn *c, const char *line, size_t len)
{
	const char *end = line + len;
	const char *args = end;
	if (!c->continued) {
		size_t tag = word_len(line, end);
		if (tag == 0 || tag > TAG_MAX_LEN || line + tag >= end) {
			puts_out(l, "* BAD Syntax\r\n");
			return;
		}
		memcpy(c->tag, line, tag);
		c->tag[tag] = '\0';
		const char *verb = line + tag + 1;
		size_t verb_len = word_len(verb, end);
		c->verb = (uint8_t)find_verb(verb, verb_len);
		args = verb + verb_len < end ? verb + verb_len + 1 : end;
	}
	if (begin_literal(l, c, line, len))
		return;
	c->continued = false;
	reply(l, c, args, end);
}

static void
on_line(struct loop *l, struct conn *c, const char *line, size_t len)
{
	if (c->state == STATE_SASL) {
		on_sasl_line(l, c);
	} else if (c->state == STATE_IDLE) {
		if (len == 4 && strncasecmp(line, "DONE", 4) == 0) {
			c->state = STATE_COMMAND;
			put_tagged(l, c, " OK Idle completed\r\n");
		}
	} else {
		on_command_line(l, c, line, len);
	}
}

void
imap_greet(struct loop *l, struct conn *c)
{
	c->state = STATE_COMMAND;
	puts_out(l, "* OK [CAPABILITY " CAPABILITIES "] bench ready\r\n");
}

/* Returns the octets of a PROXY header, 0 when more are needed. */
static size_t
proxy_header_len(const char *p, size_t len)
{
	static const char v2[] = "\r\n\r\n\0\r\nQUIT\n";
	if (len < 16)
		return 0;
	if (memcmp(p, v2, 12) == 0) {
		size_t body = (size_t)(unsigned char)p[14] << 8;
		body |= (unsigned char)p[15];
		return len >= 16 + body ? 16 + body : 0;
	}
	const char *lf = memchr(p, '\n', len);
	return lf ? (size_t)(lf - p) + 1 : 0;
}

size_t
imap_take(struct loop *l, struct conn *c, const char *p, size_t len)
{
	if (c->state == STATE_PROXY) {
		size_t n = proxy_header_len(p, len);
		if (n > 0)
			imap_greet(l, c);
		return n;
	}
	if (c->state == STATE_LITERAL) {
		size_t n = len;
		if (c->literal_left < n)
			n = (size_t)c->literal_left;
		c->literal_left -= n;
		if (c->literal_left == 0)
			c->state = STATE_COMMAND;
		return n;
	}
	const char *lf = memchr(p, '\n', len);
	if (!lf)
		return 0;
	size_t line = (size_t)(lf - p);
	on_line(l, c, p, line > 0 && lf[-1] == '\r' ? line - 1 : line);
	return line + 1;
}
