/* SPDX-License-Identifier: ISC */
/* Certificates and keys made on the spot, and the files that hold them. */
#ifndef SUPPORT_TLS_FILES_H
#define SUPPORT_TLS_FILES_H

#include <stdbool.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

enum test_key {
	TEST_P256,
	TEST_P384,
	TEST_RSA_2048,
	TEST_RSA_1024
};

struct test_cert {
	X509 *x509;
	EVP_PKEY *key;
};

/* What is left out is good: valid from an hour ago for 90 days, SHA-256. */
struct test_cert_spec {
	enum test_key type;
	const char *cn;
	const char *san;   /* "DNS:a.test,DNS:*.b.test"; NULL: none */
	const char *eku;   /* "serverAuth"; NULL: none */
	const char *usage; /* "digitalSignature"; NULL: none */
	const struct test_cert *issuer; /* NULL: itself */
	EVP_PKEY *key;			/* this one instead of a new one */
	long from;			/* seconds from now; 0: an hour ago */
	long until;			/* seconds from now; 0: 90 days */
	bool is_ca;
	bool sha1;
};

struct test_cert test_cert_make(const struct test_cert_spec *spec);
void test_cert_free(struct test_cert *cert);

/* Octets into a file of mode 0600 under dir; path is "dir/name". */
void test_file_write(
    const char *dir, const char *name, const void *data, size_t len);

/* PEM files. */
void test_chain_write(const char *dir, const char *name,
    const struct test_cert *const *certs, size_t n);
void test_key_write(
    const char *dir, const char *name, const struct test_cert *cert);

/* A new directory under TMPDIR; out has room for 256. */
void test_dir_make(char *out);
void test_dir_remove(const char *dir);

#endif
