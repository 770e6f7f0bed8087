/* SPDX-License-Identifier: ISC */
/* See x509.h. Called by judge.c in the master and client_check.c in workers. */
#include "tls/x509.h"

#include <openssl/asn1.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
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
