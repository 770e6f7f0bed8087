/* SPDX-License-Identifier: ISC */
/* Messages and descriptors between roles: whole, counted, and none leaked. */
/* needs: proxy/ipc/channel.c proxy/base/ensure.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/ipc/channel.h"

static unsigned int
count_fds(void)
{
	unsigned int n = 0;
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

static void
make_pair(int fds[2])
{
	assert_true(channel_pair(fds));
}

static void
close_pair(int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

static void
message_arrives_as_sent(void **state)
{
	(void)state;
	int fds[2];
	make_pair(fds);
	struct message sent = {.type = MESSAGE_ACK,
	    .slot = 7,
	    .arg = UINT64_MAX,
	    .len = CHANNEL_BODY_MAX};
	for (size_t i = 0; i < CHANNEL_BODY_MAX; i++)
		sent.body[i] = (uint8_t)(i * 7);
	assert_int_equal(channel_send(fds[0], &sent), CHANNEL_OK);
	struct message got;
	assert_int_equal(channel_recv(fds[1], &got), CHANNEL_OK);
	assert_int_equal(got.type, MESSAGE_ACK);
	assert_int_equal(got.slot, 7);
	assert_true(got.arg == UINT64_MAX);
	assert_int_equal(got.len, CHANNEL_BODY_MAX);
	assert_int_equal(got.n_fds, 0);
	assert_memory_equal(got.body, sent.body, CHANNEL_BODY_MAX);
	assert_int_equal(channel_recv(fds[1], &got), CHANNEL_AGAIN);
	close_pair(fds);
}

static void
descriptors_travel_close_on_exec(void **state)
{
	(void)state;
	int fds[2], pipes[2];
	unsigned int before = count_fds();
	make_pair(fds);
	assert_int_equal(pipe(pipes), 0);
	struct message sent = {
	    .type = MESSAGE_LOG, .n_fds = 2, .fds = {pipes[1], pipes[0]}};
	assert_int_equal(channel_send(fds[0], &sent), CHANNEL_OK);
	struct message got;
	assert_int_equal(channel_recv(fds[1], &got), CHANNEL_OK);
	assert_int_equal(got.n_fds, 2);
	int writer = message_take_fd(&got);
	int reader = message_take_fd(&got);
	assert_int_equal(message_take_fd(&got), -1);
	assert_int_equal(fcntl(writer, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(writer, "x", 1), 1);
	char c = 0;
	assert_int_equal(read(reader, &c, 1), 1);
	assert_int_equal(c, 'x');
	close(writer);
	close(reader);
	close_pair(pipes);
	close_pair(fds);
	assert_int_equal(count_fds(), before);
}

static void
untaken_descriptors_are_closed(void **state)
{
	(void)state;
	int fds[2];
	make_pair(fds);
	unsigned int before = count_fds();
	struct message sent = {
	    .type = MESSAGE_LOG, .n_fds = 4, .fds = {0, 1, 2, 0}};
	assert_int_equal(channel_send(fds[0], &sent), CHANNEL_OK);
	struct message got;
	assert_int_equal(channel_recv(fds[1], &got), CHANNEL_OK);
	assert_int_equal(count_fds(), before + 4);
	message_close_fds(&got);
	message_close_fds(&got);
	assert_int_equal(count_fds(), before);
	close_pair(fds);
}

static void
end_of_the_other_side_is_closed(void **state)
{
	(void)state;
	int fds[2];
	make_pair(fds);
	close(fds[0]);
	struct message message = {.type = MESSAGE_READY};
	assert_int_equal(channel_recv(fds[1], &message), CHANNEL_CLOSED);
	assert_int_equal(channel_send(fds[1], &message), CHANNEL_CLOSED);
	close(fds[1]);
}

static void
full_socket_is_again(void **state)
{
	(void)state;
	int fds[2];
	make_pair(fds);
	struct message message = {.type = MESSAGE_READY, .len = 1000};
	unsigned int sent = 0;
	while (channel_send(fds[0], &message) == CHANNEL_OK)
		assert_true(++sent < 100000);
	assert_int_equal(channel_send(fds[0], &message), CHANNEL_AGAIN);
	for (; sent > 0; sent--)
		assert_int_equal(channel_recv(fds[1], &message), CHANNEL_OK);
	assert_int_equal(channel_recv(fds[1], &message), CHANNEL_AGAIN);
	close_pair(fds);
}

/* What no sender of ours makes: raw octets, and any number of descriptors. */
static void
send_raw(int fd, const void *data, size_t len, size_t n_fds)
{
	uint8_t control[CMSG_SPACE(100 * sizeof(int))]
	    __attribute__((aligned(8))) = {0};
	struct iovec part = {(void *)(uintptr_t)data, len};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	if (n_fds > 0) {
		header.msg_control = control;
		header.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memset(CMSG_DATA(c), 0, n_fds * sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &header, 0), (ssize_t)len);
}

