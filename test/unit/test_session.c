/* SPDX-License-Identifier: ISC */
/* needs: proxy/session/ proxy/imap/ proxy/limits/ proxy/ipc/ */
/* needs: proxy/base/ backends/reply.c backends/proxyhdr.c backends/pool.c */
/* needs: backends/hash.c config/route.c */
/* needs: tls/ config/load.c config/check.c config/schema.c */
/* needs: config/builder.c config/draft.c config/value.c */
/* needs: config/value_list.c config/value_format.c */
/* needs: test/support/tls_client.c test/support/tls_files.c */
/* libs: boringssl inih */
/*
 * The session machine under random schedules, with a real TLS client before it,
 * a scripted backend behind it and this file as its driver: bytes out equal
 * bytes in and in order, what is buffered is bounded, something is always
 * waited for, nothing is left behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/session/session.h"
#include "test/support/tls_client.h"
#include "test/support/tls_files.h"

#define PAYLOAD_MAX 300000
#define OWED_MAX    SLAB_OUT

/* A queue of octets on their way. */
struct pipe {
	uint8_t *data;
	size_t head;
	size_t tail;
	size_t cap;
};

enum backend_phase {
	BACKEND_GREETS,
	BACKEND_LOGS_IN,
	BACKEND_RELAYS
};

struct rig {
	struct world *world;
	struct pair *pair; /* its client; its stream is not used */
	struct session_env env;
	struct session_ops ops;
	struct slot_area *slot;
	struct session session;
	struct addr peer;
	unsigned seed;
	size_t chunk_max;

	struct pipe to_session[SIDE_MAX]; /* what the peers have sent */
	struct pipe owed[SIDE_MAX];	  /* what the kernel refused */
	bool peer_ended[SIDE_MAX];	  /* the peer's FIN is behind it */
	bool fin_delivered[SIDE_MAX];
	bool fin_sent[SIDE_MAX];

	enum backend_phase phase;
	struct pipe backend_line;
	const char *verdict; /* what the backend answers to a LOGIN */
	int counted;
	unsigned n_events;
	unsigned n_dials;

	/* The payloads after login, and how much of each arrived. */
	uint8_t *up;
	uint8_t *down;
	size_t up_len, up_sent, up_got;
	size_t down_len, down_sent, down_got;
	struct pipe client_text; /* what the client read before the verdict */
	bool client_logged_in;
};

static unsigned
roll(struct rig *rig, unsigned n)
{
	return (unsigned)rand_r(&rig->seed) % n;
}

static void
pipe_put(struct pipe *pipe, const void *data, size_t len)
{
	if (pipe->tail + len > pipe->cap) {
		pipe->cap = (pipe->tail + len) * 2 + 256;
		pipe->data = realloc(pipe->data, pipe->cap);
		assert_non_null(pipe->data);
	}
	if (len > 0)
		memcpy(pipe->data + pipe->tail, data, len);
	pipe->tail += len;
}

static size_t
pipe_len(const struct pipe *pipe)
{
	return pipe->tail - pipe->head;
}

static enum balance_result
on_choose(void *arg, struct session *session, struct backend_ref *out_ref,
    struct backend *out_backend, bool *out_has_other)
{
	struct rig *rig = arg;

	(void)session;
	rig->counted++;
	assert_int_equal(rig->counted, 1);
	*out_ref = (struct backend_ref){0, 1};
	*out_backend = (struct backend){.name = "a", .pool = "p"};
	*out_has_other = roll(rig, 2) == 0;
	return BALANCE_CHOSEN;
}

static bool
on_secure(void *arg, const struct session *session,
    const struct backend *backend, struct tls_stream **out_stream)
{
	(void)arg;
	(void)session;
	(void)backend;
	*out_stream = NULL;
	return true;
}

static void
on_release(void *arg, struct session *session)
{
	struct rig *rig = arg;

	assert_int_equal(session->backend.index, 0);
	rig->counted--;
	assert_int_equal(rig->counted, 0);
}

