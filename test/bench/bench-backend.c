/* SPDX-License-Identifier: ISC */
/*
 * A plaintext IMAP stand-in for benchmarks only: it accepts every login,
 * stores nothing and spends as little as it can on a connection, so that a
 * gateway in front of it is what is measured.
 *
 * "FETCH n ..." answers a literal of n KB; literals of any size are taken and
 * dropped. With -p a PROXY header (v1 or v2) comes before the first
 * command, and the greeting waits for it.
 *
 * One thread, one epoll. Input and output pass through two slabs that belong
 * to the loop; a connection holds memory only for a command that came in
 * parts and for answers that its peer has not taken yet. While answers are
 * owed nothing is read, so that a slow reader costs one slab at most.
 *
 * Run by the scripts in scripts/ that measure.
 */
/* needs: proxy/base/ensure.c test/bench/backend/ */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/ensure.h"
#include "test/bench/backend/imap.h"

#define EVENTS	256
#define BACKLOG 4096

/* ---- output ---- */

static bool
is_blocked(const struct conn *c)
{
	return c->owed || c->body_left > 0;
}

static bool
keep_owed(struct loop *l, struct conn *c, size_t sent)
{
	size_t rest = l->out_len - sent;
	l->out_len = 0;
	c->owed = malloc(rest);
	if (!c->owed)
		return false;
	memcpy(c->owed, l->out + sent, rest);
	c->owed_len = (uint32_t)rest;
	c->owed_pos = 0;
	return true;
}

