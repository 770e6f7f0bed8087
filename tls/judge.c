/* SPDX-License-Identifier: ISC */
/*
 * The judge of chains and keys. Called by certificate.c in the master. Its
 * input is the operator's files: hostile only by accident, but a fault must
 * be named so that it can be repaired.
 */
#include "tls/judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tls/key.h"
#include "tls/names.h"
#include "tls/x509.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX (KEY_SIGNATURE_MAX * 8)

void
fault_set(struct fault *fault, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(fault->why, sizeof(fault->why), format, args);
	va_end(args);
}

/* Borrowed: the certificate keeps a reference of its own. (The function that
 * says so by its name came after 2022.) */
static EVP_PKEY *
public_key_of(X509 *certificate)
{
	EVP_PKEY *key = X509_get_pubkey(certificate);

	EVP_PKEY_free(key);
	return key;
}

static bool
read_leaf(struct judged *judged, struct fault *fault)
{
	X509 *leaf = judged->chain[0];
	EVP_PKEY *public_key = public_key_of(leaf);
	int type = public_key != NULL ? EVP_PKEY_id(public_key) : 0;

	if (type != EVP_PKEY_RSA && type != EVP_PKEY_EC) {
		fault_set(fault, "neither an ECDSA nor an RSA certificate");
		return false;
	}
	judged->key_type = type == EVP_PKEY_EC ? KEY_ECDSA : KEY_RSA;
	judged->key_bits = (uint32_t)EVP_PKEY_bits(public_key);
	if (!x509_hash_spki(leaf, judged->spki) ||
	    !x509_time(X509_get0_notBefore(leaf), &judged->not_before) ||
	    !x509_time(X509_get0_notAfter(leaf), &judged->not_after)) {
		fault_set(fault, "its dates or its key cannot be read");
		return false;
	}
	judged->san = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	ERR_clear_error();
	return true;
}

