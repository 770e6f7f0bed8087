/* SPDX-License-Identifier: ISC */
/*
 * The slot area: what one worker publishes. Written by that worker only (the
 * master clears gauges and records after waitpid), read by the observer.
 * Counters survive the process that wrote them.
 */
#ifndef IPC_SLOT_H
#define IPC_SLOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/addr.h"
#include "proxy/ipc/tally.h"

#define SLOT_COUNTERS(X)                                                     \
	X(accepted, "connections accepted")                                  \
	X(accept_errors, "accept(2) calls that failed")                      \
	X(refused_denied, "connections refused by deny")                     \
	X(refused_not_allowed, "connections refused by allow")               \
	X(refused_untrusted, "PROXY headers refused by proxy_from")          \
	X(refused_banned, "connections refused for a ban")                   \
	X(refused_connections, "connections refused by connections_per_ip")  \
	X(refused_preauth, "connections refused by preauth_per_ip")          \
	X(refused_rate, "connections refused by connect_rate_per_ip")        \
	X(refused_table, "connections refused for want of a table entry")    \
	X(observed, "refusals and delays that observe = on left out")        \
	X(table_overflows, "prefixes not counted for want of an entry")      \
	X(evictions, "prefixes and users whose entry another took")          \
	X(waited, "connections that had to wait for preauth_per_ip")         \
	X(handshakes_refused, "full handshakes refused by handshake_rate")   \
	X(logins_delayed, "logins delayed after failures")                   \
	X(logins_banned, "logins of banned prefixes that nobody was asked")  \
	X(bans, "bans after failed logins")                                  \
	X(new_prefixes, "logins of users from prefixes not seen before")     \
	X(proxy_bare, "connects without a PROXY header")                     \
	X(proxy_local, "PROXY headers that say LOCAL")                       \
	X(events_summed, "events that a summary stands for")                 \
	X(refused_memory, "connections refused for want of memory")          \
	X(shed, "connections before login closed to make room")              \
	X(handshakes_full, "full TLS handshakes finished")                   \
	X(handshakes_resumed, "resumed TLS handshakes finished")             \
	X(handshakes_tls12, "TLS 1.2 handshakes finished")                   \
	X(handshakes_tls13, "TLS 1.3 handshakes finished")                   \
	X(observed_version, "handshakes that observe_min_version refuses")   \
	X(observed_cipher, "handshakes that observe_ciphers refuses")        \
	X(client_certificates, "handshakes with a verified certificate")     \
	X(logins_ok, "logins that a backend accepted")                       \
	X(logins_failed, "logins that a backend refused as wrong")           \
	X(logins_refused, "logins that a backend refused for other reasons") \
	X(logins_unavailable, "logins answered UNAVAILABLE by the gateway")  \
	X(backend_connects, "connections made to backends")                  \
	X(backend_failures, "backend connections that failed before login")  \
	X(key_requests, "signatures asked of the keeper")                    \
	X(key_failures, "signatures refused by the keeper")                  \
	X(bytes_from_clients, "plaintext octets from clients")               \
	X(bytes_to_clients, "plaintext octets to clients")                   \
	X(sessions_ended, "sessions that ended")                             \
	X(events_dropped, "events that the observer did not take")           \
	X(loop_turns, "event loop wake-ups")

/* Those that were refused before TLS, or closed to make room: counter, why. */
#define SLOT_REFUSALS(X)                             \
	X(refused_denied, "denied")                  \
	X(refused_not_allowed, "not_allowed")        \
	X(refused_untrusted, "proxy_untrusted")      \
	X(refused_banned, "banned")                  \
	X(refused_connections, "connections_per_ip") \
	X(refused_preauth, "preauth_per_ip")         \
	X(refused_rate, "connect_rate")              \
	X(refused_table, "table_full")               \
	X(refused_memory, "memory")                  \
	X(shed, "shed")

#define SLOT_GAUGES(X)                                     \
	X(connections, "client connections now")           \
	X(preauth, "client connections not logged in now") \
	X(handshaking, "TLS handshakes now")               \
	X(relaying, "sessions logged in now")              \
	X(descriptors, "descriptors in use now")

/* state, name */
#define SESSION_STATES(X)         \
	X(ACCEPT, "accept")       \
	X(PROXY, "proxy")         \
	X(HANDSHAKE, "handshake") \
	X(PREAUTH, "preauth")     \
	X(LOGIN, "login")         \
	X(RELAY, "relay")         \
	X(LINGER, "linger")       \
	X(DONE, "done")

enum session_state {
#define X(state, name) SESSION_##state,
	SESSION_STATES(X)
#undef X
	SESSION_STATE_MAX
};

const char *session_state_name(uint8_t state); /* "unknown" when none */

#define SLOT_TLS_FAILURES 32
#define SLOT_END_REASONS  64

#define SLOT_USER_MAX	  96
#define SLOT_TEXT_MAX	  32

/* For `sessions` and the end line after a crash. At most 384 octets. */
struct slot_record {
	_Atomic uint32_t seq; /* odd while written */
	uint8_t in_use;
	uint8_t state; /* enum session_state */
	uint8_t resumed;
	uint8_t user_cut; /* the name was longer */
	uint64_t id;
	uint64_t started_ms;	    /* CLOCK_MONOTONIC */
	_Atomic uint64_t bytes_in;  /* plaintext from the client */
	_Atomic uint64_t bytes_out; /* plaintext to the client */
	_Atomic uint64_t active_ms; /* CLOCK_MONOTONIC of the last octet */
	struct addr client;
	uint32_t backend; /* index; CONFIG_NONE */
	uint32_t backend_generation;
	uint32_t listen;
	uint8_t observed; /* TLS_OBSERVED_ bits of tls/stream.h */
	char tls_version[8];
	char cipher[SLOT_TEXT_MAX + 16];
	char group[SLOT_TEXT_MAX / 2];
	char sni[SLOT_TEXT_MAX * 2];
	char user[SLOT_USER_MAX];
	char client_cert[SLOT_TEXT_MAX + 16]; /* name in a verified one */
};

struct slot_area {
	uint32_t layout;
	uint32_t n_records;
	_Atomic uint64_t heartbeat; /* incremented by every timer tick */
#define X(name, help) _Atomic uint64_t name;
	SLOT_COUNTERS(X)
#undef X
	_Atomic uint64_t tls_failures[SLOT_TLS_FAILURES];
	_Atomic uint64_t end_reasons[SLOT_END_REASONS];
	struct tally tally;
	_Atomic uint64_t states[SESSION_STATE_MAX]; /* gauges */
#define X(name, help) _Atomic uint64_t name;
	SLOT_GAUGES(X)
#undef X
	struct slot_record records[];
};

static inline size_t
slot_area_size(uint32_t n_records)
{
	return sizeof(struct slot_area) +
	       (size_t)n_records * sizeof(struct slot_record);
}

/* Brackets around the plain fields of a record. */
void slot_record_begin(struct slot_record *record);
void slot_record_end(struct slot_record *record);

/* A copy with terminated texts; false: not in use, or 8 times in writing. */
bool slot_record_read(
    const struct slot_record *record, struct slot_record *out_record);

/* The same of a record whose writer is dead, perhaps in the middle of a
 * word. */
bool slot_record_read_left(
    const struct slot_record *record, struct slot_record *out_record);

/* By the master, after the worker died: gauges to zero, the head as it was
 * made (n_records is the master's own, never the worker's); and each record
 * that was ever written: areas_next_record(). */
void slot_area_clear(struct slot_area *area, uint32_t n_records);
void slot_record_clear(struct slot_record *record);

#endif
