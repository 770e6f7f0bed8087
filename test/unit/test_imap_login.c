/* SPDX-License-Identifier: ISC */
/* needs: proxy/imap/login.c proxy/imap/verdict.c proxy/imap/identify.c */
/* needs: proxy/imap/capability.c proxy/imap/sasl.c backends/reply.c */
/* needs: backends/proxyhdr.c proxy/base/ */
/*
 * The login dialogue by scripts. A line of a script begins with
 *     <  what the backend says          >  what it must have been told
 *     !  the client's line              ?  the challenge it must be given
 *     =  the status that must come out  $  what the client must be told
 *     [  the code that events name
 * and every script is run with the backend's octets at once, and one by one.
 */
#include "proxy/imap/login.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OUT_MAX 65536

static const char *const statuses[] = {"WAIT", "CHALLENGE", "OK", "FAILED",
    "REFUSED", "RETRY", "LOST", "MISCONFIGURED", "BAD_RESPONSE"};

struct fixture {
	struct backend backend;
	struct credentials credentials;
	struct client_id client_id;
	struct login *login;
	enum login_status status;
	struct outbuf out;
	size_t n_checked; /* octets of out that the script has named */
	size_t piece;
	char data[OUT_MAX];
};

static void
put(char *to, const char *text)
{
	memcpy(to, text, strlen(text) + 1);
}

static void
set(struct secret *secret, const char *text)
{
	assert_true(secret_set(secret, span_str(text)));
}

static void
start(struct fixture *fixture, size_t piece)
{
	struct login_params params = {
	    .backend = &fixture->backend,
	    .credentials = &fixture->credentials,
	    .client_id = &fixture->client_id,
	    .session_id = "abc123",
	    .tls = {.version = "TLSv1.3"},
	};
	addr_parse(span_str("192.0.2.7:50000"), &params.client);
	addr_parse(span_str("[2001:db8::1]:993"), &params.local);
	fixture->piece = piece;
	fixture->n_checked = 0;
	outbuf_init(&fixture->out, fixture->data, sizeof(fixture->data));
	fixture->login = login_new(&params);
	assert_non_null(fixture->login);
	fixture->status = login_connected(fixture->login, &fixture->out);
}

static void
backend_says(struct fixture *fixture, struct span text)
{
	char line[9000];
	assert_true(text.len + 2 < sizeof(line));
	memcpy(line, text.data, text.len);
	memcpy(line + text.len, "\r\n", 2);
	struct span rest = span_of(line, text.len + 2);
	while (rest.len > 0) {
		size_t n =
		    fixture->piece < rest.len ? fixture->piece : rest.len;
		struct span in = span_of(rest.data, n);
		fixture->status =
		    login_feed(fixture->login, &in, &fixture->out);
		span_advance(&rest, n);
		if (fixture->status != LOGIN_WAIT)
			break;
	}
}

static void
check_told(struct fixture *fixture, struct span text)
{
	struct span told = outbuf_span(&fixture->out);
	char wanted[9000];
	snprintf(wanted, sizeof(wanted), "%.*s\r\n", (int)text.len,
	    (const char *)text.data);
	fixture->data[told.len] = '\0';
	char *got = fixture->data + fixture->n_checked;
	size_t len = strlen(wanted);
	if (strncmp(got, wanted, len) != 0)
		assert_string_equal(got, wanted);
	fixture->n_checked += len;
}

static void
check_all_told(const struct fixture *fixture)
{
	if (fixture->n_checked != fixture->out.len)
		fail_msg("unnamed: %.*s",
		    (int)(fixture->out.len - fixture->n_checked),
		    fixture->data + fixture->n_checked);
}

