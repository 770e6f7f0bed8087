/* SPDX-License-Identifier: ISC */
/* needs: backends/probe.c backends/reply.c backends/proxyhdr.c */
/* needs: proxy/base/addr.c proxy/base/parse.c proxy/base/imaplex.c */
/* needs: proxy/base/span.c proxy/base/ensure.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "backends/probe.h"
#include "backends/proxyhdr.h"
#include "config/config.h"

/* One dialogue: everything the probe wrote is collected. */
struct talk {
	struct probe probe;
	enum probe_status status;
	size_t len;
	char said[4096];
};

static struct addr
address(const char *text)
{
	struct addr addr;
	assert_true(addr_parse(span_str(text), &addr));
	return addr;
}

static void
collect(struct talk *talk, enum probe_status status, const struct outbuf *out)
{
	assert_false(out->overflow);
	assert_true(talk->len + out->len < sizeof(talk->said));
	memcpy(talk->said + talk->len, out->data, out->len);
	talk->len += out->len;
	talk->said[talk->len] = '\0';
	talk->status = status;
}

static void
begin(struct talk *talk, uint32_t client_ip)
{
	uint8_t room[PROBE_OUT_MAX];
	struct backend backend = {.client_ip = client_ip,
	    .endpoint = {.addr = address("192.0.2.2:143")}};
	struct addr local = address("192.0.2.1:50000");
	struct outbuf out;

	talk->len = 0;
	outbuf_init(&out, room, sizeof(room));
	probe_init(&talk->probe, &backend);
	collect(talk, probe_connected(&talk->probe, &local, &out), &out);
	assert_int_equal(PROBE_WAIT, talk->status);
}

/* The input is a copy of its exact size, for sanitizers. */
static void
feed_octets(struct talk *talk, const char *text, size_t len)
{
	uint8_t room[PROBE_OUT_MAX];
	struct outbuf out;
	char *copy = malloc(len + 1);

	memcpy(copy + 1, text, len);
	outbuf_init(&out, room, sizeof(room));
	collect(
	    talk, probe_feed(&talk->probe, span_of(copy + 1, len), &out), &out);
	free(copy);
}

static void
feed(struct talk *talk, const char *text)
{
	feed_octets(talk, text, strlen(text));
}

static void
assert_verdict(struct talk *talk, enum probe_verdict verdict, const char *text,
    const char *said)
{
	assert_int_equal(PROBE_DONE, talk->status);
	assert_int_equal(verdict, talk->probe.verdict);
	assert_string_equal(text, talk->probe.text);
	assert_string_equal(said, talk->said);
	/* Nothing that comes later changes it. */
	feed(talk, "* BYE\r\nx OK\r\n");
	assert_int_equal(PROBE_DONE, probe_eof(&talk->probe));
	assert_int_equal(verdict, talk->probe.verdict);
	assert_string_equal(said, talk->said);
	probe_fini(&talk->probe);
}

#define UNTRUSTED     "it takes no plaintext logins from this gateway"
#define ASKED	      "p1 CAPABILITY\r\n"
#define ASKED_AND_OUT ASKED "p2 LOGOUT\r\n"

static void
test_good(void **state)
{
	(void)state;
	struct talk talk;
	begin(&talk, CLIENT_IP_NONE);
	assert_int_equal(0, talk.len);
	feed(&talk, "* OK ready\r\n");
	assert_string_equal(ASKED, talk.said);
	feed(&talk, "* CAPABILITY IMAP4rev1 IDLE\r\np1 OK done\r\n");
	assert_string_equal("IMAP4rev1 IDLE", talk.probe.capabilities);
	assert_verdict(&talk, PROBE_GOOD, "", ASKED_AND_OUT);
}

/* A script with its verdict, at every split into two and octet by octet. */
static void
test_splits(void **state)
{
	(void)state;
	static const char script[] =
	    "* OK [CAPABILITY IMAP4rev1] hi\r\n"
	    "* CAPABILITY IMAP4rev1 ID\r\n* 1 FOO {3}\r\nabc\r\np1 OK done\r\n";
	size_t len = strlen(script);
	struct talk talk;

	for (size_t cut = 0; cut <= len; cut++) {
		begin(&talk, CLIENT_IP_NONE);
		feed_octets(&talk, script, cut);
		feed_octets(&talk, script + cut, len - cut);
		assert_verdict(&talk, PROBE_GOOD, "", ASKED_AND_OUT);
	}
	begin(&talk, CLIENT_IP_NONE);
	for (size_t i = 0; i < len; i++)
		feed_octets(&talk, script + i, 1);
	assert_verdict(&talk, PROBE_GOOD, "", ASKED_AND_OUT);
}

