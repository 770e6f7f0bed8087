/* SPDX-License-Identifier: ISC */
/* Who asks the keeper: nothing is lost when the socket is full or the keeper is
 * replaced, nothing is answered twice, and who has gone is not asked for. */
/* needs: tls/key_client.c proxy/base/span.c proxy/base/ensure.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls/key_client.h"

#define STREAMS 2000

struct rig {
	struct key_client client;
	int keeper;
	uint64_t gone; /* a stream that is not there any more */
	unsigned int answers[STREAMS];
	enum key_status status;
};

static bool
is_wanted(void *arg, uint64_t stream_id)
{
	const struct rig *rig = arg;
	return stream_id != rig->gone;
}

static void
on_answer(void *arg, uint64_t stream_id, const struct key_reply *reply,
    uint64_t waited_us)
{
	struct rig *rig = arg;
	assert_true(stream_id < STREAMS);
	assert_int_equal(reply->id, stream_id + 1000);
	assert_true(waited_us < UINT64_C(3600) * 1000000);
	rig->answers[stream_id]++;
	rig->status = (enum key_status)reply->status;
}

static int
set_up(void **state)
{
	static struct rig rig;
	int type = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, type, 0, fds), 0);
	memset(&rig, 0, sizeof(rig));
	key_client_init(&rig.client);
	rig.client.arg = &rig;
	rig.client.is_wanted = is_wanted;
	rig.client.answer = on_answer;
	rig.gone = UINT64_MAX;
	rig.keeper = fds[1];
	assert_true(key_client_connect(&rig.client, fds[0]));
	*state = &rig;
	return 0;
}

static bool
serve(struct rig *rig, unsigned int at_once)
{
	uint8_t message[KEY_REPLIES_SIZE];
	size_t len = 0;
	for (unsigned int i = 0; i < at_once; i++) {
		struct key_request request;
		struct key_reply reply = {
		    .status = KEY_OK, .len = 2, .signature = {1, 2}};
		ssize_t n = recv(rig->keeper, &request, sizeof(request), 0);
		if (n < 0)
			break;
		assert_true(key_request_is_whole(&request, (size_t)n));
		reply.id = request.id;
		memcpy(message + len, &reply, key_reply_size(&reply));
		len += key_reply_size(&reply);
	}
	if (len > 0)
		assert_int_equal(send(rig->keeper, message, len, 0), len);
	return len > 0;
}

static void
submit(struct rig *rig, uint64_t stream_id)
{
	struct key_request request = {.id = stream_id + 1000, .len = 200};
	assert_true(key_client_submit(&rig->client, stream_id, &request));
}

static void
finish(struct rig *rig)
{
	do {
		while (key_client_receive(&rig->client))
			continue;
		key_client_send(&rig->client);
	} while (serve(rig, KEY_REPLIES_MAX));
}

/* All that was asked is answered or was never sent: nothing is left. */
static int
tear_down(void **state)
{
	struct rig *rig = *state;
	finish(rig);
	assert_true(list_is_empty(&rig->client.waiting));
	assert_true(list_is_empty(&rig->client.asked));
	close(rig->client.fd);
	close(rig->keeper);
	return 0;
}

static void
what_the_socket_refuses_waits(void **state)
{
	struct rig *rig = *state;
	for (uint64_t i = 0; i < STREAMS; i++)
		submit(rig, i);
	assert_true(key_client_send(&rig->client));
	assert_false(list_is_empty(&rig->client.asked));
	finish(rig);
	for (uint64_t i = 0; i < STREAMS; i++)
		assert_int_equal(rig->answers[i], 1);
}

static void
a_new_keeper_is_asked_again_and_answers_once(void **state)
{
	struct rig *rig = *state;
	for (uint64_t i = 0; i < 10; i++)
		submit(rig, i);
	assert_false(key_client_send(&rig->client));
	assert_true(serve(rig, 3));
	int spare = fcntl(rig->client.fd, F_DUPFD_CLOEXEC, 0);
	assert_true(spare >= 0);
	assert_false(key_client_connect(&rig->client, spare));
	assert_int_equal(fcntl(spare, F_GETFD), -1);
	finish(rig);
	for (uint64_t i = 0; i < 10; i++)
		assert_int_equal(rig->answers[i], 1);
}

static void
the_oldest_is_asked_again_first(void **state)
{
	struct rig *rig = *state;
	struct key_request request;
	submit(rig, 1);
	submit(rig, 2);
	assert_false(key_client_send(&rig->client));
	while (recv(rig->keeper, &request, sizeof(request), 0) > 0)
		continue;
	submit(rig, 3);
	assert_false(key_client_connect(
	    &rig->client, fcntl(rig->client.fd, F_DUPFD_CLOEXEC, 0)));
	assert_false(key_client_send(&rig->client));
	for (uint64_t i = 1; i <= 3; i++) {
		assert_true(serve(rig, 1));
		(void)key_client_receive(&rig->client);
		assert_int_equal(rig->answers[i], 1);
	}
}

static void
who_has_gone_is_not_asked_for(void **state)
{
	struct rig *rig = *state;
	submit(rig, 1);
	submit(rig, 2);
	rig->gone = 1;
	finish(rig);
	assert_int_equal(rig->answers[1], 0);
	assert_int_equal(rig->answers[2], 1);
}

static void
an_answer_to_nobody_is_dropped(void **state)
{
	struct rig *rig = *state;
	struct key_reply reply = {.id = 77, .status = KEY_FAILED};
	size_t size = key_reply_size(&reply);
	submit(rig, 1);
	assert_false(key_client_send(&rig->client));
	assert_int_equal(send(rig->keeper, &reply, size, 0), size);
	assert_true(key_client_receive(&rig->client));
	assert_int_equal(rig->answers[1], 0);
	finish(rig);
	assert_int_equal(rig->answers[1], 1);
	assert_int_equal(rig->status, KEY_OK);
	/* Nothing is asked: it has to be taken out of the socket all the same,
	 * or poll() would never wait again. */
	assert_int_equal(send(rig->keeper, &reply, size, 0), size);
	(void)key_client_receive(&rig->client);
	uint8_t octet;
	assert_int_equal(recv(rig->client.fd, &octet, 1, MSG_PEEK), -1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
	    TEST(what_the_socket_refuses_waits),
	    TEST(a_new_keeper_is_asked_again_and_answers_once),
	    TEST(the_oldest_is_asked_again_first),
	    TEST(who_has_gone_is_not_asked_for),
	    TEST(an_answer_to_nobody_is_dropped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
