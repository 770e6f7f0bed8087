/* SPDX-License-Identifier: ISC */
/*
 * Shared by the files of this directory only: session.c (states, relay, end),
 * preauth.c (what the gateway itself says), attempt.c (from credentials to a
 * verdict), dialogue.c (its plaintext), report.c (record, events, counters).
 */
#ifndef SESSION_INTERNAL_H
#define SESSION_INTERNAL_H

#include "proxy/session/session.h"

#define BAD_COMMANDS_MAX 3 /* PROTOCOL 1.6 */
/* A client that tries on and on holds a connection whose deadline stands still:
 * it is told to come back later. */
#define REFUSALS_MAX 10

/* How long a connection waits for others of its prefix to log in, and how often
 * it looks. */
#define PREAUTH_WAIT_MS 5000
#define PREAUTH_POLL_MS 100

enum preauth_phase {
	PHASE_COMMAND,	 /* the parser reads commands */
	PHASE_SASL,	 /* the parser reads a response for sasl */
	PHASE_ATTEMPT,	 /* LOGIN: the client waits */
	PHASE_CHALLENGE, /* LOGIN: the parser reads a response for the backend
			  */
};

struct preauth {
	struct command_parser *parser;
	struct block *held; /* plaintext behind what was parsed (pipelining) */
	enum preauth_phase phase;
	uint32_t attempts; /* verdicts that were failures */
	uint32_t refusals; /* logins that ended by another NO */
	uint32_t bad_commands;
	uint64_t preauth_left_ms; /* of preauth_timeout while LOGIN runs */
	char tag[COMMAND_TAG_MAX + 1];
	struct client_id client_id;
	struct sasl sasl;
	/* The current login. */
	struct credentials credentials;
	uint64_t login_deadline_ms;
	uint64_t delay_until_ms;      /* after failed logins; 0: not delayed */
	uint64_t wait_deadline_ms;    /* for a backend to come up */
	uint64_t attempt_deadline_ms; /* connect, greeting, or the next look */
	struct backend_ref tried[BALANCE_TRIES_MAX];
	uint32_t n_tried;
	uint64_t dialled_ms;
	struct backend backend;
	struct login *login;
	struct span decoded;	 /* from a backend's codec; within a step */
	struct block *undecided; /* the same between two */
	char id_text[SESSION_ID_TEXT];
	const char *last_trouble; /* static text, for the UNAVAILABLE event */
};

/* session.c */
void session_enter(struct session *session, enum session_state state);
/* LINGER, with what is in env->text sent first; the first cause counts. */
void session_end(struct session *session, enum who who, enum end_reason reason);
/* The same without another octet to the client. */
void session_abort(
    struct session *session, enum who who, enum end_reason reason);
/* Who ended it and why: the first cause counts. */
void session_note_cause(
    struct session *session, enum who who, enum end_reason reason);
/* After TLS_FAILED: counted by its failure, the alert is sent first. */
void session_end_tls(struct session *session);
/* Plaintext from and to the client. */
void session_count_in(struct session *session, uint64_t octets);
void session_count_out(struct session *session, uint64_t octets);
const struct config_listen *session_listen(const struct session *session);

/* relay.c */
bool relay_step(struct session *session);
uint64_t relay_deadline(const struct session *session);

/* preauth.c: true when something moved (step again). */
struct preauth *preauth_new(void);
void preauth_free(struct preauth *preauth);
void preauth_greet(struct session *session);
bool preauth_step(struct session *session);
/* Sends env->text through the codec and empties it. False: it failed. */
bool preauth_flush(struct session *session);

/* attempt.c */
/* preauth->tag and credentials are set: enters LOGIN. */
void attempt_start(struct session *session);
bool attempt_step(struct session *session);
void attempt_dialed(struct session *session, bool good, const char *why);
void attempt_backend_gone(struct session *session);
void attempt_deadline(struct session *session);
/* The client's line for PHASE_CHALLENGE. */
void attempt_respond(struct session *session, struct span line);
/* Forgets the backend of the current attempt, if any. */
void attempt_drop_backend(struct session *session);

/* dialogue.c: the plaintext between us and a backend during a login. */
/* Pieces of env->plain that hold plaintext of both peers. */
#define DIALOGUE_PLAIN ((size_t)2 * TLS_RECORD_MAX)
/* Around a step. False: out of memory. */
bool dialogue_open(struct session *session);
bool dialogue_close(struct session *session);
/* TLS_OK when plaintext can flow. */
enum tls_status dialogue_handshake(struct session *session);
/* What the backend said and nobody has parsed; NULL: nothing. */
struct span *dialogue_pull(struct session *session);
/* Where to write what it shall hear; end sends it. False: it cannot. */
struct outbuf *dialogue_begin(struct session *session, struct outbuf *said);
bool dialogue_end(struct session *session, struct outbuf *said);

/* admit.c */
void admit_note_state(
    struct session *session, enum session_state from, enum session_state to);
/* Whatever it holds in the limiter. */
void admit_release(struct session *session);
/* The address is known: HANDSHAKE, or ACCEPT until there is room. */
void admit_to_handshake(struct session *session);
void admit_deadline(struct session *session);
/* session->client came with a PROXY header. False: refused, DONE. */
bool admit_client(struct session *session);
/* How long the login has to wait for failures before it, in ms; LOGIN_BANNED
 * (proxy/limits/logins.h): ask nobody. */
uint32_t admit_login(struct session *session);
/* The credentials were wrong. True: the prefix is banned. */
bool admit_note_failure(struct session *session);
/* They were good. */
void admit_note_login(struct session *session);

/* report.c */
void report_start(struct session *session, uint32_t listen);
void report_state(
    struct session *session, enum session_state from, enum session_state to);
/* The client is another than the socket says. */
void report_client(struct session *session);
void report_handshake(struct session *session);
void report_tls_failure(struct session *session);
void report_login(struct session *session, const char *verdict,
    const char *code, const char *why);
void report_user(struct session *session, struct span user);
/* Its prefix is banned from now on. */
void report_ban(struct session *session);
/* Its user never came from here before. */
void report_new_prefix(struct session *session);
void report_end(struct session *session);

#endif
