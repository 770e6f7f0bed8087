/* SPDX-License-Identifier: ISC */
/*
 * One flat JSON object a line, as the log and the control socket write them.
 * Members are text, whole numbers or booleans; never nested. In text every
 * octet outside 0x20-0x7E is \u00XX (an octet >= 0x80 is NOT decoded as UTF-8:
 * it is the code point of the same number), and so are `"` and `\`, as \" and
 * \\. So a line is ASCII, is one line, and gives back every octet.
 *
 * Keys are ours and need no escaping. Nothing is checked but the outbuf: look
 * at out->overflow after json_end().
 */
#ifndef OBSERVER_JSON_H
#define OBSERVER_JSON_H

#include <stdint.h>

#include "proxy/base/addr.h"
#include "proxy/base/span.h"

void json_begin(struct outbuf *out);
void json_end(struct outbuf *out); /* with the line's LF */

void json_text(struct outbuf *out, const char *key, struct span text);
void json_str(struct outbuf *out, const char *key, const char *text);
void json_addr(struct outbuf *out, const char *key, const struct addr *addr);
void json_u64(struct outbuf *out, const char *key, uint64_t value);
void json_i64(struct outbuf *out, const char *key, int64_t value);
void json_bool(struct outbuf *out, const char *key, bool value);

#endif
