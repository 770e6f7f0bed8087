/* SPDX-License-Identifier: ISC */
/*
 * What a backend says and hears before the login is decided, in plain, whether
 * its end has a codec or not. With one, a piece of env->plain holds the record
 * that was read, another what is to be sealed:
 *
 *   env->plain  [client's record | backend's record | to be sealed ...
 *
 * Invariant: what was decoded and not yet parsed is in preauth->decoded within
 * a step, and in preauth->undecided between two. Called by attempt.c.
 */
#include "proxy/session/internal.h"

#include <string.h>

#define SAID_MAX 32768

_Static_assert(DIALOGUE_PLAIN + SAID_MAX <= SLAB_OUT, "room in a slab");

bool
dialogue_open(struct session *session)
{
	return kept_open(&session->preauth->undecided, span_of(NULL, 0),
	    &session->preauth->decoded);
}

bool
dialogue_close(struct session *session)
{
	struct preauth *preauth = session->preauth;
	bool good = kept_close(&preauth->undecided, preauth->decoded);

	preauth->decoded = span_of(NULL, 0);
	return good;
}

enum tls_status
dialogue_decode(struct session *session, enum side side, struct span *out_plain)
{
	struct session_env *env = session->env;
	struct outbuf record;
	enum tls_status status;

	outbuf_init(&record, env->plain.data + (size_t)side * TLS_RECORD_MAX,
	    TLS_RECORD_MAX);
	status = tls_stream_read(
	    session->ends[side].tls, &env->in[side], &record, &env->out[side]);
	if (record.len > env->decoded[side])
		env->decoded[side] = record.len;
	*out_plain = outbuf_span(&record);
	return status;
}

void
dialogue_wipe(struct session_env *env)
{
	for (size_t side = 0; side < SIDE_MAX; side++) {
		explicit_bzero(env->plain.data + side * TLS_RECORD_MAX,
		    env->decoded[side]);
		env->decoded[side] = 0;
	}
}

/* The codec's part: false when nothing came. */
static bool
decode(struct session *session)
{
	struct preauth *preauth = session->preauth;
	struct end *end = &session->ends[SIDE_BACKEND];

	kept_close(&preauth->undecided, span_of(NULL, 0));
	switch (dialogue_decode(session, SIDE_BACKEND, &preauth->decoded)) {
	case TLS_OK:
		return true;
	case TLS_CLOSED:
		end->eof = END_CLOSED;
		break;
	case TLS_FAILED:
		end->eof = END_RESET;
		break;
	case TLS_WANT_READ:
	case TLS_WANT_KEY:
		break;
	}
	return false;
}

enum tls_status
dialogue_handshake(struct session *session)
{
	struct session_env *env = session->env;
	struct end *end = &session->ends[SIDE_BACKEND];

	if (end->tls == NULL || !end->connected)
		return TLS_OK;
	return tls_stream_handshake(
	    end->tls, &env->in[SIDE_BACKEND], &env->out[SIDE_BACKEND]);
}

struct span *
dialogue_pull(struct session *session)
{
	struct span *plain = &session->env->in[SIDE_BACKEND];

	if (session->ends[SIDE_BACKEND].tls != NULL) {
		plain = &session->preauth->decoded;
		if (plain->len == 0 && !decode(session))
			return NULL;
	}
	return plain->len > 0 ? plain : NULL;
}

struct outbuf *
dialogue_begin(struct session *session, struct outbuf *said)
{
	struct session_env *env = session->env;

	if (session->ends[SIDE_BACKEND].tls == NULL)
		return &env->out[SIDE_BACKEND];
	outbuf_init(said, env->plain.data + DIALOGUE_PLAIN, SAID_MAX);
	return said;
}

bool
dialogue_end(struct session *session, struct outbuf *said)
{
	struct end *end = &session->ends[SIDE_BACKEND];
	bool good = true;

	if (end->tls == NULL)
		return true;
	if (said->len > 0)
		good = end_write(
		    end, outbuf_span(said), &session->env->out[SIDE_BACKEND]);
	explicit_bzero(said->data, said->len);
	return good;
}