static void
test_code_in_greeting_is_asked_again(void **state)
{
	(void)state;
	struct talk talk;
	begin(&talk, CLIENT_IP_NONE);
	feed(&talk, "* OK [CAPABILITY IMAP4rev1 SASL-IR] hi\r\n");
	assert_string_equal(ASKED, talk.said);
	feed(&talk, "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\np1 OK\r\n");
	assert_string_equal("IMAP4rev1 AUTH=PLAIN", talk.probe.capabilities);
	assert_verdict(&talk, PROBE_GOOD, "", ASKED_AND_OUT);

	/* A server that says nothing more keeps what the greeting listed. */
	begin(&talk, CLIENT_IP_NONE);
	feed(&talk, "* OK [CAPABILITY IMAP4rev1 X] hi\r\np1 OK\r\n");
	assert_string_equal("IMAP4rev1 X", talk.probe.capabilities);
	assert_verdict(&talk, PROBE_GOOD, "", ASKED_AND_OUT);
}

static void
test_login_disabled(void **state)
{
	(void)state;
	struct talk talk;
	begin(&talk, CLIENT_IP_NONE);
	feed(&talk, "* OK hi\r\n* CAPABILITY IMAP4rev1 LoginDisabled\r\n"
		    "p1 OK done\r\n");
	assert_verdict(&talk, PROBE_LOGINDISABLED, UNTRUSTED, ASKED_AND_OUT);
	begin(&talk, CLIENT_IP_NONE);
	feed(&talk, "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi\r\n");
	assert_verdict(&talk, PROBE_LOGINDISABLED, UNTRUSTED, "p1 LOGOUT\r\n");
	/* Before the ID, too: a login would not get as far as that. */
	begin(&talk, CLIENT_IP_ID);
	feed(&talk, "* OK hi\r\n* CAPABILITY ID LOGINDISABLED\r\np1 OK\r\n");
	assert_verdict(&talk, PROBE_LOGINDISABLED, UNTRUSTED, ASKED_AND_OUT);
}

static void
assert_bad(const char *script, enum probe_verdict verdict, const char *text,
    const char *said)
{
	struct talk talk;
	begin(&talk, CLIENT_IP_NONE);
	feed(&talk, script);
	assert_verdict(&talk, verdict, text, said);
}

static void
test_bad_backends(void **state)
{
	(void)state;
	assert_bad("* PREAUTH root\r\n", PROBE_PREAUTH, "root", "");
	assert_bad("* BYE full\x1b[1m\r\n", PROBE_BYE, "full?[1m", "");
	assert_bad("* OK hi\r\n* BYE gone\r\n", PROBE_BYE, "gone", ASKED);
	assert_bad("220 smtp ready\r\n", PROBE_GARBAGE, "220 smtp ready?", "");
	assert_bad("* OK hi\r\n+ go on\r\n", PROBE_GARBAGE, "go on", ASKED);
	assert_bad("* OK hi\r\nx1 OK no\r\n", PROBE_GARBAGE, "no", ASKED);
	assert_bad("p1 OK early\r\n", PROBE_GARBAGE, "early", "");
	assert_bad(
	    "* CAPABILITY IMAP4rev1\r\n", PROBE_GARBAGE, "IMAP4rev1", "");
	assert_bad(
	    "* OK hi\r\np1 BAD what\r\n", PROBE_REFUSED, "what", ASKED_AND_OUT);
	assert_bad("* OK hi\r\np1 NO [UNAVAILABLE] later\r\n", PROBE_REFUSED,
	    "later", ASKED_AND_OUT);
}

static void
test_closed(void **state)
{
	(void)state;
	struct talk talk;
	begin(&talk, CLIENT_IP_NONE);
	talk.status = probe_eof(&talk.probe);
	assert_verdict(&talk, PROBE_CLOSED, "", "");
	begin(&talk, CLIENT_IP_NONE);
	feed(&talk, "* OK hi\r\n* CAPA");
	talk.status = probe_eof(&talk.probe);
	assert_verdict(&talk, PROBE_CLOSED, "", ASKED);
}

