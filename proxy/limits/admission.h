/* SPDX-License-Identifier: ISC */
/*
 * The decision about an address, before anything is allocated for it and
 * before a TLS byte is read. Pure.
 */
#ifndef LIMITS_ADMISSION_H
#define LIMITS_ADMISSION_H

#include "config/config.h"

enum admission {
	ADMISSION_ADMIT,
	ADMISSION_DENIED,      /* [limits] deny */
	ADMISSION_NOT_ALLOWED, /* not in [listen] allow */
	ADMISSION_UNTRUSTED,   /* a PROXY header is required and this is not in
				  proxy_from */
};

/* The word for the log. */
const char *admission_name(enum admission admission);

/* The peer of a socket accepted on listener `listen` (index). Where a PROXY
 * header is required this judges the sender, and admission_of_client() then
 * the client it names. */
enum admission admission_of_peer(
    const struct config *config, uint32_t listen, const struct addr *peer);

enum admission admission_of_client(
    const struct config *config, uint32_t listen, const struct addr *client);

#endif
