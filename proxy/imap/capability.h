/* SPDX-License-Identifier: ISC */
/* The capability lists that a client sees (RFC 9051 section 7.2.2). */
#ifndef IMAP_CAPABILITY_H
#define IMAP_CAPABILITY_H

#include "config/config.h"

/*
 * What all learned lists of a pool have in common, session-wide capabilities
 * and the mechanisms that only a backend can judge, tokens among them (the
 * gateway's own and the forbidden ones removed, LITERAL+ shown as LITERAL-), in
 * the order of the first list. An empty list in `lists` is "not learned" and is
 * skipped; nothing learned gives "IMAP4rev1 LITERAL-".
 */
void capability_common(
    const struct span *lists, size_t n_lists, struct outbuf *out);

/*
 * The list before login: `common`, ID, SASL-IR and AUTH= by the listener's
 * mechanisms: PLAIN and LOGIN always, the others of `common` as far as it has
 * xoauth2, oauthbearer and "other" ("IMAP4rev1 ID SASL-IR LITERAL-
 * AUTH=PLAIN..."); LOGINDISABLED when login_command is off
 * (RFC 9051 section 7.2.2). Without "CAPABILITY".
 */
void capability_before_login(struct span common, uint32_t mechanisms,
    bool login_command, struct outbuf *out);

/* A backend's list after login, without STARTTLS, LOGINDISABLED,
 * UNAUTHENTICATE, referrals. */
void capability_after_login(struct span list, struct outbuf *out);

#endif
