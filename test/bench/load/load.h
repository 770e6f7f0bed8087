/* SPDX-License-Identifier: ISC */
/*
 * What the files of the load generator share.
 *
 *   slot     one of the places of a process that hold a connection each;
 *            it never moves and lives as long as the process
 *   script   what a slot does once it is connected (modes.c)
 *   work     one measured unit: a handshake, a login, a command
 *
 * client.c drives sockets and TLS and knows no IMAP beyond lines and
 * literals; modes.c decides what is said; bench-load.c forks and reports.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "test/bench/load/options.h"
#include "test/bench/load/result.h"

#define LOAD_LINE_LEN 1024
#define LOAD_IN_LEN   65536
#define LOAD_OUT_LEN  98304 /* four records and more */

enum slot_state {
	SLOT_CLOSED,
	SLOT_CONNECTING,
	SLOT_HANDSHAKE,
	SLOT_OPEN,
};

/* What a slot waits for while it is open. */
enum slot_phase {
	PHASE_GREETING,
	PHASE_LOGIN,
	PHASE_IDLE_START,
	PHASE_QUIET, /* held, nothing is asked */
	PHASE_ANSWER,
	PHASE_CONTINUATION, /* of an APPEND */
};

struct slot {
	int fd;
	uint8_t state;	/* enum slot_state */
	uint8_t phase;	/* enum slot_phase */
	uint8_t stream; /* index of the stream it works for */
	bool queued;
	bool working;
	bool measured; /* the work in progress counts */
	bool failed;   /* a worker that waits before it dials again */
	SSL *ssl;
	SSL_SESSION *session; /* to resume with; owned */
	uint64_t started_ns;
	uint64_t deadline_ns;  /* 0: none */
	uint64_t literal_left; /* of the server's */
	uint64_t send_left;    /* of an APPEND, not yet handed to TLS */
	char *owed;	       /* ciphertext the kernel refused; owned */
	size_t owed_len, owed_pos;
	struct slot *next_ready;
	uint16_t line_len;
	char line[LOAD_LINE_LEN];
};

/* Work of one kind, its rate, and the slots that are ready for it. */
struct stream {
	enum load_mode job;
	bool held;   /* work goes over held sessions, not over new ones */
	double rate; /* of this process; 0: as fast as it goes */
	uint64_t n_started, n_done;
	long first, end; /* its slots */
	struct slot *ready, **ready_tail;
	struct histogram *latencies;
};

struct load {
	const struct load_options *o;
	struct load_result *result;
	SSL_CTX *ctx;
	BIO *bio; /* one for all: the current slot's bytes are in the slabs */
	int epoll;
	long process;
	uint64_t n_connects;

	struct slot *slots;
	long n_slots;
	long n_prepared; /* slots that were opened before the measurement */
	long n_opening;	 /* of those, the ones not there yet */
	struct stream streams[2];
	int n_streams;
	uint64_t count; /* of this process; 0: until time is over */

	bool measuring, over;
	uint64_t begin_ns, end_ns, next_scan_ns;

	size_t in_pos, in_len, out_len;
	char in[LOAD_IN_LEN];
	char out[LOAD_OUT_LEN];
};

uint64_t load_clock_ns(void);

/* ---- modes.c ---- */

/* Lays out slots and streams. */
void mode_init(struct load *l);

/* One line of the server's is in slot->line, without its end. */
void mode_on_line(struct load *l, struct slot *s);

/* The handshake is over. */
void mode_on_open(struct load *l, struct slot *s);
void mode_on_closed(struct load *l, struct slot *s);

/* Called each turn: dials, starts what is due, ends what is over. */
void mode_tick(struct load *l);

/* Nanoseconds until mode_tick() must run again. */
uint64_t mode_wait_ns(const struct load *l);

/* Whether everything is there that the measurement needs. */
bool mode_is_ready(const struct load *l);
void mode_begin(struct load *l);
void mode_end(struct load *l);

#endif
