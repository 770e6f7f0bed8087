/* SPDX-License-Identifier: ISC */
/* needs: proxy/imap/sasl.c proxy/base/imaplex.c */
/* needs: proxy/base/span.c proxy/base/ensure.c */
/* The server's side of SASL: what a client sends, and what is taken from it. */
#include "proxy/imap/sasl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/base/imaplex.h"

#define ALL UINT32_MAX

struct exchange {
	struct sasl sasl;
	struct outbuf challenge;
	char data[64];
};

static void
clear(struct exchange *exchange)
{
	outbuf_init(
	    &exchange->challenge, exchange->data, sizeof(exchange->data));
}

/* initial: octets to be encoded, "" for "=", or NULL for none. */
static enum sasl_status
start(struct exchange *exchange, const char *mechanism, struct span initial,
    uint32_t allowed)
{
	char text[512];
	struct outbuf out;
	struct command command = {.kind = COMMAND_AUTHENTICATE};
	strncpy(command.mechanism, mechanism, MECHANISM_NAME_MAX);
	command.has_initial = initial.data != NULL;
	outbuf_init(&out, text, sizeof(text));
	imap_base64_encode(&out, initial);
	if (initial.len == 0)
		outbuf_putc(&out, '=');
	assert_true(secret_set(&command.initial, outbuf_span(&out)));
	clear(exchange);
	enum sasl_status status = sasl_start(
	    &exchange->sasl, &command, allowed, &exchange->challenge);
	secret_wipe(&command.initial);
	return status;
}

static enum sasl_status
respond(struct exchange *exchange, struct span octets)
{
	char text[512];
	struct outbuf out;
	outbuf_init(&out, text, sizeof(text));
	imap_base64_encode(&out, octets);
	clear(exchange);
	return sasl_respond(
	    &exchange->sasl, outbuf_span(&out), &exchange->challenge);
}

static bool
secret_is(const struct secret *secret, const char *text)
{
	return span_equal(span_secret(secret), span_str(text));
}

static bool
challenge_is(const struct exchange *exchange, const char *text)
{
	return span_equal(outbuf_span(&exchange->challenge), span_str(text));
}

static const struct span none = {NULL, 0};

#define OCTETS(text) span_of(text, sizeof(text) - 1)

static void
check_plain(struct exchange *exchange)
{
	const struct credentials *credentials = &exchange->sasl.credentials;
	struct secret message = {NULL, 0};
	assert_int_equal(credentials->kind, CREDENTIALS_PASSWORD);
	assert_false(credentials->from_command);
	assert_string_equal(credentials->mechanism, "PLAIN");
	assert_true(secret_is(&credentials->authzid, "boss"));
	assert_true(secret_is(&credentials->user, "us\r\ner"));
	assert_true(secret_is(&credentials->password, "p w\xff"));
	assert_true(sasl_plain_message(credentials, &message));
	assert_true(span_equal(
	    span_secret(&message), OCTETS("boss\0us\r\ner\0p w\xff")));
	secret_wipe(&message);
	sasl_fini(&exchange->sasl);
	assert_int_equal(credentials->kind, CREDENTIALS_NONE);
	assert_null(credentials->password.data);
}

static void
test_plain(void **state)
{
	(void)state;
	struct exchange exchange;
	struct span message = OCTETS("boss\0us\r\ner\0p w\xff");
	assert_int_equal(start(&exchange, "PLAIN", message, ALL), SASL_DONE);
	check_plain(&exchange);
	assert_int_equal(start(&exchange, "PLAIN", none, ALL), SASL_CHALLENGE);
	assert_true(challenge_is(&exchange, ""));
	assert_int_equal(respond(&exchange, message), SASL_DONE);
	check_plain(&exchange);
}

static void
test_plain_bad(void **state)
{
	(void)state;
	const struct span rows[] = {OCTETS(""), OCTETS("u"), OCTETS("\0u"),
	    OCTETS("\0\0p"), OCTETS("a\0\0p"), OCTETS("\0u\0p\0"),
	    OCTETS("\0u\0p\0q")};
	struct exchange exchange;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
		    start(&exchange, "PLAIN", rows[i], ALL), SASL_BAD);
		sasl_fini(&exchange.sasl);
		start(&exchange, "PLAIN", none, ALL);
		assert_int_equal(respond(&exchange, rows[i]), SASL_BAD);
		sasl_fini(&exchange.sasl);
	}
}

static void
test_lines(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		enum sasl_status status;
	} rows[] = {
	    {"*", SASL_CANCELLED},
	    {"**", SASL_BAD},
	    {"=", SASL_BAD},
	    {"", SASL_BAD},
	    {"AHUAcA", SASL_BAD},
	    {"AHUAcA== ", SASL_BAD},
	    {"AHUAcA==", SASL_DONE},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct exchange exchange;
		start(&exchange, "PLAIN", none, ALL);
		assert_int_equal(
		    sasl_respond(&exchange.sasl, span_str(rows[i].line),
			&exchange.challenge),
		    rows[i].status);
		sasl_fini(&exchange.sasl);
	}
}

