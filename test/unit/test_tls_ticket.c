/* SPDX-License-Identifier: ISC */
/* needs: tls/ */
/* needs: config/load.c config/check.c config/schema.c config/builder.c */
/* needs: config/draft.c config/value.c config/value_list.c */
/* needs: config/value_format.c proxy/base/span.c proxy/base/addr.c */
/* needs: proxy/base/parse.c proxy/base/ensure.c */
/* needs: test/support/tls_client.c test/support/tls_files.c */
/* libs: boringssl inih */
/*
 * Resumption: across workers and reloads, and never where it must not. A
 * session from which no key was asked for was resumed; `resumed` says so, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/support/tls_client.h"
#include "test/support/tls_files.h"

enum {
	ONE,
	TWO,
	OTHER_POLICY,
	OFF
};

static const char config_format[] =
    "[listen one]\naddress = 127.0.0.1:9001\ntls = a\npool = p\n"
    "[listen two]\naddress = 127.0.0.1:9002\ntls = a\npool = p\n"
    "[listen policy]\naddress = 127.0.0.1:9003\ntls = b\npool = p\n"
    "[listen off]\naddress = 127.0.0.1:9004\ntls = c\npool = p\n"
    "[tls a]\n%s\n"
    "[tls b]\nsni = strict\n"
    "[tls c]\ntickets = off\n"
    "[certificate ec]\nchain = %s/ec.pem\nkey = %s/ec.key\n"
    "[pool p]\n"
    "[backend b]\npool = p\naddress = 127.0.0.1:143\n";

struct fixture {
	char dir[256];
	char config[4096];
	struct world *world;
};

static void
write_certificate(const char *dir)
{
	struct test_cert ec = test_cert_make(&(struct test_cert_spec){
	    .type = TEST_P256, .cn = "ec", .san = "DNS:a.test,DNS:b.test"});

	test_chain_write(
	    dir, "ec.pem", (const struct test_cert *const[]){&ec}, 1);
	test_key_write(dir, "ec.key", &ec);
	test_cert_free(&ec);
}

static struct world *
make_world(struct fixture *f, const char *extra, const struct world *like)
{
	snprintf(
	    f->config, sizeof(f->config), config_format, extra, f->dir, f->dir);
	return world_new(f->config, like);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	test_dir_make(f->dir);
	write_certificate(f->dir);
	f->world = make_world(f, "", NULL);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	world_free(f->world);
	test_dir_remove(f->dir);
	free(f);
	return 0;
}

/* A session with a ticket; NULL: the server gave none. */
static SSL_SESSION *
get_session(struct world *world, uint32_t listen, const char *sni,
    uint16_t version, SSL_SESSION *from, bool *out_resumed)
{
	struct pair *pair = pair_new(world, listen,
	    &(struct client_options){
		.sni = sni, .max_version = version, .session = from});
	SSL_SESSION *session;
	unsigned before = world->n_requests;

	assert_true(pair_handshake(pair));
	assert_true(pair_echo(pair, "a1 NOOP\r\n", 9));
	assert_int_equal(
	    pair_info(pair).resumed, SSL_session_reused(pair->client) == 1);
	assert_int_equal(
	    world->n_requests - before, pair_info(pair).resumed ? 0 : 1);
	if (out_resumed != NULL)
		*out_resumed = pair_info(pair).resumed;
	session = pair->session;
	pair->session = NULL;
	pair_free(pair);
	if (session != NULL && !SSL_SESSION_has_ticket(session)) {
		SSL_SESSION_free(session);
		return NULL;
	}
	return session;
}

static const uint16_t versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* Gets a ticket in one place and shows it in another. */
static bool
crosses(struct world *from, uint32_t from_listen, const char *from_sni,
    struct world *to, uint32_t to_listen, const char *to_sni, uint16_t version)
{
	SSL_SESSION *session =
	    get_session(from, from_listen, from_sni, version, NULL, NULL);
	bool resumed;

	assert_non_null(session);
	SSL_SESSION_free(
	    get_session(to, to_listen, to_sni, version, session, &resumed));
	SSL_SESSION_free(session);
	return resumed;
}

static void
test_resumes(void **state)
{
	struct fixture *f = *state;

	for (int v = 0; v < 2; v++)
		assert_true(crosses(f->world, ONE, "a.test", f->world, ONE,
		    "a.test", versions[v]));
}

