/* SPDX-License-Identifier: ISC */
/* See client_load.h. Called by the master's compile.c. */
#include "tls/client_load.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "proxy/base/ensure.h"
#include "tls/file.h"
#include "tls/x509.h"

#define CA_FILE_MAX    (1024 * 1024)
#define CRL_FILE_MAX   (16 * 1024 * 1024)
#define FILE_ITEMS_MAX 1000

/* One file being read. */
struct reading {
	struct builder *builder;
	struct text_list ders;
	int64_t ends; /* the earliest end of what was read */
	const char *why;
};

static void
keep(struct reading *reading, uint8_t *der, int len)
{
	ENSURE(len > 0);
	text_list_add(
	    reading->builder, &reading->ders, span_of(der, (size_t)len));
	OPENSSL_free(der);
}

static void
note_end(struct reading *reading, const ASN1_TIME *when)
{
	int64_t end;

	if (when != NULL && x509_time(when, &end) && end < reading->ends)
		reading->ends = end;
}

static bool
next_ca(struct reading *reading, BIO *bio)
{
	uint8_t *der = NULL;
	X509 *ca = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	if (ca == NULL)
		return false;
	if (X509_check_ca(ca) != 1)
		reading->why = "holds a certificate that is no authority's";
	note_end(reading, X509_get0_notAfter(ca));
	int len = i2d_X509(ca, &der);
	keep(reading, der, len);
	X509_free(ca);
	return true;
}

static bool
next_crl(struct reading *reading, BIO *bio)
{
	uint8_t *der = NULL;
	X509_CRL *crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);

	if (crl == NULL)
		return false;
	note_end(reading, X509_CRL_get0_nextUpdate(crl));
	int len = i2d_X509_CRL(crl, &der);
	keep(reading, der, len);
	X509_CRL_free(crl);
	return true;
}

/* NULL, or what is wrong with the file. The path may be in the image: it is
 * done with before that grows. */
static const char *
read_pem(struct reading *reading, const char *path, bool is_crl)
{
	struct secret file = {NULL, 0};
	mode_t mode;
	const char *why =
	    file_read(path, is_crl ? CRL_FILE_MAX : CA_FILE_MAX, &file, &mode);
	BIO *bio;

	if (why != NULL)
		return why;
	bio = BIO_new_mem_buf(file.data, (int)file.len);
	ENSURE(bio != NULL);
	ERR_clear_error();
	while (reading->ders.n < FILE_ITEMS_MAX &&
	       (is_crl ? next_crl(reading, bio) : next_ca(reading, bio)))
		continue;
	if (!x509_pem_ended())
		reading->why = "is damaged or truncated, or too much";
	else if (reading->ders.n == 0)
		reading->why = is_crl ? "holds no PEM revocation list"
				      : "holds no PEM certificate";
	ERR_clear_error();
	BIO_free(bio);
	secret_wipe(&file);
	return reading->why;
}

struct place {
	struct builder *builder;
	const char *path;
	const struct config *running;
	struct problems *faults;
	uint32_t index;
};

static struct config_tls *
section_of(const struct place *place)
{
	return builder_tls_at(place->builder, place->index);
}

static void
say(const struct place *place, bool is_error, const char *key, struct text file,
    const char *why)
{
	const struct config *config = builder_config(place->builder);
	const struct config_tls *tls = section_of(place);
	const char *name = config_text(config, tls->name);
	const char *value = config_text(config, file);

	if (is_error)
		problems_error(place->faults, "%s:%u: [tls %s]: %s = %s: %s",
		    place->path, tls->line, name, key, value, why);
	else
		problems_warn(place->faults, "%s:%u: [tls %s]: %s = %s: %s",
		    place->path, tls->line, name, key, value, why);
}

static const struct config_tls *
find_running(const struct place *place)
{
	const struct config *running = place->running;
	const char *name = config_text(
	    builder_config(place->builder), section_of(place)->name);

	for (uint32_t i = 0; running != NULL && i < running->tls.n; i++) {
		const struct config_tls *tls = config_tls_at(running, i);

		if (strcmp(config_text(running, tls->name), name) == 0)
			return tls;
	}
	return NULL;
}

/* The DERs of the file, or of what ran before; none: false. */
static bool
load(const struct place *place, bool is_crl, struct items *out)
{
	const char *key = is_crl ? "client_crl" : "client_ca";
	struct text file = is_crl ? section_of(place)->client_crl
				  : section_of(place)->client_ca;
	struct reading reading = {.builder = place->builder, .ends = INT64_MAX};
	const char *path = config_text(builder_config(place->builder), file);
	const struct config_tls *old = find_running(place);
	const char *why;

	why = read_pem(&reading, path, is_crl);
	struct items read = text_list_end(place->builder, &reading.ders);
	if (why == NULL && reading.ends < (int64_t)time(NULL))
		say(place, false, key, file, "one of them HAS EXPIRED");
	if (why == NULL) {
		*out = read;
		return true;
	}
	say(place, true, key, file, why);
	if (old == NULL)
		return false;
	*out = builder_copy_texts(place->builder, place->running,
	    is_crl ? old->client_crl_ders : old->client_ca_ders);
	return out->n != 0;
}

static bool
load_section(const struct place *place)
{
	struct items cas = {0, 0};
	struct items crls = {0, 0};
	bool ok = true;

	if (section_of(place)->client_certificates == CLIENT_CERT_OFF)
		return true;
	if (section_of(place)->client_ca.len != 0)
		ok = load(place, false, &cas);
	if (section_of(place)->client_crl.len != 0)
		ok = load(place, true, &crls) && ok;
	section_of(place)->client_ca_ders = cas;
	section_of(place)->client_crl_ders = crls;
	return ok;
}

bool
client_files_load(struct builder *builder, const char *path,
    const struct config *running, struct problems *faults)
{
	uint32_t n = builder_config(builder)->tls.n;
	bool ok = true;

	for (uint32_t i = 0; i < n; i++) {
		struct place place = {builder, path, running, faults, i};

		ok = load_section(&place) && ok;
	}
	return ok;
}
