/* SPDX-License-Identifier: ISC */
/*
 * See page.h. From top to bottom: is anything wrong, how much is going on, the
 * last hour, then tables. Called by http.c.
 */
#include "proxy/observer/page.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "proxy/base/ensure.h"
#include "proxy/observer/alarm.h"
#include "proxy/observer/dryrun.h"
#include "proxy/observer/ledger.h"
#include "proxy/observer/plot.h"
#include "tls/stream.h" /* for the words of its failures only */

static const char style[] =
    ":root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b2230;"
    "--dim:#5b6474;--line:#dfe3e9;--good:#12733f;--goodbg:#dff3e6;"
    "--warn:#8a5300;--warnbg:#fdeecf;--bad:#a81a1a;--badbg:#fbdfdf;"
    "--a:#2166c4;--abg:#cfe0f7;--b:#c25510}"
    "@media(prefers-color-scheme:dark){:root{--bg:#12161d;--card:#1b212b;"
    "--ink:#e4e8ef;--dim:#98a2b3;--line:#2c3442;--good:#6fd39b;"
    "--goodbg:#153424;--warn:#f2c063;--warnbg:#3a2c0f;--bad:#ff9a94;"
    "--badbg:#451d1d;--a:#7fb1f5;--abg:#22375a;--b:#f0975a}}"
    "*{box-sizing:border-box}"
    "body{margin:0 auto;padding:1rem;max-width:72rem;background:var(--bg);"
    "color:var(--ink);font:16px/1.45 system-ui,sans-serif}"
    "h1{font-size:1.1rem;margin:0}"
    "h2{font-size:.95rem;margin:0;font-weight:600}"
    "header,footer{display:flex;flex-wrap:wrap;gap:.2rem 1rem;"
    "align-items:baseline;color:var(--dim)}h1{color:var(--ink)}"
    "footer{font-size:.85rem;margin-top:1rem}"
    ".sum{font-size:1.35rem;font-weight:600;border-radius:.6rem;"
    "padding:.7rem 1rem;margin:.7rem 0}"
    ".sum ul{font-size:1rem;font-weight:400;margin:.3rem 0 0;"
    "padding-left:1.2rem}"
    ".good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}"
    ".sum.good{background:var(--goodbg)}.sum.warn{background:var(--warnbg)}"
    ".sum.bad{background:var(--badbg)}"
    ".grid{display:grid;gap:.7rem;margin:.7rem 0;"
    "grid-template-columns:repeat(auto-fit,minmax(17rem,1fr))}"
    ".tiles{grid-template-columns:repeat(auto-fit,minmax(9rem,1fr))}"
    "section,figure{background:var(--card);border:1px solid var(--line);"
    "border-radius:.6rem;padding:.7rem .9rem;margin:0;min-width:0}"
    ".tiles b{display:block;font-size:1.5rem;line-height:1.25}"
    ".tiles span,.scale,.dim{color:var(--dim);font-size:.85rem}"
    "figcaption{display:flex;flex-wrap:wrap;gap:.1rem .8rem;"
    "align-items:baseline;font-size:.85rem}figcaption h2{margin-right:auto}"
    "svg{display:block;width:100%;height:5.5rem;margin-top:.4rem;"
    "border-bottom:1px solid var(--line)}"
    ".g{stroke:var(--line);vector-effect:non-scaling-stroke}"
    ".s1{fill:var(--abg);stroke:var(--a)}.s2{fill:none;stroke:var(--b)}"
    ".s1,.s2{stroke-width:1.5;vector-effect:non-scaling-stroke}"
    ".k1::before,.k2::before{content:\"\";display:inline-block;width:.7em;"
    "height:.7em;margin-right:.3em;border-radius:2px;background:var(--a)}"
    ".k2::before{background:var(--b)}"
    ".scale{display:flex;justify-content:space-between;margin:.2rem 0 0}"
    "table{width:100%;border-collapse:collapse;margin-top:.3rem;"
    "font-size:.9rem}"
    "th{text-align:left;color:var(--dim);font-weight:500}"
    "th,td{padding:.2rem .6rem .2rem 0;border-top:1px solid var(--line);"
    "overflow-wrap:anywhere}tr:first-child>*{border-top:0}"
    ".n{text-align:right;font-variant-numeric:tabular-nums;"
    "overflow-wrap:normal;white-space:nowrap}"
    "td:last-child,th:last-child{padding-right:0}"
    ".wide{grid-column:1/-1}"
    "@media(max-width:34rem){body{padding:.6rem}.opt{display:none}}";

