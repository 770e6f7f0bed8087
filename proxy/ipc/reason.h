/* SPDX-License-Identifier: ISC */
/* How a connection ended: the words of the log and of the counters. */
#ifndef IPC_REASON_H
#define IPC_REASON_H

#include <stdint.h>

#define END_REASONS(X)                                                     \
	X(NONE, "none")                                                    \
	X(CLOSED, "closed")	  /* as its protocol says */               \
	X(TRUNCATED, "truncated") /* FIN without close_notify */           \
	X(RESET, "reset")	  /* reset, or a TCP time-out */           \
	X(LOGOUT, "logout")	  /* before login */                       \
	X(TIMEOUT_PROXY, "timeout_proxy")                                  \
	X(TIMEOUT_HANDSHAKE, "timeout_handshake")                          \
	X(TIMEOUT_PREAUTH, "timeout_preauth")                              \
	X(TIMEOUT_IDLE, "timeout_idle")                                    \
	X(TLS, "tls") /* the log has the TLS failure's own word instead */ \
	X(PROXY_HEADER, "proxy_header")                                    \
	X(DENIED, "denied") /* allow or deny, behind a header */           \
	X(BANNED, "banned")                                                \
	X(LIMIT_CONNECTIONS, "connections_per_ip")                         \
	X(LIMIT_PREAUTH, "preauth_per_ip")                                 \
	X(LIMIT_RATE, "connect_rate")                                      \
	X(LIMIT_TABLE, "table_full")                                       \
	X(BAD_COMMANDS, "bad_commands")                                    \
	X(TOO_LONG, "too_long")                                            \
	X(HTTP, "http_in_tls")                                             \
	X(LOGIN_ATTEMPTS, "login_attempts")                                \
	X(POOL_DOWN, "pool_down")                                          \
	X(SHED, "shed")                                                    \
	X(DRAIN, "drain")                                                  \
	X(KICKED, "kicked")                                                \
	X(MEMORY, "memory")                                                \
	X(INTERNAL, "internal")

enum end_reason {
#define X(name, text) REASON_##name,
	END_REASONS(X)
#undef X
	REASON_MAX
};

/* "unknown" for a value that is none. */
const char *end_reason_name(uint8_t reason);

#endif
