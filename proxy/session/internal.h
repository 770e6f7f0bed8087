/* SPDX-License-Identifier: ISC */
/*
 * Shared by the files of this directory only: session.c (states, end), relay.c,
 * preauth.c (what the gateway itself says), attempt.c (from credentials to a
 * verdict), answer.c (when that is our own), dialogue.c (its plaintext),
 * report.c (record, events, counters).
 */
#ifndef SESSION_INTERNAL_H
#define SESSION_INTERNAL_H

#include "proxy/session/admit.h"
#include "proxy/session/dialogue.h"
#include "proxy/session/session.h"

/* How long an end may take to read what it is owed after the session. */
#define LINGER_MS 3000
/* The same after the deadline before login: gone within a second of it. */
#define LINGER_LATE_MS 800
/* The same when the worker has to leave. */
#define LINGER_DRAIN_MS 500
/* The rest of a session of which one direction has ended, without traffic. */
#define HALF_CLOSED_MS 30000
/* How often a login that waits for a backend looks again. */
#define BACKEND_POLL_MS 100
/* The same when everything that is up was tried without success. */
#define BACKEND_RETRY_MS 500

#define BAD_COMMANDS_MAX 3 /* then BYE */
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
	uint32_t n_unable; /* of those, by their mechanisms */
	uint32_t given_up; /* of `tried`, a bit each: too slow to wait for */
	bool has_other;	   /* another could take the login, too */
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
const struct config_listen *session_listen(const struct session *session);

/* relay.c */
/* Plaintext from and to the client. */
void session_count_in(struct session *session, uint64_t octets);
void session_count_out(struct session *session, uint64_t octets);
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
void attempt_deadline(struct session *session);
/* The client's line for PHASE_CHALLENGE. */
void attempt_respond(struct session *session, struct span line);
/* Forgets the backend of the current attempt, if any. */
void attempt_drop_backend(struct session *session);

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
/* Where it is counted, from the choice on. */
void report_backend(struct session *session);
/* Its prefix is banned from now on. */
void report_ban(struct session *session);
/* Its user never came from here before. */
void report_new_prefix(struct session *session);
void report_end(struct session *session);

#endif