void
page_make_nonce(char out_nonce[PAGE_NONCE_MAX])
{
	uint64_t random[2] = {0};
	ENSURE(getrandom(random, sizeof(random), 0) == sizeof(random));
	snprintf(out_nonce, PAGE_NONCE_MAX, "%016" PRIx64 "%016" PRIx64,
	    random[0], random[1]);
}

static void
put_head(const struct view *view, const char *nonce, struct reply *out)
{
	char age[PLOT_NUMBER_MAX];
	reply_printf(out,
	    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
	    "<meta name=\"viewport\" content=\"width=device-width,"
	    "initial-scale=1\"><meta http-equiv=\"refresh\" content=\"10\">"
	    "<link rel=\"icon\" href=\"data:,\">"
	    "<title>Sallyport</title><style nonce=\"%s\">",
	    nonce);
	reply_puts(out, style);
	reply_printf(out,
	    "</style></head><body><header><h1>Sallyport</h1>"
	    "<span>up for %s</span></header><main>",
	    plot_age(view_age_s(view->started_ms), age));
}

static void
put_summary(const struct view *view, struct reply *out)
{
	static const char *const heads[] = {
	    "All is well", "Works, but look at this", "Something is wrong"};
	struct alarms alarms;
	alarms_find(view, &alarms);
	reply_printf(out, "<div class=\"sum %s\" role=\"status\">%s",
	    alarm_class(alarms.worst), heads[alarms.worst]);
	if (alarms.n > 0)
		reply_puts(out, "<ul>");
	for (uint32_t i = 0; i < alarms.n; i++) {
		reply_printf(out, "<li class=\"%s\">",
		    alarm_class(alarms.list[i].severity));
		plot_text(out, alarms.list[i].text);
		reply_puts(out, "</li>");
	}
	if (alarms.n_left_out > 0)
		reply_printf(
		    out, "<li>and %" PRIu32 " more</li>", alarms.n_left_out);
	reply_puts(out, alarms.n > 0 ? "</ul></div>" : "</div>");
}

static void
put_tile(
    struct reply *out, const char *head, const char *number, const char *below)
{
	reply_printf(out,
	    "<section><span>%s</span><b>%s</b><span>%s</span></section>", head,
	    number, below);
}

static void
put_tiles(const struct view *view, struct reply *out)
{
	const struct history *history = view->history;
	char number[PLOT_NUMBER_MAX], other[PLOT_NUMBER_MAX];
	char below[96];
	reply_puts(out, "<div class=\"grid tiles\">");
	uint64_t most =
	    view->config == NULL ? 0 : view->config->gateway.max_connections;
	snprintf(
	    below, sizeof(below), "of %s possible", plot_count(most, other));
	put_tile(out, "Connections",
	    plot_count(VIEW_SUM(view, connections), number), below);
	snprintf(below, sizeof(below), "before login: %s",
	    plot_count(
		VIEW_SUM(view, preauth) + VIEW_SUM(view, handshaking), other));
	put_tile(out, "Logged in", plot_count(VIEW_SUM(view, relaying), number),
	    below);
	snprintf(below, sizeof(below), "in the last hour, %s failed",
	    plot_count(
		history_sum(history, view, HISTORY_LOGINS_FAILED), other));
	put_tile(out, "Logins accepted",
	    plot_count(history_sum(history, view, HISTORY_LOGINS_OK), number),
	    below);
	uint64_t refused = history_sum(history, view, HISTORY_REFUSED);
	uint64_t tls = history_sum(history, view, HISTORY_TLS_FAILED);
	snprintf(below, sizeof(below), "in the last hour, %s in TLS",
	    plot_count(tls, other));
	put_tile(out, "Refused", plot_count(refused + tls, number), below);
	reply_puts(out, "</div>");
}

