/* SPDX-License-Identifier: ISC */
/*
 * See metrics.h. One function per row of the table: write_ID(). What a role
 * wrote is taken as numbers only; texts of areas are escaped as labels.
 * Called by http.c.
 */
#include "proxy/observer/metrics.h"

#include <sys/resource.h>
#include <time.h>

#include "backends/health.h"
#include "proxy/ipc/reason.h"
#include "proxy/limits/table.h"
#include "proxy/observer/ledger.h"
#include "proxy/observer/sheet.h"
#include "tls/stream.h" /* for the words of its failures only */

#define SUM(sheet, member)	 VIEW_SUM((sheet)->view, member)
#define SUM_AT(sheet, member, i) VIEW_SUM_AT((sheet)->view, member, i)

/* A counter of the slot areas that has no label. */
#define PLAIN(id, member)                                 \
	static void write_##id(const struct sheet *sheet) \
	{                                                 \
		sheet_plain(sheet, SUM(sheet, member));   \
	}

#define HISTOGRAM(id, member)                                         \
	static void write_##id(const struct sheet *sheet)             \
	{                                                             \
		sheet_histogram(                                      \
		    sheet, offsetof(struct slot_area, tally.member)); \
	}

/* --- the gateway ---------------------------------------------------------- */

static void
write_build_info(const struct sheet *sheet)
{
	sheet_row(sheet, "1", "version", SALLYPORT_VERSION, SHEET_END);
}

static void
write_start_time_seconds(const struct sheet *sheet)
{
	int64_t age_s = (int64_t)view_age_s(sheet->view->started_ms);
	sheet_row(
	    sheet, sheet_signed((int64_t)time(NULL) - age_s).text, SHEET_END);
}

static void
write_ready(const struct sheet *sheet)
{
	sheet_plain(sheet, view_not_ready(sheet->view) == NULL);
}

static void
write_config_generation(const struct sheet *sheet)
{
	const struct config *config = sheet->view->config;
	sheet_plain(sheet, config == NULL ? 0 : config->generation);
}

static void
write_reloads_total(const struct sheet *sheet)
{
	const struct ledger *ledger = sheet->view->ledger;
	sheet_count(sheet, "verdict", "ok", ledger->reloads_ok);
	sheet_count(sheet, "verdict", "failed", ledger->reloads_failed);
}

/* --- connections ---------------------------------------------------------- */

static void
write_connections(const struct sheet *sheet)
{
	for (int i = 0; i < SESSION_DONE; i++)
		sheet_count(sheet, "state", session_state_name((uint8_t)i),
		    SUM_AT(sheet, states, i));
}

static void
write_connections_max(const struct sheet *sheet)
{
	const struct config *config = sheet->view->config;
	sheet_plain(
	    sheet, config == NULL ? 0 : config->gateway.max_connections);
}

PLAIN(connections_accepted_total, accepted)

static void
write_connections_refused_total(const struct sheet *sheet)
{
#define X(counter, why) sheet_count(sheet, "reason", why, SUM(sheet, counter));
	SLOT_REFUSALS(X)
#undef X
}

static void
write_connections_ended_total(const struct sheet *sheet)
{
	for (int i = REASON_NONE + 1; i < REASON_MAX; i++)
		sheet_count(sheet, "reason", end_reason_name((uint8_t)i),
		    SUM_AT(sheet, end_reasons, i));
}

PLAIN(connections_delayed_total, waited)
PLAIN(refusals_observed_total, observed)

static void
write_proxy_checks_total(const struct sheet *sheet)
{
	sheet_count(sheet, "kind", "bare", SUM(sheet, proxy_bare));
	sheet_count(sheet, "kind", "local", SUM(sheet, proxy_local));
}

PLAIN(accept_errors_total, accept_errors)

/* --- limits --------------------------------------------------------------- */

static void
write_limiter_entries(const struct sheet *sheet)
{
	const struct census *census = &sheet->view->ledger->census;
	sheet_count(sheet, "kind", "prefix", census->found.prefixes);
	sheet_count(sheet, "kind", "user", census->found.users);
}

static void
write_limiter_entries_max(const struct sheet *sheet)
{
	const struct limiter *limiter = &sheet->view->limiter;
	sheet_plain(
	    sheet, limiter->area == NULL ? 0 : limiter_n_entries(limiter));
}

PLAIN(limiter_evictions_total, evictions)
PLAIN(limiter_overflows_total, table_overflows)

static void
write_bans(const struct sheet *sheet)
{
	sheet_plain(sheet, sheet->view->ledger->census.found.bans);
}

PLAIN(bans_total, bans)