static void
check_verdict(struct fixture *fixture, struct span text)
{
	char data[4097];
	char wanted[9000];
	struct outbuf out;
	outbuf_init(&out, data, sizeof(data) - 1);
	login_write_verdict(fixture->login, "A1", &out);
	assert_false(out.overflow);
	data[out.len] = '\0';
	snprintf(wanted, sizeof(wanted), "%.*s\r\n", (int)text.len,
	    (const char *)text.data);
	char *end = strstr(wanted, " / ");
	if (end != NULL) { /* " / " stands for CRLF */
		memmove(end + 2, end + 3, strlen(end + 3) + 1);
		memcpy(end, "\r\n", 2);
	}
	assert_string_equal(data, wanted);
}

static void
check_status(struct fixture *fixture, struct span text)
{
	char got[64];
	enum login_trouble trouble = login_trouble(fixture->login);
	snprintf(got, sizeof(got), "%s%s%s", statuses[fixture->status],
	    trouble == TROUBLE_NONE ? "" : " ",
	    trouble == TROUBLE_NONE ? "" : login_trouble_name(trouble));
	if (!span_equal(text, span_str(got)))
		fail_msg("status %s, not %.*s", got, (int)text.len,
		    (const char *)text.data);
}

static void
run_line(struct fixture *fixture, char mark, struct span text)
{
	switch (mark) {
	case '<':
		check_all_told(fixture);
		backend_says(fixture, text);
		break;
	case '>':
		check_told(fixture, text);
		break;
	case '!':
		fixture->status =
		    login_respond(fixture->login, text, &fixture->out);
		break;
	case '?':
		assert_int_equal(fixture->status, LOGIN_CHALLENGE);
		assert_true(span_equal(login_challenge(fixture->login), text));
		break;
	case '=':
		check_status(fixture, text);
		break;
	case '[':
		assert_true(
		    span_equal(text, span_str(login_code(fixture->login))));
		break;
	case '$':
		check_verdict(fixture, text);
		break;
	default:
		fail_msg("mark %c", mark);
	}
}

static void
run_script(struct fixture *fixture, const char *script, size_t piece)
{
	start(fixture, piece);
	while (*script != '\0') {
		size_t len = strcspn(script, "\n");
		run_line(fixture, script[0],
		    len < 2 ? span_of(script, 0)
			    : span_of(script + 2, len - 2));
		script += len + (script[len] == '\n');
	}
	check_all_told(fixture);
	login_free(fixture->login);
	fixture->login = NULL;
}

static void
run(struct fixture *fixture, const char *script)
{
	run_script(fixture, script, SIZE_MAX);
	run_script(fixture, script, 1);
}

static void
password(struct fixture *fixture, const char *mechanism)
{
	struct credentials *credentials = &fixture->credentials;
	credentials_wipe(credentials);
	credentials->kind = CREDENTIALS_PASSWORD;
	credentials->from_command = mechanism == NULL;
	snprintf(credentials->mechanism, sizeof(credentials->mechanism), "%s",
	    mechanism == NULL ? "LOGIN" : mechanism);
	set(&credentials->user, "me");
	set(&credentials->password, "pw");
}

static void
token(struct fixture *fixture, enum credentials_kind kind,
    const char *mechanism, const char *message)
{
	struct credentials *credentials = &fixture->credentials;
	credentials_wipe(credentials);
	credentials->kind = kind;
	snprintf(credentials->mechanism, sizeof(credentials->mechanism), "%s",
	    mechanism);
	credentials->has_initial = message != NULL;
	if (message != NULL)
		set(&credentials->token, message);
}

static int
setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	*state = fixture;
	password(fixture, NULL);
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *fixture = *state;
	credentials_wipe(&fixture->credentials);
	login_free(fixture->login);
	free(fixture);
	return 0;
}