static void
test_stays_where_it_was_given(void **state)
{
	struct fixture *f = *state;

	for (int v = 0; v < 2; v++) {
		assert_false(crosses(f->world, ONE, "a.test", f->world, TWO,
		    "a.test", versions[v]));
		assert_false(crosses(f->world, ONE, "a.test", f->world, ONE,
		    "b.test", versions[v]));
		assert_false(crosses(
		    f->world, ONE, "a.test", f->world, ONE, NULL, versions[v]));
		assert_false(crosses(f->world, ONE, "a.test", f->world,
		    OTHER_POLICY, "a.test", versions[v]));
	}
}

/* Listener and name are the same, but the section has changed: one key of it
 * is enough. */
static void
test_not_across_policies(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *change;
		uint16_t only; /* version in which the client comes in */
	} cases[] = {
	    {"ciphers = ECDHE-ECDSA-AES128-GCM-SHA256", 0},
	    {"groups = P-256", 0},
	    {"sigalgs = ecdsa_secp256r1_sha256", 0},
	    {"alpn = lax", 0},
	    {"sni = strict", 0},
	    {"max_version = TLSv1.2", TLS1_2_VERSION},
	    {"min_version = TLSv1.3", TLS1_3_VERSION},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *other = make_world(f, cases[i].change, f->world);
		for (int v = 0; v < 2; v++)
			if (cases[i].only == 0 || cases[i].only == versions[v])
				assert_false(crosses(f->world, ONE, "a.test",
				    other, ONE, "a.test", versions[v]));
		world_free(other);
	}
}

static void
test_across_workers_and_a_renewal(void **state)
{
	struct fixture *f = *state;
	struct world *other;

	write_certificate(f->dir);
	other = make_world(f, "", f->world);
	for (int v = 0; v < 2; v++)
		assert_true(crosses(f->world, ONE, "a.test", other, ONE,
		    "a.test", versions[v]));
	world_free(other);
}

static void
test_another_ring(void **state)
{
	struct fixture *f = *state;
	struct world *other = make_world(f, "", NULL);

	for (int v = 0; v < 2; v++)
		assert_false(crosses(f->world, ONE, "a.test", other, ONE,
		    "a.test", versions[v]));
	world_free(other);
}

static void
test_rotation(void **state)
{
	struct fixture *f = *state;
	struct ticket_ring *ring = &f->world->tickets->rings[0];

	for (int v = 0; v < 2; v++) {
		SSL_SESSION *old = get_session(
		    f->world, ONE, "a.test", versions[v], NULL, NULL);
		SSL_SESSION *renewed;
		bool resumed;

		ticket_ring_rotate(ring);
		renewed = get_session(
		    f->world, ONE, "a.test", versions[v], old, &resumed);
		assert_true(resumed);
		assert_non_null(renewed);
		ticket_ring_rotate(ring);
		SSL_SESSION_free(get_session(
		    f->world, ONE, "a.test", versions[v], old, &resumed));
		assert_false(resumed);
		/* The renewed one was sealed with what is previous now. */
		SSL_SESSION_free(get_session(
		    f->world, ONE, "a.test", versions[v], renewed, &resumed));
		assert_true(resumed);
		SSL_SESSION_free(old);
		SSL_SESSION_free(renewed);
	}
}

/* What rotates for one policy is no other's. */
static void
test_each_policy_has_its_ring(void **state)
{
	struct fixture *f = *state;
	static const uint32_t listens[] = {ONE, OTHER_POLICY};

	for (size_t i = 0; i < 2; i++) {
		SSL_SESSION *old = get_session(
		    f->world, listens[i], "a.test", TLS1_3_VERSION, NULL, NULL);
		bool resumed;

		ticket_ring_rotate(&f->world->tickets->rings[1]);
		ticket_ring_rotate(&f->world->tickets->rings[1]);
		SSL_SESSION_free(get_session(f->world, listens[i], "a.test",
		    TLS1_3_VERSION, old, &resumed));
		assert_int_equal(resumed, listens[i] == ONE);
		SSL_SESSION_free(old);
	}
}

/* Another member of the fleet has rotated a little earlier. */
static void
test_next_key_opens(void **state)
{
	struct fixture *f = *state;
	struct world *ahead = make_world(f, "", f->world);

	ticket_ring_rotate(&ahead->tickets->rings[0]);
	for (int v = 0; v < 2; v++)
		assert_true(crosses(ahead, ONE, "a.test", f->world, ONE,
		    "a.test", versions[v]));
	world_free(ahead);
}

static void
expect_no_ticket(struct world *world, uint32_t listen)
{
	for (int v = 0; v < 2; v++)
		assert_null(get_session(
		    world, listen, "a.test", versions[v], NULL, NULL));
}

