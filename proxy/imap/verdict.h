/* SPDX-License-Identifier: ISC */
/*
 * What a backend said of a login, filtered for the client's eyes: its code and
 * its text pass (an ALERT must be shown, RFC 9051 section 7.1), printable and
 * at most LOGIN_TEXT_MAX octets each; a REFERRAL, which would lead around the
 * gateway, is UNAVAILABLE. For the login dialogue only.
 */
#ifndef IMAP_VERDICT_H
#define IMAP_VERDICT_H

#include "backends/reply.h"
#include "proxy/imap/login.h"

#define VERDICT_CAPABILITIES_MAX 2048

/* Every text is printable ASCII and NUL-terminated. */
struct verdict {
	bool is_ok;
	char name[32];		       /* of the code, upper case, or empty */
	char code[LOGIN_TEXT_MAX + 1]; /* without brackets, or empty */
	char text[LOGIN_TEXT_MAX + 1];
	char capabilities[VERDICT_CAPABILITIES_MAX]; /* empty: not known */
};

/* A list that the backend sent once the credentials were there. */
void verdict_learn(struct verdict *verdict, struct span list);

/* From the tagged response: OK, FAILED, REFUSED or MISCONFIGURED. */
enum login_status verdict_judge(
    struct verdict *verdict, const struct reply *reply);

void verdict_write(
    const struct verdict *verdict, const char *tag, struct outbuf *out);

#endif
