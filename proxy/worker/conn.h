/* SPDX-License-Identifier: ISC */
/*
 * The driver of one session: sole owner of its two handles. Nobody outside
 * conn.c and dial.c looks in here.
 */
#ifndef WORKER_CONN_H
#define WORKER_CONN_H

#include "proxy/worker/worker.h"

/* One socket. The client's lives in its conn, the backend's on the heap. */
struct peer {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	struct conn *conn;
	uint8_t side; /* enum side */
	bool reading;
	bool fin_sent;
	bool closing;
};

struct conn {
	struct session session;
	struct worker *worker;
	struct list_link preauth; /* in the worker's lists until RELAY */
	bool is_stranger;	  /* in the first of them */
	struct list_link shaking; /* in worker->shaking: input waits */
	struct wheel_entry deadline;
	struct peer *backend; /* NULL: none */
	uint32_t record;
	uint16_t open_handles; /* memory lives until this is 0 */
	bool closing;
	struct peer client;
};

/* Starts to connect conn->session's backend; NULL, or why it cannot. */
const char *dial_start(struct conn *conn);

/* For dial.c: the connection is made, or status says why not. */
void conn_dialed(struct peer *peer, int status);

void conn_close_peer(struct peer *peer);

/* Writes, dials, waits: whatever the session wants after an event. */
void conn_settle(struct conn *conn);

#endif
