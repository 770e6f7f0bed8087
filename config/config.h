/* SPDX-License-Identifier: ISC */
/*
 * The compiled configuration: one flat image, made by the master, sealed in a
 * memfd, mapped read-only by every other role (a "snapshot").
 *
 * The image starts with struct config; everything variable lies behind it and
 * is named by offsets from the start of the image, so that it means the same
 * at any address. Text is as written in the file and NUL-terminated. Only
 * public material is in it; secrets have a memfd of their own.
 * Rule: no session keeps a pointer into a snapshot across callbacks.
 * Times are in milliseconds, sizes in octets.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/addr.h"
#include "proxy/base/span.h"

/* len octets at off, a NUL behind them; {0, 0} is "not set". */
struct text {
	uint32_t off;
	uint32_t len;
};

/* n elements at off, aligned for their type; {0, 0} is "not set". */
struct items {
	uint32_t off;
	uint32_t n;
};

#define CONFIG_NONE	   UINT32_MAX /* an index that refers to nothing */
#define CONFIG_WORKERS_MAX 64
/* Listening addresses, all sections together. */
#define CONFIG_MAX_LISTENERS   64
#define CONFIG_CONTROL_DEFAULT "/run/sallyport/control.sock"

enum config_log_target {
	LOG_TO_STDERR,
	LOG_TO_SYSLOG,
	LOG_TO_FILE
};
enum config_log_format {
	LOG_AS_LOGFMT,
	LOG_AS_JSON
};
/* The order of severity: a level lets everything before it pass, too. */
enum config_log_level {
	LEVEL_ERROR,
	LEVEL_WARN,
	LEVEL_INFO,
	LEVEL_DEBUG
};

struct config_gateway {
	struct text user;
	struct text keeper_user;
	uint32_t workers;	  /* 1..CONFIG_WORKERS_MAX, from auto */
	uint32_t max_connections; /* 0: auto, the master resolves */
	uint32_t max_backends;	  /* 1..4096 */
	uint32_t log;		  /* enum config_log_target */
	uint32_t log_format;	  /* enum config_log_format */
	uint32_t log_level;	  /* enum config_log_level */
	uint32_t log_facility;	  /* LOG_MAIL... of syslog(3) */
	struct text log_path;	  /* when log is LOG_TO_FILE */
	uint32_t audit;		  /* LOG_TO_SYSLOG or _FILE; else the log */
	uint32_t audit_facility;
	struct text audit_log; /* when audit is LOG_TO_FILE */
	struct text control;   /* path, empty: off */
	struct text control_group;
	struct addr metrics; /* ADDR_NONE: off */
	uint64_t drain_timeout_ms;
	uint64_t stop_timeout_ms;
};

/* Bits of config_listen.mechanisms. */
enum config_mechanism {
	MECHANISM_PLAIN = 1 << 0,
	MECHANISM_LOGIN = 1 << 1,
	MECHANISM_XOAUTH2 = 1 << 2,
	MECHANISM_OAUTHBEARER = 1 << 3,
	MECHANISM_OTHER = 1 << 4, /* relayed line by line */
	MECHANISM_NAMED = 1 << 5, /* relayed ones must: where a pool needs it */
};

struct config_listen {
	struct text name;
	uint32_t line;		/* of the section, for messages */
	struct items addresses; /* struct addr */
	struct text tls_name;
	struct text pool_name;
	struct items certificate_names; /* struct text; empty: all */
	uint32_t tls;			/* index, resolved */
	uint32_t pool;			/* index, resolved */
	/* uint32_t indexes, resolved; usable ones only, default first */
	struct items certificates;
	struct items sni;   /* struct sni_slot, a power of two: tls/names.h */
	struct items allow; /* struct prefix; empty: everyone */
	struct text allow_file;
	struct items allow_tree; /* struct config_network */
	bool proxy_protocol;
	bool login_command;
	struct items proxy_from; /* struct prefix */
	uint32_t mechanisms;	 /* enum config_mechanism, or-ed */
};

