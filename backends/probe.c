/* SPDX-License-Identifier: ISC */
/*
 * The dialogue of a health check. One command is under way at a time, so the
 * slowest server can follow. Invariant: before PROBE_AT_END no verdict is set;
 * finish() is the only way there. Called by the monitor, which moves the bytes.
 */
#include "backends/probe.h"

#include <string.h>

#include "backends/proxyhdr.h"
#include "config/config.h"
#include "proxy/base/ensure.h"
#include "proxy/base/imaplex.h"

#define PROBE_OCTETS_MAX 65536

void
probe_init(struct probe *probe, const struct backend *backend)
{
	*probe = (struct probe){.backend = *backend};
	reply_reader_init(&probe->reader, PROBE_OCTETS_MAX);
}

void
probe_fini(struct probe *probe)
{
	reply_reader_fini(&probe->reader);
	secret_wipe(&probe->login);
}

void
probe_log_in(struct probe *probe, struct span user, struct span password)
{
	uint8_t buf[PROBE_OUT_MAX];
	struct outbuf out;

	outbuf_init(&out, buf, sizeof(buf));
	imap_put_quoted(&out, user);
	outbuf_putc(&out, ' ');
	imap_put_quoted(&out, password);
	ENSURE(!out.overflow && secret_set(&probe->login, outbuf_span(&out)));
	explicit_bzero(buf, sizeof(buf));
}

/* ---- what the backend said --------------------------------------------- */

static void
keep_text(struct probe *probe, struct span text)
{
	size_t len =
	    text.len < PROBE_TEXT_MAX - 1 ? text.len : PROBE_TEXT_MAX - 1;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = text.data[i];
		probe->text[i] = c >= 0x20 && c <= 0x7e ? (char)c : '?';
	}
	probe->text[len] = '\0';
}

static bool
is_word(struct span word)
{
	for (size_t i = 0; i < word.len; i++)
		if (word.data[i] <= 0x20 || word.data[i] > 0x7e)
			return false;
	return word.len > 0;
}

static struct span
take_word(struct span *list)
{
	const uint8_t *space =
	    list->len == 0 ? NULL : memchr(list->data, ' ', list->len);
	struct span word = *list;

	if (space != NULL)
		word.len = (size_t)(space - list->data);
	span_advance(list, word.len + (space != NULL));
	return word;
}

/* Words that are no capability, or for which there is no room, are dropped. */
static void
keep_list(struct probe *probe, struct span list)
{
	struct outbuf out;

	outbuf_init(&out, probe->capabilities, sizeof(probe->capabilities) - 1);
	while (list.len > 0) {
		struct span word = take_word(&list);
		size_t space = out.len > 0;
		if (!is_word(word) || word.len + space > outbuf_room(&out))
			continue;
		if (space)
			outbuf_putc(&out, ' ');
		outbuf_put(&out, word);
	}
	probe->capabilities[out.len] = '\0';
}

static struct span
known_list(const struct probe *probe)
{
	return span_str(probe->capabilities);
}

static void
note_code(struct probe *probe, struct span code)
{
	if (!reply_code_is(code, "CAPABILITY"))
		return;
	take_word(&code);
	keep_list(probe, code);
}

/* ---- what we say ------------------------------------------------------- */

static void
put_command(struct probe *probe, struct outbuf *out, const char *command)
{
	outbuf_printf(out, "p%u %s\r\n", ++probe->tag, command);
}

/* The fields by which a login tells the client's address. */
static void
put_id(struct probe *probe, struct outbuf *out)
{
	char client[ADDR_TEXT_MAX], local[ADDR_TEXT_MAX];
	const struct addr *to = &probe->backend.endpoint.addr;

	outbuf_printf(out,
	    "p%u ID (\"name\" \"Sallyport\" \"x-originating-ip\" \"%s\" "
	    "\"x-originating-port\" \"%u\" \"x-connected-ip\" \"%s\" "
	    "\"x-connected-port\" \"%u\" \"x-session-id\" \"check\" "
	    "\"x-proxy-ttl\" \"5\")\r\n",
	    ++probe->tag, addr_text_ip(&probe->local, client),
	    probe->local.port, addr_text_ip(to, local), to->port);
}