static void
on_outcome(void *arg, const struct session *session, struct backend_ref ref,
    enum outcome outcome, const char *why)
{
	(void)arg;
	(void)session;
	(void)ref;
	(void)outcome;
	(void)why;
}

static bool
on_capabilities(void *arg, const struct session *session, struct outbuf *out)
{
	(void)arg;
	(void)session;
	outbuf_puts(out, "IMAP4rev1 ID SASL-IR LITERAL- AUTH=PLAIN");
	return true;
}

static void
on_backend_name(void *arg, struct backend_ref ref, char out[BACKEND_NAME_MAX])
{
	(void)arg;
	(void)ref;
	snprintf(out, BACKEND_NAME_MAX, "a");
}

static void
on_emit(void *arg, const struct event *event)
{
	struct rig *rig = arg;

	(void)event;
	rig->n_events++;
}

static void
slab_init(struct outbuf *out, size_t cap)
{
	outbuf_init(out, calloc(1, cap), cap);
	assert_non_null(out->data);
}

static struct rig *
rig_new(struct world *world, uint32_t listen, unsigned seed)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct client_options options = {.alpn = "\4imap"};
	struct addr local;

	rig->world = world;
	rig->seed = seed;
	rig->pair = pair_new(world, listen, &options);
	rig->slot = calloc(1, slot_area_size(1));
	rig->ops = (struct session_ops){on_choose, on_secure, on_release,
	    on_outcome, on_capabilities, on_backend_name, on_emit};
	rig->env = (struct session_env){.tls = world->engine,
	    .slot = rig->slot,
	    .ops = &rig->ops,
	    .arg = rig,
	    .config = builder_config(world->builder),
	    .now_ms = 1000000};
	slab_init(&rig->env.out[SIDE_CLIENT], SLAB_OUT);
	slab_init(&rig->env.out[SIDE_BACKEND], SLAB_OUT);
	slab_init(&rig->env.plain, SLAB_OUT);
	slab_init(&rig->env.text, 16384);
	rig->verdict = " OK [CAPABILITY IMAP4rev1] done\r\n";
	assert_true(addr_parse(span_str("192.0.2.7:4711"), &rig->peer));
	assert_true(addr_parse(span_str("192.0.2.1:993"), &local));
	assert_true(session_init(&rig->session, &rig->env, 77,
	    &rig->slot->records[0], listen, &rig->peer, &local));
	return rig;
}

static void
rig_free(struct rig *rig)
{
	session_fini(&rig->session);
	for (int i = 0; i < SIDE_MAX; i++) {
		free(rig->to_session[i].data);
		free(rig->owed[i].data);
		free(rig->env.out[i].data);
	}
	free(rig->env.plain.data);
	free(rig->env.text.data);
	free(rig->backend_line.data);
	free(rig->client_text.data);
	free(rig->up);
	free(rig->down);
	free(rig->slot);
	pair_free(rig->pair);
	free(rig);
}

/* A line of the scripted backend's client. */
static void
backend_answers(struct rig *rig)
{
	struct pipe *line = &rig->backend_line;
	uint8_t *lf;

	while (rig->phase == BACKEND_LOGS_IN && pipe_len(line) > 0 &&
	       (lf = memchr(line->data + line->head, '\n', pipe_len(line))) !=
		   NULL) {
		char tag[65] = "";
		sscanf((char *)line->data + line->head, "%64s", tag);
		line->head = (size_t)(lf - line->data) + 1;
		pipe_put(&rig->to_session[SIDE_BACKEND], tag, strlen(tag));
		pipe_put(&rig->to_session[SIDE_BACKEND], rig->verdict,
		    strlen(rig->verdict));
		if (strncmp(rig->verdict, " OK", 3) == 0)
			rig->phase = BACKEND_RELAYS;
	}
	if (rig->phase != BACKEND_RELAYS)
		return;
	size_t n = pipe_len(line);
	assert_true(rig->up_got + n <= rig->up_len);
	if (n > 0)
		assert_memory_equal(
		    line->data + line->head, rig->up + rig->up_got, n);
	rig->up_got += n;
	line->head = line->tail = 0;
}