static void
test_greeting(void **state)
{
	struct fixture *fixture = *state;
	run(fixture, "< * OK [CAPABILITY IMAP4rev1 SASL-IR] hi\n"
		     "> s1 LOGIN \"me\" \"pw\"\n= WAIT\n"
		     "< s1 OK [CAPABILITY IMAP4rev1 IDLE STARTTLS] in\n= OK\n"
		     "$ A1 OK [CAPABILITY IMAP4rev1 IDLE] in\n");
	/* A server with no extension at all. */
	run(fixture,
	    "< * OK hi\n> s1 CAPABILITY\n< * CAPABILITY IMAP4rev1\n= WAIT\n"
	    "< s1 OK\n> s2 LOGIN \"me\" \"pw\"\n< s2 OK\n> s3 CAPABILITY\n"
	    "< * CAPABILITY IMAP4rev1 LOGINDISABLED\n= WAIT\n< s3 OK\n= OK\n"
	    "$ A1 OK [CAPABILITY IMAP4rev1] Logged in.\n");
	/* One that does not even know the command. */
	run(fixture, "< * OK hi\n> s1 CAPABILITY\n< s1 BAD\n"
		     "> s2 LOGIN \"me\" \"pw\"\n< s2 OK in\n> s3 CAPABILITY\n"
		     "< s3 NO\n= OK\n$ A1 OK in\n");
	/* What the monitor learned saves a round trip. */
	put(fixture->backend.capabilities, "IMAP4rev1 AUTH=PLAIN");
	run(fixture, "< * OK hi\n> s1 LOGIN \"me\" \"pw\"\n= WAIT\n");
}

static void
test_trouble_before(void **state)
{
	struct fixture *fixture = *state;
	run(fixture, "< * PREAUTH hi\n= RETRY preauth\n");
	run(fixture, "< * BYE [UNAVAILABLE] no\n= RETRY bye\n");
	run(fixture, "< 220 hi\n= RETRY garbage\n");
	run(fixture, "< * 5 EXISTS\n= RETRY garbage\n");
	run(fixture, "< s1 OK\n= RETRY garbage\n");
	run(fixture, "< + x\n= RETRY garbage\n");
	run(fixture, "< * OK hi\n> s1 CAPABILITY\n< s2 OK\n= RETRY garbage\n");
	run(fixture, "< * OK hi\n> s1 CAPABILITY\n< +\n= RETRY garbage\n");
	run(fixture, "< * OK hi\n> s1 CAPABILITY\n< * BYE\n= RETRY bye\n");
	run(fixture,
	    "< * OK hi\n> s1 CAPABILITY\n< * PREAUTH x\n= RETRY garbage\n");
	run(fixture, "< * OK [CAPABILITY IMAP4rev1 LOGINDISABLED]\n"
		     "= MISCONFIGURED\n");
	run(fixture, "< * OK hi\n> s1 CAPABILITY\n"
		     "< * CAPABILITY LOGINDISABLED\n< s1 OK\n"
		     "= MISCONFIGURED\n");
}

static void
test_trouble_after(void **state)
{
	struct fixture *fixture = *state;
#define SENT "< * OK [CAPABILITY IMAP4rev1] hi\n> s1 LOGIN \"me\" \"pw\"\n"
	run(fixture, SENT "< * BYE\n= LOST bye\n");
	run(fixture, SENT "< s2 OK\n= LOST garbage\n");
	run(fixture, SENT "< x\n= LOST garbage\n");
	run(fixture, SENT "< +\n= LOST garbage\n");
	run(fixture, SENT "< * PREAUTH\n= LOST garbage\n");
	run(fixture, SENT "< s1 OK\n> s2 CAPABILITY\n< * BYE\n= LOST bye\n");
	run(fixture,
	    SENT "< s1 OK\n> s2 CAPABILITY\n< s1 OK\n= LOST garbage\n");
}

static void
test_ends(void **state)
{
	struct fixture *fixture = *state;
	struct span in = span_str("* OK [CAPABILITY IMAP4rev1] hi\r\n");
	start(fixture, 1);
	assert_true(login_is_preparing(fixture->login));
	assert_int_equal(login_eof(fixture->login), LOGIN_RETRY);
	assert_int_equal(login_trouble(fixture->login), TROUBLE_CLOSED);
	login_free(fixture->login);
	start(fixture, 1);
	assert_int_equal(login_timeout(fixture->login), LOGIN_RETRY);
	login_free(fixture->login);
	start(fixture, 1);
	login_feed(fixture->login, &in, &fixture->out);
	assert_false(login_is_preparing(fixture->login));
	assert_true(login_sent_credentials(fixture->login));
	assert_int_equal(login_timeout(fixture->login), LOGIN_LOST);
	assert_int_equal(login_trouble(fixture->login), TROUBLE_TIMEOUT);
	login_free(fixture->login);
	fixture->login = NULL;
}