/* --- TLS ------------------------------------------------------------------ */

static void
write_handshakes_total(const struct sheet *sheet)
{
	sheet_count(sheet, "resumed", "false", SUM(sheet, handshakes_full));
	sheet_count(sheet, "resumed", "true", SUM(sheet, handshakes_resumed));
}

static void
write_handshake_versions_total(const struct sheet *sheet)
{
	sheet_count(sheet, "version", "TLSv1.2", SUM(sheet, handshakes_tls12));
	sheet_count(sheet, "version", "TLSv1.3", SUM(sheet, handshakes_tls13));
}

static void
write_handshake_ciphers_total(const struct sheet *sheet)
{
	for (unsigned int i = 0; i < TALLY_CIPHER_MAX; i++)
		sheet_count(sheet, "cipher", tally_cipher_name(i),
		    SUM_AT(sheet, tally.ciphers, i));
}

static void
write_handshake_groups_total(const struct sheet *sheet)
{
	for (unsigned int i = 0; i < TALLY_GROUP_MAX; i++)
		sheet_count(sheet, "group",
		    i == TALLY_GROUP_NONE ? "none" : tally_group_name(i),
		    SUM_AT(sheet, tally.groups, i));
}

static void
write_handshake_failures_total(const struct sheet *sheet)
{
	static const char *const reasons[] = {
#define X(name, text) text,
	    TLS_FAILURES(X)
#undef X
	};
	for (int i = TLS_FAIL_NONE + 1; i < TLS_FAIL_MAX; i++)
		sheet_count(sheet, "reason", reasons[i],
		    SUM_AT(sheet, tls_failures, i));
}

static void
write_handshakes_observed_total(const struct sheet *sheet)
{
	sheet_count(sheet, "rule", "version", SUM(sheet, observed_version));
	sheet_count(sheet, "rule", "cipher", SUM(sheet, observed_cipher));
}

PLAIN(client_certificates_total, client_certificates)
HISTOGRAM(handshake_seconds, handshake)

/* --- logins and traffic --------------------------------------------------- */

static void
write_logins_limited_total(const struct sheet *sheet)
{
	sheet_count(sheet, "action", "delayed", SUM(sheet, logins_delayed));
	sheet_count(sheet, "action", "refused", SUM(sheet, logins_banned));
}

PLAIN(logins_new_prefix_total, new_prefixes)
HISTOGRAM(login_seconds, login)

static void
write_logins_total(const struct sheet *sheet)
{
	for (unsigned int i = 0; i < TALLY_VERDICT_OTHER; i++)
		for (unsigned int j = 0; j < TALLY_MECHANISM_MAX; j++)
			sheet_row(sheet,
			    sheet_whole(SUM_AT(sheet, tally.logins,
					    i * TALLY_MECHANISM_MAX + j))
				.text,
			    "verdict", tally_verdict_name(i), "mechanism",
			    tally_mechanism_name(j), SHEET_END);
}

static void
write_traffic_bytes_total(const struct sheet *sheet)
{
	sheet_count(sheet, "direction", "in", SUM(sheet, bytes_from_clients));
	sheet_count(sheet, "direction", "out", SUM(sheet, bytes_to_clients));
}

/* --- backends ------------------------------------------------------------- */

PLAIN(backend_connects_total, backend_connects)
HISTOGRAM(backend_connect_seconds, connect)

struct backend_walk {
	uint32_t next;
	uint32_t index;
	struct backend backend;
	char address[ENDPOINT_TEXT_MAX];
};

static bool
next_backend(const struct sheet *sheet, struct backend_walk *walk)
{
	do {
		if (walk->next >= view_n_backends(sheet->view))
			return false;
		walk->index = walk->next++;
	} while (!view_backend(sheet->view, walk->index, &walk->backend));
	endpoint_text(&walk->backend.endpoint, walk->address);
	return true;
}

static void
backend_row(const struct sheet *sheet, const struct backend_walk *walk,
    struct sheet_number value)
{
	sheet_row(sheet, value.text, "backend", walk->backend.name, "pool",
	    walk->backend.pool, "address", walk->address, SHEET_END);
}

#define BACKEND(id, number)                                                   \
	static void write_##id(const struct sheet *sheet)                     \
	{                                                                     \
		for (struct backend_walk at = {0}; next_backend(sheet, &at);) \
			backend_row(sheet, &at, number);                      \
	}
BACKEND(
    backend_sessions, sheet_whole(view_backend_sessions(sheet->view, at.index)))
BACKEND(backend_weight, sheet_whole(at.backend.weight))
BACKEND(backend_latency_seconds, sheet_seconds(at.backend.latency_us))
BACKEND(backend_failures_total,
    sheet_whole(view_backend_failures(sheet->view, at.index)))

