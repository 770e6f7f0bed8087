/* SPDX-License-Identifier: ISC */
/*
 * See ctl_json.h. Works in place: decoded text is never longer than it was
 * written, so `to` never overtakes `at`. Called by ctl.c.
 */
#include "proxy/master/ctl_json.h"

#include <string.h>

/* Returns what follows the closing quote; NULL: malformed. *at is `"`. */
static char *
read_text(char *at, const char **out_text)
{
	if (*at != '"')
		return NULL;
	char *to = ++at;
	*out_text = to;
	while (*at != '"') {
		if (*at < 0x20 || *at > 0x7e)
			return NULL;
		if (*at == '\\' && (at[1] == '"' || at[1] == '\\'))
			at++;
		*to++ = *at++;
	}
	*to = '\0';
	return at + 1;
}

/* A number or a word is ended later, by whoever reads the octet behind it. */
static char *
read_bare(char *at, const char **out_text)
{
	*out_text = at;
	at += strspn(at, "-0123456789abcdefghijklmnopqrstuvwxyz");
	return at == *out_text ? NULL : at;
}

static char *
read_member(char *at, struct ctl_member *out_member)
{
	at = read_text(at, &out_member->key);
	if (at == NULL || *at != ':')
		return NULL;
	at++;
	out_member->is_text = *at == '"';
	return out_member->is_text ? read_text(at, &out_member->value)
				   : read_bare(at, &out_member->value);
}

bool
ctl_json_parse(
    char *line, struct ctl_member members[CTL_MEMBERS_MAX], size_t *out_n)
{
	*out_n = 0;
	char *at = line;
	char separator = '{';
	while (*at == separator && *out_n < CTL_MEMBERS_MAX) {
		*at++ = '\0'; /* ends a bare value before it */
		at = read_member(at, &members[*out_n]);
		if (at == NULL)
			return false;
		(*out_n)++;
		separator = ',';
	}
	if (*out_n == 0 || at[0] != '}' || at[1] != '\0')
		return false;
	*at = '\0';
	return true;
}
