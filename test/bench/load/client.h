/* SPDX-License-Identifier: ISC */
/* The sockets and TLS of the load generator. */
#ifndef BENCH_LOAD_CLIENT_H
#define BENCH_LOAD_CLIENT_H

#include "test/bench/load/load.h"

/* Makes the TLS context; false when an option is not understood. */
bool client_init(struct load *l);

/* Dials; not for use inside a callback. Trouble ends in mode_on_closed(). */
void client_open(struct load *l, struct slot *s);

/* Sends close_notify and closes; counts nothing, calls nothing. */
void client_close(struct load *l, struct slot *s);

/* Counts the error, closes at once and calls mode_on_closed(). */
void client_fail(struct load *l, struct slot *s, enum load_error why);

/* Encrypts and sends; trouble ends in mode_on_closed(). */
void client_send(struct load *l, struct slot *s, const char *text, size_t len);

/* Sends what it can of slot->send_left octets, and CRLF after the last. */
void client_send_body(struct load *l, struct slot *s);

void client_on_event(struct load *l, struct slot *s, uint32_t events);

#endif
