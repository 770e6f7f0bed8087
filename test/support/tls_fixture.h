/* SPDX-License-Identifier: ISC */
/*
 * The listeners that the tests of the codec share, each with a policy of its
 * own, and what is expected of a handshake with them. Certificates: "ec" and
 * "rsa" for mail.test, "wild" (P-384) for *.wild.test; the first is default.
 */
#ifndef SUPPORT_TLS_FIXTURE_H
#define SUPPORT_TLS_FIXTURE_H

#include "test/support/tls_client.h"

enum {
	LAX,
	STRICT,
	MODERN,
	OLD,
	RSA_ONLY,
	NO_TICKETS,
	LAX_ALPN,
	SIGALGS
};

struct fixture {
	char dir[256];
	char config[8192];
	struct world *world;
};

/* For cmocka's group; *state is a struct fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* The handshake succeeds, and the client is shown the leaf of that name. */
void expect_leaf(struct world *world, uint32_t listen,
    const struct client_options *options, const char *expected);

/* It fails for that reason, and the client gets that alert. */
void expect_failure(struct world *world, uint32_t listen,
    const struct client_options *options, enum tls_failure failure,
    uint8_t alert);

#endif
