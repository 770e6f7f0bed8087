/* SPDX-License-Identifier: ISC */
/* One health check: connects, moves the bytes of a probe, closes. */
#ifndef MONITOR_CHECK_H
#define MONITOR_CHECK_H

#include <uv.h>

#include "backends/health.h"
#include "backends/pool.h"
#include "tls/stream.h"

struct check;

/* The pointers live as long as the call. */
struct check_result {
	uint32_t index;
	bool
	    is_ours; /* no descriptor, no memory: says nothing of the backend */
	enum health_outcome outcome;
	const char *why;  /* a verdict's name, "connect", "timeout" ... */
	const char *text; /* what it said, or the error; printable */
	const char *capabilities;
	uint64_t latency_us; /* from the start to the verdict */
};

struct check_params {
	uv_loop_t *loop;
	const struct backend *backend; /* copied */
	uint32_t index;
	struct tls_stream *tls; /* owned from here; NULL: plaintext */
	bool is_impossible;	/* TLS is wanted and can't be: it fails */
	struct span user;	/* to log in as, copied; empty: no login */
	struct span password;
	uint64_t timeout_ms; /* from connecting to the verdict */
	uint64_t random;     /* which source_ip */
	void *arg;
	void (*on_result)(void *arg, const struct check_result *result);
};

/* on_result comes exactly once, never from inside this call; then the check
 * is gone for the caller. NULL: out of memory. */
struct check *check_start(const struct check_params *params);

/* The keeper's answer to what its stream asked. */
void check_key_reply(struct check *check, const struct key_reply *reply);

/* Ends it without a result. */
void check_cancel(struct check *check);

#endif
