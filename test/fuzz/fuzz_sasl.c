/* SPDX-License-Identifier: ISC */
/* needs: proxy/imap/sasl.c proxy/base/imaplex.c */
/* needs: proxy/base/span.c proxy/base/ensure.c */
/*
 * SASL: the first octet chooses the mechanism and whether the first message is
 * an initial response, or not base64 at all; messages are separated by LF.
 * What is accepted has no NUL, and PLAIN is written as it was read.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/base/ensure.h"
#include "proxy/base/imaplex.h"
#include "proxy/imap/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGE_MAX 4096
#define AS_INITIAL  0x80
#define AS_TEXT	    0x40
#define AS_NAMED    0x20

struct line {
	struct outbuf out;
	struct span octets;
	uint8_t text[MESSAGE_MAX * 2];
};

/* The next message, in base64 unless it is to be sent as it is. */
static void
next_line(struct line *line, struct span *in, bool as_text)
{
	const uint8_t *end =
	    in->len > 0 ? memchr(in->data, '\n', in->len) : NULL;
	size_t len = end != NULL ? (size_t)(end - in->data) : in->len;
	line->octets = span_of(in->data, len);
	span_advance(in, end != NULL ? len + 1 : len);
	outbuf_init(&line->out, line->text, sizeof(line->text));
	if (as_text)
		outbuf_put(&line->out, line->octets);
	else
		imap_base64_encode(&line->out, line->octets);
}

static void
check_no_nul(const struct secret *secret)
{
	ENSURE(secret->len == 0 ||
	       memchr(secret->data, '\0', secret->len) == NULL);
}

static void
check_done(const struct credentials *credentials, const struct line *line,
    bool as_text)
{
	struct secret message = {NULL, 0};
	check_no_nul(&credentials->user);
	check_no_nul(&credentials->authzid);
	check_no_nul(&credentials->password);
	if (credentials->kind == CREDENTIALS_PASSWORD)
		ENSURE(credentials->user.len > 0);
	if (credentials->kind == CREDENTIALS_TOKEN)
		check_no_nul(&credentials->token);
	if (strcmp(credentials->mechanism, "PLAIN") != 0 || as_text)
		return;
	ENSURE(sasl_plain_message(credentials, &message));
	ENSURE(span_equal(span_secret(&message), line->octets));
	secret_wipe(&message);
}

static void
run(const char *mechanism, uint8_t mode, struct span in)
{
	struct sasl sasl;
	struct outbuf challenge;
	char text[64];
	static struct line line;
	bool as_text = (mode & AS_TEXT) != 0;
	struct command command = {.kind = COMMAND_AUTHENTICATE};
	memcpy(command.mechanism, mechanism, strlen(mechanism));
	command.has_initial = (mode & AS_INITIAL) != 0;
	if (command.has_initial) {
		next_line(&line, &in, as_text);
		ENSURE(secret_set(&command.initial, outbuf_span(&line.out)));
	}
	outbuf_init(&challenge, text, sizeof(text));
	/* Where names matter, what hides them is not offered. */
	bool needs_name = (mode & AS_NAMED) != 0;
	uint32_t allowed = UINT32_MAX;
	if (!needs_name)
		allowed &= ~(uint32_t)MECHANISM_NAMED;
	enum sasl_status status =
	    sasl_start(&sasl, &command, allowed, &challenge);
	ENSURE(status != SASL_UNKNOWN ||
	       (needs_name && strcmp(mechanism, "CRAM-MD5") == 0));
	for (int i = 0; status == SASL_CHALLENGE; i++) {
		ENSURE(i < 3);
		next_line(&line, &in, as_text);
		outbuf_init(&challenge, text, sizeof(text));
		status =
		    sasl_respond(&sasl, outbuf_span(&line.out), &challenge);
		ENSURE(!challenge.overflow);
	}
	if (status == SASL_DONE)
		check_done(&sasl.credentials, &line, as_text);
	secret_wipe(&command.initial);
	sasl_fini(&sasl);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const mechanisms[] = {"PLAIN", "LOGIN", "XOAUTH2",
	    "OAUTHBEARER", "SCRAM-SHA-256", "CRAM-MD5"};
	if (size < 1 || size > MESSAGE_MAX)
		return 0;
	run(mechanisms[data[0] % 6], data[0], span_of(data + 1, size - 1));
	return 0;
}
