/* SPDX-License-Identifier: ISC */
/*
 * The sockets and TLS of the load generator. All connections share one BIO
 * and two slabs: a readable event costs one recv, an answer one send. Events
 * are edge triggered, so that a connection costs one epoll_ctl in its life.
 *
 * Invariant: between two events both slabs are empty; what the kernel
 * refused is the slot's own. A slot is never dialled inside a callback, so
 * slot->ssl == NULL after one means that it was closed in it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <netinet/tcp.h>

#include "proxy/base/ensure.h"
#include "test/bench/load/client.h"

#define CHUNK_LEN   16384
#define SOURCE_BASE 0x7f010001u /* 127.1.0.1 and up */

uint64_t
load_clock_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- the BIO over the slabs ---- */

static int
slab_read(BIO *bio, char *to, int len)
{
	struct load *l = BIO_get_data(bio);
	size_t n = l->in_len - l->in_pos;
	BIO_clear_retry_flags(bio);
	if (n == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if (n > (size_t)len)
		n = (size_t)len;
	memcpy(to, l->in + l->in_pos, n);
	l->in_pos += n;
	return (int)n;
}

static int
slab_write(BIO *bio, const char *from, int len)
{
	struct load *l = BIO_get_data(bio);
	ENSURE((size_t)len <= sizeof(l->out) - l->out_len);
	memcpy(l->out + l->out_len, from, (size_t)len);
	l->out_len += (size_t)len;
	return len;
}

static long
slab_ctrl(BIO *bio, int cmd, long arg, void *ptr)
{
	(void)bio, (void)arg, (void)ptr;
	return cmd == BIO_CTRL_FLUSH;
}

static BIO *
slab_bio(struct load *l)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "slabs");
	if (!method)
		return NULL;
	BIO_meth_set_read(method, slab_read);
	BIO_meth_set_write(method, slab_write);
	BIO_meth_set_ctrl(method, slab_ctrl);
	BIO *bio = BIO_new(method);
	if (bio) {
		BIO_set_data(bio, l);
		BIO_set_init(bio, 1);
	}
	return bio;
}

/* ---- the TLS context ---- */

static enum ssl_verify_result_t
accept_any(SSL *ssl, uint8_t *out_alert)
{
	(void)ssl, (void)out_alert;
	return ssl_verify_ok;
}

static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct slot *s = SSL_get_app_data(ssl);
	SSL_SESSION_free(s->session);
	s->session = session;
	return 1;
}

bool
client_init(struct load *l)
{
	static const uint8_t imap[] = "\4imap";
	const struct load_options *o = l->o;
	l->ctx = SSL_CTX_new(TLS_with_buffers_method());
	l->bio = slab_bio(l);
	if (!l->ctx || !l->bio)
		return false;
	SSL_CTX_set_custom_verify(l->ctx, SSL_VERIFY_PEER, accept_any);
	SSL_CTX_set_session_cache_mode(l->ctx, SSL_SESS_CACHE_OFF);
	if (o->mode == MODE_RESUMED) {
		SSL_CTX_set_session_cache_mode(
		    l->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(l->ctx, keep_session);
	}
	if (o->alpn && SSL_CTX_set_alpn_protos(l->ctx, imap, 5) != 0)
		return false;
	return SSL_CTX_set_min_proto_version(l->ctx, o->min_version) &&
	       SSL_CTX_set_max_proto_version(l->ctx, o->max_version) &&
	       SSL_CTX_set1_curves_list(l->ctx, o->groups) &&
	       (!o->sigalgs || SSL_CTX_set1_sigalgs_list(l->ctx, o->sigalgs));
}

static bool
start_tls(struct load *l, struct slot *s)
{
	s->ssl = SSL_new(l->ctx);
	if (!s->ssl)
		return false;
	BIO_up_ref(l->bio);
	BIO_up_ref(l->bio);
	SSL_set_bio(s->ssl, l->bio, l->bio);
	SSL_set_app_data(s->ssl, s);
	SSL_set_connect_state(s->ssl);
	SSL_set_shed_handshake_config(s->ssl, 1);
	if (s->session)
		SSL_set_session(s->ssl, s->session);
	return !l->o->sni || SSL_set_tlsext_host_name(s->ssl, l->o->sni);
}

/* ---- opening and closing ---- */

static bool
bind_source(struct load *l, int fd)
{
	const struct sockaddr_in *to = (const void *)&l->o->address;
	if (to->sin_family != AF_INET || l->o->sources < 1 ||
	    ntohl(to->sin_addr.s_addr) >> 24 != 127)
		return true;
	uint64_t i = l->n_connects * (uint64_t)l->o->processes;
	i += (uint64_t)l->process;
	struct sockaddr_in from = {.sin_family = AF_INET};
	uint32_t host = (uint32_t)(i % (uint64_t)l->o->sources);
	from.sin_addr.s_addr = htonl(SOURCE_BASE + host);
	int one = 1;
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	return bind(fd, (struct sockaddr *)&from, sizeof(from)) == 0;
}

void
client_open(struct load *l, struct slot *s)
{
	const struct sockaddr *to = (const void *)&l->o->address;
	int one = 1;
	ENSURE(s->state == SLOT_CLOSED);
	s->state = SLOT_CONNECTING;
	s->phase = PHASE_GREETING;
	s->failed = false;
	s->line_len = 0;
	s->literal_left = s->send_left = 0;
	s->deadline_ns = load_clock_ns();
	s->deadline_ns += (uint64_t)(l->o->timeout * 1e9);
	s->fd = socket(
	    to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct epoll_event ev = {
	    .data.ptr = s, .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
	if (s->fd < 0 || !bind_source(l, s->fd)) {
		client_fail(l, s, ERROR_SOCKET);
		return;
	}
	l->n_connects++;
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(s->fd, to, l->o->address_len) < 0 && errno != EINPROGRESS)
		client_fail(l, s,
		    errno == EADDRNOTAVAIL ? ERROR_SOCKET : ERROR_CONNECT);
	else if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, s->fd, &ev) < 0)
		client_fail(l, s, ERROR_SOCKET);
}

