/* SPDX-License-Identifier: ISC */
/*
 * From the text of a configuration file to what the roles get: a judged image
 * and the keys. Used by -t, at the start and by every reload.
 */
#ifndef MASTER_COMPILE_H
#define MASTER_COMPILE_H

#include "config/load.h"
#include "proxy/master/passwords.h"
#include "tls/certificate.h"
#include "tls/ticket_secret.h"

struct compiled {
	struct builder *builder; /* NULL: compile() returned false */
	struct key_image keys;
	struct ticket_secrets secrets;
	struct passwords passwords;
	uint64_t files; /* watch_signature() from before they were read */
	struct problems problems; /* of the configuration */
	struct problems faults;	  /* of files, each its own */
};

struct compile_request {
	const char *path; /* for messages */
	struct span text;
	uint32_t capacity;	/* sessions a worker can hold */
	uint64_t n_descriptors; /* that a process may have; 0: long settled */
	/* What certificates fall back to; NULL: nothing. */
	const struct config *running;
	const struct key_image *running_keys;
	const struct ticket_secrets *running_secrets;
};

/* The whole file, owned by the caller. False: one error in problems. */
bool compile_read(
    const char *path, struct secret *out_text, struct problems *problems);

/* A file that a key of the configuration names; path is empty: none. */
struct compile_name {
	struct builder *builder;
	const char *section;
	uint32_t line; /* of the section, as in builder_place() */
	const char *key;
	struct text path;
};

/* The same for that file; the error says who named it. False, too: no file is
 * named. out_text is then empty. A pipe, which would hang the master at some
 * reload, is an error here, but not where the configuration itself is read. */
bool compile_read_named(const struct compile_name *name,
    struct secret *out_text, struct problems *problems);

/* The file's own words, in a builder that the caller frees: no other file is
 * looked at. NULL: the errors are in problems. */
struct builder *compile_load(const char *path, struct problems *problems);

/* False: `problems` or `faults` has the errors; compiled_fini() in any case. */
bool compile(const struct compile_request *request, struct compiled *out);

/* Releases what was not taken out (a builder or keys that are set to NULL). */
void compiled_fini(struct compiled *compiled);

/* Sessions a worker can hold: two descriptors each, and some to spare. */
uint32_t compile_capacity(uint64_t n_descriptors);

#endif