/* What stands behind the verdict is the relay's. */
static void
test_rest(void **state)
{
	struct fixture *fixture = *state;
	struct span in = span_str("* OK [CAPABILITY IMAP4rev1] hi\r\n"
				  "s1 OK [CAPABILITY X] in\r\n* 5 EXISTS\r\n");
	start(fixture, 1);
	assert_int_equal(
	    login_feed(fixture->login, &in, &fixture->out), LOGIN_OK);
	assert_true(span_equal(in, span_str("* 5 EXISTS\r\n")));
}

static void
test_verdicts(void **state)
{
	struct fixture *fixture = *state;
	run(fixture, SENT "< s1 NO bad password\n= FAILED\n"
			  "$ A1 NO bad password\n");
	run(fixture, SENT "< s1 NO\n= FAILED\n$ A1 NO Login failed.\n");
	run(fixture, SENT "< s1 NO [AuthenticationFailed] x\n= FAILED\n"
			  "$ A1 NO [AuthenticationFailed] x\n");
	run(fixture, SENT "< s1 NO [UNAVAILABLE] too many\n= REFUSED\n"
			  "$ A1 NO [UNAVAILABLE] too many\n");
	run(fixture, SENT "< s1 NO [ALERT] [x]\n= REFUSED\n"
			  "$ A1 NO [ALERT] [x]\n");
	run(fixture, SENT "< s1 NO [BADCHARSET (A \"b\")] x\n= REFUSED\n"
			  "$ A1 NO [BADCHARSET (A \"b\")] x\n");
	run(fixture, SENT "< s1 NO [PRIVACYREQUIRED] x\n= MISCONFIGURED\n");
	run(fixture, SENT "< s1 NO [REFERRAL imap://x/] try x\n= REFUSED\n"
			  "$ A1 NO [UNAVAILABLE] This account is not served "
			  "here.\n");
	run(fixture, SENT "< s1 BAD [X] what\n= REFUSED\n"
			  "$ A1 NO [UNAVAILABLE] The server does not take this "
			  "login.\n");
	run(fixture, SENT "< s1 NO [CAPABILITY STARTTLS] x\n= FAILED\n"
			  "$ A1 NO x\n");
	run(fixture, SENT "< s1 NO [EVIL\x1b y] x\n= FAILED\n$ A1 NO x\n");
	run(fixture, SENT "< s1 NO [limit \x1by] x\n= REFUSED\n"
			  "[ LIMIT\n$ A1 NO [LIMIT] x\n");
	run(fixture, SENT "< s1 NO [x(y)] [ALERT] boo\n= FAILED\n"
			  "$ A1 NO (ALERT] boo\n");
	run(fixture, SENT "< s1 NO a\x1b[0m\xc3\xa4\tb\rc\n= FAILED\n"
			  "$ A1 NO a?[0m???b?c\n");
}

static void
test_ok_with_code(void **state)
{
	struct fixture *fixture = *state;
	run(fixture, SENT "< s1 OK [ALERT] read this\n> s2 CAPABILITY\n"
			  "< * CAPABILITY IMAP4rev1 IDLE STARTTLS\n"
			  "< s2 OK\n= OK\n"
			  "$ * CAPABILITY IMAP4rev1 IDLE / "
			  "A1 OK [ALERT] read this\n");
	run(fixture, SENT "< * CAPABILITY IMAP4rev1 NOTIFY\n"
			  "< s1 OK in\n= OK\n"
			  "$ A1 OK [CAPABILITY IMAP4rev1 NOTIFY] in\n");
	run(fixture, SENT "< * CAPABILITY IMAP4rev1\n"
			  "< s1 OK [REFERRAL imap://x/] [CAPABILITY Y] z\n"
			  "= OK\n$ A1 OK [CAPABILITY IMAP4rev1] "
			  "[CAPABILITY Y] z\n");
}