static void
peer_takes(struct rig *rig, enum side side, const uint8_t *data, size_t len)
{
	if (side == SIDE_CLIENT) {
		pair_to_client(rig->pair, data, len);
		return;
	}
	pipe_put(&rig->backend_line, data, len);
	backend_answers(rig);
}

/* The kernel takes some of it; the rest is owed. */
static void
rig_flush(struct rig *rig, enum side side)
{
	struct outbuf *out = &rig->env.out[side];
	size_t n = 0;

	assert_false(out->overflow);
	if (out->len == 0)
		return;
	if (rig->session.ends[side].owed == 0)
		n = roll(rig, 3) == 0 ? roll(rig, (unsigned)out->len + 1)
				      : out->len;
	peer_takes(rig, side, out->data, n);
	pipe_put(&rig->owed[side], out->data + n, out->len - n);
	rig->session.ends[side].owed += out->len - n;
	assert_true(rig->session.ends[side].owed <= OWED_MAX);
	out->len = 0;
}

static void
rig_drop(struct rig *rig)
{
	rig->session.drop_backend = false;
	rig->to_session[SIDE_BACKEND].head =
	    rig->to_session[SIDE_BACKEND].tail = 0;
	rig->owed[SIDE_BACKEND].head = rig->owed[SIDE_BACKEND].tail = 0;
	rig->backend_line.head = rig->backend_line.tail = 0;
	rig->peer_ended[SIDE_BACKEND] = false;
	rig->fin_delivered[SIDE_BACKEND] = false;
	rig->fin_sent[SIDE_BACKEND] = false;
	rig->phase = BACKEND_GREETS;
}

static bool
rig_serve(struct rig *rig)
{
	struct session *session = &rig->session;

	if (session->drop_backend) {
		rig_drop(rig);
		return true;
	}
	for (int i = 0; i < SIDE_MAX; i++) {
		struct end *end = &session->ends[i];
		rig_flush(rig, (enum side)i);
		if (end->fin_wanted && end->owed == 0)
			rig->fin_sent[i] = true;
	}
	if (session_wants_step(session)) {
		session_drained(session);
		return true;
	}
	return false;
}

static const uint8_t ZEROS[SLAB_OUT];

static void
assert_bounded(struct rig *rig)
{
	for (int i = 0; i < SIDE_MAX; i++) {
		const struct block *kept = rig->session.ends[i].kept;
		assert_true(kept == NULL || kept->len <= 2 * SLAB_IN);
	}
	assert_int_equal(rig->env.text.len, 0);
	assert_int_equal(rig->env.plain.len, 0);
	/* Passwords were in it, as long as there was no relaying. */
	if (rig->session.state <= SESSION_LOGIN)
		assert_memory_equal(rig->env.plain.data, ZEROS, sizeof(ZEROS));
}

static bool
is_waiting(struct rig *rig)
{
	const struct session *session = &rig->session;

	return session->key_wait || session->dial == DIAL_WANTED ||
	       session->dial == DIAL_CONNECTING ||
	       session->ends[SIDE_CLIENT].owed > 0 ||
	       session->ends[SIDE_BACKEND].owed > 0 ||
	       session_wants_read(session, SIDE_CLIENT) ||
	       session_wants_read(session, SIDE_BACKEND);
}

static void
rig_settle(struct rig *rig)
{
	while (rig->session.state != SESSION_DONE && rig_serve(rig))
		continue;
	assert_bounded(rig);
	if (rig->session.state == SESSION_DONE)
		return;
	assert_true(is_waiting(rig) || rig->session.state == SESSION_LOGIN ||
		    session_next_deadline(&rig->session) != 0);
	assert_true(session_next_deadline(&rig->session) != 0);
}