static void
put_plots(const struct view *view, struct reply *out)
{
	static const struct plot plots[] = {
	    {"Traffic", {HISTORY_BYTES_OUT, HISTORY_BYTES_IN}, true},
	    {"Logins", {HISTORY_LOGINS_OK, HISTORY_LOGINS_FAILED}, false},
	    {"Refused", {HISTORY_TLS_FAILED, HISTORY_REFUSED}, false},
	};
	reply_puts(out, "<div class=\"grid\">");
	for (size_t i = 0; i < sizeof(plots) / sizeof(plots[0]); i++)
		plot_write(view, &plots[i], out);
	reply_puts(out, "</div>");
}

static const char *
class_of(uint32_t state)
{
	switch (state) {
	case BACKEND_UP:
		return "good";
	case BACKEND_DOWN:
	case BACKEND_MISCONFIGURED:
		return "bad";
	default:
		return "warn";
	}
}

static void
put_backend(const struct view *view, uint32_t i, const struct backend *backend,
    struct reply *out)
{
	char number[PLOT_NUMBER_MAX], since[PLOT_NUMBER_MAX];
	char address[ENDPOINT_TEXT_MAX];
	reply_puts(out, "<tr><td>");
	plot_text(out, backend->name);
	reply_puts(out, "<td class=\"opt\">");
	plot_text(out, backend->pool);
	reply_puts(out, "<td class=\"opt\">");
	plot_text(out, endpoint_text(&backend->endpoint, address));
	reply_printf(out, "<td class=\"%s\">%s<td class=\"n opt\">%s",
	    class_of(backend->state), view_state_name(backend),
	    plot_age(view_age_s(backend->since_ms), since));
	reply_printf(out, "<td class=\"n\">%s",
	    plot_count(view_backend_sessions(view, i), number));
	if (backend->latency_us == 0)
		reply_puts(out, "<td class=\"n\">-");
	else
		reply_printf(out, "<td class=\"n\">%.1f ms",
		    (double)backend->latency_us / 1000);
	reply_printf(out, "<td class=\"n\">%s</tr>",
	    plot_count(view_backend_failures(view, i), number));
}

static void
put_backends(const struct view *view, struct reply *out)
{
	uint32_t n = view_n_backends(view);
	reply_puts(out,
	    "<section class=\"wide\"><h2>Backends</h2><table><tr><th>Name"
	    "<th class=\"opt\">Pool<th class=\"opt\">Address<th>State"
	    "<th class=\"n opt\">Since<th class=\"n\">Sessions"
	    "<th class=\"n\">Check<th class=\"n\">Failures</tr>");
	for (uint32_t i = 0; i < n; i++) {
		struct backend backend;
		if (view_backend(view, i, &backend))
			put_backend(view, i, &backend, out);
	}
	reply_puts(out, "</table></section>");
}

static void
put_certificates(const struct view *view, struct reply *out)
{
	const struct config *config = view->config;
	uint32_t n = config == NULL ? 0 : config->certificates.n;
	reply_puts(out,
	    "<section><h2>Certificates</h2><table><tr><th>Name<th>State"
	    "<th class=\"n\">Days left</tr>");
	for (uint32_t i = 0; i < n; i++) {
		const struct config_certificate *certificate =
		    config_certificate_at(config, i);
		enum severity severity = alarm_of_certificate(certificate);
		int64_t left = view_left_s(certificate);
		reply_puts(out, "<tr><td>");
		plot_text(out, config_text(config, certificate->name));
		reply_printf(out,
		    "<td class=\"%s\">%s<td class=\"n %s\">%" PRId64 "</tr>",
		    alarm_class(severity),
		    !certificate->usable	? "not usable"
		    : left <= 0			? "expired"
		    : severity == SEVERITY_WARN ? "expires soon"
						: "valid",
		    alarm_class(severity), left / 86400);
	}
	reply_puts(out, "</table></section>");
}

static void
put_share(struct reply *out, const char *name, uint64_t part, uint64_t whole)
{
	char number[PLOT_NUMBER_MAX];
	if (part == 0)
		return;
	reply_puts(out, "<tr><td>");
	plot_text(out, name);
	reply_printf(out, "<td class=\"n\">%s<td class=\"n\">%.1f %%</tr>",
	    plot_count(part, number), (double)part * 100 / (double)whole);
}

