/* SPDX-License-Identifier: ISC */
/*
 * What an engine builds for every [tls] section of a snapshot, because it is
 * too slow for a handshake; and what it does with it at a ClientHello. For
 * stream.c and hello.c.
 */
#ifndef TLS_SECTION_H
#define TLS_SECTION_H

#include "tls/client_check.h"
#include "tls/engine.h"

#define OBSERVE_SUITES_MAX 32

struct tls_section {
	struct client_store *client;	      /* NULL: nobody can be verified */
	uint16_t observe[OBSERVE_SUITES_MAX]; /* suites of the dry run */
	uint32_t n_observe;
};

/* One for each section; NULL: out of memory. */
struct tls_section *sections_new(const struct config *config);
void sections_free(struct tls_section *sections, uint32_t n);

/* Asks for a client certificate where the section says so. False: it cannot
 * be asked for, the handshake must fail. */
bool section_ask_client(
    SSL *ssl, const struct tls_section *section, const struct config_tls *tls);

/* Whom the stricter policy of the dry run would refuse: TLS_OBSERVED_ bits. */
uint8_t section_observe(const SSL_CLIENT_HELLO *hello,
    const struct tls_section *section, const struct config_tls *tls);

/* hello.c */
bool hello_offers(CBS list, uint16_t wanted);
CBS hello_versions(const SSL_CLIENT_HELLO *hello);

#endif