/* Injected data never reaches the client. */
static void
test_untagged(void **state)
{
	struct fixture *fixture = *state;
	run(fixture, SENT "< * 5 EXISTS\n< * OK [ALERT] boo\n< * NO boo\n"
			  "< * X {9}\n< s1 NO x\n< * BAD boo\n"
			  "< s1 OK [CAPABILITY X] in\n= OK\n"
			  "$ A1 OK [CAPABILITY X] in\n");
	char line[2001];
	memset(line, 'x', sizeof(line) - 1);
	memcpy(line, "* X ", 4);
	line[2000] = '\0';
	start(fixture, SIZE_MAX);
	backend_says(fixture, span_str("* OK [CAPABILITY IMAP4rev1] hi"));
	for (int i = 0; i < 32; i++) {
		assert_int_equal(fixture->status, LOGIN_WAIT);
		backend_says(fixture, span_str(line));
	}
	backend_says(fixture, span_str(line));
	assert_int_equal(fixture->status, LOGIN_LOST);
	assert_int_equal(login_trouble(fixture->login), TROUBLE_TOO_MUCH);
}

static void
test_plain(void **state)
{
	struct fixture *fixture = *state;
	password(fixture, "PLAIN");
	run(fixture, "< * OK [CAPABILITY SASL-IR AUTH=PLAIN]\n"
		     "> s1 AUTHENTICATE PLAIN AG1lAHB3\n"
		     "< s1 NO\n= FAILED\n");
	run(fixture, "< * OK [CAPABILITY AUTH=PLAIN]\n"
		     "> s1 AUTHENTICATE PLAIN\n< + \n> AG1lAHB3\n"
		     "< + \n= LOST garbage\n");
	run(fixture, "< * OK [CAPABILITY SASL-IR]\n"
		     "> s1 LOGIN \"me\" \"pw\"\n");
	run(fixture, "< * OK [CAPABILITY AUTH=PLAIN]\n"
		     "> s1 AUTHENTICATE PLAIN\n< s1 NO\n"
		     "= RETRY no_mechanism\n");
	run(fixture, "< * OK [CAPABILITY AUTH=PLAIN]\n"
		     "> s1 AUTHENTICATE PLAIN\n< s1 OK\n= RETRY garbage\n");
	run(fixture, "< * OK [CAPABILITY AUTH=PLAIN]\n"
		     "> s1 AUTHENTICATE PLAIN\n< s1 NO [PRIVACYREQUIRED]\n"
		     "= MISCONFIGURED\n");
	set(&fixture->credentials.authzid, "me");
	run(fixture, "< * OK [CAPABILITY X]\n> s1 LOGIN \"me\" \"pw\"\n");
	set(&fixture->credentials.authzid, "boss");
	run(fixture, "< * OK [CAPABILITY X]\n= RETRY no_mechanism\n");
	run(fixture, "< * OK [CAPABILITY SASL-IR AUTH=PLAIN]\n"
		     "> s1 AUTHENTICATE PLAIN Ym9zcwBtZQBwdw==\n");
	password(fixture, "LOGIN");
	run(fixture, "< * OK [CAPABILITY AUTH=PLAIN AUTH=LOGIN]\n"
		     "> s1 LOGIN \"me\" \"pw\"\n");
}