static void
test_off(void **state)
{
	struct fixture *f = *state;

	expect_no_ticket(f->world, OFF);
}

static void
test_ring_in_trouble(void **state)
{
	struct fixture *f = *state;
	struct ticket_ring *ring = &f->world->tickets->rings[0];

	ring->seq |= 1; /* the master died while it wrote */
	expect_no_ticket(f->world, ONE);
	ticket_ring_rotate(ring);
	assert_true(crosses(
	    f->world, ONE, "a.test", f->world, ONE, "a.test", TLS1_3_VERSION));
	ring->valid = 0;
	expect_no_ticket(f->world, ONE);
	ring->valid = 1;
	tls_engine_use(
	    f->world->engine, builder_config(f->world->builder), NULL);
	expect_no_ticket(f->world, ONE);
	tls_engine_use(f->world->engine, builder_config(f->world->builder),
	    f->world->tickets);
}

/* The ring is lost between the ClientHello and the ticket. */
static void
test_ring_lost_in_a_handshake(void **state)
{
	struct fixture *f = *state;

	for (int v = 0; v < 2; v++) {
		struct pair *pair = pair_new(f->world, ONE,
		    &(struct client_options){.max_version = versions[v]});
		uint8_t wire[4096];
		struct span in;

		SSL_do_handshake(pair->client);
		in = span_of(wire, pair_from_client(pair, wire, sizeof(wire)));
		pair->status =
		    tls_stream_handshake(pair->stream, &in, &pair->out);
		assert_int_equal(pair->status, TLS_WANT_KEY);
		tls_engine_use(
		    f->world->engine, builder_config(f->world->builder), NULL);
		pair_feed(pair, NULL, 0);
		assert_true(pair_handshake(pair));
		assert_true(pair_echo(pair, "a1 NOOP\r\n", 9));
		pair_free(pair);
		tls_engine_use(f->world->engine,
		    builder_config(f->world->builder), f->world->tickets);
	}
}

static void
test_lifetime_is_half_a_rotation(void **state)
{
	struct fixture *f = *state;
	struct world *world = make_world(f, "ticket_rotation = 1h", NULL);

	for (int v = 0; v < 2; v++) {
		SSL_SESSION *session =
		    get_session(world, ONE, "a.test", versions[v], NULL, NULL);

		/* In TLS 1.2 the client keeps what it was told apart. */
		if (versions[v] == TLS1_2_VERSION)
			assert_int_equal(
			    SSL_SESSION_get_ticket_lifetime_hint(session),
			    1800);
		else
			assert_int_equal(
			    SSL_SESSION_get_timeout(session), 1800);
		SSL_SESSION_free(session);
	}
	world_free(world);
}

static void
test_ring_alone(void **state)
{
	struct ticket_ring ring;
	struct ticket_key a[3], b[3];

	(void)state;
	memset(&ring, 0, sizeof(ring));
	assert_false(ticket_ring_read(&ring, a));
	ticket_ring_start(&ring);
	assert_true(ticket_ring_read(&ring, a));
	assert_memory_not_equal(&a[0], &a[1], sizeof(a[0]));
	assert_memory_not_equal(&a[1], &a[2], sizeof(a[0]));
	ticket_ring_rotate(&ring);
	assert_true(ticket_ring_read(&ring, b));
	assert_memory_equal(
	    &b[TICKET_PREVIOUS], &a[TICKET_CURRENT], sizeof(a[0]));
	assert_memory_equal(&b[TICKET_CURRENT], &a[TICKET_NEXT], sizeof(a[0]));
	assert_memory_not_equal(&b[TICKET_NEXT], &a[TICKET_NEXT], sizeof(a[0]));
	ring.seq++;
	assert_false(ticket_ring_read(&ring, b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_resumes),
	    cmocka_unit_test(test_stays_where_it_was_given),
	    cmocka_unit_test(test_not_across_policies),
	    cmocka_unit_test(test_across_workers_and_a_renewal),
	    cmocka_unit_test(test_another_ring),
	    cmocka_unit_test(test_rotation),
	    cmocka_unit_test(test_each_policy_has_its_ring),
	    cmocka_unit_test(test_next_key_opens),
	    cmocka_unit_test(test_off),
	    cmocka_unit_test(test_ring_in_trouble),
	    cmocka_unit_test(test_ring_lost_in_a_handshake),
	    cmocka_unit_test(test_lifetime_is_half_a_rotation),
	    cmocka_unit_test(test_ring_alone),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
