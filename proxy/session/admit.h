/* SPDX-License-Identifier: ISC */
/* What a session asks of and owes to the limiter. */
#ifndef SESSION_ADMIT_H
#define SESSION_ADMIT_H

#include "proxy/session/session.h"

void admit_note_state(
    struct session *session, enum session_state from, enum session_state to);
/* Whatever it holds in the limiter. */
void admit_release(struct session *session);
/* The address is known: HANDSHAKE, or ACCEPT until there is room. */
void admit_to_handshake(struct session *session);
void admit_deadline(struct session *session);
/* session->client came with a PROXY header. False: refused, DONE. */
bool admit_client(struct session *session);
/* How long the login has to wait for failures before it, in ms; LOGIN_BANNED
 * (proxy/limits/logins.h): ask nobody. */
uint32_t admit_login(struct session *session);
/* The credentials were wrong. True: the prefix is banned. */
bool admit_note_failure(struct session *session);
/* They were good. */
void admit_note_login(struct session *session);

#endif