/* The client writes what it has, and reads what came. */
static void
client_runs(struct rig *rig)
{
	SSL *ssl = rig->pair->client;
	uint8_t wire[20000];
	int n;

	if (SSL_do_handshake(ssl) == 1 && rig->up_sent < rig->up_len &&
	    rig->client_logged_in) {
		size_t want = 1 + roll(rig, (unsigned)rig->chunk_max);
		if (want > rig->up_len - rig->up_sent)
			want = rig->up_len - rig->up_sent;
		n = SSL_write(ssl, rig->up + rig->up_sent, (int)want);
		assert_true(n > 0);
		rig->up_sent += (size_t)n;
	}
	while ((n = SSL_read(ssl, wire, sizeof(wire))) > 0) {
		const uint8_t *data = wire;
		size_t len = (size_t)n;
		while (!rig->client_logged_in && len > 0) {
			pipe_put(&rig->client_text, data++, 1);
			len--;
			char *text = (char *)rig->client_text.data;
			size_t end = rig->client_text.tail;
			if (end > 7 &&
			    memcmp(text + end - 7, " done\r\n", 7) == 0)
				rig->client_logged_in = true;
		}
		assert_true(rig->down_got + len <= rig->down_len);
		if (len > 0)
			assert_memory_equal(
			    data, rig->down + rig->down_got, len);
		rig->down_got += len;
	}
	while ((n = (int)pair_from_client(rig->pair, wire, sizeof(wire))) > 0)
		pipe_put(&rig->to_session[SIDE_CLIENT], wire, (size_t)n);
}

static void
backend_runs(struct rig *rig)
{
	static const char greeting[] =
	    "* OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR] hello\r\n";

	if (rig->phase == BACKEND_GREETS) {
		pipe_put(&rig->to_session[SIDE_BACKEND], greeting,
		    sizeof(greeting) - 1);
		rig->phase = BACKEND_LOGS_IN;
	} else if (rig->phase == BACKEND_RELAYS &&
		   rig->down_sent < rig->down_len) {
		size_t want = 1 + roll(rig, (unsigned)rig->chunk_max);
		if (want > rig->down_len - rig->down_sent)
			want = rig->down_len - rig->down_sent;
		pipe_put(&rig->to_session[SIDE_BACKEND],
		    rig->down + rig->down_sent, want);
		rig->down_sent += want;
	}
}

/* Delivers a random piece of what a peer sent, if it is wanted. */
static void
deliver(struct rig *rig, enum side side)
{
	struct pipe *pipe = &rig->to_session[side];
	size_t len = pipe_len(pipe);

	if (!session_wants_read(&rig->session, side))
		return;
	if (len == 0) {
		if (!rig->peer_ended[side] || rig->fin_delivered[side])
			return;
		rig->fin_delivered[side] = true;
		session_eof(&rig->session, side);
		rig_settle(rig);
		return;
	}
	if (len > SLAB_IN)
		len = SLAB_IN;
	if (roll(rig, 2) == 0)
		len = 1 + roll(rig, (unsigned)len);
	/* A copy of its exact size: a pointer kept by mistake is found. */
	uint8_t *slab = malloc(len);
	memcpy(slab, pipe->data + pipe->head, len);
	pipe->head += len;
	session_received(&rig->session, side, span_of(slab, len));
	free(slab);
	rig_settle(rig);
}

static void
kernel_takes(struct rig *rig, enum side side)
{
	struct pipe *owed = &rig->owed[side];
	size_t len = pipe_len(owed);

	if (len == 0)
		return;
	if (roll(rig, 2) == 0)
		len = 1 + roll(rig, (unsigned)len);
	peer_takes(rig, side, owed->data + owed->head, len);
	owed->head += len;
	rig->session.ends[side].owed -= len;
	if (rig->session.ends[side].owed == 0)
		session_drained(&rig->session);
	rig_settle(rig);
}

