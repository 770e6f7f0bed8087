/* SPDX-License-Identifier: ISC */
/*
 * From an event to one line of the log. Pure; where the line goes is sink.h.
 *
 * Both forms start with ts (UTC, microseconds), level (error warn info debug)
 * and event (the kind); then the fields in the order they were sent, each at
 * most once. A text that was cut is followed by NAME_truncated=true. A session
 * id is 16 hexadecimal digits everywhere.
 *
 * logfmt:
 *   line   = "ts=" TIME " level=" LEVEL " event=" KIND *(" " field) LF
 *   field  = NAME "=" value          ; NAME: a-z and "_"
 *   value  = 1*bare / DQUOTE *quoted DQUOTE
 *   bare   = A-Z a-z 0-9 . _ : / @ + - [ ]
 *   quoted = 0x20-0x7E but `"` and `\` / `\"` / `\\` / `\n` / `\r` / `\t` /
 *            `\x` 2HEXDIG            ; every other octet, lower-case digits
 *   A backslash in a quoted value is always one of these escapes, so a value
 *   gives back its octets; a line never holds an octet outside 0x20-0x7E.
 *
 * json: as in json.h; u64 fields are numbers, bool fields true or false.
 */
#ifndef OBSERVER_LOG_H
#define OBSERVER_LOG_H

#include "config/config.h"
#include "proxy/base/span.h"

/* Enough for every event: EVENT_MAX octets of text at six characters each,
 * every field once with its mark, and the head. */
#define LOG_LINE_MAX 32768

/*
 * Writes one line with its LF into out, which is empty. False: the message is
 * malformed (then what is in out is not to be used). A field that comes twice
 * is malformed.
 */
bool log_format(
    struct span message, enum config_log_format format, struct outbuf *out);

/* The session id as the log writes it. */
#define LOG_ID_MAX 17
const char *log_id_text(uint64_t id, char buf[LOG_ID_MAX]);

/* "2026-11-20T12:00:00.000000Z", as the log writes it. */
#define LOG_TIME_MAX 40
const char *log_time_text(uint64_t realtime_us, char buf[LOG_TIME_MAX]);

#endif
