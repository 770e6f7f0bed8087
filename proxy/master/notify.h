/* SPDX-License-Identifier: ISC */
/*
 * What systemd wants to know (sd_notify(3)), without its library: datagrams
 * to the socket named by NOTIFY_SOCKET. Without one nothing is sent.
 */
#ifndef MASTER_NOTIFY_H
#define MASTER_NOTIFY_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
	int fd; /* -1: nobody asks */
	struct sockaddr_un to;
	socklen_t to_len;
	uint64_t watchdog_ms; /* between two signs of life; 0: not asked for */
	uint64_t next_ms;     /* CLOCK_MONOTONIC, of the next one */
};

/* Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment:
 * the roles must not speak for us. */
void notify_init(struct notify *notify);
void notify_fini(struct notify *notify);

/* Lines as of sd_notify(3), "READY=1\nSTATUS=..." */
__attribute__((format(printf, 2, 3))) void notify_send(
    struct notify *notify, const char *format, ...);

/* RELOADING=1 with the monotonic time that systemd asks for. */
void notify_reloading(struct notify *notify);

/* STOPPING=1, and that it may take this long. */
void notify_stopping(struct notify *notify, uint64_t at_most_ms);

/* Sends the sign of life when it is due; returns when the next one is
 * (UINT64_MAX: never). */
uint64_t notify_step(struct notify *notify, uint64_t now_ms);

#endif