static void
put_header(const struct probe *probe, struct outbuf *out)
{
	/* As a client with today's commonest TLS. */
	static const struct proxyhdr_tls tls = {
	    .version = "TLSv1.3", .cipher = "TLS_AES_128_GCM_SHA256"};
	const struct addr *to = &probe->backend.endpoint.addr;

	if (probe->backend.client_ip == CLIENT_IP_PROXY_V1)
		proxyhdr_write_v1(out, &probe->local, to);
	else if (probe->backend.client_ip == CLIENT_IP_PROXY_V2)
		proxyhdr_write_v2(out, &probe->local, to, &tls);
}

/* ---- the dialogue ------------------------------------------------------ */

static enum probe_status
finish(struct probe *probe, enum probe_verdict verdict, struct span text)
{
	probe->step = PROBE_AT_END;
	probe->verdict = verdict;
	keep_text(probe, text);
	return PROBE_DONE;
}

static bool
is_login_disabled(const struct probe *probe)
{
	return reply_has_capability(known_list(probe), "LOGINDISABLED");
}

static enum probe_status
leave(struct probe *probe, struct outbuf *out, enum probe_verdict verdict,
    struct span text)
{
	put_command(probe, out, "LOGOUT");
	return finish(probe, verdict, text);
}

static enum probe_status
leave_untrusted(struct probe *probe, struct outbuf *out)
{
	return leave(probe, out, PROBE_LOGINDISABLED,
	    span_str("it takes no plaintext logins from this gateway"));
}

static enum probe_status
ask_capability(struct probe *probe, struct outbuf *out)
{
	probe->step = PROBE_AT_CAPABILITY;
	put_command(probe, out, "CAPABILITY");
	return PROBE_WAIT;
}

static enum probe_status
ask_with_id(struct probe *probe, struct outbuf *out)
{
	probe->step = PROBE_AT_ID;
	put_id(probe, out);
	return PROBE_WAIT;
}

static enum probe_status
log_in(struct probe *probe, struct outbuf *out)
{
	probe->step = PROBE_AT_LOGIN;
	outbuf_printf(out, "p%u LOGIN ", ++probe->tag);
	outbuf_put(out, span_secret(&probe->login));
	outbuf_puts(out, "\r\n");
	return PROBE_WAIT;
}

static enum probe_status
on_greeting(struct probe *probe, const struct reply *reply, struct outbuf *out)
{
	if (reply->kind == REPLY_PREAUTH)
		return finish(probe, PROBE_PREAUTH, reply->text);
	if (reply->kind != REPLY_OK)
		return finish(probe, PROBE_GARBAGE, reply->text);
	/* A login would believe the greeting, and go no further. */
	if (is_login_disabled(probe))
		return leave_untrusted(probe, out);
	if (probe->backend.client_ip != CLIENT_IP_ID)
		return ask_capability(probe, out);
	if (reply_has_capability(known_list(probe), "ID"))
		return ask_with_id(probe, out);
	ask_capability(probe, out);
	probe->step = PROBE_AT_LIST;
	return PROBE_WAIT;
}

static bool
is_our_tag(const struct probe *probe, struct span tag)
{
	char buf[16];
	struct outbuf ours;

	outbuf_init(&ours, buf, sizeof(buf));
	outbuf_printf(&ours, "p%u", probe->tag);
	return span_equal(tag, outbuf_span(&ours));
}

