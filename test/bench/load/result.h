/* SPDX-License-Identifier: ISC */
/* What a process of the load generator found out. */
#ifndef BENCH_LOAD_RESULT_H
#define BENCH_LOAD_RESULT_H

#include <stdint.h>

#include "test/bench/load/histogram.h"

/* Why a unit of work failed; the names in JSON are in bench-load.c. */
enum load_error {
	ERROR_SOCKET,	   /* no descriptor, no source port */
	ERROR_CONNECT,	   /* refused or unreachable */
	ERROR_TLS,	   /* alert, or a handshake that cannot work */
	ERROR_RESET,	   /* the connection was reset */
	ERROR_CLOSED,	   /* it ended before the answer came */
	ERROR_PROTOCOL,	   /* an answer that was not expected: NO, BAD, BYE */
	ERROR_TIMEOUT,	   /* no answer in time */
	ERROR_NOT_RESUMED, /* the server made a full handshake */
	ERROR_UNSENT,	   /* due at the fixed rate, never sent */
	N_ERRORS,
};

/* One per process, in memory shared with the parent. */
struct load_result {
	uint64_t errors[N_ERRORS];
	uint64_t bytes;
	uint64_t seconds_ns;
	uint64_t cpu_ns;
	uint64_t held; /* sessions there when the measurement ended */
	struct histogram work;
	struct histogram logins; /* mixed only: logins beside the held ones */
	char tls[64];
};

#endif