static void
driver_works(struct rig *rig)
{
	struct key_reply reply;

	if (rig->session.key_wait && roll(rig, 2) == 0) {
		key_sign(rig->world->set, NULL, &rig->world->request, &reply);
		session_key_reply(&rig->session, &reply);
		rig_settle(rig);
	} else if (rig->session.dial == DIAL_WANTED) {
		rig->session.dial = DIAL_CONNECTING;
	} else if (rig->session.dial == DIAL_CONNECTING && roll(rig, 2) == 0) {
		rig->n_dials++;
		session_dialed(&rig->session, true, "");
		rig_settle(rig);
	}
}

static void
rig_turn(struct rig *rig)
{
	switch (roll(rig, 7)) {
	case 0:
		client_runs(rig);
		break;
	case 1:
		if (rig->session.dial == DIAL_CONNECTED)
			backend_runs(rig);
		break;
	case 2:
		deliver(rig, SIDE_CLIENT);
		break;
	case 3:
		deliver(rig, SIDE_BACKEND);
		break;
	case 4:
		kernel_takes(rig, SIDE_CLIENT);
		break;
	case 5:
		kernel_takes(rig, SIDE_BACKEND);
		break;
	default:
		driver_works(rig);
		break;
	}
}

static uint8_t *
random_octets(struct rig *rig, size_t len)
{
	uint8_t *data = malloc(len + 1);

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)rand_r(&rig->seed);
	return data;
}

static void
client_says(struct rig *rig, const void *data, size_t len)
{
	while (SSL_do_handshake(rig->pair->client) != 1)
		rig_turn(rig);
	assert_int_equal(
	    SSL_write(rig->pair->client, data, (int)len), (int)len);
}

static struct world *world;
static char directory[256];

/* A login with the first octets of the payload right behind it, both ways at
 * once, then the client leaves in good order. */
static void
run_session(unsigned seed)
{
	static const char login[] = "a1 LOGIN user {4+}\r\npass\r\n";
	struct rig *rig = rig_new(world, 0, seed);

	rig->chunk_max = 1 + roll(rig, roll(rig, 2) ? 70000 : 300);
	rig->up_len = roll(rig, PAYLOAD_MAX);
	rig->down_len = roll(rig, PAYLOAD_MAX);
	if (rig->chunk_max < 1000) {
		rig->up_len %= 20000;
		rig->down_len %= 20000;
	}
	rig->up = random_octets(rig, rig->up_len);
	rig->down = random_octets(rig, rig->down_len);

	size_t head = rig->up_len < 1000 ? rig->up_len : 1000;
	uint8_t first[sizeof(login) + 1000];
	memcpy(first, login, sizeof(login) - 1);
	memcpy(first + sizeof(login) - 1, rig->up, head);
	client_says(rig, first, sizeof(login) - 1 + head);
	rig->up_sent = head;

	for (unsigned turns = 0;
	     rig->up_got < rig->up_len || rig->down_got < rig->down_len ||
	     !rig->client_logged_in;
	     turns++) {
		assert_true(turns < 10000000);
		assert_int_not_equal(rig->session.state, SESSION_DONE);
		rig_turn(rig);
	}
	assert_int_equal(rig->session.state, SESSION_RELAY);
	assert_null(rig->session.preauth);
	assert_int_equal(rig->counted, 1);
	assert_int_equal(atomic_load(&rig->slot->relaying), 1);
	assert_int_equal(atomic_load(&rig->session.record->bytes_in),
	    rig->up_len + sizeof(login) - 1);
	assert_int_equal(atomic_load(&rig->session.record->bytes_out),
	    rig->down_len + rig->client_text.tail);

	SSL_shutdown(rig->pair->client);
	client_runs(rig);
	rig->peer_ended[SIDE_CLIENT] = true;
	while (rig->session.state != SESSION_DONE) {
		if (rig->fin_sent[SIDE_BACKEND])
			rig->peer_ended[SIDE_BACKEND] = true;
		rig_turn(rig);
	}
	client_runs(rig);
	assert_int_equal(rig->session.who, WHO_CLIENT);
	assert_int_equal(rig->session.reason, REASON_CLOSED);
	assert_int_equal(
	    SSL_get_shutdown(rig->pair->client) & SSL_RECEIVED_SHUTDOWN,
	    SSL_RECEIVED_SHUTDOWN);
	assert_int_equal(rig->counted, 0);
	assert_int_equal(atomic_load(&rig->slot->connections), 0);
	assert_int_equal(atomic_load(&rig->slot->preauth), 0);
	assert_int_equal(atomic_load(&rig->slot->handshaking), 0);
	assert_int_equal(atomic_load(&rig->slot->relaying), 0);
	rig_free(rig);
}

