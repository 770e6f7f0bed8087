/* SPDX-License-Identifier: ISC */
/* See reply.h. Called by the commands, the metrics and the page. */
#include "proxy/observer/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRINT_MAX 1024

static bool
grow(struct reply *reply, size_t more)
{
	size_t cap = reply->cap == 0 ? 16384 : reply->cap;
	if (more > REPLY_MAX)
		return false;
	while (cap - reply->len < more)
		cap *= 2;
	if (cap == reply->cap)
		return true;
	if (cap > REPLY_MAX)
		return false;
	uint8_t *data = realloc(reply->data, cap);
	if (data == NULL)
		return false;
	reply->data = data;
	reply->cap = cap;
	return true;
}

void
reply_put(struct reply *reply, struct span bytes)
{
	if (reply->failed || !grow(reply, bytes.len)) {
		reply->failed = true;
		return;
	}
	if (bytes.len > 0)
		memcpy(reply->data + reply->len, bytes.data, bytes.len);
	reply->len += bytes.len;
}

void
reply_puts(struct reply *reply, const char *text)
{
	reply_put(reply, span_str(text));
}

void
reply_printf(struct reply *reply, const char *format, ...)
{
	char text[PRINT_MAX];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(text))
		reply->failed = true;
	else
		reply_put(reply, span_of(text, (size_t)n));
}
