/* SPDX-License-Identifier: ISC */
/*
 * RELAY: two blind pumps. No octet is parsed, none is injected; each direction
 * ends on its own, and the session when both have.
 * Called by session.c.
 */
#include "proxy/session/internal.h"

static enum end_reason
eof_reason(enum end_eof eof)
{
	if (eof == END_RESET)
		return REASON_RESET;
	return eof == END_TRUNCATED ? REASON_TRUNCATED : REASON_CLOSED;
}

void
session_count_in(struct session *session, uint64_t octets)
{
	slot_add(&session->record->bytes_in, octets);
	slot_add(&session->env->slot->bytes_from_clients, octets);
}

void
session_count_out(struct session *session, uint64_t octets)
{
	slot_add(&session->record->bytes_out, octets);
	slot_add(&session->env->slot->bytes_to_clients, octets);
}

static void
touch(struct session *session)
{
	atomic_store_explicit(&session->record->active_ms, session->env->now_ms,
	    memory_order_relaxed);
}

/* The codec of this end failed. */
static void
end_failed(struct session *session, enum side side)
{
	if (side == SIDE_CLIENT)
		session_end_tls(session);
	else
		session_end(session, WHO_BACKEND, REASON_RESET);
}

/* One direction. False: the session is over because a codec failed. */
static bool
relay(struct session *session, enum side from, uint64_t *out_moved)
{
	struct session_env *env = session->env;
	enum side to = from == SIDE_CLIENT ? SIDE_BACKEND : SIDE_CLIENT;
	struct end *source = &session->ends[from];

	switch (pump_step(source, &env->in[from], &env->out[from],
	    &session->ends[to], &env->out[to], &env->plain, out_moved)) {
	case PUMP_IDLE:
	case PUMP_BLOCKED:
		break;
	case PUMP_ENDED:
		session_note_cause(session,
		    from == SIDE_CLIENT ? WHO_CLIENT : WHO_BACKEND,
		    eof_reason(source->eof));
		break;
	case PUMP_SOURCE_FAILED:
		end_failed(session, from);
		return false;
	case PUMP_SINK_FAILED:
		end_failed(session, to);
		return false;
	}
	return true;
}

static bool
is_half_closed(const struct session *session)
{
	return session->ends[SIDE_CLIENT].fin_wanted ||
	       session->ends[SIDE_BACKEND].fin_wanted;
}

bool
relay_step(struct session *session)
{
	struct end *client = &session->ends[SIDE_CLIENT];
	struct end *backend = &session->ends[SIDE_BACKEND];
	uint64_t from_client = 0, from_backend = 0;
	bool was_half_closed = is_half_closed(session);

	if (client->eof == END_RESET) {
		session_abort(session, WHO_CLIENT, REASON_RESET);
		return true;
	}
	bool going = relay(session, SIDE_CLIENT, &from_client) &&
		     relay(session, SIDE_BACKEND, &from_backend);
	session_count_in(session, from_client);
	session_count_out(session, from_backend);
	if (from_client + from_backend > 0 ||
	    was_half_closed != is_half_closed(session))
		touch(session);
	if (!going)
		return true;
	if (backend->eof == END_RESET && client->fin_wanted)
		session_end(session, WHO_BACKEND, REASON_RESET);
	else if (client->fin_wanted && backend->fin_wanted &&
		 backend->owed == 0 && session->env->out[SIDE_BACKEND].len == 0)
		session_end(session, WHO_NONE, REASON_CLOSED);
	return session->state != SESSION_RELAY;
}

uint64_t
relay_deadline(const struct session *session)
{
	return session_active_ms(session) +
	       (is_half_closed(session)
		       ? HALF_CLOSED_MS
		       : (uint64_t)session->idle_timeout_s * 1000);
}