static void
test_literals(void **state)
{
	struct fixture *fixture = *state;
	set(&fixture->credentials.user, "m\r\nx");
	set(&fixture->credentials.password, "\xc3\xa4");
	run(fixture, "< * OK [CAPABILITY X]\n> s1 LOGIN {4}\n< + go\n> m\n"
		     "> x {2}\n< +\n> \xc3\xa4\n< s1 NO\n= FAILED\n");
	run(fixture, "< * OK [CAPABILITY LITERAL-]\n> s1 LOGIN {4+}\n> m\n"
		     "> x {2+}\n> \xc3\xa4\n< s1 NO\n= FAILED\n");
	run(fixture, "< * OK [CAPABILITY X]\n> s1 LOGIN {4}\n< s1 NO\n"
		     "= RETRY no_mechanism\n");
	run(fixture, "< * OK [CAPABILITY X]\n> s1 LOGIN {4}\n< * BYE\n"
		     "= RETRY bye\n");
	run(fixture, "< * OK [CAPABILITY X]\n> s1 LOGIN {4}\n< +\n> m\n"
		     "> x {2}\n< s1 NO\n= LOST no_mechanism\n");
	run(fixture, "< * OK [CAPABILITY X]\n> s1 LOGIN {4}\n< +\n> m\n"
		     "> x {2}\n< s1 OK\n= LOST garbage\n");
	set(&fixture->credentials.user, "\"a\\");
	set(&fixture->credentials.password, "");
	run(fixture, "< * OK [CAPABILITY X]\n"
		     "> s1 LOGIN \"\\\"a\\\\\" \"\"\n");
}

static void
test_tokens(void **state)
{
	struct fixture *fixture = *state;
	token(fixture, CREDENTIALS_TOKEN, "XOAUTH2", "tok");
	run(fixture, "< * OK [CAPABILITY SASL-IR AUTH=XOAUTH2]\n"
		     "> s1 AUTHENTICATE XOAUTH2 dG9r\n= WAIT\n"
		     "< + eyJ9\n? eyJ9\n! \n> \n< s1 NO x\n= FAILED\n"
		     "$ A1 NO x\n");
	run(fixture, "< * OK [CAPABILITY AUTH=xoauth2]\n"
		     "> s1 AUTHENTICATE XOAUTH2\n< +\n> dG9r\n"
		     "< s1 OK [CAPABILITY X] in\n= OK\n");
	run(fixture, "< * OK [CAPABILITY X]\n"
		     "> s1 AUTHENTICATE XOAUTH2\n< s1 NO\n"
		     "= RETRY no_mechanism\n");
	run(fixture, "< * OK [CAPABILITY AUTH=PLAIN AUTH=XOAUTH2X]\n"
		     "= RETRY no_mechanism\n");
	run(fixture, "< * OK [CAPABILITY SASL-IR AUTH=XOAUTH2]\n"
		     "> s1 AUTHENTICATE XOAUTH2 dG9r\n"
		     "< + {bad}\n= LOST garbage\n");
	run(fixture, "< * OK [CAPABILITY SASL-IR AUTH=XOAUTH2]\n"
		     "> s1 AUTHENTICATE XOAUTH2 dG9r\n"
		     "< + eyJ9\n! *\n> *\n< s1 BAD x\n= FAILED\n"
		     "$ A1 NO Login failed.\n");
}

