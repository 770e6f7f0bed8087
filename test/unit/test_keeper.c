/* SPDX-License-Identifier: ISC */
/* The keeper's side of a worker's socket: whole messages, one reply owed at
 * most, and nothing that is no request is answered. */
/* needs: proxy/keeper/serve.c tls/key.c */
/* needs: proxy/base/ensure.c proxy/base/span.c */
/* libs: boringcrypto */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/keeper/serve.h"

#define HEAD offsetof(struct key_request, input)

struct pair {
	struct client client;
	int worker;
	struct key_set *set; /* without a key: every answer is KEY_UNKNOWN */
};

static int
set_up(void **state)
{
	static struct pair pair;
	static const uint8_t nothing[1];
	int fds[2];
	int type = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;
	assert_int_equal(socketpair(AF_UNIX, type, 0, fds), 0);
	memset(&pair, 0, sizeof(pair));
	pair.client.fd = fds[0];
	pair.worker = fds[1];
	pair.set = key_set_new(span_of(nothing, 0));
	assert_non_null(pair.set);
	*state = &pair;
	return 0;
}

static int
tear_down(void **state)
{
	struct pair *pair = *state;
	close(pair->client.fd);
	if (pair->worker >= 0)
		close(pair->worker);
	key_set_free(pair->set);
	return 0;
}

static bool
serve(struct pair *pair)
{
	return client_serve(&pair->client, pair->set, NULL);
}

/* A CertificateVerify by its form, so that only the key is at fault. */
static bool
ask(struct pair *pair, uint64_t id)
{
	struct key_request request = {.id = id, .len = 64 + 34 + 32};
	memset(request.input, ' ', 64);
	memcpy(request.input + 64, "TLS 1.3, server CertificateVerify", 34);
	size_t len = HEAD + request.len;
	return send(pair->worker, &request, len, 0) == (ssize_t)len;
}

static bool
next_reply(struct pair *pair, struct key_reply *out_reply)
{
	ssize_t n = recv(pair->worker, out_reply, sizeof(*out_reply), 0);
	if (n < 0)
		return false;
	assert_int_equal(
	    n, offsetof(struct key_reply, signature) + out_reply->len);
	return true;
}

static void
request_is_answered_once(void **state)
{
	struct pair *pair = *state;
	struct key_reply reply;
	assert_true(serve(pair));
	assert_int_equal(client_wants(&pair->client), POLLIN);
	assert_true(ask(pair, 42));
	assert_true(serve(pair));
	assert_true(next_reply(pair, &reply));
	assert_int_equal(reply.id, 42);
	assert_int_equal(reply.status, KEY_UNKNOWN);
	assert_int_equal(reply.len, 0);
	assert_true(serve(pair));
	assert_false(next_reply(pair, &reply));
}

static void
what_is_no_request_is_ignored(void **state)
{
	struct pair *pair = *state;
	static const struct {
		size_t sent;
		uint16_t len;
	} rows[] = {
	    {1, 0},
	    {HEAD - 1, 0},
	    {HEAD, 1},
	    {HEAD + 1, 0},
	    {HEAD + 100, 101},
	    {HEAD + KEY_INPUT_MAX, KEY_INPUT_MAX + 1},
	    {HEAD + KEY_INPUT_MAX, UINT16_MAX},
	    {HEAD + KEY_INPUT_MAX + 1, KEY_INPUT_MAX},
	    {HEAD + KEY_INPUT_MAX + 1, KEY_INPUT_MAX + 1},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t data[sizeof(struct key_request) + 64] = {0};
		memcpy(data + offsetof(struct key_request, len), &rows[i].len,
		    sizeof(rows[i].len));
		assert_int_equal(send(pair->worker, data, rows[i].sent, 0),
		    (ssize_t)rows[i].sent);
		struct key_reply reply;
		assert_true(serve(pair));
		assert_false(next_reply(pair, &reply));
		assert_int_equal(client_wants(&pair->client), POLLIN);
	}
}

static void
worker_that_does_not_read_is_owed_one_reply(void **state)
{
	struct pair *pair = *state;
	struct key_reply reply;
	uint64_t asked = 0;
	uint64_t answered = 0;
	while (client_wants(&pair->client) == POLLIN) {
		assert_true(asked < 100000);
		assert_true(ask(pair, asked++));
		assert_true(serve(pair));
	}
	/* Nothing is taken from the socket while the reply is owed. */
	assert_true(ask(pair, asked++));
	assert_true(serve(pair));
	assert_int_equal(client_wants(&pair->client), POLLOUT);
	while (answered < asked) {
		if (next_reply(pair, &reply))
			assert_int_equal(reply.id, answered++);
		assert_true(serve(pair));
	}
	assert_int_equal(client_wants(&pair->client), POLLIN);
	assert_false(next_reply(pair, &reply));
}

static void
end_of_the_worker_is_noticed(void **state)
{
	struct pair *pair = *state;
	assert_true(ask(pair, 1));
	close(pair->worker);
	pair->worker = -1;
	assert_false(serve(pair) && serve(pair));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(request_is_answered_once),
	    TEST(what_is_no_request_is_ignored),
	    TEST(worker_that_does_not_read_is_owed_one_reply),
	    TEST(end_of_the_worker_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
