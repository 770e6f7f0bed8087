/* SPDX-License-Identifier: ISC */
/* See issuer.h. Called by certificate.c, once per load. Thousands of
 * certificates come from one intermediate: the last answer is kept. */
#include "tls/issuer.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#define BUNDLE "/etc/ssl/certs/ca-certificates.crt"

struct issuers {
	STACK_OF(X509) * roots;
	uint8_t last[SHA256_DIGEST_LENGTH];
	bool has_last;
	bool knew_last;
};

struct issuers *
issuers_load(void)
{
	const char *path = getenv("SSL_CERT_FILE");
	BIO *bio = BIO_new_file(path != NULL ? path : BUNDLE, "r");
	struct issuers *issuers = calloc(1, sizeof(*issuers));
	X509 *root;

	if (bio == NULL || issuers == NULL)
		goto fail;
	issuers->roots = sk_X509_new_null();
	while (issuers->roots != NULL &&
	       (root = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
		if (sk_X509_push(issuers->roots, root) == 0)
			X509_free(root);
	if (issuers->roots == NULL || sk_X509_num(issuers->roots) == 0)
		goto fail;
	BIO_free(bio);
	ERR_clear_error();
	return issuers;
fail:
	BIO_free(bio);
	issuers_free(issuers);
	ERR_clear_error();
	return NULL;
}

void
issuers_free(struct issuers *issuers)
{
	if (issuers == NULL)
		return;
	sk_X509_pop_free(issuers->roots, X509_free);
	free(issuers);
}

static bool
is_by(X509 *root, X509 *top)
{
	EVP_PKEY *key;
	bool ok;

	if (X509_cmp(root, top) == 0)
		return true;
	if (X509_NAME_cmp(
		X509_get_subject_name(root), X509_get_issuer_name(top)) != 0)
		return false;
	key = X509_get_pubkey(root);
	ok = key != NULL && X509_verify(top, key) == 1;
	EVP_PKEY_free(key);
	return ok;
}

bool
issuers_know(struct issuers *issuers, X509 *top)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	unsigned len;
	bool knows = false;

	if (X509_digest(top, EVP_sha256(), digest, &len) != 1)
		return true;
	if (issuers->has_last &&
	    memcmp(issuers->last, digest, sizeof(digest)) == 0)
		return issuers->knew_last;
	for (size_t i = 0; !knows && i < sk_X509_num(issuers->roots); i++)
		knows = is_by(sk_X509_value(issuers->roots, i), top);
	ERR_clear_error();
	memcpy(issuers->last, digest, sizeof(digest));
	issuers->has_last = true;
	issuers->knew_last = knows;
	return knows;
}