static void
release(struct load *l, struct slot *s)
{
	SSL_free(s->ssl);
	s->ssl = NULL;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	free(s->owed);
	s->owed = NULL;
	s->state = SLOT_CLOSED;
	s->deadline_ns = 0;
	l->in_pos = l->in_len = l->out_len = 0;
}

void
client_close(struct load *l, struct slot *s)
{
	if (s->state == SLOT_OPEN && !s->owed) {
		l->out_len = 0;
		SSL_shutdown(s->ssl);
		/* Best effort: nobody waits for what comes after it. */
		ssize_t n = send(s->fd, l->out, l->out_len, MSG_NOSIGNAL);
		(void)n;
	}
	release(l, s);
}

void
client_fail(struct load *l, struct slot *s, enum load_error why)
{
	release(l, s);
	if (!l->over)
		l->result->errors[why]++;
	mode_on_closed(l, s);
}

/* ---- sending ---- */

static bool
keep_owed(struct load *l, struct slot *s, size_t sent)
{
	size_t kept = s->owed ? s->owed_len - s->owed_pos : 0;
	size_t more = l->out_len - sent;
	char *both = malloc(kept + more);
	if (!both)
		return false;
	if (kept > 0)
		memcpy(both, s->owed + s->owed_pos, kept);
	memcpy(both + kept, l->out + sent, more);
	free(s->owed);
	s->owed = both;
	s->owed_len = kept + more;
	s->owed_pos = 0;
	l->out_len = 0;
	return true;
}

