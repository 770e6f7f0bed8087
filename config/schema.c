/* SPDX-License-Identifier: ISC */
/* The table, in the order in which sections and keys are printed. The names
 * are a promise to those who wrote files: add, but don't rename. */
#include "config/schema.h"

#include <stddef.h>
#include <string.h>
#include <syslog.h>

#include "proxy/base/ensure.h"

#define FIELD(section, member)                     \
	offsetof(struct config_##section, member), \
	    sizeof(((struct config_##section *)0)->member)

#define S UINT64_C(1000)
#define M (60 * S)
#define H (60 * M)
#define D (24 * H)

static const struct word off_on[] = {{"off", 0}, {"on", 1}, {0}};
static const struct word log_formats[] = {
    {"logfmt", LOG_AS_LOGFMT}, {"json", LOG_AS_JSON}, {0}};
static const struct word log_levels[] = {{"error", LEVEL_ERROR},
    {"warn", LEVEL_WARN}, {"info", LEVEL_INFO}, {"debug", LEVEL_DEBUG}, {0}};
static const struct word facilities[] = {{"mail", LOG_MAIL},
    {"daemon", LOG_DAEMON}, {"user", LOG_USER}, {"auth", LOG_AUTH},
    {"authpriv", LOG_AUTHPRIV}, {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},
    {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},
    {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},
    {0}};
static const struct word proxy_protocols[] = {{"off", 0}, {"required", 1}, {0}};
static const struct word mechanisms[] = {{"plain", MECHANISM_PLAIN},
    {"login", MECHANISM_LOGIN}, {"xoauth2", MECHANISM_XOAUTH2},
    {"oauthbearer", MECHANISM_OAUTHBEARER}, {"other", MECHANISM_OTHER}, {0}};
static const struct word presets[] = {
    {"intermediate", PRESET_INTERMEDIATE}, {"modern", PRESET_MODERN}, {0}};

/* The first word of a value is the one that is printed. */
static const struct word versions[] = {{"", 0}, {"TLSv1.2", 0x0303},
    {"TLSv1.3", 0x0304}, {"1.2", 0x0303}, {"1.3", 0x0304}, {0}};
static const struct word alpns[] = {
    {"strict", ALPN_STRICT}, {"lax", ALPN_LAX}, {0}};
static const struct word snis[] = {
    {"lax", SNI_LAX}, {"strict", SNI_STRICT}, {0}};
static const struct word client_certs[] = {{"off", CLIENT_CERT_OFF},
    {"optional", CLIENT_CERT_OPTIONAL}, {"required", CLIENT_CERT_REQUIRED},
    {0}};
static const struct word refuse_accept[] = {{"refuse", 0}, {"accept", 1}, {0}};
static const struct word cert_users[] = {{"off", CERT_USER_OFF},
    {"email", CERT_USER_EMAIL}, {"dns", CERT_USER_DNS}, {"cn", CERT_USER_CN},
    {0}};
static const struct word admit_refuse[] = {{"admit", 0}, {"refuse", 1}, {0}};
static const struct word balances[] = {{"least", BALANCE_LEAST},
    {"round_robin", BALANCE_ROUND_ROBIN}, {"source", BALANCE_SOURCE},
    {"user", BALANCE_USER}, {0}};
static const struct word no_bye[] = {{"no", 0}, {"bye", 1}, {0}};
static const struct word client_ips[] = {{"none", CLIENT_IP_NONE},
    {"proxy_v1", CLIENT_IP_PROXY_V1}, {"proxy_v2", CLIENT_IP_PROXY_V2},
    {"id", CLIENT_IP_ID}, {0}};
static const struct word backend_tls[] = {{"off", BACKEND_TLS_OFF},
    {"verify", BACKEND_TLS_VERIFY}, {"pin", BACKEND_TLS_PIN}, {0}};

/* clang-format off */
static const struct row gateway_rows[] = {
	{"user", "sallyport", VALUE_TEXT,
	 FIELD(gateway, user), 1, 0, NULL,
	 RESTART, "User of workers, monitor and observer."},
	{"keeper_user", "sallyport-keys", VALUE_TEXT,
	 FIELD(gateway, keeper_user), 0, 0, NULL,
	 RESTART, "User of the keeper; empty is the same as user."},
	{"workers", "auto", VALUE_AUTO_NUMBER,
	 FIELD(gateway, workers), 1, CONFIG_WORKERS_MAX, NULL,
	 RESTART,
	 "Number of worker processes; auto is one per processor."},
	{"max_connections", "auto", VALUE_AUTO_NUMBER,
	 FIELD(gateway, max_connections), 1, 10000000, NULL,
	 RESTART,
	 "Client connections at a time; auto is what open files allow."},
	{"max_backends", "1024", VALUE_NUMBER,
	 FIELD(gateway, max_backends), 1, 4096, NULL,
	 RESTART, "Room for this many backends."},
	{"drain_timeout", "5m", VALUE_DURATION,
	 FIELD(gateway, drain_timeout_ms), 1 * S, 7 * D, NULL,
	 RELOAD, "Time over which a drain spreads the end of sessions."},
	{"stop_timeout", "20s", VALUE_DURATION,
	 FIELD(gateway, stop_timeout_ms), 1 * S, 1 * H, NULL,
	 RELOAD, "Time within which the gateway stops after SIGTERM."},
	{"log", "stderr", VALUE_LOG,
	 FIELD(gateway, log), 0, 0, NULL,
	 RELOAD,
	 "Where the log goes: stderr, syslog or the path of a file."},
	{"log_format", "logfmt", VALUE_CHOICE,
	 FIELD(gateway, log_format), 0, 0, log_formats,
	 RELOAD, "Form of a log line."},
	{"log_level", "info", VALUE_CHOICE,
	 FIELD(gateway, log_level), 0, 0, log_levels,
	 RELOAD, "Least severity that is logged."},
	{"log_facility", "mail", VALUE_CHOICE,
	 FIELD(gateway, log_facility), 0, 0, facilities,
	 RELOAD, "Facility when the log goes to syslog."},
	{"audit_log", "", VALUE_AUDIT,
	 FIELD(gateway, audit_log), 0, 0, NULL,
	 RELOAD,
	 "Where the audit stream goes: syslog or a file; empty is the log."},
	{"audit_facility", "authpriv", VALUE_CHOICE,
	 FIELD(gateway, audit_facility), 0, 0, facilities,
	 RELOAD, "Facility when the audit stream goes to syslog."},
	{"control", CONFIG_CONTROL_DEFAULT, VALUE_PATH_OFF,
	 FIELD(gateway, control), 0, 107, NULL,
	 RESTART, "Path of the control socket, or off."},
	{"control_group", "", VALUE_TEXT,
	 FIELD(gateway, control_group), 0, 0, NULL,
	 RESTART, "Group that may use the control socket."},
	{"metrics", "127.0.0.1:9930", VALUE_ENDPOINT_OFF,
	 FIELD(gateway, metrics), 0, 0, NULL,
	 RESTART,
	 "Address of the metrics and the status page, or off."},
};

static const struct row listen_rows[] = {
	{"address", "0.0.0.0:993, [::]:993", VALUE_ENDPOINTS,
	 FIELD(listen, addresses), 1, 0, NULL,
	 RESTART, "Addresses and ports to listen at."},
	{"tls", "", VALUE_SECTION,
	 FIELD(listen, tls_name), 0, 0, NULL,
	 RELOAD, "Name of the tls section; empty is the only one."},
	{"certificates", "", VALUE_SECTIONS,
	 FIELD(listen, certificate_names), 0, 0, NULL,
	 RELOAD,
	 "Certificate sections, the default first; empty is all."},
	{"pool", "", VALUE_SECTION,
	 FIELD(listen, pool_name), 0, 0, NULL,
	 RELOAD, "Name of the pool section; empty is the only one."},
	{"allow", "", VALUE_NETWORKS,
	 FIELD(listen, allow), 0, 0, NULL,
	 RELOAD, "Networks that may connect; empty is everyone."},
	{"allow_file", "", VALUE_PATH,
	 FIELD(listen, allow_file), 0, 0, NULL,
	 RELOAD, "File with more of them."},
	{"proxy_protocol", "off", VALUE_CHOICE,
	 FIELD(listen, proxy_protocol), 0, 0, proxy_protocols,
	 RELOAD, "Whether a PROXY header must come before TLS."},
	{"proxy_from", "", VALUE_NETWORKS,
	 FIELD(listen, proxy_from), 0, 0, NULL,
	 RELOAD, "Networks whose PROXY headers are believed."},
	{"mechanisms", "plain login xoauth2 oauthbearer other", VALUE_FLAGS,
	 FIELD(listen, mechanisms), 0, 0, mechanisms,
	 RELOAD, "What AUTHENTICATE accepts; tokens and other show where backends "
	 "have them."},
	{"login_command", "on", VALUE_CHOICE,
	 FIELD(listen, login_command), 0, 0, off_on,
	 RELOAD, "Whether the LOGIN command is accepted."},
};

static const struct row tls_rows[] = {
	{"preset", "intermediate", VALUE_CHOICE,
	 FIELD(tls, preset), 0, 0, presets,
	 RELOAD, "Policy from which the empty keys below are filled."},
	{"min_version", "", VALUE_CHOICE,
	 FIELD(tls, min_version), 0, 0, versions,
	 RELOAD, "Lowest TLS version."},
	{"max_version", "", VALUE_CHOICE,
	 FIELD(tls, max_version), 0, 0, versions,
	 RELOAD, "Highest TLS version."},
	{"ciphers", "", VALUE_TEXT,
	 FIELD(tls, ciphers), 0, 0, NULL,
	 RELOAD, "Cipher suites of TLS 1.2, separated by colons."},
	{"groups", "", VALUE_TEXT,
	 FIELD(tls, groups), 0, 0, NULL,
	 RELOAD, "Key exchange groups, separated by colons."},
	{"sigalgs", "", VALUE_TEXT,
	 FIELD(tls, sigalgs), 0, 0, NULL,
	 RELOAD, "Signature algorithms, separated by colons."},
	{"alpn", "strict", VALUE_CHOICE,
	 FIELD(tls, alpn), 0, 0, alpns,
	 RELOAD, "Whether ALPN offered without imap is refused."},
	{"sni", "lax", VALUE_CHOICE,
	 FIELD(tls, sni), 0, 0, snis,
	 RELOAD, "Whether an unknown server name is refused."},
	{"handshake_timeout", "30s", VALUE_DURATION,
	 FIELD(tls, handshake_timeout_ms), 100, 1 * H, NULL,
	 RELOAD, "Time for a whole handshake."},
	{"tickets", "on", VALUE_CHOICE,
	 FIELD(tls, tickets), 0, 0, off_on,
	 RELOAD, "Whether sessions can be resumed by tickets."},
	{"ticket_rotation", "12h", VALUE_DURATION,
	 FIELD(tls, ticket_rotation_ms), 1 * S, 7 * D, NULL,
	 RELOAD, "Age at which a ticket key is replaced."},
	{"ticket_secret", "", VALUE_PATH,
	 FIELD(tls, ticket_secret), 0, 0, NULL,
	 RELOAD,
	 "File with a secret that a fleet shares for its tickets."},
	{"observe_min_version", "", VALUE_CHOICE,
	 FIELD(tls, observe_min_version), 0, 0, versions,
	 RELOAD, "Lowest TLS version of a dry run."},
	{"observe_ciphers", "", VALUE_TEXT,
	 FIELD(tls, observe_ciphers), 0, 0, NULL,
	 RELOAD, "Cipher suites of a dry run."},
	{"client_certificates", "off", VALUE_CHOICE,
	 FIELD(tls, client_certificates), 0, 0, client_certs,
	 RELOAD, "Whether clients are asked for a certificate."},
	{"client_ca", "", VALUE_PATH,
	 FIELD(tls, client_ca), 0, 0, NULL,
	 RELOAD,
	 "File with the authorities of client certificates."},
	{"client_crl", "", VALUE_PATH,
	 FIELD(tls, client_crl), 0, 0, NULL,
	 RELOAD,
	 "File with the revocation lists of these authorities."},
	{"client_crl_expired", "refuse", VALUE_CHOICE,
	 FIELD(tls, client_crl_expired_accept), 0, 0, refuse_accept,
	 RELOAD,
	 "What becomes of clients when the list has expired."},
	{"client_pins", "", VALUE_PINS,
	 FIELD(tls, client_pins), 0, 0, NULL,
	 RELOAD, "SHA-256 hashes of the public keys of clients."},
	{"client_names", "", VALUE_HOSTS,
	 FIELD(tls, client_names), 0, 0, NULL,
	 RELOAD,
	 "Names of which a client certificate must have one."},
	{"client_cert_user", "off", VALUE_CHOICE,
	 FIELD(tls, client_cert_user), 0, 0, cert_users,
	 RELOAD,
	 "Field of the certificate that must match the user."},
};

static const struct row certificate_rows[] = {
	{"chain", NULL, VALUE_PATH,
	 FIELD(certificate, chain), 1, 0, NULL,
	 RELOAD,
	 "PEM file with the certificate and its chain, leaf first."},
	{"key", NULL, VALUE_PATH,
	 FIELD(certificate, key), 1, 0, NULL,
	 RELOAD, "PEM file with the private key."},
	{"names", "", VALUE_HOSTS,
	 FIELD(certificate, names), 0, 0, NULL,
	 RELOAD,
	 "Host names to serve it for; empty is those it contains."},
	{"pin", "", VALUE_PIN,
	 FIELD(certificate, pin), 0, 0, NULL,
	 RELOAD, "SHA-256 of the public key that it must have."},
	{"ocsp", "", VALUE_PATH,
	 FIELD(certificate, ocsp), 0, 0, NULL,
	 RELOAD, "DER file with an OCSP response to staple."},
	{"warn_days", "14", VALUE_NUMBER,
	 FIELD(certificate, warn_days), 0, 3650, NULL,
	 RELOAD, "Days before its end from which on it is warned of."},
};

static const struct row limits_rows[] = {
	{"observe", "off", VALUE_CHOICE,
	 FIELD(limits, observe), 0, 0, off_on,
	 RELOAD, "Decide, count and log, but refuse nothing."},
	{"connections_per_ip", "1000", VALUE_NUMBER,
	 FIELD(limits, connections_per_ip), 1, 1000000, NULL,
	 RELOAD, "Connections of one address."},
	{"preauth_per_ip", "64", VALUE_NUMBER,
	 FIELD(limits, preauth_per_ip), 1, 1000000, NULL,
	 RELOAD,
	 "Connections of one address that are not logged in."},
	{"connect_rate_per_ip", "50/s", VALUE_RATE,
	 FIELD(limits, connect_rate_per_ip), 0, 0, NULL,
	 RELOAD, "New connections of one address."},
	{"connect_burst_per_ip", "500", VALUE_NUMBER,
	 FIELD(limits, connect_burst_per_ip), 1, 1000000, NULL,
	 RELOAD, "New connections of one address at once."},
	{"ipv6_ladder", "64, 56:4, 48:16", VALUE_LADDER,
	 FIELD(limits, ipv6_ladder), 1, 0, NULL,
	 RELOAD,
	 "IPv6 prefixes that count as one address, with factors."},
	{"ipv4_prefix", "32", VALUE_NUMBER,
	 FIELD(limits, ipv4_prefix), 8, 32, NULL,
	 RELOAD, "IPv4 prefix that counts as one address."},
	{"handshakes_in_flight", "1000", VALUE_NUMBER,
	 FIELD(limits, handshakes_in_flight), 1, 1000000, NULL,
	 RELOAD, "TLS handshakes at the same time."},
	{"handshake_rate", "auto", VALUE_AUTO_RATE,
	 FIELD(limits, handshake_rate), 0, 0, NULL,
	 RELOAD, "Full TLS handshakes of the whole gateway."},
	{"login_attempts", "5", VALUE_NUMBER,
	 FIELD(limits, login_attempts), 1, 1000, NULL,
	 RELOAD, "Failed logins after which a connection ends."},
	{"auth_failures_per_ip", "20/10m", VALUE_RATE,
	 FIELD(limits, auth_failures_per_ip), 0, 0, NULL,
	 RELOAD,
	 "Failed logins of an address before delays and a ban."},
	{"auth_failures_per_user", "20/10m", VALUE_RATE,
	 FIELD(limits, auth_failures_per_user), 0, 0, NULL,
	 RELOAD,
	 "Failed logins of one user before logins are delayed."},
	{"auth_ban", "10m", VALUE_DURATION,
	 FIELD(limits, auth_ban_ms), 1 * S, 30 * D, NULL,
	 RELOAD, "How long a ban lasts."},
	{"preauth_timeout", "3m", VALUE_DURATION,
	 FIELD(limits, preauth_timeout_ms), 100, 1 * H, NULL,
	 RELOAD, "Time from the end of the handshake to the login."},
	{"proxy_timeout", "5s", VALUE_DURATION,
	 FIELD(limits, proxy_timeout_ms), 100, 1 * H, NULL,
	 RELOAD, "Time for a PROXY header to arrive."},
	{"exempt", "127.0.0.0/8, ::1/128", VALUE_NETWORKS,
	 FIELD(limits, exempt), 0, 0, NULL,
	 RELOAD, "Networks to which no limit applies."},
	{"exempt_file", "", VALUE_PATH,
	 FIELD(limits, exempt_file), 0, 0, NULL,
	 RELOAD, "File with more of them."},
	{"deny", "", VALUE_NETWORKS,
	 FIELD(limits, deny), 0, 0, NULL,
	 RELOAD, "Networks that may not connect."},
	{"deny_file", "", VALUE_PATH,
	 FIELD(limits, deny_file), 0, 0, NULL,
	 RELOAD, "File with more of them."},
	{"table_entries", "262144", VALUE_NUMBER,
	 FIELD(limits, table_entries), 1024, 16777216, NULL,
	 RESTART, "Room for this many addresses."},
	{"overflow", "admit", VALUE_CHOICE,
	 FIELD(limits, overflow_refuse), 0, 0, admit_refuse,
	 RELOAD,
	 "What becomes of an address for which there is no room."},
};

static const struct row pool_rows[] = {
	{"balance", "least", VALUE_CHOICE,
	 FIELD(pool, balance), 0, 0, balances,
	 RELOAD, "How a backend is chosen."},
	{"capabilities", "auto", VALUE_CAPABILITIES,
	 FIELD(pool, capabilities), 0, 0, NULL,
	 RELOAD,
	 "Capabilities before login; auto is what all backends have."},
	{"when_down", "bye", VALUE_CHOICE,
	 FIELD(pool, when_down_bye), 0, 0, no_bye,
	 RELOAD,
	 "Without a backend up: bye at once, or no at the login."},
	{"connect_timeout", "3s", VALUE_DURATION,
	 FIELD(pool, connect_timeout_ms), 100, 10 * M, NULL,
	 RELOAD,
	 "Time to connect, and for the greeting while another is left."},
	{"greeting_timeout", "10s", VALUE_DURATION,
	 FIELD(pool, greeting_timeout_ms), 100, 10 * M, NULL,
	 RELOAD, "Time for the greeting of the last backend left."},
	{"login_timeout", "30s", VALUE_DURATION,
	 FIELD(pool, login_timeout_ms), 100, 1 * H, NULL,
	 RELOAD, "Time for its verdict on a login."},
	{"wait_for_backend", "10s", VALUE_DURATION,
	 FIELD(pool, wait_for_backend_ms), 0, 10 * M, NULL,
	 RELOAD, "Time a login waits when every backend is lost."},
	{"idle_timeout", "35m", VALUE_DURATION,
	 FIELD(pool, idle_timeout_ms), 1 * S, 7 * D, NULL,
	 RELOAD, "Time after which a session that moves nothing ends."},
	{"stall_timeout", "10m", VALUE_DURATION,
	 FIELD(pool, stall_timeout_ms), 1 * S, 1 * D, NULL,
	 RELOAD,
	 "Time after which a peer that takes nothing is given up."},
	{"keepalive", "5m", VALUE_DURATION,
	 FIELD(pool, keepalive_ms), 1 * S, 9 * H, NULL,
	 RELOAD,
	 "Interval of TCP keep-alives, to clients and backends."},
	{"check_interval", "5s", VALUE_DURATION,
	 FIELD(pool, check_interval_ms), 100, 1 * D, NULL,
	 RELOAD, "Time between two checks of a backend."},
	{"check_timeout", "3s", VALUE_DURATION,
	 FIELD(pool, check_timeout_ms), 100, 10 * M, NULL,
	 RELOAD, "Time for a whole check."},
	{"check_rise", "2", VALUE_NUMBER,
	 FIELD(pool, check_rise), 1, 100, NULL,
	 RELOAD, "Good checks after which a backend is up."},
	{"check_fall", "3", VALUE_NUMBER,
	 FIELD(pool, check_fall), 1, 100, NULL,
	 RELOAD, "Bad checks after which a backend is down."},
	{"check_user", "", VALUE_TEXT,
	 FIELD(pool, check_user), 0, 0, NULL,
	 RELOAD, "User as whom checks log in."},
	{"check_password_file", "", VALUE_PATH,
	 FIELD(pool, check_password_file), 0, 0, NULL,
	 RELOAD, "File with the password of this user."},
	{"min_available", "1", VALUE_NUMBER,
	 FIELD(pool, min_available), 1, 4096, NULL,
	 RELOAD, "Backends up in a tier, else the next tier is used."},
	{"slow_start", "30s", VALUE_DURATION,
	 FIELD(pool, slow_start_ms), 0, 1 * D, NULL,
	 RELOAD, "Time in which a backend comes to its full share."},
	{"resolve_interval", "30s", VALUE_DURATION,
	 FIELD(pool, resolve_interval_ms), 1 * S, 1 * D, NULL,
	 RELOAD,
	 "Time after which the name of a backend is looked up again."},
	{"queue", "1000", VALUE_NUMBER,
	 FIELD(pool, queue), 0, 1000000, NULL,
	 RELOAD, "Logins that may wait for a backend with room."},
	{"route", "", VALUE_PATH,
	 FIELD(pool, route), 0, 0, NULL,
	 RELOAD,
	 "File that maps users and domains to pools and backends."},
};

static const struct row backend_rows[] = {
	{"pool", "", VALUE_SECTION,
	 FIELD(backend, pool_name), 0, 0, NULL,
	 RELOAD, "Name of the pool section; empty is the only one."},
	{"address", NULL, VALUE_BACKEND,
	 FIELD(backend, host), 0, 107, NULL,
	 RELOAD, "Host and port, or unix: and the path of a socket."},
	{"weight", "1", VALUE_NUMBER,
	 FIELD(backend, weight), 1, 256, NULL,
	 RELOAD, "Share of the sessions, relative to the others."},
	{"tier", "0", VALUE_NUMBER,
	 FIELD(backend, tier), 0, 255, NULL,
	 RELOAD, "Lower tiers are used first."},
	{"max_connections", "0", VALUE_NUMBER,
	 FIELD(backend, max_connections), 0, 1000000, NULL,
	 RELOAD, "Sessions it may have at a time; 0 is no limit."},
	{"source_ip", "", VALUE_ADDRESSES,
	 FIELD(backend, source_ip), 0, 0, NULL,
	 RELOAD,
	 "Addresses to connect from; empty leaves it to the system."},
	{"client_ip", "none", VALUE_CHOICE,
	 FIELD(backend, client_ip), 0, 0, client_ips,
	 RELOAD, "How the backend learns the address of the client."},
	{"backend_tls", "off", VALUE_CHOICE,
	 FIELD(backend, backend_tls), 0, 0, backend_tls,
	 RELOAD, "TLS to the backend."},
	{"backend_tls_ca", "", VALUE_PATH,
	 FIELD(backend, backend_tls_ca), 0, 0, NULL,
	 RELOAD, "File with the authorities of its certificate."},
	{"backend_tls_name", "", VALUE_TEXT,
	 FIELD(backend, backend_tls_name), 0, 0, NULL,
	 RELOAD, "Name that its certificate must have."},
	{"backend_tls_pin", "", VALUE_PIN,
	 FIELD(backend, backend_tls_pin), 0, 0, NULL,
	 RELOAD, "SHA-256 of the public key that it must have."},
	{"backend_tls_cert", "", VALUE_PATH,
	 FIELD(backend, backend_tls_cert), 0, 0, NULL,
	 RELOAD, "File with the certificate shown to it."},
	{"backend_tls_key", "", VALUE_PATH,
	 FIELD(backend, backend_tls_key), 0, 0, NULL,
	 RELOAD, "File with the key of this certificate."},
};
/* clang-format on */

#define SECTION(name, is_many, member)                            \
	{                                                         \
#name, is_many, sizeof(struct config_##name),     \
		    offsetof(struct config, member), name##_rows, \
		    sizeof(name##_rows) / sizeof(name##_rows[0])  \
	}

static const struct section sections[SECTION_TYPES] = {
    [SECTION_GATEWAY] = SECTION(gateway, false, gateway),
    [SECTION_LISTEN] = SECTION(listen, true, listens),
    [SECTION_TLS] = SECTION(tls, true, tls),
    [SECTION_CERTIFICATE] = SECTION(certificate, true, certificates),
    [SECTION_LIMITS] = SECTION(limits, false, limits),
    [SECTION_POOL] = SECTION(pool, true, pools),
    [SECTION_BACKEND] = SECTION(backend, true, backends),
};

#define BEGINS_WITH_HEAD(type)                                        \
	_Static_assert(offsetof(struct config_##type, name) ==        \
			       offsetof(struct section_head, name) && \
			   offsetof(struct config_##type, line) ==    \
			       offsetof(struct section_head, line),   \
	    "the head of [" #type "]")
BEGINS_WITH_HEAD(listen);
BEGINS_WITH_HEAD(tls);
BEGINS_WITH_HEAD(certificate);
BEGINS_WITH_HEAD(pool);
BEGINS_WITH_HEAD(backend);

#define ROWS_FIT(name)                                                        \
	_Static_assert(                                                       \
	    sizeof(name##_rows) / sizeof(name##_rows[0]) <= SECTION_ROWS_MAX, \
	    "too many keys in [" #name "]")
ROWS_FIT(gateway);
ROWS_FIT(listen);
ROWS_FIT(tls);
ROWS_FIT(certificate);
ROWS_FIT(limits);
ROWS_FIT(pool);
ROWS_FIT(backend);

const struct section *
schema_section(enum section_type type)
{
	ENSURE(type < SECTION_TYPES);
	return &sections[type];
}

enum section_type
schema_find_section(struct span name)
{
	for (size_t i = 0; i < SECTION_TYPES; i++)
		if (span_equal(name, span_str(sections[i].name)))
			return (enum section_type)i;
	return SECTION_TYPES;
}

uint32_t
schema_find_key(const struct section *section, struct span key)
{
	uint32_t i = 0;

	while (i < section->n_rows &&
	       !span_equal(key, span_str(section->rows[i].key)))
		i++;
	return i;
}

static bool
is_name_char(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

bool
schema_is_name(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_name_char(text.data[i]))
			return false;
	return text.len >= 1 && text.len <= SECTION_NAME_MAX;
}

#define NEAREST_MAX 31

static uint32_t
smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* How many letters to add, drop or replace (Levenshtein), row by row. */
static uint32_t
distance(struct span a, struct span b)
{
	uint32_t row[NEAREST_MAX + 1];

	if (a.len > NEAREST_MAX || b.len > NEAREST_MAX)
		return NEAREST_MAX;
	for (uint32_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (uint32_t i = 1; i <= a.len; i++) {
		uint32_t diagonal = row[0];
		row[0] = i;
		for (uint32_t j = 1; j <= b.len; j++) {
			uint32_t cost = a.data[i - 1] != b.data[j - 1];
			uint32_t above = row[j];
			row[j] = smaller(
			    smaller(above, row[j - 1]) + 1, diagonal + cost);
			diagonal = above;
		}
	}
	return row[b.len];
}

/* A third of the letters may be wrong: more is a guess, not a typing error. */
static bool
is_nearer(struct span text, const char *candidate, uint32_t *best)
{
	uint32_t d = distance(text, span_str(candidate));

	bool is_near = d < *best && d <= (strlen(candidate) + 2) / 3;
	if (is_near)
		*best = d;
	return is_near;
}

const char *
schema_nearest_key(const struct section *section, struct span key)
{
	const char *nearest = NULL;
	uint32_t best = NEAREST_MAX;

	for (uint32_t i = 0; i < section->n_rows; i++)
		if (is_nearer(key, section->rows[i].key, &best))
			nearest = section->rows[i].key;
	return nearest;
}

const char *
schema_nearest_section(struct span name)
{
	const char *nearest = NULL;
	uint32_t best = NEAREST_MAX;

	for (size_t i = 0; i < SECTION_TYPES; i++)
		if (is_nearer(name, sections[i].name, &best))
			nearest = sections[i].name;
	return nearest;
}
