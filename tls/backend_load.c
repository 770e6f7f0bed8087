/* SPDX-License-Identifier: ISC */
/* See backend_load.h. Called by the master's compile.c. */
#include "tls/backend_load.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pem.h>

#include "proxy/base/ensure.h"
#include "tls/x509.h"

#define AUTHORITIES_MAX 1000

static void
keep(struct builder *builder, struct text_list *ders, X509 *authority)
{
	uint8_t *der = NULL;
	int len = i2d_X509(authority, &der);

	ENSURE(len > 0);
	text_list_add(builder, ders, span_of(der, (size_t)len));
	OPENSSL_free(der);
}

const char *
tls_backend_load_ca(struct builder *builder, uint32_t section, struct span pem)
{
	struct text_list ders = {0};
	X509 *next = NULL;
	BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);

	ENSURE(bio != NULL);
	ERR_clear_error();
	while (ders.n < AUTHORITIES_MAX &&
	       (next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		keep(builder, &ders, next);
		X509_free(next);
	}
	bool at_end = ders.n < AUTHORITIES_MAX && x509_pem_ended();
	struct items items = text_list_end(builder, &ders);
	ERR_clear_error();
	BIO_free(bio);
	if (!at_end)
		return "is damaged or truncated, or holds too many";
	if (items.n == 0)
		return "holds no PEM certificate";
	builder_backend_at(builder, section)->backend_tls_ca_ders = items;
	return NULL;
}
