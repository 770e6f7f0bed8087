/* SPDX-License-Identifier: ISC */
/*
 * One end of a session: the client's or the backend's, the same type. An end
 * with a codec speaks TLS, one without speaks plaintext.
 *
 *   socket -> received octets -> [codec] -> plaintext -> the other end
 *   socket <- out slab        <- [codec] <- plaintext <-
 *
 * Slabs belong to the loop and are shared by all its sessions, so nothing in
 * them survives a callback: input that was not consumed is copied to `kept`,
 * output that the kernel refused is the driver's, counted in `owed`. An idle
 * end holds neither.
 */
#ifndef SESSION_END_H
#define SESSION_END_H

#include "proxy/base/span.h"
#include "tls/stream.h"

/*
 * Octets of one read, measured. What becomes of them is to fit what the kernel
 * takes as one segment: 65,483 on loopback, 65,160 in 45 segments of Ethernet.
 * Where it just misses that an octet costs half as much again, or twice. Plain
 * octets, sealed in four records, fit; of records (RFC 8446 section 5.2) that
 * are full three fit, opened, and no part of a fourth has to be kept.
 */
#define SLAB_IN	     65024
#define READ_TLS_MAX (3 * (5 + TLS_RECORD_MAX + 1 + 16))
/* What one read can become: a whole slab, and the record that BoringSSL had
 * begun before it, sealed anew. */
#define SLAB_OUT TLS_OUT_ROOM(SLAB_IN + TLS_RECORD_MAX + TLS_RECORD_MAX)

enum side {
	SIDE_CLIENT,
	SIDE_BACKEND,
	SIDE_MAX
};

enum end_eof {
	END_OPEN,
	END_CLOSED,    /* close_notify, or FIN of a plaintext peer */
	END_TRUNCATED, /* FIN without close_notify */
	END_RESET,     /* reset, time-out, or the codec failed */
};

/* Octets that outlive a callback; data[off..len) is what is left. */
struct block {
	size_t len;
	size_t off;
	uint8_t data[];
};

struct end {
	struct tls_stream *tls; /* owned; NULL: plaintext */
	struct block *kept;	/* owned; received, not consumed */
	size_t owed;		/* octets that the kernel has not taken */
	uint8_t eof;		/* enum end_eof: of what we receive */
	bool connected;
	bool fin_wanted; /* shut the socket down once nothing is owed */
};

void end_fini(struct end *end);

/*
 * Input that may have to outlive a callback: open gives what was kept with
 * `fresh` behind it, close keeps what is left of that (and wipes the rest).
 * False: out of memory.
 */
bool kept_open(struct block **kept, struct span fresh, struct span *out_in);
bool kept_close(struct block **kept, struct span in);

/* Writes plaintext towards the peer, through the codec. False: it failed. */
bool end_write(struct end *end, struct span plain, struct outbuf *out);

/* Ends our direction: close_notify where there is a codec and `clean`, then
 * FIN. Later calls do nothing. */
void end_finish(struct end *end, bool clean, struct outbuf *out);

enum pump_result {
	PUMP_IDLE,    /* everything that came was moved */
	PUMP_BLOCKED, /* the sink has to take what it is owed first */
	PUMP_ENDED,   /* the source ended and the sink was told */
	PUMP_SOURCE_FAILED,
	PUMP_SINK_FAILED,
};

/*
 * One direction of the relay: moves what is in *in to the sink and passes the
 * end on. source_out takes what the source's codec has to say (KeyUpdate,
 * alerts). Adds the plaintext octets to *moved. scratch is used when both ends
 * have a codec.
 */
enum pump_result pump_step(struct end *source, struct span *in,
    struct outbuf *source_out, struct end *sink, struct outbuf *sink_out,
    struct outbuf *scratch, uint64_t *moved);

#endif
