/* SPDX-License-Identifier: ISC */
/* How a backend is told who the client is, by ID (RFC 2971). */
#ifndef IMAP_IDENTIFY_H
#define IMAP_IDENTIFY_H

#include "proxy/imap/login.h"

/*
 * The list of an ID command: the client's name (else ours), version and os,
 * and Dovecot's names for what a PROXY header would say.
 * What cannot be a quoted string is left out.
 */
void identify_write(const struct login_params *params, struct outbuf *out);

#endif
