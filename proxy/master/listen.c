/* SPDX-License-Identifier: ISC */
/*
 * See listen.h. The index that the program returns is the order in which the
 * sockets of a group began to listen (measured), so slots listen in order and
 * none is closed while others are open. Called by the master.
 */
#include "proxy/master/listen.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/ensure.h"

/* Connections wait here while a worker is replaced; the kernel cuts it to
 * net.core.somaxconn. */
#define BACKLOG 4096

static bool
set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

static bool
set_options(int fd, const struct addr *addr, bool shared)
{
	/* TCP_NODELAY is inherited by accepted sockets. */
	return set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
	       (!shared || set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
	       set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) &&
	       (addr->family != ADDR_IPV6 ||
		   set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1));
}

/* shared: with SO_REUSEPORT. */
static int
bound_socket(const struct addr *addr, bool shared)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(addr, &sa);
	int fd = socket(sa.ss_family,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	if (fd < 0)
		return -1;
	if (set_options(fd, addr, shared) &&
	    bind(fd, (const struct sockaddr *)&sa, len) == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* Without SO_REUSEPORT bind fails when anybody listens: a second instance
 * would silently join our group and take half of the clients. */
static bool
is_free(const struct addr *addr)
{
	int fd = bound_socket(addr, false);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

static bool
open_group(const struct addr *addr, uint32_t n_slots, int *fds)
{
	if (!is_free(addr))
		return false;
	for (uint32_t i = 0; i < n_slots; i++) {
		fds[i] = bound_socket(addr, true);
		if (fds[i] < 0 || listen(fds[i], BACKLOG) != 0)
			return false;
	}
	return true;
}

static void
collect_addresses(struct listeners *listeners, const struct config *config)
{
	for (uint32_t i = 0; i < config->listens.n; i++) {
		const struct config_listen *listen =
		    config_listen_at(config, i);
		const struct addr *addresses =
		    config_items(config, listen->addresses);
		for (uint32_t k = 0; k < listen->addresses.n; k++) {
			ENSURE(listeners->n_addresses < CONFIG_MAX_LISTENERS);
			listeners->addresses[listeners->n_addresses++] =
			    (struct listen_address){addresses[k], i};
		}
	}
}

bool
listeners_open(struct listeners *listeners, const struct config *config,
    char out_why[LISTEN_WHY_MAX])
{
	*listeners = (struct listeners){.n_slots = config->gateway.workers};
	ENSURE(listeners->n_slots <= CONFIG_WORKERS_MAX);
	collect_addresses(listeners, config);
	size_t n = (size_t)listeners->n_addresses * listeners->n_slots;
	listeners->fds = malloc((n == 0 ? 1 : n) * sizeof(int));
	ENSURE(listeners->fds != NULL);
	for (size_t i = 0; i < n; i++)
		listeners->fds[i] = -1;
	for (uint32_t i = 0; i < listeners->n_addresses; i++) {
		const struct addr *addr = &listeners->addresses[i].addr;
		if (open_group(addr, listeners->n_slots,
			listeners->fds + (size_t)i * listeners->n_slots))
			continue;
		char text[ADDR_TEXT_MAX];
		snprintf(out_why, LISTEN_WHY_MAX, "%s: %s",
		    addr_text(addr, text),
		    errno == EADDRINUSE ? "address in use" : strerror(errno));
		listeners_close(listeners);
		return false;
	}
	return true;
}

void
listeners_close(struct listeners *listeners)
{
	size_t n = (size_t)listeners->n_addresses * listeners->n_slots;
	for (size_t i = 0; listeners->fds != NULL && i < n; i++)
		if (listeners->fds[i] >= 0)
			close(listeners->fds[i]);
	free(listeners->fds);
	*listeners = (struct listeners){0};
}

int
listeners_fd(const struct listeners *listeners, uint32_t address, uint32_t slot)
{
	ENSURE(address < listeners->n_addresses && slot < listeners->n_slots);
	return listeners->fds[(size_t)address * listeners->n_slots + slot];
}

/* A = random mod n; then, for every live slot but the last, "if A is its place
 * return its slot", then "return the last". */
static unsigned short
write_program(const uint32_t *slots, uint32_t n,
    struct sock_filter out_code[2 * CONFIG_WORKERS_MAX + 1])
{
	unsigned short len = 0;
	out_code[len++] = (struct sock_filter)BPF_STMT(
	    BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM));
	out_code[len++] =
	    (struct sock_filter)BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, n);
	for (uint32_t i = 0; i + 1 < n; i++) {
		out_code[len++] = (struct sock_filter)BPF_JUMP(
		    BPF_JMP | BPF_JEQ | BPF_K, i, 0, 1);
		out_code[len++] =
		    (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, slots[i]);
	}
	out_code[len++] =
	    (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, slots[n - 1]);
	return len;
}

bool
listeners_steer(const struct listeners *listeners, const bool *live)
{
	uint32_t slots[CONFIG_WORKERS_MAX];
	uint32_t n = 0;
	for (uint32_t i = 0; i < listeners->n_slots; i++)
		if (live[i])
			slots[n++] = i;
	if (n == 0)
		return true;
	struct sock_filter code[2 * CONFIG_WORKERS_MAX + 1];
	struct sock_fprog program = {write_program(slots, n, code), code};
	bool done = true;
	for (uint32_t i = 0; i < listeners->n_addresses; i++)
		if (setsockopt(listeners_fd(listeners, i, 0), SOL_SOCKET,
			SO_ATTACH_REUSEPORT_CBPF, &program,
			sizeof(program)) != 0)
			done = false;
	return done;
}
