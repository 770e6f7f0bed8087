/* SPDX-License-Identifier: ISC */
/* needs: tls/client_check.c tls/x509.c config/builder.c */
/* needs: proxy/base/span.c proxy/base/ensure.c */
/* libs: boringssl */
/*
 * A client's certificate: one octet says how, the rest is its DER. Its own key
 * is the pin and its own first day the time, so that everything behind the
 * trust in it is reached. Who comes in has names that mean one thing only, and
 * is never nobody.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "config/load.h"
#include "proxy/base/ensure.h"
#include "tls/client_check.h"
#include "tls/x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct builder *
make_config(const uint8_t spki[SPKI_HASH_LEN], uint8_t how)
{
	struct builder *builder = builder_new();
	struct config_tls tls;
	struct text pin, name;
	char hex[2 * SPKI_HASH_LEN + 1];

	for (size_t i = 0; i < SPKI_HASH_LEN; i++)
		snprintf(hex + 2 * i, 3, "%02x", spki[i]);
	pin = builder_text(builder, span_str(hex));
	name = builder_text(builder, span_str("anna.test"));
	memset(&tls, 0, sizeof(tls));
	tls.client_certificates = CLIENT_CERT_REQUIRED;
	tls.client_cert_user = how & 3;
	tls.client_pins = builder_items(builder, &pin, 1, sizeof(pin), 4);
	if ((how & 4) != 0)
		tls.client_names =
		    builder_items(builder, &name, 1, sizeof(name), 4);
	struct items items = builder_items(builder, &tls, 1, sizeof(tls), 8);
	builder_config(builder)->tls = items;
	return builder;
}

static void
check_identity(const struct client_identity *identity, uint8_t how)
{
	size_t len = strnlen(identity->name, CLIENT_NAME_MAX);
	bool is_bound = (how & 3) != 0;

	ENSURE(len > 0 && len < CLIENT_NAME_MAX);
	ENSURE(identity->is_bound == is_bound);
	ENSURE(client_allows_user(identity, span_of("", 0)) == !is_bound);
	for (const char *at = identity->users; at[0] != '\0';
	     at += strlen(at) + 1) {
		ENSURE(is_bound);
		ENSURE(client_allows_user(identity, span_str(at)));
		ENSURE(
		    !client_allows_user(identity, span_of(at, strlen(at) + 1)));
	}
}

static void
check(struct span der, const uint8_t spki[SPKI_HASH_LEN], int64_t from,
    uint8_t how)
{
	struct builder *builder = make_config(spki, how);
	const struct config *config = builder_config(builder);
	const struct config_tls *tls = config_tls_at(config, 0);
	struct client_store *store = client_store_new(config, tls);
	STACK_OF(CRYPTO_BUFFER) *chain = sk_CRYPTO_BUFFER_new_null();
	struct client_refusal refusal;
	struct client_identity *identity;

	ENSURE(store != NULL && chain != NULL);
	sk_CRYPTO_BUFFER_push(
	    chain, CRYPTO_BUFFER_new(der.data, der.len, NULL));
	identity = client_check(store, config, tls, chain, from, &refusal);
	ENSURE(identity != NULL || refusal.why != NULL);
	if (identity != NULL)
		check_identity(identity, how);
	free(identity);
	/* A second before, or with another key, nobody gets in. */
	identity = client_check(store, config, tls, chain, from - 1, &refusal);
	ENSURE(identity == NULL);
	sk_CRYPTO_BUFFER_pop_free(chain, CRYPTO_BUFFER_free);
	client_store_free(store);
	builder_free(builder);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t spki[SPKI_HASH_LEN] = {0};
	const uint8_t *at = data + 1;
	int64_t from = 0;
	X509 *leaf;

	if (size < 2 || size > 16384)
		return 0;
	leaf = d2i_X509(NULL, &at, (long)size - 1);
	if (leaf != NULL) {
		x509_hash_spki(leaf, spki);
		if (!x509_time(X509_get0_notBefore(leaf), &from))
			from = 0;
	}
	X509_free(leaf);
	ERR_clear_error();
	check(span_of(data + 1, size - 1), spki, from, data[0]);
	return 0;
}