bool
judged_read_chain(struct judged *judged, struct span pem, struct fault *fault)
{
	BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	X509 *next = NULL;
	bool at_end;

	ERR_clear_error();
	while (bio != NULL && judged->n_chain < JUDGE_CHAIN_MAX &&
	       (next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		judged->chain[judged->n_chain++] = next;
	at_end = next == NULL && x509_pem_ended();
	ERR_clear_error();
	BIO_free(bio);
	if (next != NULL)
		fault_set(
		    fault, "more than %d certificates", JUDGE_CHAIN_MAX - 1);
	else if (!at_end)
		fault_set(fault, "damaged or truncated after %zu certificates",
		    judged->n_chain);
	else if (judged->n_chain == 0)
		fault_set(fault, "holds no PEM certificate");
	else
		return read_leaf(judged, fault);
	return false;
}

/* Nobody is there to type one. */
static int
no_passphrase(char *buf, int size, int for_writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)for_writing;
	(void)arg;
	return -1;
}

bool
judged_read_key(struct judged *judged, struct span pem, struct fault *fault)
{
	BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	bool is_missing;

	fault->about_key = true;
	ERR_clear_error();
	judged->key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	is_missing = x509_pem_ended();
	ERR_clear_error();
	BIO_free(bio);
	if (judged->key == NULL) {
		fault_set(fault, "%s",
		    is_missing ? "holds no PEM private key"
			       : "the private key is damaged, truncated or "
				 "has a passphrase");
		return false;
	}
	if (EVP_PKEY_cmp(public_key_of(judged->chain[0]), judged->key) != 1) {
		ERR_clear_error();
		fault_set(fault, "the key is not the certificate's");
		return false;
	}
	fault->about_key = false;
	return true;
}

static bool
check_order(const struct judged *judged, struct fault *fault)
{
	for (size_t i = 0; i + 1 < judged->n_chain; i++) {
		X509 *issuer = judged->chain[i + 1];

		if (X509_NAME_cmp(X509_get_issuer_name(judged->chain[i]),
			X509_get_subject_name(issuer)) != 0) {
			fault_set(fault,
			    "certificate %zu was not issued by certificate "
			    "%zu: wrong order, or one is missing",
			    i + 1, i + 2);
			return false;
		}
		if (X509_verify(judged->chain[i], public_key_of(issuer)) != 1) {
			fault_set(fault,
			    "the signature of certificate %zu is not by "
			    "certificate %zu",
			    i + 1, i + 2);
			return false;
		}
	}
	return true;
}

/* A root's signature over itself proves nothing and may be as old as it is. */
static bool
check_signatures(const struct judged *judged, struct fault *fault)
{
	for (size_t i = 0; i < judged->n_chain; i++) {
		X509 *certificate = judged->chain[i];

		if (x509_is_signed_weakly(certificate) &&
		    !(i > 0 && x509_is_self_issued(certificate))) {
			fault_set(fault,
			    "certificate %zu is signed with SHA-1 or older",
			    i + 1);
			return false;
		}
	}
	return true;
}

static bool
check_key(const struct judged *judged, struct fault *fault)
{
	uint32_t bits = judged->key_bits;

	if (judged->key_type == KEY_RSA &&
	    (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)) {
		fault_set(fault, "an RSA key of %u bits; %d to %d are served",
		    bits, RSA_BITS_MIN, RSA_BITS_MAX);
		return false;
	}
	if (judged->key_type == KEY_ECDSA && bits != 256 && bits != 384 &&
	    bits != 521) {
		fault_set(fault, "an ECDSA key on a curve that is not P-256, "
				 "P-384 or P-521");
		return false;
	}
	return true;
}

static bool
check_usage(const struct judged *judged, struct fault *fault)
{
	X509 *leaf = judged->chain[0];
	uint32_t extended = X509_get_extended_key_usage(leaf);
	uint32_t usage = X509_get_key_usage(leaf);

	uint32_t wanted =
	    judged->is_for_backends ? XKU_SSL_CLIENT : XKU_SSL_SERVER;

	/* Both are all ones when the extension is absent. */
	if ((extended & (wanted | XKU_ANYEKU)) == 0) {
		fault_set(fault, "not for TLS %s (extended key usage)",
		    judged->is_for_backends ? "clients" : "servers");
		return false;
	}
	if ((usage & KU_DIGITAL_SIGNATURE) == 0) {
		fault_set(fault, "not for digital signatures (key usage)");
		return false;
	}
	return true;
}

static bool
check_pin(const struct judged *judged, struct span pin, struct fault *fault)
{
	char hex[2 * SPKI_HASH_LEN + 1];

	if (pin.len == 0)
		return true;
	x509_spki_text(judged->spki, hex);
	if (span_equal_nocase(pin, span_str(hex)))
		return true;
	fault_set(fault, "its key is not the pinned one, but %s", hex);
	return false;
}

bool
judged_check(const struct judged *judged, int64_t now, struct span pin,
    struct fault *fault)
{
	bool ok;

	fault->about_key = false;
	ok = check_key(judged, fault) && check_order(judged, fault) &&
	     check_signatures(judged, fault) && check_usage(judged, fault) &&
	     check_pin(judged, pin, fault);
	ERR_clear_error();
	if (ok && judged->not_before > now) {
		fault_set(fault, "not yet valid, for another %lld s",
		    (long long)(judged->not_before - now));
		return false;
	}
	return ok;
}

bool
judged_is_self_signed(const struct judged *judged)
{
	return judged->n_chain == 1 && x509_is_self_issued(judged->chain[0]);
}

size_t
judged_n_names(const struct judged *judged)
{
	return judged->san != NULL ? sk_GENERAL_NAME_num(judged->san) : 0;
}

bool
judge_normalise(struct span name, char out[254])
{
	struct span parent = name;

	if (name.len < 3 || name.len > 253 || name.data[0] != '*' ||
	    name.data[1] != '.')
		return sni_normalise(name, out);
	span_advance(&parent, 2);
	if (!sni_normalise(parent, out))
		return false;
	memmove(out + 2, out, parent.len + 1);
	out[0] = '*';
	out[1] = '.';
	return true;
}

bool
judged_name(const struct judged *judged, size_t i, char out[254])
{
	const GENERAL_NAME *name = sk_GENERAL_NAME_value(judged->san, i);
	const ASN1_STRING *text;

	out[0] = '\0';
	if (name->type != GEN_DNS)
		return false;
	text = name->d.dNSName;
	if (judge_normalise(span_of(ASN1_STRING_get0_data(text),
				(size_t)ASN1_STRING_length(text)),
		out))
		return true;
	out[0] = '\0';
	return false;
}

bool
judge_matches(const char *pattern, const char *name)
{
	const char *dot;

	if (strcmp(pattern, name) == 0)
		return true;
	if (pattern[0] != '*' || name[0] == '*')
		return false;
	dot = strchr(name, '.');
	return dot != NULL && strcmp(pattern + 1, dot) == 0;
}

void
judged_fini(struct judged *judged)
{
	for (size_t i = 0; i < judged->n_chain; i++)
		X509_free(judged->chain[i]);
	GENERAL_NAMES_free(judged->san);
	EVP_PKEY_free(judged->key);
	memset(judged, 0, sizeof(*judged));
}
