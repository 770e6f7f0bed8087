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
#include "proxy/observer/ledger.h"
#include "proxy/observer/sheet.h"
#include "tls/stream.h" /* for the words of its failures only */

#define SUM(sheet, member) sheet_sum(sheet, offsetof(struct slot_area, member))
#define SUM_AT(sheet, member, i)                              \
	sheet_sum(sheet, offsetof(struct slot_area, member) + \
			     (size_t)(i) * sizeof(_Atomic uint64_t))

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
	sheet_plain(sheet, view_not_ready(sheet->view) == SHEET_END);
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
	sheet_row(sheet, sheet_whole(ledger->reloads_ok).text, "verdict", "ok",
	    SHEET_END);
	sheet_row(sheet, sheet_whole(ledger->reloads_failed).text, "verdict",
	    "failed", SHEET_END);
}

/* --- connections ---------------------------------------------------------- */

static void
write_connections(const struct sheet *sheet)
{
	for (int i = 0; i < SESSION_DONE; i++)
		sheet_row(sheet, sheet_whole(SUM_AT(sheet, states, i)).text,
		    "state", session_state_name((uint8_t)i), SHEET_END);
}

static void
write_connections_max(const struct sheet *sheet)
{
	const struct config *config = sheet->view->config;
	sheet_plain(
	    sheet, config == NULL ? 0 : config->gateway.max_connections);
}

static void
write_connections_accepted_total(const struct sheet *sheet)
{
	sheet_plain(sheet, SUM(sheet, accepted));
}

static void
write_connections_refused_total(const struct sheet *sheet)
{
	static const struct {
		const char *reason;
		size_t offset;
	} counters[] = {
	    {"full", offsetof(struct slot_area, refused_full)},
	    {"denied", offsetof(struct slot_area, refused_denied)},
	    {"memory", offsetof(struct slot_area, refused_memory)},
	    {"shed", offsetof(struct slot_area, shed)},
	};
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
		sheet_row(sheet,
		    sheet_whole(sheet_sum(sheet, counters[i].offset)).text,
		    "reason", counters[i].reason, SHEET_END);
}

static void
write_connections_ended_total(const struct sheet *sheet)
{
	for (int i = REASON_NONE + 1; i < REASON_MAX; i++)
		sheet_row(sheet,
		    sheet_whole(SUM_AT(sheet, end_reasons, i)).text, "reason",
		    end_reason_name((uint8_t)i), SHEET_END);
}

static void
write_accept_errors_total(const struct sheet *sheet)
{
	sheet_plain(sheet, SUM(sheet, accept_errors));
}

/* --- TLS ------------------------------------------------------------------ */

static void
write_handshakes_total(const struct sheet *sheet)
{
	sheet_row(sheet, sheet_whole(SUM(sheet, handshakes_full)).text,
	    "resumed", "false", SHEET_END);
	sheet_row(sheet, sheet_whole(SUM(sheet, handshakes_resumed)).text,
	    "resumed", "true", SHEET_END);
}

static void
write_handshake_versions_total(const struct sheet *sheet)
{
	sheet_row(sheet, sheet_whole(SUM(sheet, handshakes_tls12)).text,
	    "version", "TLSv1.2", SHEET_END);
	sheet_row(sheet, sheet_whole(SUM(sheet, handshakes_tls13)).text,
	    "version", "TLSv1.3", SHEET_END);
}

static void
write_handshake_ciphers_total(const struct sheet *sheet)
{
	for (unsigned int i = 0; i < TALLY_CIPHER_MAX; i++)
		sheet_row(sheet,
		    sheet_whole(SUM_AT(sheet, tally.ciphers, i)).text, "cipher",
		    tally_cipher_name(i), SHEET_END);
}

static void
write_handshake_groups_total(const struct sheet *sheet)
{
	for (unsigned int i = 0; i < TALLY_GROUP_MAX; i++)
		sheet_row(sheet,
		    sheet_whole(SUM_AT(sheet, tally.groups, i)).text, "group",
		    i == TALLY_GROUP_NONE ? "none" : tally_group_name(i),
		    SHEET_END);
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
		sheet_row(sheet,
		    sheet_whole(SUM_AT(sheet, tls_failures, i)).text, "reason",
		    reasons[i], SHEET_END);
}

#define HISTOGRAM(id, member)                                         \
	static void write_##id(const struct sheet *sheet)             \
	{                                                             \
		sheet_histogram(                                      \
		    sheet, offsetof(struct slot_area, tally.member)); \
	}
HISTOGRAM(handshake_seconds, handshake)
HISTOGRAM(login_seconds, login)
HISTOGRAM(backend_connect_seconds, connect)
HISTOGRAM(keeper_seconds, key)
HISTOGRAM(loop_lag_seconds, lag)

/* --- logins and traffic --------------------------------------------------- */

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
	sheet_row(sheet, sheet_whole(SUM(sheet, bytes_from_clients)).text,
	    "direction", "in", SHEET_END);
	sheet_row(sheet, sheet_whole(SUM(sheet, bytes_to_clients)).text,
	    "direction", "out", SHEET_END);
}

/* --- backends ------------------------------------------------------------- */

static void
write_backend_connects_total(const struct sheet *sheet)
{
	sheet_plain(sheet, SUM(sheet, backend_connects));
}

static void
each_backend(const struct sheet *sheet,
    struct sheet_number (*value)(const struct sheet *sheet, uint32_t index,
	const struct backend *backend))
{
	uint32_t n = view_n_backends(sheet->view);
	for (uint32_t i = 0; i < n; i++) {
		struct backend backend;
		char address[ENDPOINT_TEXT_MAX];
		if (!view_backend(sheet->view, i, &backend))
			continue;
		sheet_row(sheet, value(sheet, i, &backend).text, "backend",
		    backend.name, "pool", backend.pool, "address",
		    endpoint_text(&backend.endpoint, address), SHEET_END);
	}
}

