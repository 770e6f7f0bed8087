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

/* The codec's part: false when nothing came. */
static bool
decode(struct session *session)
{
	struct session_env *env = session->env;
	struct end *end = &session->ends[SIDE_BACKEND];
	struct outbuf record;

	kept_close(&session->preauth->undecided, span_of(NULL, 0));
	outbuf_init(&record, env->plain.data + TLS_RECORD_MAX, TLS_RECORD_MAX);
	switch (tls_stream_read(end->tls, &env->in[SIDE_BACKEND], &record,
	    &env->out[SIDE_BACKEND])) {
	case TLS_OK:
		session->preauth->decoded = outbuf_span(&record);
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
