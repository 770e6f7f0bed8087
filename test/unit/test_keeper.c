/* SPDX-License-Identifier: ISC */
/* The keeper's side of a worker's socket: whole messages, one reply owed at
 * most, and nothing that is no request is answered. */
/* needs: proxy/keeper/serve.c tls/key.c tls/key_client.c */
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
#include "tls/key_client.h"

#define HEAD offsetof(struct key_request, input)

struct pair {
	struct client client;
	int worker;
	struct key_set *set; /* without a key: every answer is KEY_UNKNOWN */
	uint8_t message[KEY_REPLIES_SIZE];
	struct span rest;
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

/* Replies come several in a message; what is left of one waits here. */
static bool
next_reply(struct pair *pair, struct key_reply *out_reply)
{
	if (pair->rest.len == 0) {
		ssize_t n =
		    recv(pair->worker, pair->message, sizeof(pair->message), 0);
		if (n < 0)
			return false;
		pair->rest = span_of(pair->message, (size_t)n);
	}
	assert_true(key_next_reply(&pair->rest, out_reply));
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

/* How many in one message is a matter of time, but none is lost, all come in
 * order, and no message holds more than fit. */
static void
requests_are_answered_together(void **state)
{
	struct pair *pair = *state;
	struct key_reply reply;
	const uint64_t n = 3 * KEY_REPLIES_MAX;
	unsigned int messages = 0;
	uint64_t answered = 0;
	for (uint64_t i = 0; i < n; i++)
		assert_true(ask(pair, i));
	while (answered < n) {
		assert_true(messages++ < n);
		assert_true(serve(pair));
		do {
			assert_true(next_reply(pair, &reply));
			assert_int_equal(reply.id, answered++);
		} while (pair->rest.len > 0);
	}
	assert_in_range(messages, 3, n);
	assert_true(serve(pair));
	assert_false(next_reply(pair, &reply));
}

static void
replies_that_are_cut_are_not_taken(void **state)
{
	(void)state;
	const size_t head = offsetof(struct key_reply, signature);
	struct key_reply first = {.id = 7, .len = 3, .signature = {1, 2, 3}};
	struct key_reply taken;
	for (size_t size = 0; size < head + 3; size++) {
		struct span message = span_of((uint8_t *)&first, size);
		assert_false(key_next_reply(&message, &taken));
	}
	struct span message = span_of((uint8_t *)&first, head + 3);
	assert_true(key_next_reply(&message, &taken));
	assert_int_equal(taken.id, 7);
	assert_memory_equal(taken.signature, first.signature, 3);
	assert_int_equal(message.len, 0);
	first.len = KEY_SIGNATURE_MAX + 1;
	uint8_t data[sizeof(first) + 8] = {0};
	memcpy(data, &first, sizeof(first));
	message = span_of(data, sizeof(data));
	assert_false(key_next_reply(&message, &taken));
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
worker_that_does_not_read_is_owed_one_message(void **state)
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
	/* Nothing is taken from the socket while replies are owed. */
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
	    TEST(requests_are_answered_together),
	    TEST(replies_that_are_cut_are_not_taken),
	    TEST(what_is_no_request_is_ignored),
	    TEST(worker_that_does_not_read_is_owed_one_message),
	    TEST(end_of_the_worker_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