static void
test_login(void **state)
{
	(void)state;
	struct exchange exchange;
	const struct credentials *credentials = &exchange.sasl.credentials;
	assert_int_equal(start(&exchange, "LOGIN", none, ALL), SASL_CHALLENGE);
	assert_true(challenge_is(&exchange, "VXNlcm5hbWU6"));
	assert_int_equal(respond(&exchange, OCTETS("me")), SASL_CHALLENGE);
	assert_true(challenge_is(&exchange, "UGFzc3dvcmQ6"));
	assert_int_equal(respond(&exchange, OCTETS("p w")), SASL_DONE);
	assert_int_equal(credentials->kind, CREDENTIALS_PASSWORD);
	assert_true(secret_is(&credentials->user, "me"));
	assert_true(secret_is(&credentials->password, "p w"));
	assert_int_equal(credentials->authzid.len, 0);
	sasl_fini(&exchange.sasl);

	assert_int_equal(
	    start(&exchange, "LOGIN", OCTETS("me"), ALL), SASL_CHALLENGE);
	assert_true(challenge_is(&exchange, "UGFzc3dvcmQ6"));
	assert_int_equal(respond(&exchange, OCTETS("p\0w")), SASL_BAD);
	sasl_fini(&exchange.sasl);
	assert_int_equal(start(&exchange, "LOGIN", OCTETS(""), ALL), SASL_BAD);
	sasl_fini(&exchange.sasl);
	assert_int_equal(
	    start(&exchange, "LOGIN", OCTETS("m\0e"), ALL), SASL_BAD);
	sasl_fini(&exchange.sasl);
}

static void
check_token(const char *mechanism, struct span message, const char *user)
{
	struct exchange exchange;
	const struct credentials *credentials = &exchange.sasl.credentials;
	for (int i = 0; i < 2; i++) {
		enum sasl_status status =
		    start(&exchange, mechanism, i ? message : none, ALL);
		if (i == 0) {
			assert_int_equal(status, SASL_CHALLENGE);
			assert_true(challenge_is(&exchange, ""));
			status = respond(&exchange, message);
		}
		assert_int_equal(status, user != NULL ? SASL_DONE : SASL_BAD);
		if (user != NULL) {
			assert_int_equal(credentials->kind, CREDENTIALS_TOKEN);
			assert_true(credentials->has_initial);
			assert_true(secret_is(&credentials->user, user));
			assert_true(span_equal(
			    span_secret(&credentials->token), message));
		}
		sasl_fini(&exchange.sasl);
	}
}