enum config_preset {
	PRESET_INTERMEDIATE,
	PRESET_MODERN
};
enum config_alpn {
	ALPN_STRICT,
	ALPN_LAX
};
enum config_sni {
	SNI_LAX,
	SNI_STRICT
};
enum config_client_cert {
	CLIENT_CERT_OFF,
	CLIENT_CERT_OPTIONAL,
	CLIENT_CERT_REQUIRED
};

/* The field of a client certificate that names the user. */
enum config_cert_user {
	CERT_USER_OFF,
	CERT_USER_EMAIL,
	CERT_USER_DNS,
	CERT_USER_CN
};

struct config_tls {
	struct text name;
	uint32_t line;
	uint32_t preset;      /* enum config_preset */
	uint16_t min_version; /* 0x0303, 0x0304; resolved from the preset */
	uint16_t max_version;
	struct text ciphers; /* as written; empty: the preset's */
	struct text groups;  /* as written, by colons; empty: default */
	struct text sigalgs;
	uint32_t alpn; /* enum config_alpn */
	uint32_t sni;  /* enum config_sni */
	uint64_t handshake_timeout_ms;
	bool tickets;
	uint64_t ticket_rotation_ms;
	struct text ticket_secret;
	uint16_t observe_min_version; /* 0: off */
	struct text observe_ciphers;
	uint32_t client_certificates; /* enum config_client_cert */
	struct text client_ca;
	struct text client_crl;
	bool client_crl_expired_accept;
	struct items client_pins;    /* struct text */
	struct items client_names;   /* struct text */
	uint32_t client_cert_user;   /* enum config_cert_user */
	struct items client_ca_ders; /* struct text; from the files */
	struct items client_crl_ders;
};

#define SPKI_HASH_LEN 32 /* SHA-256 of the DER SubjectPublicKeyInfo */

enum config_key_type {
	KEY_ECDSA,
	KEY_RSA
};

struct config_certificate {
	struct text name;
	uint32_t line;
	struct text chain; /* paths */
	struct text key;
	struct items names; /* struct text; as configured, or from the SAN */
	struct text pin;    /* empty, or 64 hexadecimal digits */
	struct text ocsp;
	uint32_t warn_days;
	/* Not a section: "backend NAME", from its backend_tls_cert. No
	 * listener has it. */
	bool is_for_backends;
	/* What the master found out when it judged the files. */
	bool usable;
	bool is_kept; /* the files are faulty, what was loaded before serves */
	uint32_t key_type; /* enum config_key_type */
	uint32_t key_bits;
	uint8_t spki[SPKI_HASH_LEN];
	struct items ders; /* struct text: DER certificates, leaf first */
	struct text ocsp_der;
	int64_t not_before; /* seconds since 1970 */
	int64_t not_after;
	int64_t loaded;	   /* since when it serves */
	uint32_t renewals; /* since the gateway's start */
};

/* A token bucket: count per period, at most burst at once. */
struct config_rate {
	uint64_t count;
	uint64_t period_ms;
};

#define CONFIG_LADDER_MAX 4
struct config_rung {
	uint32_t bits;	 /* of an IPv6 prefix, 16..64 */
	uint32_t factor; /* the limits are multiplied by this */
};

/* A node of a radix tree: proxy/limits/networks.h. */
struct config_network {
	uint8_t ip[16];
	uint8_t bits;
	uint8_t is_member; /* all below it is in the set */
	uint16_t zero;
	uint32_t child[2]; /* indexes; 0: none */
};

struct config_limits {
	bool observe;
	bool overflow_refuse;
	uint32_t connections_per_ip;
	uint32_t preauth_per_ip;
	struct config_rate connect_rate_per_ip;
	uint32_t connect_burst_per_ip;
	struct items ipv6_ladder; /* struct config_rung */
	uint32_t ipv4_prefix;
	uint32_t handshakes_in_flight;
	struct config_rate handshake_rate; /* count 0: auto */
	uint32_t login_attempts;
	struct config_rate auth_failures_per_ip;
	struct config_rate auth_failures_per_user;
	uint64_t auth_ban_ms;
	uint64_t preauth_timeout_ms;
	uint64_t proxy_timeout_ms;
	struct items exempt; /* struct prefix */
	struct text exempt_file;
	struct items deny; /* struct prefix */
	struct text deny_file;
	uint32_t table_entries;
	/* With what is in the files: struct config_network. */
	struct items exempt_tree;
	struct items deny_tree;
};

