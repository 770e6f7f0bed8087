/* SPDX-License-Identifier: ISC */
/* See backend_load.h. Called by the master's compile.c. */
#include "tls/backend_load.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "proxy/base/ensure.h"

#define AUTHORITIES_MAX 1000

static bool
is_pem_end(void)
{
	uint32_t error = ERR_peek_last_error();

	return ERR_GET_LIB(error) == ERR_LIB_PEM &&
	       ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

static void
keep(struct builder *builder, struct text *to, X509 *authority)
{
	uint8_t *der = NULL;
	int len = i2d_X509(authority, &der);

	ENSURE(len > 0);
	*to = builder_text(builder, span_of(der, (size_t)len));
	OPENSSL_free(der);
}

const char *
tls_backend_load_ca(struct builder *builder, uint32_t section, struct span pem)
{
	struct text ders[AUTHORITIES_MAX];
	uint32_t n = 0;
	X509 *next = NULL;
	BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);

	ENSURE(bio != NULL);
	ERR_clear_error();
	while (n < AUTHORITIES_MAX &&
	       (next = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
		keep(builder, &ders[n++], next);
		X509_free(next);
	}
	bool at_end = n < AUTHORITIES_MAX && is_pem_end();
	ERR_clear_error();
	BIO_free(bio);
	if (!at_end)
		return "is damaged or truncated, or holds too many";
	if (n == 0)
		return "holds no PEM certificate";
	struct items items = builder_items(builder, ders, n, sizeof(*ders), 4);
	struct config_backend *backends =
	    (void *)(builder->data + builder_config(builder)->backends.off);
	backends[section].backend_tls_ca_ders = items;
	return NULL;
}
