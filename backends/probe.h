/* SPDX-License-Identifier: ISC */
/*
 * The dialogue of a health check, pure: bytes in, bytes out, a verdict. It
 * identifies itself exactly as a login does, then: greeting, [ID,] CAPABILITY,
 * LOGOUT.
 */
#ifndef BACKENDS_PROBE_H
#define BACKENDS_PROBE_H

#include "backends/reply.h"

enum probe_verdict {
	PROBE_GOOD,
	PROBE_GARBAGE,
	PROBE_PREAUTH,
	PROBE_BYE,
	PROBE_CLOSED,
	PROBE_REFUSED,       /* a tagged NO or BAD to CAPABILITY */
	PROBE_LOGINDISABLED, /* misconfigured: it does not trust us */
};

enum probe_status {
	PROBE_WAIT, /* write what is in out, then feed what comes */
	PROBE_DONE, /* write what is in out (LOGOUT), close; verdict is set */
};

struct probe {
	struct backend backend; /* a copy: endpoint, client_ip */
	struct reply_reader reader;
	int step;
	uint32_t tag;
	enum probe_verdict verdict;
	char capabilities[BACKEND_CAPABILITIES_MAX];
	char text[128]; /* what the backend said when it is not good; printable */
};

void probe_init(struct probe *probe, const struct backend *backend);
void probe_fini(struct probe *probe);

/* The connection is made; local is our end of it (sent as the client's
 * address in a PROXY header or an ID). */
enum probe_status probe_connected(
    struct probe *probe, const struct addr *local, struct outbuf *out);

enum probe_status probe_feed(
    struct probe *probe, struct span in, struct outbuf *out);

/* The backend ended the connection. */
enum probe_status probe_eof(struct probe *probe);

const char *probe_verdict_name(enum probe_verdict verdict);

#endif
