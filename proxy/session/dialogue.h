/* SPDX-License-Identifier: ISC */
/* The plaintext between us and a backend during a login. */
#ifndef SESSION_DIALOGUE_H
#define SESSION_DIALOGUE_H

#include "proxy/session/session.h"

/* Pieces of env->plain that hold plaintext of both peers. */
#define DIALOGUE_PLAIN ((size_t)SIDE_MAX * TLS_RECORD_MAX)
/* One more record of a peer, decoded by its codec into the peer's piece. */
enum tls_status dialogue_decode(
    struct session *session, enum side side, struct span *out_plain);
/* Passwords are among it: after every step. */
void dialogue_wipe(struct session_env *env);
/* Around a step. False: out of memory. */
bool dialogue_open(struct session *session);
bool dialogue_close(struct session *session);
/* TLS_OK when plaintext can flow. */
enum tls_status dialogue_handshake(struct session *session);
/* What the backend said and nobody has parsed; NULL: nothing. */
struct span *dialogue_pull(struct session *session);
/* Where to write what it shall hear; end sends it. False: it cannot. */
struct outbuf *dialogue_begin(struct session *session, struct outbuf *said);
bool dialogue_end(struct session *session, struct outbuf *said);

#endif