struct raw {
	uint32_t type, slot;
	uint64_t arg;
	uint32_t len, n_fds;
	uint8_t body[CHANNEL_BODY_MAX + 100];
};

static void
malformed_is_closed_and_leaks_nothing(void **state)
{
	(void)state;
	static const struct {
		size_t octets;
		uint32_t len, n_fds, sent_fds;
	} rows[] = {
	    {1, 0, 0, 0},      /* short */
	    {23, 0, 0, 1},     /* short, with a descriptor */
	    {24, 1, 0, 0},     /* body missing */
	    {25, 0, 0, 0},     /* body too long */
	    {24, 0, 1, 0},     /* descriptor missing */
	    {24, 0, 0, 1},     /* descriptor too many */
	    {24, 0, 5, 5},     /* more than fit */
	    {24, 0, 100, 100}, /* many more */
	    {24, UINT32_MAX, 0, 0},
	    {24 + CHANNEL_BODY_MAX + 1, CHANNEL_BODY_MAX + 1, 0, 0},
	    {24 + CHANNEL_BODY_MAX + 1, CHANNEL_BODY_MAX, 2, 2},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fds[2];
		make_pair(fds);
		unsigned int before = count_fds();
		struct raw raw = {
		    .type = 1, .len = rows[i].len, .n_fds = rows[i].n_fds};
		send_raw(fds[0], &raw, rows[i].octets, rows[i].sent_fds);
		struct message got;
		assert_int_equal(channel_recv(fds[1], &got), CHANNEL_CLOSED);
		assert_int_equal(got.n_fds, 0);
		assert_int_equal(count_fds(), before);
		close_pair(fds);
	}
}

struct taken {
	uint32_t n;
	uint64_t last;
	bool enough;
};

static bool
take(void *arg, struct message *message)
{
	struct taken *taken = arg;
	taken->n++;
	taken->last = message->arg;
	return !taken->enough;
}

static void
reading_keeps_to_its_budget(void **state)
{
	(void)state;
	int fds[2];
	struct taken taken = {0};
	make_pair(fds);
	for (uint64_t i = 1; i <= 10; i++) {
		struct message message = {.type = 1, .arg = i};
		message.fds[0] = fds[0];
		message.n_fds = 1;
		assert_int_equal(channel_send(fds[0], &message), CHANNEL_OK);
	}
	unsigned int before = count_fds();
	assert_int_equal(channel_read(fds[1], 4, take, &taken), CHANNEL_OK);
	assert_int_equal(taken.n, 4);
	assert_int_equal(taken.last, 4);
	taken.enough = true;
	assert_int_equal(channel_read(fds[1], 4, take, &taken), CHANNEL_OK);
	assert_int_equal(taken.last, 5);
	taken.enough = false;
	assert_int_equal(channel_read(fds[1], CHANNEL_NO_BUDGET, take, &taken),
	    CHANNEL_AGAIN);
	assert_int_equal(taken.n, 10);
	assert_int_equal(taken.last, 10);
	assert_int_equal(count_fds(), before); /* what nobody took is closed */
	close(fds[0]);
	assert_int_equal(channel_read(fds[1], 4, take, &taken), CHANNEL_CLOSED);
	close(fds[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(message_arrives_as_sent),
	    cmocka_unit_test(descriptors_travel_close_on_exec),
	    cmocka_unit_test(untaken_descriptors_are_closed),
	    cmocka_unit_test(end_of_the_other_side_is_closed),
	    cmocka_unit_test(full_socket_is_again),
	    cmocka_unit_test(reading_keeps_to_its_budget),
	    cmocka_unit_test(malformed_is_closed_and_leaks_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