static void
write_backend_state(const struct sheet *sheet)
{
	for (struct backend_walk at = {0}; next_backend(sheet, &at);)
		for (uint32_t state = BACKEND_UNUSED + 1;
		     state <= BACKEND_EJECTED; state++)
			sheet_row(sheet, at.backend.state == state ? "1" : "0",
			    "backend", at.backend.name, "pool", at.backend.pool,
			    "address", at.address, "state",
			    backend_state_name((enum backend_state)state),
			    SHEET_END);
}

/* --- certificates and keys ------------------------------------------------ */

#define CERTIFICATE(id, number)                                           \
	static void write_##id(const struct sheet *sheet)                 \
	{                                                                 \
		const struct config *config = sheet->view->config;        \
		uint32_t n = config == NULL ? 0 : config->certificates.n; \
		for (uint32_t i = 0; i < n; i++) {                        \
			const struct config_certificate *at =             \
			    config_certificate_at(config, i);             \
			sheet_row(sheet, (number).text, "certificate",    \
			    config_text(config, at->name), SHEET_END);    \
		}                                                         \
	}
CERTIFICATE(certificate_usable, sheet_whole(at->usable))
CERTIFICATE(certificate_left_seconds, sheet_signed(view_left_s(at)))
CERTIFICATE(certificate_loaded_timestamp_seconds, sheet_signed(at->loaded))
CERTIFICATE(certificate_renewals_total, sheet_whole(at->renewals))

static void
write_certificate_faults_total(const struct sheet *sheet)
{
	sheet_plain(sheet, sheet->view->ledger->certificate_faults);
}

static void
write_ticket_key_age_seconds(const struct sheet *sheet)
{
	const struct config *config = sheet->view->config;
	uint32_t n = config == NULL ? 0 : config->tls.n;
	for (uint32_t i = 0; i < n && i < TICKET_RINGS; i++) {
		const struct config_tls *tls = config_tls_at(config, i);
		uint64_t since_ms = sheet->view->ledger->ticket_ms[i];
		if (tls->tickets && since_ms != 0)
			sheet_count(sheet, "tls",
			    config_text(config, tls->name),
			    view_age_s(since_ms));
	}
}

PLAIN(keeper_requests_total, key_requests)
PLAIN(keeper_failures_total, key_failures)
HISTOGRAM(keeper_seconds, key)

/* --- the processes -------------------------------------------------------- */

static void
write_role_restarts_total(const struct sheet *sheet)
{
	for (unsigned int i = 0; i < LEDGER_ROLE_MAX; i++)
		sheet_count(sheet, "role", ledger_role_name(i),
		    sheet->view->ledger->restarts[i]);
}

HISTOGRAM(loop_lag_seconds, lag)

static void
write_events_dropped_total(const struct sheet *sheet)
{
	const struct ledger *ledger = sheet->view->ledger;
	sheet_count(sheet, "cause", "queue_full", SUM(sheet, events_dropped));
	sheet_count(sheet, "cause", "write_error", ledger->dropped_write);
	sheet_count(sheet, "cause", "malformed", ledger->dropped_malformed);
}

PLAIN(events_summed_total, events_summed)

static void
write_descriptors(const struct sheet *sheet)
{
	for (uint32_t i = 0; i < VIEW_SLOTS_MAX; i++) {
		const struct slot_area *area = view_slot(sheet->view, i);
		if (area != NULL)
			sheet_count(sheet, "worker", sheet_whole(i).text,
			    atomic_load(&area->descriptors));
	}
}

/* The master raised it before it started anybody: ours is everybody's. */
static void
write_descriptors_max(const struct sheet *sheet)
{
	struct rlimit limit = {0};
	getrlimit(RLIMIT_NOFILE, &limit);
	sheet_plain(sheet, limit.rlim_cur);
}

/* --- the table ------------------------------------------------------------ */

static const struct {
	const char *name;
	const char *type;
	const char *help;
	void (*write)(const struct sheet *sheet);
} metrics[] = {
#define X(id, type, labels, help) {#id, #type, help, write_##id},
    METRICS(X)
#undef X
};

void
metrics_write(const struct view *view, struct reply *reply)
{
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
		struct sheet sheet = {view, reply, metrics[i].name};
		reply_printf(reply, "# HELP sallyport_%s %s\n", metrics[i].name,
		    metrics[i].help);
		reply_printf(reply, "# TYPE sallyport_%s %s\n", metrics[i].name,
		    metrics[i].type);
		metrics[i].write(&sheet);
	}
}
