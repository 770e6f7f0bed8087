/* SPDX-License-Identifier: ISC */
/* needs: proxy/session/ proxy/imap/ proxy/limits/admission.c proxy/ipc/ */
/* needs: proxy/limits/networks.c proxy/limits/limiter.c */
/* needs: proxy/limits/victim.c */
/* needs: proxy/limits/decide.c proxy/limits/ladder.c */
/* needs: proxy/limits/logins.c */
/* needs: proxy/base/ backends/reply.c backends/proxyhdr.c backends/pool.c */
/* needs: backends/hash.c config/route.c */
/* needs: tls/ config/load.c config/check.c config/schema.c */
/* needs: config/builder.c config/draft.c config/value.c */
/* needs: config/value_list.c config/value_format.c */
/* needs: test/support/tls_client.c test/support/tls_files.c */
/* needs: test/support/tls_fixture.c */
/* libs: boringssl inih */
/* Every way in which a handshake ends without a session has its counter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proxy/session/session.h"
#include "test/support/tls_fixture.h"

struct rig {
	struct session_env env;
	struct session_ops ops;
	struct session session;
	struct slot_area *slot;
	unsigned n_events;
	unsigned last_kind;
};

static void
on_emit(void *arg, const struct event *event)
{
	struct rig *rig = arg;

	struct event_head head;

	memcpy(&head, event->data, sizeof(head));
	rig->last_kind = head.kind;
	rig->n_events++;
}

static void
make_slab(struct outbuf *out)
{
	outbuf_init(out, calloc(1, SLAB_OUT), SLAB_OUT);
	assert_non_null(out->data);
}

static struct rig *
rig_new(const struct fixture *f, uint32_t listen)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct addr none = {.family = ADDR_NONE};

	assert_non_null(rig);
	rig->slot = calloc(1, slot_area_size(1));
	rig->ops.emit = on_emit;
	rig->env.ops = &rig->ops;
	rig->env.arg = rig;
	rig->env.slot = rig->slot;
	rig->env.tls = f->world->engine;
	rig->env.config = builder_config(f->world->builder);
	rig->env.now_ms = 1000;
	refusals_init(&rig->env.refusals);
	for (int i = 0; i < SIDE_MAX; i++)
		make_slab(&rig->env.out[i]);
	make_slab(&rig->env.plain);
	make_slab(&rig->env.text);
	assert_true(session_init(&rig->session, &rig->env, 1,
	    &rig->slot->records[0], listen, &none, &none));
	return rig;
}

/* The session has ended or lingers; one more look at the counters. */
static void
rig_expect(struct rig *rig, enum tls_failure failure)
{
	uint64_t sum = 0;

	rig->env.out[SIDE_CLIENT].len = 0;
	if (rig->session.state != SESSION_DONE) {
		assert_int_equal(rig->session.state, SESSION_LINGER);
		session_deadline(&rig->session);
	}
	assert_int_equal(rig->session.state, SESSION_DONE);
	for (int i = 0; i < TLS_FAIL_MAX; i++)
		sum += rig->slot->tls_failures[i];
	assert_int_equal(sum, 1);
	assert_int_equal(rig->slot->tls_failures[failure], 1);
	assert_int_equal(rig->n_events, 1);
	assert_int_equal(rig->slot->handshaking, 0);
	session_fini(&rig->session);
	for (int i = 0; i < SIDE_MAX; i++)
		free(rig->env.out[i].data);
	free(rig->env.plain.data);
	free(rig->env.text.data);
	free(rig->slot);
	free(rig);
}

static void
test_time_is_over(void **state)
{
	struct rig *rig = rig_new(*state, LAX);

	rig->env.now_ms = session_next_deadline(&rig->session);
	session_deadline(&rig->session);
	rig_expect(rig, TLS_FAIL_TIMEOUT);
}

/* Each change of state is an event, for who asked for it only. */
static void
test_debug_tells_states(void **state)
{
	const struct fixture *f = *state;
	struct config *config = builder_config(f->world->builder);
	uint32_t before = config->gateway.log_level;

	config->gateway.log_level = LEVEL_DEBUG;
	struct rig *rig = rig_new(f, LAX);
	assert_int_equal(rig->n_events, 1); /* accept to handshake */
	assert_int_equal(rig->last_kind, EVENT_DEBUG);
	session_reset(&rig->session, SIDE_CLIENT);
	assert_int_equal(rig->n_events, 3); /* to done, and the end */
	config->gateway.log_level = before;
	rig->n_events = 1;
	rig_expect(rig, TLS_FAIL_RESET);
}

static void
test_reset(void **state)
{
	struct rig *rig = rig_new(*state, LAX);

	session_received(&rig->session, SIDE_CLIENT, span_of("\x16\x03", 2));
	session_reset(&rig->session, SIDE_CLIENT);
	rig_expect(rig, TLS_FAIL_RESET);
}

static void
test_left(void **state)
{
	struct rig *rig = rig_new(*state, LAX);

	session_received(&rig->session, SIDE_CLIENT, span_of("\x16\x03", 2));
	session_eof(&rig->session, SIDE_CLIENT);
	rig_expect(rig, TLS_FAIL_LEFT);
}

static void
test_plaintext(void **state)
{
	struct rig *rig = rig_new(*state, LAX);

	session_received(
	    &rig->session, SIDE_CLIENT, span_str("a1 LOGIN anna x\r\n"));
	rig_expect(rig, TLS_FAIL_PLAIN_IMAP);
	rig = rig_new(*state, LAX);
	session_received(
	    &rig->session, SIDE_CLIENT, span_str("GET / HTTP/1.1\r\n\r\n"));
	rig_expect(rig, TLS_FAIL_PLAIN_HTTP);
}

/* What a real client would send first. */
static void
say_hello(struct fixture *f, struct rig *rig, uint32_t listen,
    const struct client_options *options)
{
	struct pair *pair = pair_new(f->world, listen, options);
	uint8_t hello[4096];
	size_t n;

	SSL_do_handshake(pair->client);
	n = pair_from_client(pair, hello, sizeof(hello));
	assert_true(n > 0);
	session_received(&rig->session, SIDE_CLIENT, span_of(hello, n));
	pair_free(pair);
}

static void
test_refusals(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint32_t listen;
		struct client_options options;
		enum tls_failure failure;
	} table[] = {
	    {MODERN, {.max_version = TLS1_2_VERSION}, TLS_FAIL_VERSION},
	    {STRICT, {.sni = "no.such.test"}, TLS_FAIL_SNI},
	    {LAX, {.alpn = "\2h2"}, TLS_FAIL_ALPN},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct rig *rig = rig_new(f, table[i].listen);

		say_hello(f, rig, table[i].listen, &table[i].options);
		rig_expect(rig, table[i].failure);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_time_is_over),
	    cmocka_unit_test(test_debug_tells_states),
	    cmocka_unit_test(test_reset),
	    cmocka_unit_test(test_left),
	    cmocka_unit_test(test_plaintext),
	    cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