enum config_balance {
	BALANCE_LEAST,
	BALANCE_ROUND_ROBIN,
	BALANCE_SOURCE,
	BALANCE_USER
};

struct config_pool {
	struct text name;
	uint32_t line;
	uint32_t balance;	  /* enum config_balance */
	struct text capabilities; /* empty: auto */
	bool when_down_bye;	  /* else: NO at the login */
	uint64_t connect_timeout_ms;
	uint64_t greeting_timeout_ms;
	uint64_t login_timeout_ms;
	uint64_t wait_for_backend_ms;
	uint64_t idle_timeout_ms;
	uint64_t stall_timeout_ms;
	uint64_t keepalive_ms;
	uint64_t check_interval_ms;
	uint64_t check_timeout_ms;
	uint32_t check_rise;
	uint32_t check_fall;
	struct text check_user;
	struct text check_password_file;
	uint32_t min_available;
	uint64_t slow_start_ms;
	uint64_t resolve_interval_ms;
	uint32_t queue;
	struct text route;
	struct items routes; /* struct config_route: config/route.h */
};

/* How the backend learns the client's address. */
enum config_client_ip {
	CLIENT_IP_NONE,
	CLIENT_IP_PROXY_V1,
	CLIENT_IP_PROXY_V2,
	CLIENT_IP_ID
};

enum config_backend_tls {
	BACKEND_TLS_OFF,
	BACKEND_TLS_VERIFY,
	BACKEND_TLS_PIN
};

struct config_backend {
	struct text name;
	uint32_t line;
	struct text pool_name;
	uint32_t pool;	  /* index, resolved */
	struct text host; /* name or address; empty for a Unix socket */
	uint32_t port;
	struct text unix_path; /* at most 107 octets */
	uint32_t weight;       /* 1..256 */
	uint32_t tier;
	uint32_t max_connections;
	struct items source_ip; /* struct addr, port 0 */
	uint32_t client_ip;	/* enum config_client_ip */
	uint32_t backend_tls;	/* enum config_backend_tls */
	struct text backend_tls_ca;
	struct items backend_tls_ca_ders; /* struct text: DER certificates */
	struct text backend_tls_name;
	struct text backend_tls_pin;
	struct text backend_tls_cert;
	struct text backend_tls_key;
	uint32_t certificate; /* index of it; CONFIG_NONE: none is shown */
};

struct config {
	uint64_t layout;     /* CONFIG_LAYOUT of the program that made it */
	uint64_t size;	     /* of the whole image */
	uint64_t generation; /* 1, 2, 3... */
	struct config_gateway gateway;
	struct config_limits limits;
	struct items listens;	   /* struct config_listen */
	struct items tls;	   /* struct config_tls */
	struct items certificates; /* struct config_certificate */
	struct items pools;	   /* struct config_pool */
	struct items backends;	   /* struct config_backend */
};

static inline const char *
config_text(const struct config *config, struct text text)
{
	return text.off == 0 ? "" : (const char *)config + text.off;
}

static inline struct span
config_span(const struct config *config, struct text text)
{
	return span_of(config_text(config, text), text.len);
}

/* The array behind items; cast by the named accessors below. */
static inline const void *
config_items(const struct config *config, struct items items)
{
	return (const char *)config + items.off;
}

#define CONFIG_ACCESSOR(name, member)                                 \
	static inline const struct config_##name *config_##name##_at( \
	    const struct config *config, uint32_t index)              \
	{                                                             \
		return (const struct config_##name *)config_items(    \
			   config, config->member) +                  \
		       index;                                         \
	}
CONFIG_ACCESSOR(listen, listens)
CONFIG_ACCESSOR(tls, tls)
CONFIG_ACCESSOR(certificate, certificates)
CONFIG_ACCESSOR(pool, pools)
CONFIG_ACCESSOR(backend, backends)
#undef CONFIG_ACCESSOR

#endif
