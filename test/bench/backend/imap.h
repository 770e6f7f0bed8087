/* SPDX-License-Identifier: ISC */
/*
 * What the stand-in backend says: commands in, answers into the slab.
 * Sockets and events are bench-backend.c's.
 */
#ifndef BENCH_BACKEND_IMAP_H
#define BENCH_BACKEND_IMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLAB_LEN     65536
#define REPLY_ROOM   1024 /* more than the longest answer without its body */
#define LINE_MAX_LEN 16384
#define TAG_MAX_LEN  31

enum state {
	STATE_PROXY,
	STATE_COMMAND,
	STATE_LITERAL,
	STATE_SASL,
	STATE_IDLE,
	STATE_LOGOUT, /* closes once everything is written */
};

struct conn {
	int fd;
	bool listens;
	bool writes; /* waits for EPOLLOUT instead of EPOLLIN */
	uint8_t state;
	uint8_t verb;
	uint8_t sasl_lines;
	bool continued; /* the line goes on after a literal */
	char tag[TAG_MAX_LEN + 1];
	uint64_t literal_left; /* of the client's */
	uint64_t body_left;    /* of ours */
	uint32_t in_len, owed_len, owed_pos;
	char *in;   /* a part of a command; NULL when none */
	char *owed; /* what the kernel refused; NULL when none */
};

struct loop {
	int epoll;
	bool proxy;
	size_t out_len;
	char in[SLAB_LEN + LINE_MAX_LEN];
	char out[SLAB_LEN];
};

/*
 * Takes one unit of input (a header, a line, a part of a literal) and puts
 * the answer into loop->out, which must have REPLY_ROOM left. Returns the
 * octets taken, 0 when more are needed.
 */
size_t imap_take(struct loop *l, struct conn *c, const char *p, size_t len);

void imap_greet(struct loop *l, struct conn *c);

/* Moves as much of the body of an answer into the slab as fits. */
void imap_fill_body(struct loop *l, struct conn *c);

#endif
