/* SPDX-License-Identifier: ISC */
/* See alarm.h. Called by page.c and command.c. */
#include "proxy/observer/alarm.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "proxy/observer/ledger.h"
#include "proxy/observer/plot.h"

/* Of the connections that are possible. */
#define NEARLY_FULL_PERCENT 90

const char *
alarm_class(enum severity severity)
{
	switch (severity) {
	case SEVERITY_GOOD:
		return "good";
	case SEVERITY_WARN:
		return "warn";
	case SEVERITY_BAD:
		return "bad";
	}
	return "?";
}

__attribute__((format(printf, 3, 4))) static void
add(struct alarms *alarms, enum severity severity, const char *format, ...)
{
	va_list args;
	if (severity > alarms->worst)
		alarms->worst = severity;
	if (alarms->n == ALARMS_MAX) {
		alarms->n_left_out++;
		return;
	}
	char *text = alarms->list[alarms->n].text;
	alarms->list[alarms->n++].severity = severity;
	va_start(args, format);
	vsnprintf(text, sizeof(alarms->list[0].text), format, args);
	va_end(args);
}

/* Before its first check a backend is taken for good. */
static void
find_pools(const struct view *view, struct alarms *alarms)
{
	const struct config *config = view->config;
	for (uint32_t i = 0; i < config->pools.n; i++) {
		const char *pool =
		    config_text(config, config_pool_at(config, i)->name);
		if (view_has_backend(view, pool, BACKEND_UP))
			continue;
		if (view_has_backend(view, pool, BACKEND_UNCHECKED))
			add(alarms, SEVERITY_WARN,
			    "Backends of pool %s are not checked yet", pool);
		else
			add(alarms, SEVERITY_BAD,
			    "Pool %s has no backend that is up", pool);
	}
}

static void
find_backends(const struct view *view, struct alarms *alarms)
{
	uint32_t n = view_n_backends(view);
	for (uint32_t i = 0; i < n; i++) {
		struct backend backend;
		if (!view_backend(view, i, &backend) ||
		    (backend.state != BACKEND_DOWN &&
			backend.state != BACKEND_MISCONFIGURED))
			continue;
		char age[PLOT_NUMBER_MAX];
		add(alarms, SEVERITY_WARN, "Backend %s has been %s for %s: %s",
		    backend.name, view_state_name(&backend),
		    plot_age(view_age_s(backend.since_ms), age), backend.why);
	}
}

enum severity
alarm_of_certificate(const struct config_certificate *certificate)
{
	int64_t left = view_left_s(certificate);
	if (!certificate->usable || left <= 0)
		return SEVERITY_BAD;
	if (left < (int64_t)certificate->warn_days * 86400)
		return SEVERITY_WARN;
	return SEVERITY_GOOD;
}

static void
find_certificates(const struct config *config, struct alarms *alarms)
{
	for (uint32_t i = 0; i < config->certificates.n; i++) {
		const struct config_certificate *certificate =
		    config_certificate_at(config, i);
		const char *name = config_text(config, certificate->name);
		int64_t left = view_left_s(certificate);
		if (!certificate->usable)
			add(alarms, SEVERITY_BAD,
			    "Certificate %s is not usable; the log says why",
			    name);
		else if (left <= 0)
			add(alarms, SEVERITY_BAD, "Certificate %s has EXPIRED",
			    name);
		else if (alarm_of_certificate(certificate) == SEVERITY_WARN)
			add(alarms, SEVERITY_WARN,
			    "Certificate %s expires in %" PRId64 " days", name,
			    left / 86400);
		if (certificate->is_kept)
			add(alarms, SEVERITY_WARN,
			    "Certificate %s: the files are faulty, the one "
			    "loaded before serves; the log says why",
			    name);
	}
}

static void
find_load(const struct view *view, struct alarms *alarms)
{
	uint64_t now = VIEW_SUM(view, connections);
	uint64_t most = view->config->gateway.max_connections;
	if (now * 100 >= most * NEARLY_FULL_PERCENT)
		add(alarms, SEVERITY_WARN,
		    "%" PRIu64 " of %" PRIu64 " possible connections", now,
		    most);
}

static void
find_losses(const struct view *view, struct alarms *alarms)
{
	const struct ledger *ledger = view->ledger;
	uint64_t deaths = 0;
	for (int i = 0; i < LEDGER_ROLE_MAX; i++)
		deaths += ledger->restarts[i];
	if (deaths > 0)
		add(alarms, SEVERITY_WARN,
		    "%" PRIu64 " process(es) died and were replaced", deaths);
	uint64_t lost = VIEW_SUM(view, events_dropped) + ledger->dropped_write;
	if (lost > 0)
		add(alarms, SEVERITY_WARN, "%" PRIu64 " log lines were lost",
		    lost);
}

void
alarms_find(const struct view *view, struct alarms *out_alarms)
{
	*out_alarms = (struct alarms){.worst = SEVERITY_GOOD};
	if (view->config == NULL) {
		add(out_alarms, SEVERITY_BAD, "No configuration yet");
		return;
	}
	if (view->ledger->draining)
		add(out_alarms, SEVERITY_WARN, "Draining: it will stop");
	find_pools(view, out_alarms);
	find_certificates(view->config, out_alarms);
	find_backends(view, out_alarms);
	find_load(view, out_alarms);
	find_losses(view, out_alarms);
}