static void
write_backend_state(const struct sheet *sheet)
{
	uint32_t n = view_n_backends(sheet->view);
	for (uint32_t i = 0; i < n; i++) {
		struct backend backend;
		char address[ENDPOINT_TEXT_MAX];
		if (!view_backend(sheet->view, i, &backend))
			continue;
		endpoint_text(&backend.endpoint, address);
		for (uint32_t state = BACKEND_UNUSED + 1;
		     state <= BACKEND_EJECTED; state++)
			sheet_row(sheet, backend.state == state ? "1" : "0",
			    "backend", backend.name, "pool", backend.pool,
			    "address", address, "state",
			    backend_state_name((enum backend_state)state),
			    SHEET_END);
	}
}

static struct sheet_number
sessions_of(
    const struct sheet *sheet, uint32_t index, const struct backend *backend)
{
	(void)backend;
	return sheet_whole(view_backend_sessions(sheet->view, index));
}

static void
write_backend_sessions(const struct sheet *sheet)
{
	each_backend(sheet, sessions_of);
}

static struct sheet_number
weight_of(
    const struct sheet *sheet, uint32_t index, const struct backend *backend)
{
	(void)sheet;
	(void)index;
	return sheet_whole(backend->weight);
}

static void
write_backend_weight(const struct sheet *sheet)
{
	each_backend(sheet, weight_of);
}

static struct sheet_number
latency_of(
    const struct sheet *sheet, uint32_t index, const struct backend *backend)
{
	(void)sheet;
	(void)index;
	return sheet_seconds(backend->latency_us);
}

static void
write_backend_latency_seconds(const struct sheet *sheet)
{
	each_backend(sheet, latency_of);
}

static struct sheet_number
failures_of(
    const struct sheet *sheet, uint32_t index, const struct backend *backend)
{
	(void)backend;
	return sheet_whole(view_backend_failures(sheet->view, index));
}

static void
write_backend_failures_total(const struct sheet *sheet)
{
	each_backend(sheet, failures_of);
}

/* --- certificates and keys ------------------------------------------------ */

static void
each_certificate(const struct sheet *sheet,
    struct sheet_number (*value)(const struct sheet *sheet,
	const struct config_certificate *certificate,
	const struct ledger_certificate *known))
{
	static const struct ledger_certificate none;
	const struct config *config = sheet->view->config;
	uint32_t n = config == NULL ? 0 : config->certificates.n;
	for (uint32_t i = 0; i < n; i++) {
		const struct config_certificate *certificate =
		    config_certificate_at(config, i);
		const struct ledger_certificate *known =
		    ledger_certificate(sheet->view->ledger,
			config_span(config, certificate->name));
		sheet_row(sheet,
		    value(sheet, certificate, known == NULL ? &none : known)
			.text,
		    "certificate", config_text(config, certificate->name),
		    SHEET_END);
	}
}

#define CERTIFICATE(id, expression)                                         \
	static struct sheet_number value_of_##id(const struct sheet *sheet, \
	    const struct config_certificate *certificate,                   \
	    const struct ledger_certificate *known)                         \
	{                                                                   \
		(void)sheet;                                                \
		(void)certificate;                                          \
		(void)known;                                                \
		return expression;                                          \
	}                                                                   \
	static void write_##id(const struct sheet *sheet)                   \
	{                                                                   \
		each_certificate(sheet, value_of_##id);                     \
	}
CERTIFICATE(certificate_usable, sheet_whole(certificate->usable))
CERTIFICATE(certificate_left_seconds,
    sheet_signed(certificate->not_after - (int64_t)time(NULL)))
CERTIFICATE(certificate_loaded_timestamp_seconds, sheet_signed(known->loaded_s))
CERTIFICATE(certificate_renewals_total, sheet_whole(known->renewals))

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
			sheet_row(sheet, sheet_whole(view_age_s(since_ms)).text,
			    "tls", config_text(config, tls->name), SHEET_END);
	}
}

static void
write_keeper_requests_total(const struct sheet *sheet)
{
	sheet_plain(sheet, SUM(sheet, key_requests));
}

static void
write_keeper_failures_total(const struct sheet *sheet)
{
	sheet_plain(sheet, SUM(sheet, key_failures));
}

/* --- the processes -------------------------------------------------------- */

static void
write_role_restarts_total(const struct sheet *sheet)
{
	for (unsigned int i = 0; i < LEDGER_ROLE_MAX; i++)
		sheet_row(sheet,
		    sheet_whole(sheet->view->ledger->restarts[i]).text, "role",
		    ledger_role_name(i), SHEET_END);
}

static void
write_events_dropped_total(const struct sheet *sheet)
{
	const struct ledger *ledger = sheet->view->ledger;
	sheet_row(sheet, sheet_whole(SUM(sheet, events_dropped)).text, "cause",
	    "queue_full", SHEET_END);
	sheet_row(sheet, sheet_whole(ledger->dropped_write).text, "cause",
	    "write_error", SHEET_END);
	sheet_row(sheet, sheet_whole(ledger->dropped_malformed).text, "cause",
	    "malformed", SHEET_END);
}

static void
write_descriptors(const struct sheet *sheet)
{
	for (uint32_t i = 0; i < VIEW_SLOTS_MAX; i++) {
		const struct slot_area *area = view_slot(sheet->view, i);
		if (area != NULL)
			sheet_row(sheet,
			    sheet_whole(atomic_load(&area->descriptors)).text,
			    "worker", sheet_whole(i).text, SHEET_END);
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
