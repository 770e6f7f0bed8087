/* SPDX-License-Identifier: ISC */
/*
 * See control.h. A client owns two libuv handles; it is freed by the close
 * callback of the last one. Its life: read until LF, run, write in chunks,
 * close. Reading goes on while writing only to notice that it went away.
 */
#include "proxy/observer/control.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/observer/command.h"

#define ACCEPT_BUDGET 16

struct control_client {
	struct control *control;
	struct list_link link; /* in waiting, while it is */
	uint64_t number;
	uint32_t uid;
	uv_pipe_t pipe;
	uv_timer_t timer;
	unsigned int n_handles;
	size_t request_len;
	bool answered;
	struct reply reply;
	size_t sent;
	uv_write_t write;
	char request[CONTROL_REQUEST_MAX];
};

static void
on_closed(uv_handle_t *handle)
{
	struct control_client *client = handle->data;
	if (--client->n_handles > 0)
		return;
	client->control->n_clients--;
	free(client->reply.data);
	free(client);
}

static void
close_client(struct control_client *client)
{
	if (uv_is_closing((uv_handle_t *)&client->pipe))
		return;
	list_remove(&client->link);
	uv_close((uv_handle_t *)&client->pipe, on_closed);
	uv_close((uv_handle_t *)&client->timer, on_closed);
}

static void
on_timeout(uv_timer_t *timer)
{
	close_client(timer->data);
}

static void write_chunk(struct control_client *client);

static void
on_written(uv_write_t *write, int status)
{
	struct control_client *client = write->handle->data;
	if (status != 0 || client->sent == client->reply.len)
		close_client(client);
	else
		write_chunk(client);
}

static void
write_chunk(struct control_client *client)
{
	size_t left = client->reply.len - client->sent;
	size_t n = left < CONTROL_CHUNK ? left : CONTROL_CHUNK;
	uv_buf_t buf = uv_buf_init(
	    (char *)client->reply.data + client->sent, (unsigned int)n);
	client->sent += n;
	uv_timer_start(&client->timer, on_timeout, CONTROL_TIMEOUT_MS, 0);
	if (uv_write(&client->write, (uv_stream_t *)&client->pipe, &buf, 1,
		on_written) != 0)
		close_client(client);
}

static void
send_reply(struct control_client *client)
{
	if (client->reply.len == 0)
		close_client(client);
	else
		write_chunk(client);
}

static void
answer(struct control_client *client, size_t len)
{
	client->answered = true;
	if (len > 0 && client->request[len - 1] == '\r')
		len--;
	struct command command = client->control->command;
	command.uid = client->uid;
	command.number = client->number;
	enum command_result result = command_run(
	    &command, span_of(client->request, len), &client->reply);
	if (result != COMMAND_WAITS) {
		send_reply(client);
		return;
	}
	list_append(&client->control->waiting, &client->link);
	uv_timer_start(&client->timer, on_timeout, CONTROL_ASKED_MS, 0);
}

void
control_reply(struct control *control, const struct message *message)
{
	struct list_link *it;
	list_for_each (it, &control->waiting) {
		struct control_client *client =
		    list_entry(it, struct control_client, link);
		if (client->number != message->arg)
			continue;
		if (command_go_on(message, &client->reply)) {
			list_remove(&client->link);
			send_reply(client);
		}
		return;
	}
}

static void
refuse(struct control_client *client, const char *text)
{
	client->answered = true;
	command_error(&client->reply, text);
	send_reply(client);
}

/* Never empty: what follows the request line is read over its start. */
static void
on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	(void)suggested;
	struct control_client *client = handle->data;
	size_t used = client->answered ? 0 : client->request_len;
	*buf = uv_buf_init(client->request + used,
	    (unsigned int)(sizeof(client->request) - used));
}

static void
on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	(void)buf;
	struct control_client *client = stream->data;
	/* A half-closed client (`nc -N`) still wants its answer. */
	if (n == UV_EOF && client->answered) {
		uv_read_stop(stream);
		return;
	}
	if (n < 0) {
		close_client(client);
		return;
	}
	if (client->answered)
		return;
	client->request_len += (size_t)n;
	char *end = memchr(client->request, '\n', client->request_len);
	if (end != NULL)
		answer(client, (size_t)(end - client->request));
	else if (client->request_len == sizeof(client->request))
		refuse(client, "the request is too long");
}

/* Nobody's when the kernel doesn't say. */
static uint32_t
uid_of(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0)
		return UINT32_MAX;
	return peer.uid;
}

static void
start_client(struct control *control, int fd)
{
	struct control_client *client = calloc(1, sizeof(*client));
	if (client == NULL) {
		close(fd);
		return;
	}
	client->control = control;
	client->number = ++control->command.number;
	client->uid = uid_of(fd);
	list_init(&client->link);
	client->n_handles = 2;
	control->n_clients++;
	uv_pipe_init(control->loop, &client->pipe, 0);
	uv_timer_init(control->loop, &client->timer);
	client->pipe.data = client->timer.data = client;
	uv_timer_start(&client->timer, on_timeout, CONTROL_TIMEOUT_MS, 0);
	if (uv_pipe_open(&client->pipe, fd) != 0) {
		close(fd);
		close_client(client);
		return;
	}
	if (uv_read_start((uv_stream_t *)&client->pipe, on_alloc, on_read) != 0)
		close_client(client);
}

/* Not uv_listen(): when descriptors run out it closes the whole backlog. */
static void
on_connection(uv_poll_t *poll, int status, int events)
{
	struct control *control = poll->data;
	(void)events;
	if (status != 0)
		return;
	for (int i = 0; i < ACCEPT_BUDGET; i++) {
		struct sockaddr_storage peer; /* not looked at */
		socklen_t len = sizeof(peer);
		int fd = accept4(control->fd, (struct sockaddr *)&peer, &len,
		    SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		if (control->n_clients < CONTROL_CLIENTS_MAX)
			start_client(control, fd);
		else
			close(fd);
	}
}

void
control_init(
    struct control *control, uv_loop_t *loop, const struct command *common)
{
	*control = (struct control){.loop = loop, .fd = -1, .command = *common};
	list_init(&control->waiting);
}

bool
control_listen(struct control *control, int fd)
{
	if (control->fd >= 0 ||
	    uv_poll_init(control->loop, &control->listener, fd) != 0) {
		close(fd);
		return false;
	}
	control->fd = fd;
	control->listener.data = control;
	uv_poll_start(&control->listener, UV_READABLE, on_connection);
	return true;
}