static bool
write_owed(struct slot *s)
{
	while (s->owed && s->owed_pos < s->owed_len) {
		ssize_t n = send(s->fd, s->owed + s->owed_pos,
		    s->owed_len - s->owed_pos, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN;
		s->owed_pos += (size_t)n;
	}
	free(s->owed);
	s->owed = NULL;
	return true;
}

static bool
flush(struct load *l, struct slot *s)
{
	if (l->out_len == 0)
		return true;
	if (s->owed)
		return keep_owed(l, s, 0);
	ssize_t n = send(s->fd, l->out, l->out_len, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN)
		return false;
	size_t sent = n < 0 ? 0 : (size_t)n;
	if (sent < l->out_len)
		return keep_owed(l, s, sent);
	l->out_len = 0;
	return true;
}

void
client_send(struct load *l, struct slot *s, const char *text, size_t len)
{
	if (SSL_write(s->ssl, text, (int)len) != (int)len)
		client_fail(l, s, ERROR_TLS);
	else if (!flush(l, s))
		client_fail(l, s, ERROR_RESET);
}

void
client_send_body(struct load *l, struct slot *s)
{
	static const char filler[CHUNK_LEN];
	while (s->send_left > 0 && !s->owed) {
		while (s->send_left > 0 && l->out_len <= 3 * CHUNK_LEN) {
			size_t n = s->send_left < CHUNK_LEN
				       ? (size_t)s->send_left
				       : CHUNK_LEN;
			if (SSL_write(s->ssl, filler, (int)n) != (int)n) {
				client_fail(l, s, ERROR_TLS);
				return;
			}
			s->send_left -= n;
			if (l->measuring && !l->over)
				l->result->bytes += n;
		}
		if (s->send_left == 0)
			SSL_write(s->ssl, "\r\n", 2);
		if (!flush(l, s)) {
			client_fail(l, s, ERROR_RESET);
			return;
		}
	}
}

/* ---- receiving ---- */

static uint64_t
literal_len(const char *line, size_t len)
{
	const char *open = memrchr(line, '{', len);
	if (len < 3 || line[len - 1] != '}' || !open)
		return 0;
	return strtoull(open + 1, NULL, 10);
}

static void
end_line(struct load *l, struct slot *s)
{
	if (s->line_len > 0 && s->line[s->line_len - 1] == '\r')
		s->line_len--;
	s->line[s->line_len] = '\0';
	s->literal_left = literal_len(s->line, s->line_len);
	mode_on_line(l, s);
	s->line_len = 0;
}

/* Splits what came into lines and literals. */
static void
feed(struct load *l, struct slot *s, const char *p, size_t len)
{
	while (len > 0 && s->ssl) {
		size_t n = len;
		if (s->literal_left > 0) {
			if (n > s->literal_left)
				n = (size_t)s->literal_left;
			s->literal_left -= n;
			if (l->measuring && !l->over)
				l->result->bytes += n;
		} else {
			const char *lf = memchr(p, '\n', len);
			if (lf)
				n = (size_t)(lf - p) + 1;
			/* The tail of a long line is of no interest. */
			size_t room = sizeof(s->line) - 1 - s->line_len;
			size_t text = lf ? n - 1 : n;
			size_t kept = text < room ? text : room;
			memcpy(s->line + s->line_len, p, kept);
			s->line_len = (uint16_t)(s->line_len + kept);
			if (lf)
				end_line(l, s);
		}
		p += n;
		len -= n;
	}
}

static void
read_plain(struct load *l, struct slot *s)
{
	char buf[CHUNK_LEN];
	while (s->ssl) {
		int n = SSL_read(s->ssl, buf, sizeof(buf));
		if (n > 0) {
			feed(l, s, buf, (size_t)n);
			continue;
		}
		int why = SSL_get_error(s->ssl, n);
		if (why == SSL_ERROR_WANT_READ) {
			/* TLS may have answered something on its own. */
			if (!flush(l, s))
				client_fail(l, s, ERROR_RESET);
			return;
		}
		client_fail(l, s,
		    why == SSL_ERROR_ZERO_RETURN ? ERROR_CLOSED : ERROR_TLS);
	}
}

static void
shake_hands(struct load *l, struct slot *s)
{
	int n = SSL_do_handshake(s->ssl);
	int why = SSL_get_error(s->ssl, n);
	if (!flush(l, s)) {
		client_fail(l, s, ERROR_RESET);
	} else if (n == 1) {
		s->state = SLOT_OPEN;
		mode_on_open(l, s);
	} else if (why != SSL_ERROR_WANT_READ) {
		client_fail(l, s, ERROR_TLS);
	}
}

static void
drive(struct load *l, struct slot *s)
{
	if (s->state == SLOT_HANDSHAKE)
		shake_hands(l, s);
	if (s->state == SLOT_OPEN)
		read_plain(l, s);
}

static void
on_connected(struct load *l, struct slot *s)
{
	int error = 0;
	socklen_t len = sizeof(error);
	getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error) {
		client_fail(l, s, ERROR_CONNECT);
		return;
	}
	s->state = SLOT_HANDSHAKE;
	if (start_tls(l, s))
		shake_hands(l, s);
	else
		client_fail(l, s, ERROR_TLS);
}

static void
on_readable(struct load *l, struct slot *s, bool ending)
{
	bool more = true;
	while (more && s->ssl) {
		ssize_t n = recv(s->fd, l->in, sizeof(l->in), 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			client_fail(l, s, n ? ERROR_RESET : ERROR_CLOSED);
			return;
		}
		l->in_pos = 0;
		l->in_len = (size_t)n;
		drive(l, s);
		/* A short read has emptied the socket, but for its end. */
		more = ending || (size_t)n == sizeof(l->in);
	}
}

void
client_on_event(struct load *l, struct slot *s, uint32_t events)
{
	if (s->state == SLOT_CLOSED)
		return;
	if (s->state == SLOT_CONNECTING) {
		if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
			on_connected(l, s);
		return;
	}
	if ((events & EPOLLOUT) && s->owed) {
		if (!write_owed(s)) {
			client_fail(l, s, ERROR_RESET);
			return;
		}
		if (!s->owed && s->send_left > 0)
			client_send_body(l, s);
	}
	if (s->ssl && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		on_readable(l, s, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}
