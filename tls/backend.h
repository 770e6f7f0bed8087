/* SPDX-License-Identifier: ISC */
/*
 * TLS to a backend: the same streams as in front, at their other end. What a
 * backend must show is `struct tls_backend`, made from its section; a stream
 * holds what it needs of it until its handshake is over.
 *
 * A client certificate is shown when the backend asks for one; the keeper signs
 * for it.
 *
 * Sessions are resumed: a few are kept for each section, in this process alone,
 * until the next snapshot. The certificate that came with one is checked again
 * each time. None is kept where we show a certificate, as none is given where
 * we ask for one.
 */
#ifndef TLS_BACKEND_H
#define TLS_BACKEND_H

#include "tls/stream.h"

struct tls_backend;

/* For a section whose backend_tls is not off. NULL: its authorities or our
 * certificate cannot be used, or out of memory; nobody may connect then. */
struct tls_backend *tls_backend_new(
    const struct config *config, const struct config_backend *section);
void tls_backend_free(struct tls_backend *backend);

/*
 * What all sections of a snapshot expect, made when it is first needed. Zeroed
 * but for submit and arg is empty. For the caller's one loop.
 */
struct tls_backends {
	tls_key_submit *submit;
	void *arg;
	struct tls_engine *engine;     /* NULL: not needed yet */
	struct tls_backend **sections; /* by index; NULL: not made yet */
	uint32_t n_sections;
	uint32_t epoch; /* how often they were forgotten */
};

/* An engine whose streams connect; tls_engine_use() is not for it. */
struct tls_engine *tls_backend_engine_new(struct tls_backends *backends);

/*
 * A stream that connects to the backend of that section: the first
 * tls_stream_handshake() has no input and makes the hello. stream_id is for
 * submit. TLS_FAIL_BACKEND_CERTIFICATE, with the why in tls_info's reason, when
 * the backend is not the one that is expected. NULL: out of memory.
 */
struct tls_stream *tls_backend_connect(
    struct tls_backends *backends, uint32_t section, uint64_t stream_id);

/*
 * The codec for a connection to the backend of that section; NULL: plaintext.
 * False: there can be none as the section wants it, or the section is gone:
 * plaintext must never be what is left. `entry` is the backend's place in the
 * area: the search begins there, as most have the order of their sections.
 */
bool tls_backends_connect(struct tls_backends *backends,
    const struct config *config, struct span section, uint32_t entry,
    uint64_t stream_id, struct tls_stream **out_stream);

/* Before another snapshot comes into use: its sections are others. Streams
 * may live on. */
void tls_backends_forget(struct tls_backends *backends);

#endif
