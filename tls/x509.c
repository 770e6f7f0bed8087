/* SPDX-License-Identifier: ISC */
/* See x509.h. Called by the master for its files, by workers and the monitor
 * for what peers send. */
#include "tls/x509.h"

#include <stdio.h>

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

bool
x509_time(const ASN1_TIME *when, int64_t *out)
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days, seconds;
	bool ok =
	    epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, when) == 1;

	ASN1_TIME_free(epoch);
	if (ok)
		*out = (int64_t)days * 86400 + seconds;
	return ok;
}

bool
x509_hash_spki(X509 *certificate, uint8_t out[SPKI_HASH_LEN])
{
	uint8_t *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);

	if (len <= 0)
		return false;
	SHA256(der, (size_t)len, out);
	OPENSSL_free(der);
	return true;
}

bool
x509_is_signed_weakly(X509 *certificate)
{
	switch (X509_get_signature_nid(certificate)) {
	case NID_sha1WithRSAEncryption:
	case NID_sha1WithRSA:
	case NID_ecdsa_with_SHA1:
	case NID_dsaWithSHA1:
	case NID_md5WithRSAEncryption:
	case NID_md4WithRSAEncryption:
	case NID_md2WithRSAEncryption:
		return true;
	default:
		return false;
	}
}

bool
x509_is_self_issued(X509 *certificate)
{
	return X509_NAME_cmp(X509_get_issuer_name(certificate),
		   X509_get_subject_name(certificate)) == 0;
}

bool
x509_pem_ended(void)
{
	uint32_t error = ERR_peek_last_error();

	return ERR_GET_LIB(error) == ERR_LIB_PEM &&
	       ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

STACK_OF(X509) * x509_parse_chain(const STACK_OF(CRYPTO_BUFFER) * chain)
{
	STACK_OF(X509) *parsed = sk_X509_new_null();

	for (size_t i = 0; parsed != NULL && i < sk_CRYPTO_BUFFER_num(chain);
	     i++) {
		X509 *x509 =
		    X509_parse_from_buffer(sk_CRYPTO_BUFFER_value(chain, i));

		if (x509 != NULL && sk_X509_push(parsed, x509) != 0)
			continue;
		X509_free(x509);
		sk_X509_pop_free(parsed, X509_free);
		parsed = NULL;
	}
	return parsed;
}

void
x509_spki_text(
    const uint8_t spki[SPKI_HASH_LEN], char out[2 * SPKI_HASH_LEN + 1])
{
	for (size_t i = 0; i < SPKI_HASH_LEN; i++)
		snprintf(out + 2 * i, 3, "%02x", spki[i]);
}