static void
test_endless_talk_ends(void **state)
{
	(void)state;
	struct talk talk;
	begin(&talk, CLIENT_IP_NONE);
	feed(&talk, "* OK hi\r\n");
	for (int i = 0; talk.status == PROBE_WAIT && i < 10000; i++)
		feed(&talk, "* OK still here\r\n");
	assert_verdict(&talk, PROBE_GARBAGE, "too much", ASKED);
	begin(&talk, CLIENT_IP_NONE);
	for (int i = 0; talk.status == PROBE_WAIT && i < 10000; i++)
		feed(&talk, "aaaaaaaaaaaaaaaa");
	assert_verdict(&talk, PROBE_GARBAGE, "too much", "");
}

/* Long lists are cut between words; what is no word is left out. */
static void
test_odd_lists(void **state)
{
	(void)state;
	struct talk talk;
	char word[300];

	memset(word, 'w', sizeof(word));
	word[299] = '\0';
	begin(&talk, CLIENT_IP_NONE);
	feed(&talk, "* OK hi\r\n* CAPABILITY  IMAP4rev1 ");
	for (int i = 0; i < 5; i++) {
		feed(&talk, word);
		feed(&talk, " ");
	}
	feed(&talk, "a\x1b"
		    "b LAST\r\np1 OK\r\n");
	assert_int_equal(9 + 3 * 300 + 5, strlen(talk.probe.capabilities));
	assert_non_null(strstr(talk.probe.capabilities, "w LAST"));
	assert_verdict(&talk, PROBE_GOOD, "", ASKED_AND_OUT);
}

static void
test_proxy_v1(void **state)
{
	(void)state;
	struct talk talk;
	begin(&talk, CLIENT_IP_PROXY_V1);
	feed(&talk, "* OK hi\r\n* CAPABILITY IMAP4rev1\r\np1 OK\r\n");
	assert_verdict(&talk, PROBE_GOOD, "",
	    "PROXY TCP4 192.0.2.1 192.0.2.2 50000 143\r\n" ASKED_AND_OUT);
}

static void
test_proxy_v2(void **state)
{
	(void)state;
	struct talk talk;
	struct proxyhdr header;
	size_t len;

	begin(&talk, CLIENT_IP_PROXY_V2);
	assert_int_equal(PROXYHDR_COMPLETE,
	    proxyhdr_parse(span_of(talk.said, talk.len), &header, &len));
	assert_int_equal(talk.len, len);
	struct addr client = address("192.0.2.1:50000");
	assert_true(addr_equal(&client, &header.client));
	/* PP2_TYPE_SSL with PP2_CLIENT_SSL: as a login tells it. */
	assert_memory_equal("\x20\0\x28\1", talk.said + 28, 4);
	probe_fini(&talk.probe);
}

/* A Unix socket has no addresses: the header must still be one of TCP, or
 * the backend would not look at what it says of TLS. */
static void
test_proxy_v2_on_unix_socket(void **state)
{
	(void)state;
	struct backend backend = {
	    .client_ip = CLIENT_IP_PROXY_V2, .endpoint = {.path = "/run/imap"}};
	struct addr none = {.family = ADDR_NONE};
	uint8_t room[PROBE_OUT_MAX];
	struct proxyhdr header;
	struct probe probe;
	struct outbuf out;
	size_t len;

	outbuf_init(&out, room, sizeof(room));
	probe_init(&probe, &backend);
	probe_connected(&probe, &none, &out);
	assert_int_equal(PROXYHDR_COMPLETE,
	    proxyhdr_parse(outbuf_span(&out), &header, &len));
	assert_int_equal(ADDR_IPV4, header.client.family);
	probe_fini(&probe);
}

#define ID_FIELDS                                                            \
	"ID (\"name\" \"Sallyport\" \"x-originating-ip\" \"192.0.2.1\" "     \
	"\"x-originating-port\" \"50000\" \"x-connected-ip\" \"192.0.2.2\" " \
	"\"x-connected-port\" \"143\" \"x-session-id\" \"check\" "           \
	"\"x-proxy-ttl\" \"5\")\r\n"

