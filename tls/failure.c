/* SPDX-License-Identifier: ISC */
/*
 * From BoringSSL's reason to one of ours. A reason that is not named here is
 * the peer's fault (PROTOCOL): our own faults are few and known.
 */
#include <string.h>

#include <openssl/err.h>

#include "tls/engine.h"

#define ALERT_REASONS 1000 /* SSL_AD_REASON_OFFSET: a fatal alert came in */

const char *
tls_failure_name(enum tls_failure failure)
{
	switch (failure) {
#define X(name, text)         \
	case TLS_FAIL_##name: \
		return text;
		TLS_FAILURES(X)
#undef X
	case TLS_FAIL_MAX:
		break;
	}
	return "?";
}

static bool
starts_with(struct span first, const char *text)
{
	return first.len >= strlen(text) &&
	       span_equal_nocase(
		   span_of(first.data, strlen(text)), span_str(text));
}

static bool
is_http(struct span first)
{
	/* As much as one record header shows; GET, HEAD, POST, PUT and
	 * CONNECT are BoringSSL's. */
	return starts_with(first, "OPTIO") || starts_with(first, "DELET") ||
	       starts_with(first, "PATCH") || starts_with(first, "TRACE") ||
	       starts_with(first, "PRI *") || starts_with(first, "PROPF");
}

static bool
is_tag_char(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z') || c == '.' || c == '_' || c == '-';
}

static bool
is_letter(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Octets that may begin "tag SP command": a tag, and if its end is in sight,
 * a space and a letter. Words by which other protocols begin are not. */
static bool
is_imap(struct span first)
{
	size_t tag = 0;

	if (first.len < 5 || starts_with(first, "SSH-") ||
	    starts_with(first, "EHLO ") || starts_with(first, "HELO "))
		return false;
	while (tag < first.len && is_tag_char(first.data[tag]))
		tag++;
	if (tag == first.len)
		return true;
	if (tag == 0 || first.data[tag] != ' ')
		return false;
	return tag + 1 == first.len || is_letter(first.data[tag + 1]);
}

static enum tls_failure
name_plaintext(struct span first)
{
	if (is_http(first))
		return TLS_FAIL_PLAIN_HTTP;
	return is_imap(first) ? TLS_FAIL_PLAIN_IMAP : TLS_FAIL_NOT_TLS;
}

static enum tls_failure
failure_of_ssl(int reason, struct span first)
{
	switch (reason) {
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_UNKNOWN_PROTOCOL:
		return TLS_FAIL_VERSION;
	case SSL_R_NO_SHARED_CIPHER:
		return TLS_FAIL_CIPHER;
	case SSL_R_NO_SHARED_GROUP:
		return TLS_FAIL_GROUP;
	case SSL_R_NO_COMMON_SIGNATURE_ALGORITHMS:
		return TLS_FAIL_SIGALG;
	case SSL_R_NO_APPLICATION_PROTOCOL:
		return TLS_FAIL_ALPN;
	case SSL_R_NO_CERTIFICATE_SET:
		return TLS_FAIL_NO_CERTIFICATE;
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
	case SSL_R_CERTIFICATE_VERIFY_FAILED:
		return TLS_FAIL_CLIENT_CERTIFICATE;
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
		return TLS_FAIL_PLAIN_HTTP;
	case SSL_R_WRONG_VERSION_NUMBER:
		return first.len == 0 ? TLS_FAIL_PROTOCOL
				      : name_plaintext(first);
	case SSL_R_CONNECTION_REJECTED:
		return TLS_FAIL_RATE;
	case SSL_R_PRIVATE_KEY_OPERATION_FAILED:
		return TLS_FAIL_KEY;
	default:
		return reason >= ALERT_REASONS ? TLS_FAIL_ALERT
					       : TLS_FAIL_PROTOCOL;
	}
}

enum tls_failure
failure_of(uint32_t error, struct span first)
{
	int reason = ERR_GET_REASON(error);

	if (error == 0 || reason == ERR_R_MALLOC_FAILURE ||
	    reason == ERR_R_INTERNAL_ERROR)
		return TLS_FAIL_INTERNAL;
	if (ERR_GET_LIB(error) != ERR_LIB_SSL)
		return TLS_FAIL_PROTOCOL;
	return failure_of_ssl(reason, first);
}
