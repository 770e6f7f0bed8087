/* SPDX-License-Identifier: ISC */
/*
 * One configuration with [certificate a] at line 10, loaded from files that a
 * test has spoiled, and what is expected of it. Good are a.pem (with the CA
 * behind it, for mail.test and *.wild.test) and a.key.
 */
#ifndef SUPPORT_TLS_LOAD_H
#define SUPPORT_TLS_LOAD_H

#include "config/load.h"
#include "test/support/tls_files.h"
#include "tls/certificate.h"

struct loaded {
	char dir[256];
	struct test_cert ca;
	struct test_cert good;
	/* The last load. */
	struct builder *builder;
	struct key_image keys;
	struct problems problems;
	bool ok;
};

/* For every test; *state is a struct loaded. */
int load_setup(void **state);
int load_teardown(void **state);

/* Loads with more keys and sections in `extra`, over what runs (or NULL). */
void load_over(struct loaded *f, const char *extra,
    const struct config *running, const struct key_image *running_keys);

/* Loads: refused, and an error says why; or served, with that warning (NULL:
 * none). */
void load_fails(struct loaded *f, const char *extra, const char *why);
void load_serves(struct loaded *f, const char *extra, const char *warning);

/* A leaf of the spec by the test CA, with its key, as a.pem and a.key. */
void load_put_leaf(struct loaded *f, struct test_cert_spec spec);

const struct config_certificate *load_first(const struct loaded *f);
const char *load_name(const struct loaded *f, uint32_t i);

#endif
