/* SPDX-License-Identifier: ISC */
/* What a login is answered when the answer is the gateway's own. */
#ifndef SESSION_ANSWER_H
#define SESSION_ANSWER_H

#include "proxy/session/internal.h"

/* Back to the commands, with an answer in env->text. */
void answer_done(struct session *session);
/* The same after a NO that says nothing of the password. */
void answer_after_refusal(struct session *session);
void answer_unavailable(struct session *session, const char *why);
/* The backends are well, and none of them takes such credentials. */
void answer_unsupported(struct session *session);
/* No backend is asked, and nobody learns whether the password was right. */
void answer_wrong_user(struct session *session);
/* A connection that was there before the ban. */
void answer_banned(struct session *session);

#endif
