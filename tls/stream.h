/* SPDX-License-Identifier: ISC */
/*
 * TLS as a codec over byte spans: ciphertext in, plaintext out, and back. It
 * sees no socket, no clock and no session; the session sees no OpenSSL type.
 *
 * An engine is a worker's one immortal SSL_CTX and the BIO that all its
 * streams share; a stream is one connection. Streams hold references of their
 * own to what they need of a snapshot until the handshake is done, so a
 * snapshot may go away at any time between calls.
 *
 * All of an input span is taken unless a call says otherwise: BoringSSL keeps
 * an incomplete record (at most 16 KB) itself. Output goes to the outbuf; when
 * it is full the stream fails with TLS_FAIL_INTERNAL, so give at least
 * TLS_OUT_ROOM(plaintext).
 */
#ifndef TLS_STREAM_H
#define TLS_STREAM_H

#include "config/config.h"
#include "tls/failure.h"
#include "tls/key.h"
#include "tls/ticket.h"

#define TLS_RECORD_MAX 16384
/* Room that sealing n octets of plaintext, with tickets or alerts before it,
 * can need. */
#define TLS_OUT_ROOM(n) ((n) + ((n) / TLS_RECORD_MAX + 1) * 64 + 4096)
#define TLS_NAME_MAX	256

enum tls_status {
	TLS_OK,	       /* handshake: finished; read: plaintext was produced */
	TLS_WANT_READ, /* needs more input */
	TLS_WANT_KEY,  /* waits for tls_stream_key_done(); do not feed */
	TLS_CLOSED,    /* the peer's close_notify */
	TLS_FAILED,    /* see tls_stream_failure(); an alert may be in out */
};

struct tls_engine;
struct tls_stream;

/* Called from inside tls_stream_handshake(): ask the keeper. stream_id is what
 * tls_stream_new() was given. False: cannot be queued, the stream fails. */
typedef bool tls_key_submit(
    void *arg, uint64_t stream_id, struct key_request *request);

/* Called from inside tls_stream_handshake(), before anything costly: whether a
 * full handshake (not a resumption) may go on. */
typedef bool tls_admit(void *arg, uint64_t stream_id);

/* arg is passed to submit; NULL: out of memory. */
struct tls_engine *tls_engine_new(tls_key_submit *submit, void *arg);
void tls_engine_free(struct tls_engine *engine);

/* The same arg is passed to admit. */
void tls_engine_set_admit(struct tls_engine *engine, tls_admit *admit);

/* The snapshot and rings that handshakes use from now on. The caller keeps
 * both valid until the next call (NULL: none, handshakes fail). */
void tls_engine_use(struct tls_engine *engine, const struct config *config,
    const struct tickets_area *tickets);

/* A server stream for a connection to listener `listen` (index); NULL: out of
 * memory. */
struct tls_stream *tls_stream_new(
    struct tls_engine *engine, uint32_t listen, uint64_t stream_id);
void tls_stream_free(struct tls_stream *stream);

/* Goes on with the handshake. Consumes *in as far as the handshake needs it;
 * what is behind its end stays in *in for tls_stream_read(). */
enum tls_status tls_stream_handshake(
    struct tls_stream *stream, struct span *in, struct outbuf *out);

/* The keeper's answer; call tls_stream_handshake() next. status other than
 * KEY_OK makes the handshake fail. */
void tls_stream_key_done(
    struct tls_stream *stream, const struct key_reply *reply);

/*
 * Decrypts as many records of *in as fit into plain (append; at least
 * TLS_RECORD_MAX of room is needed for progress). TLS_OK when plaintext was
 * produced, else WANT_READ, CLOSED or FAILED: plaintext that came before a
 * close or a failure is delivered first (OK now, CLOSED at the next call).
 * *in is not empty afterwards only when plain is full.
 */
enum tls_status tls_stream_read(struct tls_stream *stream, struct span *in,
    struct outbuf *plain, struct outbuf *out);

/* Seals all of plain into out. TLS_OK or TLS_FAILED. */
enum tls_status tls_stream_write(
    struct tls_stream *stream, struct span plain, struct outbuf *out);

/* Sends close_notify; once, later calls do nothing. */
void tls_stream_close(struct tls_stream *stream, struct outbuf *out);

enum tls_failure tls_stream_failure(const struct tls_stream *stream);

/* What the handshake settled, for events and the PROXY header. Strings are
 * static or live as long as the stream. */
#define TLS_OBSERVED_VERSION 1
#define TLS_OBSERVED_CIPHER  2

/* The word for the log. */
static inline const char *
tls_observed_name(uint8_t observed)
{
	static const char *const names[] = {
	    "", "version", "cipher", "version,cipher"};
	return names[observed & (TLS_OBSERVED_VERSION | TLS_OBSERVED_CIPHER)];
}

struct tls_info {
	const char *version; /* "TLSv1.3" */
	const char *cipher;  /* standard name */
	const char *group;   /* "X25519", "" when not known (1.2 resumed) */
	const char *alpn;    /* "imap" or "" */
	const char *sni;     /* as sent, lower case; "" when none */
	const char *client;  /* of a verified certificate; "" when none */
	bool resumed;
	uint8_t observed; /* why a dry run would have refused: bits */
	uint8_t alert;	  /* the fatal alert sent or received; 0: none */
	bool alert_received;
	struct span reason; /* a word for a PROTOCOL or certificate failure */
};
void tls_stream_info(const struct tls_stream *stream, struct tls_info *out);

/* False: client_cert_user binds this connection to other login names. */
bool tls_stream_allows_user(const struct tls_stream *stream, struct span user);

#endif
