/* SPDX-License-Identifier: ISC */
/*
 * The table of the configuration: every section and every key, once. It drives
 * parsing, defaults, bounds, printing, the question what needs a restart, and
 * the check that the manual page and the sample name every key.
 */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include "config/config.h"

enum section_type {
	SECTION_GATEWAY,
	SECTION_LISTEN,
	SECTION_TLS,
	SECTION_CERTIFICATE,
	SECTION_LIMITS,
	SECTION_POOL,
	SECTION_BACKEND,
	SECTION_TYPES
};

/* The field behind each is named at the right. */
enum value_type {
	VALUE_TEXT,	    /* struct text; at least min octets */
	VALUE_PATH,	    /* struct text; absolute, or empty */
	VALUE_PATH_OFF,	    /* "off" is empty; at most max octets */
	VALUE_NUMBER,	    /* uint32_t, min..max */
	VALUE_AUTO_NUMBER,  /* the same, "auto" is 0 */
	VALUE_DURATION,	    /* uint64_t, min..max milliseconds */
	VALUE_RATE,	    /* struct config_rate */
	VALUE_AUTO_RATE,    /* the same, "auto" has count 0 */
	VALUE_CHOICE,	    /* bool, uint16_t or uint32_t; one of words */
	VALUE_FLAGS,	    /* uint32_t; words or-ed */
	VALUE_LOG,	    /* struct config_gateway: log, log_path */
	VALUE_AUDIT,	    /* the same: audit, audit_log */
	VALUE_ENDPOINT_OFF, /* struct addr; "off" is ADDR_NONE */
	VALUE_BACKEND,	    /* host, port, unix_path */
	VALUE_SECTION,	    /* struct text: a section, or empty */
	VALUE_PIN,	    /* struct text: 64 hexadecimal digits, or empty */
	VALUE_CAPABILITIES, /* struct text; "auto" is empty */
	VALUE_ENDPOINTS,    /* struct items of struct addr; at least min */
	VALUE_ADDRESSES,    /* struct items of struct addr, port 0 */
	VALUE_NETWORKS,	    /* struct items of struct prefix */
	VALUE_SECTIONS,	    /* struct items of struct text */
	VALUE_HOSTS,	    /* struct items of struct text */
	VALUE_PINS,	    /* struct items of struct text */
	VALUE_LADDER,	    /* struct items of struct config_rung */
};

/* One of the words a value may be; the list ends with text NULL. */
struct word {
	const char *text;
	uint32_t value;
};

enum reload {
	RELOAD,
	RESTART
};

struct row {
	const char *key;
	const char *def; /* as it would be written; NULL: must be given */
	enum value_type type;
	uint32_t off; /* of the field in the struct of the section */
	uint32_t width;
	uint64_t min;
	uint64_t max;
	const struct word *words;
	enum reload reload; /* RESTART: a reload that changes it is refused */
	const char *what;   /* one line, the manual page has the same */
};

struct section {
	const char *name;
	bool is_many;  /* [name NAME], any number of times; else [name] once */
	uint32_t size; /* of the struct */
	uint32_t off;  /* in struct config: of the struct, or of its items */
	const struct row *rows;
	uint32_t n_rows;
};

/* What the struct of every section that is_many begins with. */
struct section_head {
	struct text name;
	uint32_t line;
};

#define SECTION_ROWS_MAX 32
#define SECTION_NAME_MAX 63

const struct section *schema_section(enum section_type type);

/* SECTION_TYPES: no such section. */
enum section_type schema_find_section(struct span name);

/* The index in rows; n_rows: no such key. */
uint32_t schema_find_key(const struct section *section, struct span key);

/* 1..63 of A-Z a-z 0-9 _ . - */
bool schema_is_name(struct span text);

/* The key, or name of a section, that was probably meant; NULL: no idea. */
const char *schema_nearest_key(const struct section *section, struct span key);
const char *schema_nearest_section(struct span name);

#endif
