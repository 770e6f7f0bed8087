/* SPDX-License-Identifier: ISC */
/* The reasons for which TLS with a client fails. */
#ifndef TLS_FAILURE_H
#define TLS_FAILURE_H

/* Why a stream failed: each is a counter and a word in the log. */
#define TLS_FAILURES(X)                                                     \
	X(NONE, "none")                                                     \
	X(VERSION, "tls_version") /* alert 70 */                            \
	X(CIPHER, "tls_cipher")	  /* alert 40, no shared cipher */          \
	X(GROUP, "tls_group")	  /* alert 40, no shared group */           \
	X(SIGALG, "tls_sigalg")	  /* alert 40 */                            \
	X(ALPN, "tls_alpn")	  /* alert 120 */                           \
	X(SNI, "tls_sni")	  /* alert 112 */                           \
	X(NO_CERTIFICATE, "tls_no_certificate") /* none usable: alert 80 */ \
	X(CLIENT_CERTIFICATE, "tls_client_certificate")                     \
	X(BACKEND_CERTIFICATE, "tls_backend_certificate")                   \
	X(PLAIN_IMAP, "plain_imap") /* plaintext on the TLS port */         \
	X(PLAIN_HTTP, "plain_http")                                         \
	X(NOT_TLS, "not_tls")                                               \
	X(ALERT, "tls_alert")	    /* the peer sent a fatal alert */       \
	X(PROTOCOL, "tls_protocol") /* anything else the peer did */        \
	X(RATE, "handshake_rate")   /* tls_admit said no: alert 80 */       \
	X(KEY, "tls_key")	    /* the keeper refused or failed */      \
	X(INTERNAL, "tls_internal") /* out of memory, out of room */        \
	/* Of the connection, in a handshake; the session counts these. */  \
	X(TIMEOUT, "tls_timeout")                                           \
	X(RESET, "tls_reset")                                               \
	X(LEFT, "tls_left") /* FIN or close_notify */

enum tls_failure {
#define X(name, text) TLS_FAIL_##name,
	TLS_FAILURES(X)
#undef X
	TLS_FAIL_MAX
};

const char *tls_failure_name(enum tls_failure failure);

#endif