static void
test_relayed(void **state)
{
	struct fixture *fixture = *state;
	token(fixture, CREDENTIALS_RELAYED, "CRAM-MD5", NULL);
	run(fixture, "< * OK [CAPABILITY SASL-IR AUTH=CRAM-MD5]\n"
		     "> s1 AUTHENTICATE CRAM-MD5\n"
		     "< + PDE+\n? PDE+\n! Zm9v\n> Zm9v\n= WAIT\n"
		     "< s1 OK in\n= OK\n$ A1 OK in\n");
	run(fixture, "< * OK [CAPABILITY AUTH=CRAM-MD5]\n"
		     "> s1 AUTHENTICATE CRAM-MD5\n< + !\n= RETRY garbage\n");
	run(fixture, "< * OK [CAPABILITY AUTH=CRAM-MD5]\n"
		     "> s1 AUTHENTICATE CRAM-MD5\n"
		     "< + PDE+\n! x NOOP\n= BAD_RESPONSE\n");
	run(fixture, "< * OK [CAPABILITY AUTH=CRAM-MD5]\n"
		     "> s1 AUTHENTICATE CRAM-MD5\n"
		     "< + PDE+\n! *\n> *\n< s1 BAD x\n= BAD_RESPONSE\n");
	run(fixture, "< * OK [CAPABILITY AUTH=CRAM-MD5]\n"
		     "> s1 AUTHENTICATE CRAM-MD5\n"
		     "< + PDE+\n! Zm9v\n> Zm9v\n< + *\n= LOST garbage\n");
	token(fixture, CREDENTIALS_RELAYED, "SCRAM-SHA-1", "");
	run(fixture, "< * OK [CAPABILITY SASL-IR AUTH=SCRAM-SHA-1]\n"
		     "> s1 AUTHENTICATE SCRAM-SHA-1 =\n");
	token(fixture, CREDENTIALS_RELAYED, "SCRAM-SHA-1", "foo");
	run(fixture, "< * OK [CAPABILITY AUTH=SCRAM-SHA-1]\n"
		     "> s1 AUTHENTICATE SCRAM-SHA-1\n< +\n> Zm9v\n"
		     "< + YmFy\n? YmFy\n! \n> \n< * CAPABILITY X\n"
		     "< s1 OK in\n= OK\n$ A1 OK [CAPABILITY X] in\n");
}

static void
test_id(void **state)
{
	struct fixture *fixture = *state;
	fixture->backend.client_ip = CLIENT_IP_ID;
	run(fixture, "< * OK [CAPABILITY ID]\n"
		     "> s1 ID (\"name\" \"Sallyport\" "
		     "\"x-originating-ip\" \"192.0.2.7\" "
		     "\"x-originating-port\" \"50000\" "
		     "\"x-connected-ip\" \"2001:db8::1\" "
		     "\"x-connected-port\" \"993\" "
		     "\"x-session-id\" \"abc123\" \"x-proxy-ttl\" \"5\")\n"
		     "< * ID NIL\n= WAIT\n< s1 OK\n"
		     "> s2 LOGIN \"me\" \"pw\"\n");
	put(fixture->client_id.name, "A\"b");
	put(fixture->client_id.version, "x\r\ny");
	put(fixture->client_id.os, "Linux");
	run(fixture, "< * OK [CAPABILITY ID]\n"
		     "> s1 ID (\"name\" \"A\\\"b\" \"os\" \"Linux\" "
		     "\"x-originating-ip\" \"192.0.2.7\" "
		     "\"x-originating-port\" \"50000\" "
		     "\"x-connected-ip\" \"2001:db8::1\" "
		     "\"x-connected-port\" \"993\" "
		     "\"x-session-id\" \"abc123\" \"x-proxy-ttl\" \"5\")\n"
		     "< s1 BAD\n> s2 LOGIN \"me\" \"pw\"\n");
	run(fixture, "< * OK [CAPABILITY X]\n> s1 LOGIN \"me\" \"pw\"\n");
}

static void
test_proxy_header(void **state)
{
	struct fixture *fixture = *state;
	fixture->backend.client_ip = CLIENT_IP_PROXY_V1;
	run(fixture, "> PROXY UNKNOWN\n< * OK [CAPABILITY X]\n"
		     "> s1 LOGIN \"me\" \"pw\"\n");
	fixture->backend.client_ip = CLIENT_IP_PROXY_V2;
	start(fixture, 1);
	assert_true(fixture->out.len > 16);
	assert_memory_equal(fixture->data, "\r\n\r\n\0\r\nQUIT\n", 12);
	assert_false(login_sent_credentials(fixture->login));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_greeting),
	    TEST(test_trouble_before),
	    TEST(test_trouble_after),
	    TEST(test_ends),
	    TEST(test_rest),
	    TEST(test_verdicts),
	    TEST(test_ok_with_code),
	    TEST(test_untagged),
	    TEST(test_plain),
	    TEST(test_literals),
	    TEST(test_tokens),
	    TEST(test_relayed),
	    TEST(test_id),
	    TEST(test_proxy_header),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