static void
test_random_schedules_move_every_octet(void **state)
{
	const char *scale = getenv("SCALE");
	unsigned n =
	    60 * (scale != NULL ? (unsigned)strtoul(scale, NULL, 10) : 1);
	(void)state;

	for (unsigned seed = 1; seed <= n; seed++)
		run_session(seed);
}

/* Feeds the whole of a client's dialogue, then ends it at a random moment by a
 * random event: nothing may be left counted. */
static void
run_abrupt(unsigned seed)
{
	static const char talk[] = "a NOOP\r\nb LOGIN user pass\r\n";
	struct rig *rig = rig_new(world, 0, seed);
	unsigned turns = roll(rig, 200);

	rig->chunk_max = 1000;
	rig->up_len = rig->down_len = 50000;
	rig->up = random_octets(rig, rig->up_len);
	rig->down = random_octets(rig, rig->down_len);
	SSL_do_handshake(rig->pair->client);
	for (unsigned i = 0; i < turns; i++) {
		if (i == turns / 2 && SSL_do_handshake(rig->pair->client) == 1)
			client_says(rig, talk, sizeof(talk) - 1);
		if (rig->session.state != SESSION_DONE)
			rig_turn(rig);
	}
	for (unsigned i = 0; rig->session.state != SESSION_DONE; i++) {
		assert_true(i < 100000);
		rig->env.now_ms += 1000000;
		if (i == 0 && roll(rig, 3) == 0)
			session_stop(&rig->session, REASON_DRAIN);
		else if (i == 0 && roll(rig, 3) == 0)
			session_reset(&rig->session, SIDE_CLIENT);
		else if (i == 0 && rig->session.dial == DIAL_CONNECTED)
			session_reset(&rig->session, SIDE_BACKEND);
		else
			session_deadline(&rig->session);
		rig_settle(rig);
	}
	assert_int_equal(rig->counted, 0);
	assert_int_equal(atomic_load(&rig->slot->connections), 0);
	assert_int_equal(atomic_load(&rig->slot->preauth), 0);
	assert_int_equal(atomic_load(&rig->slot->handshaking), 0);
	assert_int_equal(atomic_load(&rig->slot->relaying), 0);
	assert_int_equal(rig->session.record->in_use, 0);
	rig_free(rig);
}

static void
test_abrupt_ends_leave_nothing_counted(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 500; seed++)
		run_abrupt(seed);
}

/* Every split of a pipelined dialogue before login gives the same answers. */
static void
test_answers_do_not_depend_on_splits(void **state)
{
	static const char talk[] =
	    "a NOOP\r\nb ID (\"name\" {3+}\r\nabc)\r\nc CAPABILITY\r\n"
	    "d SELECT x\r\ne LOGIN {4}\r\nuser pass\r\n";
	char *expected = NULL;
	(void)state;

	for (size_t split = 1; split < sizeof(talk); split++) {
		struct rig *rig = rig_new(world, 0, (unsigned)split);
		rig->verdict = " NO no\r\n";
		rig->chunk_max = 1;
		client_says(rig, talk, split);
		if (split < sizeof(talk) - 1)
			client_says(
			    rig, talk + split, sizeof(talk) - 1 - split);
		for (int i = 0; i < 3000; i++)
			rig_turn(rig);
		client_runs(rig);
		assert_int_equal(rig->session.state, SESSION_PREAUTH);
		assert_int_equal(rig->n_dials, 1);
		pipe_put(&rig->client_text, "", 1);
		char *text = (char *)rig->client_text.data;
		if (expected == NULL)
			expected = strdup(text);
		assert_string_equal(text, expected);
		rig_free(rig);
	}
	assert_non_null(strstr(expected, "e NO no\r\n"));
	assert_non_null(strstr(expected, "d BAD"));
	free(expected);
}

