/* SPDX-License-Identifier: ISC */
/* needs: proxy/imap/login.c proxy/imap/verdict.c proxy/imap/identify.c */
/* needs: proxy/imap/capability.c proxy/imap/sasl.c backends/reply.c */
/* needs: backends/proxyhdr.c proxy/base/ */
/*
 * The login dialogue against whatever a backend says. The first octet chooses
 * the credentials, the second one how the rest is split; challenges are
 * answered with one line. What is sent and decided does not depend on the
 * splits, trouble is RETRY before the credentials and LOST after, and a client
 * is told printable text in at most two lines.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/base/ensure.h"
#include "proxy/imap/login.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT_MAX 65536

struct result {
	enum login_status status;
	enum login_trouble trouble;
	size_t left; /* octets of the backend behind the verdict */
	struct outbuf out;
	struct outbuf verdict;
};

static void
set(struct secret *secret, const char *text)
{
	ENSURE(secret_set(secret, span_str(text)));
}

static void
make_credentials(struct credentials *credentials, uint8_t choice)
{
	static const char *const mechanisms[] = {
	    "LOGIN", "PLAIN", "LOGIN", "XOAUTH2", "CRAM-MD5", "SCRAM-SHA-1"};
	size_t kind = choice % 6;
	memset(credentials, 0, sizeof(*credentials));
	memcpy(
	    credentials->mechanism, mechanisms[kind], strlen(mechanisms[kind]));
	credentials->from_command = kind == 0;
	set(&credentials->user, choice & 0x40 ? "m\r\ne" : "me");
	set(&credentials->password, choice & 0x20 ? "p\xff" : "pw");
	credentials->kind = CREDENTIALS_PASSWORD;
	if (kind < 3)
		return;
	credentials->kind = kind == 3 ? CREDENTIALS_TOKEN : CREDENTIALS_RELAYED;
	credentials->has_initial = kind != 4;
	if (credentials->has_initial)
		set(&credentials->token, "token");
}

static void
check_verdict(const struct outbuf *verdict)
{
	size_t n_lines = 0;
	ENSURE(!verdict->overflow && verdict->len > 2);
	for (size_t i = 0; i < verdict->len; i++) {
		uint8_t c = verdict->data[i];
		if (c == '\n')
			n_lines++;
		ENSURE((c >= 0x20 && c < 0x7f) || c == '\r' || c == '\n');
		ENSURE((c == '\r') ==
		       (i + 1 < verdict->len && verdict->data[i + 1] == '\n'));
	}
	ENSURE(n_lines <= 2 && verdict->data[verdict->len - 1] == '\n');
}

static void
check_result(const struct login *login, const struct result *result)
{
	switch (result->status) {
	case LOGIN_WAIT:
		ENSURE(result->left == 0);
		break;
	case LOGIN_RETRY:
		ENSURE(!login_sent_credentials(login));
		ENSURE(result->trouble != TROUBLE_NONE);
		break;
	case LOGIN_LOST:
		ENSURE(login_sent_credentials(login));
		ENSURE(result->trouble != TROUBLE_NONE);
		break;
	case LOGIN_OK:
	case LOGIN_FAILED:
	case LOGIN_REFUSED:
		ENSURE(login_sent_credentials(login));
		check_verdict(&result->verdict);
		break;
	case LOGIN_CHALLENGE:
	case LOGIN_MISCONFIGURED:
	case LOGIN_BAD_RESPONSE:
		break;
	}
}

static void
feed(struct login *login, struct span in, size_t piece, struct result *result)
{
	static const char *const answers[] = {"Zm9v", "", "*", "Zm9"};
	size_t n_answers = 0;
	while (in.len > 0 && result->status == LOGIN_WAIT) {
		size_t n = piece < in.len ? piece : in.len;
		struct span part = span_of(in.data, n);
		result->status = login_feed(login, &part, &result->out);
		span_advance(&in, n - part.len);
		if (result->status == LOGIN_CHALLENGE)
			result->status = login_respond(login,
			    span_str(answers[n_answers++ % 4]), &result->out);
	}
	result->left = in.len;
	result->trouble = login_trouble(login);
}

static void
run(struct credentials *credentials, uint8_t choice, struct span in,
    size_t piece, struct result *result)
{
	struct backend backend = {
	    .client_ip = choice & 0x80 ? CLIENT_IP_ID : CLIENT_IP_NONE,
	};
	struct client_id client_id = {.name = "x"};
	struct login_params params = {
	    .backend = &backend,
	    .credentials = credentials,
	    .client_id = &client_id,
	    .session_id = "1",
	};
	struct login *login = login_new(&params);
	ENSURE(login != NULL);
	result->status = login_connected(login, &result->out);
	feed(login, in, piece, result);
	if (result->status == LOGIN_OK || result->status == LOGIN_FAILED ||
	    result->status == LOGIN_REFUSED)
		login_write_verdict(login, "A1", &result->verdict);
	check_result(login, result);
	login_free(login);
}

static bool
is_equal(const struct result *a, const struct result *b)
{
	/* Behind trouble nothing is read, so how much is left may differ. */
	bool is_trouble = a->trouble != TROUBLE_NONE;
	return a->status == b->status && a->trouble == b->trouble &&
	       (is_trouble || a->left == b->left) &&
	       span_equal(outbuf_span(&a->out), outbuf_span(&b->out)) &&
	       span_equal(outbuf_span(&a->verdict), outbuf_span(&b->verdict));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t memory[2][OUT_MAX + 4096];
	struct credentials credentials;
	struct result results[2];
	if (size < 2)
		return 0;
	make_credentials(&credentials, data[0]);
	for (size_t i = 0; i < 2; i++) {
		memset(&results[i], 0, sizeof(results[i]));
		outbuf_init(&results[i].out, memory[i], OUT_MAX);
		outbuf_init(&results[i].verdict, memory[i] + OUT_MAX, 4096);
		run(&credentials, data[0], span_of(data + 2, size - 2),
		    i == 0 ? SIZE_MAX : data[1] % 64U + 1, &results[i]);
	}
	ENSURE(is_equal(&results[0], &results[1]));
	credentials_wipe(&credentials);
	return 0;
}
