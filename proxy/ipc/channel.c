/* SPDX-License-Identifier: ISC */
/*
 * See channel.h. On the wire a message is a fixed head and its body; the
 * descriptors travel beside it. Called by every role.
 */
#include "proxy/ipc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proxy/base/ensure.h"

struct wire_head {
	uint32_t type;
	uint32_t slot;
	uint64_t arg;
	uint32_t len;
	uint32_t n_fds;
};

/* A sender of ours never needs it; a stranger could send up to SCM_MAX_FD. */
#define CONTROL_FDS_MAX 253

bool
channel_pair(int out_fds[2])
{
	int type = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;
	return socketpair(AF_UNIX, type, 0, out_fds) == 0;
}

static void
put_fds(struct msghdr *header, const struct message *message)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(header);
	size_t len = message->n_fds * sizeof(int);
	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(control), message->fds, len);
}

enum channel_result
channel_send(int fd, const struct message *message)
{
	ENSURE(message->len <= CHANNEL_BODY_MAX);
	ENSURE(message->n_fds <= CHANNEL_FDS_MAX);
	struct wire_head head = {message->type, message->slot, message->arg,
	    message->len, message->n_fds};
	struct iovec parts[2] = {
	    {&head, sizeof(head)},
	    {(void *)(uintptr_t)message->body, message->len},
	};
	_Alignas(struct cmsghdr)
	    uint8_t control[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))] = {0};
	struct msghdr header = {.msg_iov = parts, .msg_iovlen = 2};
	if (message->n_fds > 0) {
		header.msg_control = control;
		header.msg_controllen =
		    CMSG_SPACE(message->n_fds * sizeof(int));
		put_fds(&header, message);
	}
	ssize_t n;
	do
		n = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return CHANNEL_OK;
	/* ENOBUFS and ETOOMANYREFS pass, too: descriptors are in flight. */
	bool passes = errno == EAGAIN || errno == EWOULDBLOCK ||
		      errno == ENOBUFS || errno == ETOOMANYREFS;
	return passes ? CHANNEL_AGAIN : CHANNEL_CLOSED;
}

/* Takes every descriptor that came, so that none is ever leaked; those there
 * is no place for are closed, and false is returned. */
static bool
take_fds(struct msghdr *header, struct message *message)
{
	bool fit = true;
	struct cmsghdr *control = CMSG_FIRSTHDR(header);
	for (; control != NULL; control = CMSG_NXTHDR(header, control)) {
		if (control->cmsg_level != SOL_SOCKET ||
		    control->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(control) + i * sizeof(int),
			    sizeof(fd));
			if (message->n_fds < CHANNEL_FDS_MAX) {
				message->fds[message->n_fds++] = fd;
				continue;
			}
			close(fd);
			fit = false;
		}
	}
	return fit;
}

static bool
is_whole(const struct wire_head *head, const struct message *message,
    const struct msghdr *header, size_t n)
{
	return (header->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 &&
	       n >= sizeof(*head) && head->len <= CHANNEL_BODY_MAX &&
	       n == sizeof(*head) + head->len && head->n_fds == message->n_fds;
}

enum channel_result
channel_recv(int fd, struct message *out_message)
{
	struct wire_head head = {0};
	struct iovec parts[2] = {
	    {&head, sizeof(head)},
	    {out_message->body, CHANNEL_BODY_MAX},
	};
	_Alignas(struct cmsghdr)
	    uint8_t control[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
	struct msghdr header = {.msg_iov = parts,
	    .msg_iovlen = 2,
	    .msg_control = control,
	    .msg_controllen = sizeof(control)};
	ssize_t n;
	do
		n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	out_message->len = 0;
	out_message->n_fds = 0;
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? CHANNEL_AGAIN
							       : CHANNEL_CLOSED;
	bool fit = take_fds(&header, out_message);
	if (!fit || !is_whole(&head, out_message, &header, (size_t)n)) {
		message_close_fds(out_message);
		return CHANNEL_CLOSED;
	}
	out_message->type = head.type;
	out_message->slot = head.slot;
	out_message->arg = head.arg;
	out_message->len = head.len;
	return CHANNEL_OK;
}

enum channel_result
channel_read(int fd, uint32_t budget, channel_take *take, void *arg)
{
	struct message message;
	bool going = true;
	for (; going && budget > 0; budget--) {
		enum channel_result result = channel_recv(fd, &message);
		if (result != CHANNEL_OK)
			return result;
		going = take(arg, &message);
		message_close_fds(&message);
	}
	return CHANNEL_OK;
}

void
message_close_fds(struct message *message)
{
	for (uint32_t i = 0; i < message->n_fds; i++)
		close(message->fds[i]);
	message->n_fds = 0;
}

int
message_take_fd(struct message *message)
{
	if (message->n_fds == 0)
		return -1;
	int fd = message->fds[0];
	message->n_fds--;
	memmove(message->fds, message->fds + 1,
	    message->n_fds * sizeof(message->fds[0]));
	return fd;
}