static void
test_a_client_may_not_try_for_ever(void **state)
{
	struct rig *rig = rig_new(world, 0, 5);
	(void)state;

	rig->verdict = " NO [INUSE] busy\r\n";
	rig->chunk_max = 1;
	for (int i = 0; i < 12; i++)
		client_says(rig, "x LOGIN user pass\r\n", 19);
	client_runs(rig);
	rig->peer_ended[SIDE_CLIENT] = true;
	for (int i = 0; rig->session.state != SESSION_DONE; i++) {
		assert_true(i < 100000);
		rig_turn(rig);
	}
	client_runs(rig);
	assert_int_equal(rig->n_dials, 10);
	assert_int_equal(rig->session.reason, REASON_LOGIN_ATTEMPTS);
	pipe_put(&rig->client_text, "", 1);
	assert_non_null(
	    strstr((char *)rig->client_text.data, "* BYE [UNAVAILABLE]"));
	rig_free(rig);
}

/* The backend has ended; what the client sends last still reaches it. */
static void
test_the_last_octets_reach_a_half_closed_backend(void **state)
{
	static const char login[] = "a LOGIN user pass\r\n";
	struct rig *rig = rig_new(world, 0, 6);
	(void)state;

	rig->chunk_max = 1000;
	rig->up_len = 5000;
	rig->up = random_octets(rig, rig->up_len);
	client_says(rig, login, sizeof(login) - 1);
	while (rig->session.state != SESSION_RELAY)
		rig_turn(rig);
	rig->peer_ended[SIDE_BACKEND] = true;
	while (!rig->fin_delivered[SIDE_BACKEND])
		rig_turn(rig);
	while (rig->up_sent < rig->up_len)
		client_runs(rig);
	SSL_shutdown(rig->pair->client);
	client_runs(rig);
	rig->peer_ended[SIDE_CLIENT] = true;
	for (int i = 0; rig->session.state != SESSION_DONE; i++) {
		assert_true(i < 100000);
		rig_turn(rig);
	}
	assert_int_equal(rig->up_got, rig->up_len);
	rig_free(rig);
}

static int
set_up(void **state)
{
	static const char format[] =
	    "[listen i]\naddress = 127.0.0.1:9001\n"
	    "[certificate c]\nchain = %s/c.pem\nkey = %s/k.pem\n"
	    "[pool p]\n[backend a]\naddress = 127.0.0.1:1\n";
	char text[2048];
	struct test_cert_spec spec = {
	    .type = TEST_P256, .cn = "a.test", .san = "DNS:a.test"};
	struct test_cert cert = test_cert_make(&spec);
	const struct test_cert *chain[] = {&cert};

	(void)state;
	test_dir_make(directory);
	test_chain_write(directory, "c.pem", chain, 1);
	test_key_write(directory, "k.pem", &cert);
	test_cert_free(&cert);
	snprintf(text, sizeof(text), format, directory, directory);
	world = world_new(text, NULL);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	world_free(world);
	test_dir_remove(directory);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random_schedules_move_every_octet),
	    cmocka_unit_test(test_abrupt_ends_leave_nothing_counted),
	    cmocka_unit_test(test_answers_do_not_depend_on_splits),
	    cmocka_unit_test(test_a_client_may_not_try_for_ever),
	    cmocka_unit_test(test_the_last_octets_reach_a_half_closed_backend),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
