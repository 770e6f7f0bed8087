/* SPDX-License-Identifier: ISC */
/* needs: proxy/imap/capability.c proxy/base/imaplex.c */
/* needs: proxy/base/span.c proxy/base/ensure.c */
/* The lists that a client sees. */
#include "proxy/imap/capability.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DOVECOT                                                      \
	"IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ " \
	"STARTTLS LOGINDISABLED AUTH=PLAIN"

static void
check(const struct outbuf *out, const char *wanted)
{
	char text[1024];
	memcpy(text, out->data, out->len);
	text[out->len] = '\0';
	assert_string_equal(text, wanted);
	assert_false(out->overflow);
}

static void
check_common(const char *a, const char *b, const char *c, const char *wanted)
{
	char data[512];
	struct outbuf out;
	struct span lists[] = {span_str(a), span_str(b), span_str(c)};
	outbuf_init(&out, data, sizeof(data));
	capability_common(lists, 3, &out);
	check(&out, wanted);
}

static void
test_common(void **state)
{
	(void)state;
	check_common("", "", "", "IMAP4rev1 LITERAL-");
	check_common(DOVECOT, "", "", "IMAP4rev1 ENABLE IDLE LITERAL-");
	check_common("", DOVECOT, "IMAP4rev1 IDLE", "IMAP4rev1 IDLE");
	check_common(
	    "IDLE IMAP4rev1 X", "x idle", "Idle X Y", "IMAP4rev1 IDLE X");
	check_common(
	    "IMAP4rev1 IMAP4rev2 IDLE", DOVECOT, "", "IMAP4rev1 IDLE LITERAL-");
	check_common("IMAP4rev1 IMAP4rev2", "IMAP4rev2 LITERAL+", "",
	    "IMAP4rev1 IMAP4rev2 LITERAL-");
	check_common("IMAP4rev1 LITERAL-", "IMAP4rev1 LITERAL+", "",
	    "IMAP4rev1 LITERAL-");
	check_common(
	    "IMAP4rev1 LITERAL+ LITERAL-", "", "", "IMAP4rev1 LITERAL-");
	check_common("UNAUTHENTICATE COMPRESS=DEFLATE MAILBOX-REFERRALS", "",
	    "", "IMAP4rev1");
	check_common("A\"B {5} IDLE] \x80z OK", "", "", "IMAP4rev1 OK");
	struct outbuf out;
	char data[32];
	outbuf_init(&out, data, sizeof(data));
	capability_common(NULL, 0, &out);
	check(&out, "IMAP4rev1 LITERAL-");
}

/* What has no room is left out, whole words only. */
static void
test_room(void **state)
{
	(void)state;
	char data[19];
	struct outbuf out;
	struct span list = span_str("IMAP4rev1 LONGWORD IDLE NAMESPACE X");
	outbuf_init(&out, data, sizeof(data));
	capability_common(&list, 1, &out);
	check(&out, "IMAP4rev1 LONGWORD");
	outbuf_init(&out, data, sizeof(data) - 1);
	capability_common(&list, 1, &out);
	check(&out, "IMAP4rev1 LONGWORD");
	outbuf_init(&out, data, sizeof(data) - 2);
	capability_common(&list, 1, &out);
	check(&out, "IMAP4rev1 IDLE X");
}

static void
check_before(const char *common, uint32_t mechanisms, bool login_command,
    const char *wanted)
{
	char data[512];
	struct outbuf out;
	outbuf_init(&out, data, sizeof(data));
	capability_before_login(
	    span_str(common), mechanisms, login_command, &out);
	check(&out, wanted);
}

static void
test_before_login(void **state)
{
	(void)state;
	check_before("", MECHANISM_PLAIN, true,
	    "IMAP4rev1 ID SASL-IR LITERAL- AUTH=PLAIN");
	check_before("IMAP4rev1 LITERAL-", MECHANISM_PLAIN, true,
	    "IMAP4rev1 ID SASL-IR LITERAL- AUTH=PLAIN");
	check_before("IMAP4rev1 IDLE", UINT32_MAX, true,
	    "IMAP4rev1 ID SASL-IR IDLE AUTH=PLAIN AUTH=LOGIN");
	check_before("IMAP4rev1 AUTH=oauthbearer AUTH=XOAUTH2 AUTH=GSSAPI",
	    UINT32_MAX, true,
	    "IMAP4rev1 ID SASL-IR AUTH=PLAIN AUTH=LOGIN AUTH=oauthbearer "
	    "AUTH=XOAUTH2");
	check_before("IMAP4rev1 AUTH=OAUTHBEARER AUTH=XOAUTH2 AUTH=GSSAPI",
	    MECHANISM_XOAUTH2 | MECHANISM_OTHER, true,
	    "IMAP4rev1 ID SASL-IR AUTH=XOAUTH2 AUTH=GSSAPI");
	check_before("IMAP4rev1", MECHANISM_OTHER, false,
	    "IMAP4rev1 ID SASL-IR LOGINDISABLED");
	check_before(DOVECOT " AUTH=EXTERNAL", MECHANISM_LOGIN, true,
	    "IMAP4rev1 ID SASL-IR ENABLE IDLE LITERAL- AUTH=LOGIN");
}

static void
test_after_login(void **state)
{
	(void)state;
	char data[512];
	struct outbuf out;
	outbuf_init(&out, data, sizeof(data));
	capability_after_login(
	    span_str("IMAP4rev1 STARTTLS logindisabled COMPRESS=DEFLATE IDLE "
		     "UNAUTHENTICATE LOGIN-REFERRALS MAILBOX-REFERRALS "
		     "LITERAL+ \x1b[0m NOTIFY"),
	    &out);
	check(&out, "IMAP4rev1 COMPRESS=DEFLATE IDLE LITERAL+ NOTIFY");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_common),
	    cmocka_unit_test(test_room),
	    cmocka_unit_test(test_before_login),
	    cmocka_unit_test(test_after_login),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
