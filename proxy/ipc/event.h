/* SPDX-License-Identifier: ISC */
/*
 * Events: what roles tell the observer, which alone formats, escapes and
 * writes. One datagram-like message per event on a SOCK_SEQPACKET socket;
 * never a wait: a full socket drops the event, and the sender counts it.
 *
 * Wire form: struct event_head, then fields {uint8_t field; uint8_t type;
 * uint16_t len; octets}. Text is raw octets as a peer sent them, truncated to
 * EVENT_TEXT_MAX with the field's `truncated` bit.
 */
#ifndef IPC_EVENT_H
#define IPC_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/addr.h"
#include "proxy/base/span.h"

#define EVENT_MAX	4096
#define EVENT_BATCH_MAX 16384 /* of a message */
#define EVENT_TEXT_MAX	512

/* kind, name in the log, level */
#define EVENT_KINDS(X)                                              \
	X(SESSION, "session", INFO) /* a session ended */           \
	X(LOGIN, "login", INFO)	    /* a verdict */                 \
	X(REFUSED, "refused", INFO) /* before TLS */                \
	X(BAN, "ban", WARN)	    /* after failed logins */       \
	X(LOGIN_NEW_PREFIX, "login_new_prefix", INFO)               \
	X(SUMMARY, "summary", INFO) /* of events left out */        \
	X(BACKEND, "backend", WARN) /* a change of state */         \
	X(CERTIFICATE, "certificate", WARN)                         \
	X(RELOAD, "reload", INFO)                                   \
	X(ROLE, "role", WARN)	     /* started, died, replaced */  \
	X(GATEWAY, "gateway", INFO)  /* start, drain, stop */       \
	X(PROBLEM, "problem", ERROR) /* one configuration error */  \
	X(WARNING, "warning", WARN)                                 \
	X(CONTROL, "control", INFO) /* audit: a change by hand */   \
	X(DROPPED, "dropped", WARN) /* events lost, with a count */ \
	X(DEBUG, "debug", DEBUG)    /* another state */

enum event_kind {
#define X(kind, name, level) EVENT_##kind,
	EVENT_KINDS(X)
#undef X
	EVENT_KIND_MAX
};

/* clang-format off */
/* field, name in the log */
#define EVENT_FIELDS(X)                                                        \
	X(ID, "id") X(LISTENER, "listener") X(PEER, "peer") X(SNI, "sni")      \
	X(TLS, "tls") X(CIPHER, "cipher") X(GROUP, "group")                    \
	X(RESUMED, "resumed") X(ALPN, "alpn") X(ALERT, "alert")                \
	X(USER, "user") X(MECHANISM, "mechanism") X(BACKEND, "backend")        \
	X(POOL, "pool") X(ADDRESS, "address") X(VERDICT, "verdict")            \
	X(CODE, "code") X(BYTES_IN, "in") X(BYTES_OUT, "out")                  \
	X(DURATION_MS, "duration_ms") X(WHO, "who") X(WHY, "why")              \
	X(STATE, "state") X(FROM, "from") X(ROLE, "role") X(SLOT, "slot")      \
	X(PID, "pid") X(STATUS, "status") X(SIGNAL, "signal")                  \
	X(COUNT, "count") X(TEXT, "text") X(NAME, "name")                      \
	X(CLIENT_NAME, "client_name") X(CLIENT_VERSION, "client_version")      \
	X(CLIENT_OS, "client_os") X(GENERATION, "generation")                  \
	X(LATENCY_MS, "latency_ms") X(DAYS, "days") X(UID, "uid")              \
	X(COMMAND, "command") X(ATTEMPT, "attempt") X(VERSION, "version")      \
	X(CLIENT_CERT, "client_cert") X(OBSERVED, "observed")
/* clang-format on */

enum event_field {
#define X(field, name) FIELD_##field,
	EVENT_FIELDS(X)
#undef X
	EVENT_FIELD_MAX
};

enum event_type {
	TYPE_U64 = 1,
	TYPE_TEXT,
	TYPE_ADDR,
	TYPE_BOOL
};

struct event_head {
	uint32_t layout; /* IPC_LAYOUT */
	uint16_t kind;
	uint8_t level; /* enum config_log_level */
	uint8_t zero;
	uint64_t realtime_us; /* CLOCK_REALTIME */
};

/* As it is in a message, which holds one or several. */
struct event {
	uint16_t len;
	uint8_t data[EVENT_MAX];
};

void event_begin(struct event *event, enum event_kind kind);
/* The same with another level than the kind's own. */
void event_begin_level(struct event *event, enum event_kind kind, int level);
void event_u64(struct event *event, enum event_field field, uint64_t value);
void event_bool(struct event *event, enum event_field field, bool value);
/* Empty text is left out. */
void event_text(struct event *event, enum event_field field, struct span text);
/* The same when the caller has cut it already. */
void event_text_cut(
    struct event *event, enum event_field field, struct span text, bool is_cut);
void event_str(struct event *event, enum event_field field, const char *text);
void event_addr(
    struct event *event, enum event_field field, const struct addr *addr);

/* False: dropped (socket full, closed, or fd is -1). */
bool event_send(int fd, const struct event *event);

/* Takes the next event off what is left of a message. False: none is left, or
 * (then the rest is not empty) it is malformed. */
bool event_take(struct span *message, struct span *out_event);

/* Reading, with every length checked; false at the end or when malformed. */
struct event_value {
	enum event_field field;
	enum event_type type;
	bool truncated;
	uint64_t number;
	struct span text;
	struct addr addr;
};
struct event_reader {
	struct event_head head;
	struct span rest;
	bool malformed;
};
bool event_reader_init(struct event_reader *reader, struct span event);
bool event_reader_next(struct event_reader *reader, struct event_value *out);

const char *event_kind_name(enum event_kind kind);
const char *event_field_name(enum event_field field);

#endif
