/* SPDX-License-Identifier: ISC */
/*
 * The dialogue of a health check, pure: bytes in, bytes out, a verdict. It
 * identifies itself exactly as a login does (a PROXY header with the TLS of a
 * client, or an ID), then: greeting, CAPABILITY, with an account LOGIN, LOGOUT.
 * Where the client is told by ID: greeting, CAPABILITY, ID, CAPABILITY, LOGOUT,
 * since ID is sent only to a backend that lists it and may change the list.
 * LOGINDISABLED decides wherever it is seen.
 */
#ifndef BACKENDS_PROBE_H
#define BACKENDS_PROBE_H

#include "backends/reply.h"

/* Room that `out` must have at each call. */
#define PROBE_OUT_MAX  2048
#define PROBE_TEXT_MAX 128

enum probe_verdict {
	PROBE_GOOD,
	PROBE_GARBAGE,
	PROBE_PREAUTH,
	PROBE_BYE,
	PROBE_CLOSED,
	PROBE_REFUSED,	     /* a tagged NO or BAD to CAPABILITY */
	PROBE_LOGIN_REFUSED, /* to the LOGIN of the check account */
	PROBE_LOGINDISABLED, /* misconfigured: it does not trust us */
};

enum probe_status {
	PROBE_WAIT, /* write what is in out, then feed what comes */
	PROBE_DONE, /* write what is in out (LOGOUT), close; verdict is set */
};

enum probe_step {
	PROBE_AT_GREETING,
	PROBE_AT_LIST, /* CAPABILITY before an ID */
	PROBE_AT_ID,
	PROBE_AT_CAPABILITY,
	PROBE_AT_LOGIN,
	PROBE_AT_END,
};

struct probe {
	struct backend backend; /* a copy: endpoint, client_ip */
	struct reply_reader reader;
	enum probe_step step;
	uint32_t tag;
	struct addr local;
	struct secret login; /* the arguments of LOGIN; empty: none is made */
	enum probe_verdict verdict;
	/* The last list seen, printable; empty: none. */
	char capabilities[BACKEND_CAPABILITIES_MAX];
	/* What the backend said, or did, when it is not good; printable. */
	char text[PROBE_TEXT_MAX];
};

void probe_init(struct probe *probe, const struct backend *backend);
void probe_fini(struct probe *probe);

/* The check ends in a LOGIN. Both can be quoted, 256 octets each. */
void probe_log_in(struct probe *probe, struct span user, struct span password);

/* The connection is made; local is our end of it, sent as the client's address
 * in a PROXY header or an ID (ADDR_NONE, a Unix socket: 127.0.0.1 is). */
enum probe_status probe_connected(
    struct probe *probe, const struct addr *local, struct outbuf *out);

/* Once DONE is returned, everything further is ignored. */
enum probe_status probe_feed(
    struct probe *probe, struct span in, struct outbuf *out);

/* The backend ended the connection. */
enum probe_status probe_eof(struct probe *probe);

const char *probe_verdict_name(enum probe_verdict verdict);

#endif
