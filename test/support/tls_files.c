/* SPDX-License-Identifier: ISC */
/* See tls_files.h. Whatever fails here is a fault of the test: it aborts. */
#include "test/support/tls_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "proxy/base/ensure.h"

static EVP_PKEY *
make_ec(int nid)
{
	EVP_PKEY *pkey = EVP_PKEY_new();
	EC_KEY *ec = EC_KEY_new_by_curve_name(nid);

	ENSURE(EC_KEY_generate_key(ec) == 1);
	ENSURE(EVP_PKEY_assign_EC_KEY(pkey, ec) == 1);
	return pkey;
}

static EVP_PKEY *
make_rsa(int bits)
{
	EVP_PKEY *pkey = EVP_PKEY_new();
	RSA *rsa = RSA_new();
	BIGNUM *e = BN_new();

	ENSURE(BN_set_word(e, RSA_F4) == 1);
	ENSURE(RSA_generate_key_ex(rsa, bits, e, NULL) == 1);
	ENSURE(EVP_PKEY_assign_RSA(pkey, rsa) == 1);
	BN_free(e);
	return pkey;
}

static EVP_PKEY *
make_key(enum test_key type)
{
	switch (type) {
	case TEST_P256:
		return make_ec(NID_X9_62_prime256v1);
	case TEST_P384:
		return make_ec(NID_secp384r1);
	case TEST_RSA_2048:
		return make_rsa(2048);
	case TEST_RSA_1024:
		return make_rsa(1024);
	}
	return NULL;
}

static void
add_extension(X509 *x509, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;

	if (value == NULL)
		return;
	X509V3_set_ctx(&ctx, x509, x509, NULL, NULL, 0);
	extension = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
	ENSURE(extension != NULL);
	ENSURE(X509_add_ext(x509, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

static void
set_name(X509 *x509, const struct test_cert_spec *spec)
{
	X509_NAME *name = X509_NAME_new();

	ENSURE(spec->cn[0] == '\0' ||
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
		   (const uint8_t *)spec->cn, -1, -1, 0) == 1);
	ENSURE(X509_set_subject_name(x509, name) == 1);
	X509_NAME_free(name);
	ENSURE(X509_set_issuer_name(x509,
		   X509_get_subject_name(
		       spec->issuer != NULL ? spec->issuer->x509 : x509)) == 1);
}

struct test_cert
test_cert_make(const struct test_cert_spec *spec)
{
	struct test_cert cert;
	uint64_t serial;

	cert.x509 = X509_new();
	cert.key = spec->key;
	if (spec->key != NULL)
		EVP_PKEY_up_ref(spec->key);
	else
		cert.key = make_key(spec->type);
	RAND_bytes((uint8_t *)&serial, sizeof(serial));
	ENSURE(X509_set_version(cert.x509, 2) == 1);
	ENSURE(ASN1_INTEGER_set_uint64(
		   X509_get_serialNumber(cert.x509), serial >> 1) == 1);
	X509_gmtime_adj(X509_getm_notBefore(cert.x509),
	    spec->from != 0 ? spec->from : -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert.x509),
	    spec->until != 0 ? spec->until : 90L * 86400);
	set_name(cert.x509, spec);
	ENSURE(X509_set_pubkey(cert.x509, cert.key) == 1);
	if (spec->is_ca)
		add_extension(
		    cert.x509, NID_basic_constraints, "critical,CA:TRUE");
	add_extension(cert.x509, NID_subject_alt_name, spec->san);
	add_extension(cert.x509, NID_ext_key_usage, spec->eku);
	add_extension(cert.x509, NID_key_usage, spec->usage);
	ENSURE(X509_sign(cert.x509,
		   spec->issuer != NULL ? spec->issuer->key : cert.key,
		   spec->sha1 ? EVP_sha1() : EVP_sha256()) > 0);
	return cert;
}

void
test_cert_free(struct test_cert *cert)
{
	X509_free(cert->x509);
	EVP_PKEY_free(cert->key);
	cert->x509 = NULL;
	cert->key = NULL;
}

void
test_file_write(const char *dir, const char *name, const void *data, size_t len)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ENSURE(fd >= 0);
	ENSURE(len == 0 || write(fd, data, len) == (ssize_t)len);
	close(fd);
}

static void
write_bio(const char *dir, const char *name, BIO *bio)
{
	const uint8_t *data;
	size_t len;

	ENSURE(BIO_mem_contents(bio, &data, &len) == 1);
	test_file_write(dir, name, data, len);
	BIO_free(bio);
}

void
test_chain_write(const char *dir, const char *name,
    const struct test_cert *const *certs, size_t n)
{
	BIO *bio = BIO_new(BIO_s_mem());

	for (size_t i = 0; i < n; i++)
		ENSURE(PEM_write_bio_X509(bio, certs[i]->x509) == 1);
	write_bio(dir, name, bio);
}

void
test_key_write(const char *dir, const char *name, const struct test_cert *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());

	ENSURE(PEM_write_bio_PKCS8PrivateKey(
		   bio, cert->key, NULL, NULL, 0, NULL, NULL) == 1);
	write_bio(dir, name, bio);
}

void
test_dir_make(char *out)
{
	const char *parent = getenv("TMPDIR");

	snprintf(out, 256, "%s/sallyport-test.XXXXXX",
	    parent != NULL ? parent : "/tmp");
	ENSURE(mkdtemp(out) != NULL);
}

void
test_dir_remove(const char *dir)
{
	DIR *entries = opendir(dir);
	struct dirent *entry;
	char path[1024];

	ENSURE(entries != NULL);
	while ((entry = readdir(entries)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (entry->d_name[0] != '.')
			unlink(path);
	}
	closedir(entries);
	rmdir(dir);
}