static enum probe_status
on_tagged(struct probe *probe, const struct reply *reply, struct outbuf *out)
{
	bool ok = reply->kind == REPLY_TAGGED_OK;

	if (probe->step == PROBE_AT_GREETING || !is_our_tag(probe, reply->tag))
		return finish(probe, PROBE_GARBAGE, reply->text);
	/* An ID may be refused: a login goes on without, too. */
	if (probe->step == PROBE_AT_ID)
		return ask_capability(probe, out);
	if (!ok)
		return leave(probe, out,
		    probe->step == PROBE_AT_LOGIN ? PROBE_LOGIN_REFUSED
						  : PROBE_REFUSED,
		    reply->text);
	if (is_login_disabled(probe))
		return leave_untrusted(probe, out);
	if (probe->step == PROBE_AT_LIST &&
	    reply_has_capability(known_list(probe), "ID"))
		return ask_with_id(probe, out);
	if (probe->step != PROBE_AT_LOGIN && probe->login.len > 0)
		return log_in(probe, out);
	return leave(probe, out, PROBE_GOOD, span_str(""));
}

static enum probe_status
on_reply(struct probe *probe, const struct reply *reply, struct outbuf *out)
{
	/* What it can do after a login is of no use before. */
	if (probe->step != PROBE_AT_LOGIN)
		note_code(probe, reply->code);
	switch (reply->kind) {
	case REPLY_BYE:
		return finish(probe, PROBE_BYE, reply->text);
	case REPLY_GARBAGE:
		return finish(probe, PROBE_GARBAGE,
		    span_of(probe->reader.line, probe->reader.len));
	case REPLY_CONTINUE:
		return finish(probe, PROBE_GARBAGE, reply->text);
	case REPLY_TAGGED_OK:
	case REPLY_TAGGED_NO:
	case REPLY_TAGGED_BAD:
		return on_tagged(probe, reply, out);
	case REPLY_OK:
	case REPLY_PREAUTH:
	case REPLY_CAPABILITY:
	case REPLY_UNTAGGED:
		break;
	}
	if (probe->step == PROBE_AT_GREETING || reply->kind == REPLY_PREAUTH)
		return on_greeting(probe, reply, out);
	if (reply->kind == REPLY_CAPABILITY && probe->step != PROBE_AT_LOGIN)
		keep_list(probe, reply->text);
	return PROBE_WAIT;
}

enum probe_status
probe_connected(
    struct probe *probe, const struct addr *local, struct outbuf *out)
{
	probe->local = *local;
	if (local->family == ADDR_NONE)
		probe->local =
		    (struct addr){.family = ADDR_IPV4, .ip = {127, 0, 0, 1}};
	/* A Unix socket has no address to tell: the same stands for it. */
	if (probe->backend.endpoint.path[0] != '\0')
		probe->backend.endpoint.addr = probe->local;
	put_header(probe, out);
	return PROBE_WAIT;
}

enum probe_status
probe_feed(struct probe *probe, struct span in, struct outbuf *out)
{
	while (probe->step != PROBE_AT_END) {
		struct reply reply = {.kind = REPLY_GARBAGE};
		switch (reply_read(&probe->reader, &in, &reply)) {
		case REPLY_MORE:
			return PROBE_WAIT;
		case REPLY_TOO_MUCH:
			return finish(
			    probe, PROBE_GARBAGE, span_str("too much"));
		case REPLY_READY:
			break;
		}
		on_reply(probe, &reply, out);
	}
	return PROBE_DONE;
}

enum probe_status
probe_eof(struct probe *probe)
{
	if (probe->step == PROBE_AT_END)
		return PROBE_DONE;
	return finish(probe, PROBE_CLOSED, span_str(""));
}

const char *
probe_verdict_name(enum probe_verdict verdict)
{
	switch (verdict) {
	case PROBE_GOOD:
		return "good";
	case PROBE_GARBAGE:
		return "garbage";
	case PROBE_PREAUTH:
		return "preauth";
	case PROBE_BYE:
		return "bye";
	case PROBE_CLOSED:
		return "closed";
	case PROBE_REFUSED:
		return "refused";
	case PROBE_LOGIN_REFUSED:
		return "login_refused";
	case PROBE_LOGINDISABLED:
		return "logindisabled";
	}
	return "?";
}