static void
put_tls(const struct view *view, struct reply *out)
{
	uint64_t v12 = VIEW_SUM(view, handshakes_tls12);
	uint64_t v13 = VIEW_SUM(view, handshakes_tls13);
	uint64_t all = v12 + v13 == 0 ? 1 : v12 + v13;
	reply_puts(out, "<section class=\"wide\"><h2>TLS in "
			"use</h2><table><tr><th>Since the start"
			"<th class=\"n\">Handshakes<th class=\"n\"></tr>");
	put_share(out, "TLS 1.3", v13, all);
	put_share(out, "TLS 1.2", v12, all);
	put_share(out, "resumed", VIEW_SUM(view, handshakes_resumed), all);
	for (unsigned int i = 0; i < TALLY_GROUP_MAX; i++)
		if (i != TALLY_GROUP_NONE)
			put_share(out, tally_group_name(i),
			    VIEW_SUM_AT(view, tally.groups, i), all);
	for (unsigned int i = 0; i < TALLY_CIPHER_MAX; i++)
		put_share(out, tally_cipher_name(i),
		    VIEW_SUM_AT(view, tally.ciphers, i), all);
	reply_puts(out, "</table></section>");
}

static void
put_reason(struct reply *out, const char *name, uint64_t count)
{
	char number[PLOT_NUMBER_MAX];
	if (count > 0)
		reply_printf(out, "<tr><td>%s<td class=\"n\">%s</tr>", name,
		    plot_count(count, number));
}

static void
put_refusals(const struct view *view, struct reply *out)
{
	static const char *const failures[] = {
#define X(name, text) text,
	    TLS_FAILURES(X)
#undef X
	};
	reply_puts(out,
	    "<section><h2>Refused, by reason</h2><table><tr><th>Since the "
	    "start<th class=\"n\">How often</tr>");
#define X(counter, why) put_reason(out, why, VIEW_SUM(view, counter));
	SLOT_REFUSALS(X)
#undef X
	for (int i = TLS_FAIL_NONE + 1; i < TLS_FAIL_MAX; i++)
		put_reason(
		    out, failures[i], VIEW_SUM_AT(view, tls_failures, i));
	put_reason(out, "login failed", VIEW_SUM(view, logins_failed));
	put_reason(out, "login refused", VIEW_SUM(view, logins_refused));
	put_reason(
	    out, "login unavailable", VIEW_SUM(view, logins_unavailable));
	reply_puts(out, "</table></section>");
}

static void
put_policy(const struct view *view, struct reply *out)
{
	char some[PLOT_NUMBER_MAX], all[PLOT_NUMBER_MAX];
	struct dryrun_counts counts;
	dryrun_count(view, &counts);
	reply_printf(out,
	    "<section><h2>%s</h2><p>%s of %s clients that are connected now "
	    "would be cut off",
	    dryrun_is_set(view) ? "If the observed TLS policy were in force"
				: "If TLS 1.3 were required",
	    plot_count(counts.cut_off, some), plot_count(counts.clients, all));
	reply_printf(out,
	    ".</p><p>Of %s handshakes since the start %s would have failed "
	    "by their version",
	    plot_count(counts.handshakes, all),
	    plot_count(counts.by_version, some));
	reply_printf(out, ", %s by their ciphers.</p>",
	    plot_count(counts.by_cipher, some));
	reply_puts(out, "<p class=\"dim\">sallyport ctl tls-report says who."
			"</p></section>");
}

static void
put_foot(struct reply *out)
{
	char now[64];
	time_t seconds = time(NULL);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	strftime(now, sizeof(now), "%Y-%m-%d %H:%M:%S UTC", &tm);
	reply_printf(out,
	    "</main><footer><span>%s</span><span>sallyport %s</span>"
	    "</footer></body></html>\n",
	    now, SALLYPORT_VERSION);
}

void
page_write(const struct view *view, const char *nonce, struct reply *reply)
{
	put_head(view, nonce, reply);
	put_summary(view, reply);
	put_tiles(view, reply);
	put_plots(view, reply);
	reply_puts(reply, "<div class=\"grid\">");
	put_backends(view, reply);
	put_certificates(view, reply);
	put_refusals(view, reply);
	put_policy(view, reply);
	put_tls(view, reply);
	reply_puts(reply, "</div>");
	put_foot(reply);
}
