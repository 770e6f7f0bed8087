/* SPDX-License-Identifier: ISC */
/* See verdict.h. Nothing of a backend's line is passed on unfiltered. */
#include "proxy/imap/verdict.h"

#include <string.h>

#include "proxy/base/imaplex.h"
#include "proxy/imap/capability.h"

static bool
is_printable(uint8_t c)
{
	return c >= 0x20 && c < 0x7f;
}

static void
copy_text(char to[LOGIN_TEXT_MAX + 1], struct span text)
{
	size_t len = text.len < LOGIN_TEXT_MAX ? text.len : LOGIN_TEXT_MAX;
	for (size_t i = 0; i < len; i++)
		to[i] = is_printable(text.data[i]) ? (char)text.data[i] : '?';
	to[len] = '\0';
}

/* The name in upper case; arguments only if they can be passed as they are. */
static void
keep_code(struct verdict *verdict, struct span name, struct span code)
{
	size_t len = name.len;
	for (size_t i = 0; i < len; i++) {
		uint8_t c = name.data[i];
		bool is_lower = c >= 'a' && c <= 'z';
		verdict->name[i] = (char)(is_lower ? c - 'a' + 'A' : c);
	}
	verdict->name[len] = '\0';
	memcpy(verdict->code, verdict->name, len + 1);
	if (code.len > LOGIN_TEXT_MAX)
		return;
	for (size_t i = len; i < code.len; i++)
		if (!is_printable(code.data[i]) || code.data[i] == ']')
			return;
	copy_text(verdict->code, code);
}

/* False: there is none that can be passed on. */
static bool
read_code(struct verdict *verdict, struct span code)
{
	struct span rest = code;
	struct span name;
	if (!imap_next_word(&rest, &name) || name.data != code.data ||
	    name.len >= sizeof(verdict->name) || !imap_is_atom(name))
		return false;
	keep_code(verdict, name, code);
	return true;
}

static void
drop_code(struct verdict *verdict)
{
	verdict->name[0] = '\0';
	verdict->code[0] = '\0';
}

/* The gateway's own answer in place of the backend's. */
static enum login_status
replace(struct verdict *verdict, const char *text)
{
	keep_code(verdict, span_str("UNAVAILABLE"), span_str("UNAVAILABLE"));
	copy_text(verdict->text, span_str(text));
	return LOGIN_REFUSED;
}

void
verdict_learn(struct verdict *verdict, struct span list)
{
	struct outbuf out;
	outbuf_init(
	    &out, verdict->capabilities, sizeof(verdict->capabilities) - 1);
	capability_after_login(list, &out);
	verdict->capabilities[out.len] = '\0';
}

static enum login_status
judge_ok(struct verdict *verdict, const struct reply *reply)
{
	struct span list = reply->code;
	struct span name;
	verdict->is_ok = true;
	if (reply_code_is(reply->code, "CAPABILITY")) {
		imap_next_word(&list, &name);
		verdict_learn(verdict, list);
		drop_code(verdict);
	} else if (reply_code_is(reply->code, "REFERRAL")) {
		drop_code(verdict);
	}
	return LOGIN_OK;
}

static enum login_status
judge_no(struct verdict *verdict)
{
	const char *name = verdict->name;
	if (strcmp(name, "PRIVACYREQUIRED") == 0)
		return LOGIN_MISCONFIGURED;
	if (strcmp(name, "REFERRAL") == 0)
		return replace(verdict, "This account is not served here.");
	if (strcmp(name, "CAPABILITY") == 0)
		drop_code(verdict);
	bool has_failed =
	    name[0] == '\0' || strcmp(name, "AUTHENTICATIONFAILED") == 0;
	return has_failed ? LOGIN_FAILED : LOGIN_REFUSED;
}

enum login_status
verdict_judge(struct verdict *verdict, const struct reply *reply)
{
	if (!read_code(verdict, reply->code))
		drop_code(verdict);
	copy_text(verdict->text, reply->text);
	if (reply->kind == REPLY_TAGGED_OK)
		return judge_ok(verdict, reply);
	if (reply->kind == REPLY_TAGGED_NO)
		return judge_no(verdict);
	return replace(verdict, "The server does not take this login.");
}

static void
put_text(const struct verdict *verdict, bool has_code, struct outbuf *out)
{
	const char *text = verdict->text;
	if (text[0] == '\0')
		text = verdict->is_ok ? "Logged in." : "Login failed.";
	/* A text must not look like a code that was dropped. */
	bool looks_like_code = !has_code && text[0] == '[';
	outbuf_puts(out, looks_like_code ? "(" : "");
	outbuf_puts(out, looks_like_code ? text + 1 : text);
	outbuf_puts(out, "\r\n");
}

void
verdict_write(
    const struct verdict *verdict, const char *tag, struct outbuf *out)
{
	bool has_code = verdict->code[0] != '\0';
	bool has_list = verdict->is_ok && verdict->capabilities[0] != '\0';
	if (has_code && has_list)
		outbuf_printf(
		    out, "* CAPABILITY %s\r\n", verdict->capabilities);
	outbuf_printf(out, "%s %s ", tag, verdict->is_ok ? "OK" : "NO");
	if (has_code)
		outbuf_printf(out, "[%s] ", verdict->code);
	else if (has_list)
		outbuf_printf(out, "[CAPABILITY %s] ", verdict->capabilities);
	put_text(verdict, has_code || has_list, out);
}

/* Where there is no verdict. */
const char *
login_trouble_name(enum login_trouble trouble)
{
	static const char *const names[] = {
	    [TROUBLE_NONE] = "none",
	    [TROUBLE_CLOSED] = "closed",
	    [TROUBLE_TIMEOUT] = "timeout",
	    [TROUBLE_GARBAGE] = "garbage",
	    [TROUBLE_PREAUTH] = "preauth",
	    [TROUBLE_BYE] = "bye",
	    [TROUBLE_TOO_MUCH] = "too_much",
	    [TROUBLE_NO_MECHANISM] = "no_mechanism",
	    [TROUBLE_MEMORY] = "memory",
	};
	return names[trouble];
}
