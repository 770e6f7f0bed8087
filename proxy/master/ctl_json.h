/* SPDX-License-Identifier: ISC */
/*
 * Reads one line of the control socket's replies: a flat JSON object of text,
 * whole numbers and booleans, as the observer writes them. Nothing else.
 */
#ifndef MASTER_CTL_JSON_H
#define MASTER_CTL_JSON_H

#include <stdbool.h>
#include <stddef.h>

#define CTL_MEMBERS_MAX 32

/* Both point into the line and end with a NUL. Text is as it may be shown on
 * a terminal: \" and \\ are decoded, \u00XX stays as it is written. */
struct ctl_member {
	const char *key;
	const char *value;
	bool is_text;
};

/* Changes the line (NUL-terminated, without its LF). False: malformed, more
 * than CTL_MEMBERS_MAX members, or an octet outside 0x20-0x7E. */
bool ctl_json_parse(
    char *line, struct ctl_member members[CTL_MEMBERS_MAX], size_t *out_n);

#endif