static void
test_tokens(void **state)
{
	(void)state;
	const struct {
		const char *mechanism;
		struct span message;
		const char *user; /* NULL: refused */
	} rows[] = {
	    {"XOAUTH2", OCTETS("user=a@b\1auth=Bearer t\1\1"), "a@b"},
	    {"XOAUTH2", OCTETS("user=\1auth=Bearer t\1\1"), NULL},
	    {"XOAUTH2", OCTETS("user=a\1auth=Bearer t\1"), NULL},
	    {"XOAUTH2", OCTETS("user=a\1auth=Bearer t\1\1x"), NULL},
	    {"XOAUTH2", OCTETS("user=a\1"), NULL},
	    {"XOAUTH2", OCTETS("user=a\0b\1auth=Bearer t\1\1"), NULL},
	    {"XOAUTH2", OCTETS("x"), NULL},
	    {"OAUTHBEARER",
		OCTETS("n,a=a@b,\1host=h\1port=993\1auth=Bearer t\1\1"), "a@b"},
	    {"OAUTHBEARER", OCTETS("n,a=x=2Cy=3Dz,\1auth=B t\1\1"), "x,y=z"},
	    {"OAUTHBEARER", OCTETS("n,,\1auth=Bearer t\1\1"), ""},
	    {"OAUTHBEARER", OCTETS("y,a=u,\1auth=Bearer t\1\1"), "u"},
	    {"OAUTHBEARER", OCTETS("p=tls-unique,,\1auth=Bearer t\1\1"), NULL},
	    {"OAUTHBEARER", OCTETS("n,a=x=2cy,\1auth=Bearer t\1\1"), NULL},
	    {"OAUTHBEARER", OCTETS("n,u,\1auth=Bearer t\1\1"), NULL},
	    {"OAUTHBEARER", OCTETS("n,a=u,auth=Bearer t\1\1"), NULL},
	    {"OAUTHBEARER", OCTETS("n,a=u,\1auth=Bearer t\1"), NULL},
	    {"OAUTHBEARER", OCTETS("n,a=u,\1auth=Bearer t\1\1x"), NULL},
	    {"OAUTHBEARER", OCTETS("n,a=u\0,\1auth=Bearer t\1\1"), NULL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_token(rows[i].mechanism, rows[i].message, rows[i].user);
}

static void
test_relayed(void **state)
{
	(void)state;
	const struct {
		const char *mechanism;
		struct span initial;
		const char *user;
	} rows[] = {
	    {"CRAM-MD5", none, ""},
	    {"GSSAPI", OCTETS("n,,n=x,r=y"), ""},
	    {"SCRAM-SHA-256", none, ""},
	    {"SCRAM-SHA-256", OCTETS("n,,n=me,r=abc"), "me"},
	    {"SCRAM-SHA-1", OCTETS("y,a=boss,n=m=2Ce,r=abc"), "m,e"},
	    {"SCRAM-SHA-1", OCTETS("n,,n=m=e,r=abc"), ""},
	    {"SCRAM-SHA-1", OCTETS("n,,r=abc"), ""},
	    {"SCRAM-SHA-1", OCTETS("x"), ""},
	    {"SCRAM-SHA-1", OCTETS(""), ""},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct exchange exchange;
		struct credentials *credentials = &exchange.sasl.credentials;
		bool has_initial = rows[i].initial.data != NULL;
		assert_int_equal(start(&exchange, rows[i].mechanism,
				     rows[i].initial, MECHANISM_OTHER),
		    SASL_DONE);
		assert_int_equal(credentials->kind, CREDENTIALS_RELAYED);
		assert_int_equal(credentials->has_initial, has_initial);
		assert_true(span_equal(
		    span_secret(&credentials->token), rows[i].initial));
		assert_true(secret_is(&credentials->user, rows[i].user));
		sasl_fini(&exchange.sasl);
	}
}

static void
test_relayed_lines(void **state)
{
	(void)state;
	static const struct {
		const char *mechanism;
		const char *message;
		const char *user;
	} rows[] = {
	    {"CRAM-MD5", "tim b913a602c7eda7a495b4e6e7334d3890", "tim"},
	    {"CRAM-MD5", "a b b913a602c7eda7a495b4e6e7334d3890", "a b"},
	    {"CRAM-MD5", " b913a602c7eda7a495b4e6e7334d3890", ""},
	    {"CRAM-MD5", "tim", ""},
	    {"CRAM-MD5", "", ""},
	    {"SCRAM-SHA-256", "n,,n=me,r=abc", "me"},
	    {"SCRAM-SHA-256", "c=biws,r=abc,p=xyz", ""},
	    {"NTLM", "NTLMSSP", ""},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct credentials credentials = {.kind = CREDENTIALS_RELAYED};
		uint8_t line[256];
		struct outbuf out;
		outbuf_init(&out, line, sizeof(line));
		imap_base64_encode(&out, span_str(rows[i].message));
		memcpy(credentials.mechanism, rows[i].mechanism,
		    strlen(rows[i].mechanism) + 1);
		sasl_note_relayed(&credentials, outbuf_span(&out));
		assert_true(secret_is(&credentials.user, rows[i].user));
		assert_int_equal(credentials.token.len, 0);
		sasl_note_relayed(&credentials, span_str("*"));
		assert_true(secret_is(&credentials.user, rows[i].user));
		credentials_wipe(&credentials);
	}
}

static void
test_offered(void **state)
{
	(void)state;
	static const struct {
		const char *mechanism;
		uint32_t allowed;
		enum sasl_status status;
	} rows[] = {
	    {"ANONYMOUS", ALL, SASL_UNKNOWN},
	    {"EXTERNAL", ALL, SASL_UNKNOWN},
	    {"SCRAM-SHA-256-PLUS", ALL, SASL_UNKNOWN},
	    {"-PLUS", ALL, SASL_UNKNOWN},
	    {"", ALL, SASL_UNKNOWN},
	    {"PLAIN", ~(uint32_t)MECHANISM_PLAIN, SASL_UNKNOWN},
	    {"LOGIN", ~(uint32_t)MECHANISM_LOGIN, SASL_UNKNOWN},
	    {"XOAUTH2", ~(uint32_t)MECHANISM_XOAUTH2, SASL_UNKNOWN},
	    {"OAUTHBEARER", ~(uint32_t)MECHANISM_OAUTHBEARER, SASL_UNKNOWN},
	    {"CRAM-MD5", ~(uint32_t)MECHANISM_OTHER, SASL_UNKNOWN},
	    {"PLAIN", MECHANISM_PLAIN, SASL_CHALLENGE},
	    {"CRAM-MD5", MECHANISM_OTHER, SASL_DONE},
	    {"PLUS", MECHANISM_OTHER, SASL_DONE},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct exchange exchange;
		assert_int_equal(
		    start(&exchange, rows[i].mechanism, none, rows[i].allowed),
		    rows[i].status);
		sasl_fini(&exchange.sasl);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_plain_bad),
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_login),
	    cmocka_unit_test(test_tokens),
	    cmocka_unit_test(test_relayed),
	    cmocka_unit_test(test_relayed_lines),
	    cmocka_unit_test(test_offered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