static bool
write_owed(struct conn *c)
{
	while (c->owed_pos < c->owed_len) {
		ssize_t n = send(c->fd, c->owed + c->owed_pos,
		    c->owed_len - c->owed_pos, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		c->owed_pos += (uint32_t)n;
	}
	free(c->owed);
	c->owed = NULL;
	return true;
}

/* Writes the slab and as much of the body as the kernel takes. */
static bool
flush(struct loop *l, struct conn *c)
{
	if (c->owed && !write_owed(c))
		return false;
	if (c->owed)
		return true;
	for (;;) {
		imap_fill_body(l, c);
		if (l->out_len == 0)
			return true;
		ssize_t n = send(c->fd, l->out, l->out_len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		size_t sent = n < 0 ? 0 : (size_t)n;
		if (sent < l->out_len)
			return keep_owed(l, c, sent);
		l->out_len = 0;
	}
}

/* ---- connections ---- */

static void
arm(struct loop *l, struct conn *c)
{
	bool writes = is_blocked(c);
	if (writes == c->writes)
		return;
	struct epoll_event ev = {
	    .events = writes ? EPOLLOUT : EPOLLIN, .data.ptr = c};
	ENSURE(epoll_ctl(l->epoll, EPOLL_CTL_MOD, c->fd, &ev) == 0);
	c->writes = writes;
}

static void
conn_free(struct loop *l, struct conn *c)
{
	l->out_len = 0;
	close(c->fd);
	free(c->in);
	free(c->owed);
	free(c);
}

static bool
keep_input(struct conn *c, const char *p, size_t len)
{
	char *kept = NULL;
	if (len > 0) {
		kept = malloc(len);
		if (!kept)
			return false;
		memcpy(kept, p, len);
	}
	free(c->in);
	c->in = kept;
	c->in_len = (uint32_t)len;
	return true;
}

/* Consumes the input slab's first len octets, answering as it goes. */
static bool
serve(struct loop *l, struct conn *c, size_t len)
{
	size_t pos = 0;
	for (;;) {
		size_t n = 0;
		if (c->state == STATE_LOGOUT)
			return false;
		if (!is_blocked(c) && pos < len)
			n = imap_take(l, c, l->in + pos, len - pos);
		pos += n;
		bool full = l->out_len > sizeof(l->out) / 2;
		bool stop = n == 0 || c->body_left > 0;
		if ((full || stop || c->state == STATE_LOGOUT) && !flush(l, c))
			return false;
		if (n == 0 || is_blocked(c))
			break;
	}
	size_t rest = len - pos;
	if (!is_blocked(c) && rest >= LINE_MAX_LEN)
		return false;
	return (rest == 0 && !c->in) || keep_input(c, l->in + pos, rest);
}

static bool
on_readable(struct loop *l, struct conn *c)
{
	size_t kept = c->in_len;
	if (kept > 0)
		memcpy(l->in, c->in, kept);
	ssize_t n = read(c->fd, l->in + kept, sizeof(l->in) - kept);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	return n > 0 && serve(l, c, kept + (size_t)n);
}

static bool
on_writable(struct loop *l, struct conn *c)
{
	if (!flush(l, c))
		return false;
	if (is_blocked(c))
		return true;
	size_t kept = c->in_len;
	if (kept > 0)
		memcpy(l->in, c->in, kept);
	return kept == 0 || serve(l, c, kept);
}

static void
on_ready(struct loop *l, struct conn *c, uint32_t events)
{
	bool alive = !(events & (EPOLLERR | EPOLLHUP)) || !c->writes;
	if (alive)
		alive = c->writes ? on_writable(l, c) : on_readable(l, c);
	if (alive)
		arm(l, c);
	else
		conn_free(l, c);
}

static void
start_conn(struct loop *l, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	if (!c || epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		free(c);
		close(fd);
		return;
	}
	c->fd = fd;
	c->state = STATE_PROXY;
	if (l->proxy)
		return;
	imap_greet(l, c);
	if (flush(l, c))
		arm(l, c);
	else
		conn_free(l, c);
}

static void
accept_all(struct loop *l, int fd)
{
	for (;;) {
		int peer =
		    accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (peer >= 0) {
			start_conn(l, peer);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE) {
			fprintf(stderr, "bench-backend: out of descriptors\n");
			exit(1);
		}
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

/* ---- start ---- */

static void
listen_at(struct loop *l, const char *address, uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET};
	sin.sin_port = htons(port);
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct conn *c = calloc(1, sizeof(*c));
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	ENSURE(fd >= 0 && c);
	c->fd = fd;
	c->listens = true;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (inet_pton(AF_INET, address, &sin.sin_addr) != 1 ||
	    bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0 ||
	    listen(fd, BACKLOG) < 0 ||
	    epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		fprintf(stderr, "bench-backend: %s:%u: %s\n", address, port,
		    strerror(errno));
		exit(1);
	}
}

static void
run(struct loop *l)
{
	struct epoll_event events[EVENTS];
	for (;;) {
		int n = epoll_wait(l->epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;
			if (c->listens)
				accept_all(l, c->fd);
			else
				on_ready(l, c, events[i].events);
		}
	}
}

static void
raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static _Noreturn void
usage(void)
{
	fprintf(stderr, "usage: bench-backend [-p] [-a ADDRESS] [-n PORTS] "
			"PORT\n"
			"  -p  a PROXY header (v1 or v2) comes first\n"
			"  -n  listen on this many ports from PORT on\n");
	exit(2);
}

int
main(int argc, char **argv)
{
	const char *address = "127.0.0.1";
	long n_ports = 1;
	struct loop *l = calloc(1, sizeof(*l));
	ENSURE(l);
	for (int opt; (opt = getopt(argc, argv, "pa:n:")) != -1;) {
		if (opt == 'p')
			l->proxy = true;
		else if (opt == 'a')
			address = optarg;
		else if (opt == 'n')
			n_ports = strtol(optarg, NULL, 10);
		else
			usage();
	}
	long port = optind < argc ? strtol(argv[optind], NULL, 10) : 0;
	if (port < 1 || n_ports < 1 || port + n_ports > 65536)
		usage();
	raise_descriptors();
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	ENSURE(l->epoll >= 0);
	for (long i = 0; i < n_ports; i++)
		listen_at(l, address, (uint16_t)(port + i));
	printf("READY\n");
	fflush(stdout);
	run(l);
}