static void
test_id(void **state)
{
	(void)state;
	struct talk talk;
	begin(&talk, CLIENT_IP_ID);
	feed(&talk, "* OK hi\r\n");
	assert_string_equal(ASKED, talk.said);
	feed(&talk, "* CAPABILITY IMAP4rev1 ID\r\np1 OK\r\n");
	assert_string_equal(ASKED "p2 " ID_FIELDS, talk.said);
	feed(&talk, "* ID NIL\r\np2 OK\r\n* CAPABILITY IMAP4rev1 ID\r\n");
	feed(&talk, "p3 OK\r\n");
	assert_verdict(&talk, PROBE_GOOD, "",
	    ASKED "p2 " ID_FIELDS "p3 CAPABILITY\r\np4 LOGOUT\r\n");
}

static void
test_id_known_from_greeting(void **state)
{
	(void)state;
	struct talk talk;
	begin(&talk, CLIENT_IP_ID);
	feed(&talk, "* OK [CAPABILITY IMAP4rev1 ID] hi\r\n");
	assert_string_equal("p1 " ID_FIELDS, talk.said);
	feed(&talk, "p1 NO not you\r\n* CAPABILITY A LOGINDISABLED\r\n");
	feed(&talk, "p2 OK\r\n");
	assert_verdict(&talk, PROBE_LOGINDISABLED, UNTRUSTED,
	    "p1 " ID_FIELDS "p2 CAPABILITY\r\np3 LOGOUT\r\n");
}

static void
test_id_not_listed(void **state)
{
	(void)state;
	struct talk talk;
	begin(&talk, CLIENT_IP_ID);
	feed(&talk, "* OK hi\r\n* CAPABILITY IMAP4rev1\r\np1 OK\r\n");
	assert_verdict(&talk, PROBE_GOOD, "", ASKED_AND_OUT);
}

#define LOGS_IN ASKED "p2 LOGIN \"an\\\"na\" \"pass word\"\r\n"

static void
begin_login(struct talk *talk)
{
	begin(talk, CLIENT_IP_NONE);
	probe_log_in(&talk->probe, span_str("an\"na"), span_str("pass word"));
	feed(talk, "* OK ready\r\n* CAPABILITY IMAP4rev1 IDLE\r\np1 OK\r\n");
	assert_string_equal(LOGS_IN, talk->said);
	assert_int_equal(PROBE_WAIT, talk->status);
}

static void
test_logs_in(void **state)
{
	(void)state;
	struct talk talk;

	begin_login(&talk);
	/* What it can do after a login is nobody's business before one. */
	feed(&talk, "* CAPABILITY IMAP4rev1 QUOTA\r\n"
		    "p2 OK [CAPABILITY IMAP4rev1 ACL] in\r\n");
	assert_string_equal("IMAP4rev1 IDLE", talk.probe.capabilities);
	assert_verdict(&talk, PROBE_GOOD, "", LOGS_IN "p3 LOGOUT\r\n");
}

static void
test_login_refused(void **state)
{
	(void)state;
	struct talk talk;

	begin_login(&talk);
	feed(&talk, "p2 NO [UNAVAILABLE] no directory\r\n");
	assert_verdict(&talk, PROBE_LOGIN_REFUSED, "no directory",
	    LOGS_IN "p3 LOGOUT\r\n");
	begin(&talk, CLIENT_IP_NONE);
	probe_log_in(&talk.probe, span_str("a"), span_str("b"));
	/* Never to a server that doesn't trust us. */
	feed(
	    &talk, "* OK\r\n* CAPABILITY IMAP4rev1 LOGINDISABLED\r\np1 OK\r\n");
	assert_verdict(&talk, PROBE_LOGINDISABLED, UNTRUSTED, ASKED_AND_OUT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),
	    cmocka_unit_test(test_splits),
	    cmocka_unit_test(test_code_in_greeting_is_asked_again),
	    cmocka_unit_test(test_login_disabled),
	    cmocka_unit_test(test_bad_backends),
	    cmocka_unit_test(test_closed),
	    cmocka_unit_test(test_endless_talk_ends),
	    cmocka_unit_test(test_odd_lists),
	    cmocka_unit_test(test_proxy_v1),
	    cmocka_unit_test(test_proxy_v2),
	    cmocka_unit_test(test_proxy_v2_on_unix_socket),
	    cmocka_unit_test(test_id),
	    cmocka_unit_test(test_id_known_from_greeting),
	    cmocka_unit_test(test_id_not_listed),
	    cmocka_unit_test(test_logs_in),
	    cmocka_unit_test(test_login_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
