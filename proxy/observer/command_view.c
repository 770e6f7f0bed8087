/* SPDX-License-Identifier: ISC */
/* Commands that show what there is: status, backends, certificates, listeners.
 * They read areas and the snapshot and change nothing. */
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "proxy/observer/alarm.h"
#include "proxy/observer/row.h"

#define NAMES_MAX 1024 /* six characters an octet still fit the line */

static void
status_value(
    struct reply *reply, const char *name, uint64_t value, const char *help)
{
	struct row row;
	struct outbuf *out = row_begin(&row);
	json_str(out, "name", name);
	json_u64(out, "value", value);
	json_str(out, "what", help);
	row_end(&row, reply);
}

static void
status_worker(const struct view *view, uint32_t slot, struct reply *reply)
{
	const struct slot_area *area = view_slot(view, slot);
	if (area == NULL)
		return;
	struct row row;
	struct outbuf *out = row_begin(&row);
	json_u64(out, "worker", slot);
	json_u64(out, "heartbeat", atomic_load(&area->heartbeat));
	json_u64(out, "connections", atomic_load(&area->connections));
	json_u64(out, "relaying", atomic_load(&area->relaying));
	json_u64(out, "descriptors", atomic_load(&area->descriptors));
	row_end(&row, reply);
}

static void
status_alarms(const struct view *view, struct reply *reply)
{
	struct alarms alarms;
	struct row row;
	alarms_find(view, &alarms);
	for (uint32_t i = 0; i < alarms.n; i++) {
		struct outbuf *out = row_begin(&row);
		json_str(out, "look", alarm_class(alarms.list[i].severity));
		json_str(out, "at", alarms.list[i].text);
		row_end(&row, reply);
	}
}

enum command_result
command_status(struct command *command, struct reply *reply)
{
	const struct view *view = command->view;
	const char *missing = view_not_ready(view);
	struct row row;
	struct outbuf *out = row_begin(&row);
	json_str(out, "version", SALLYPORT_VERSION);
	json_i64(out, "pid", view->master_pid);
	json_u64(out, "uptime_s", view_age_s(view->started_ms));
	json_u64(out, "generation",
	    view->config == NULL ? 0 : view->config->generation);
	json_str(out, "ready", missing == NULL ? "yes" : missing);
	row_end(&row, reply);
	status_alarms(view, reply);
	for (uint32_t i = 0; i < VIEW_SLOTS_MAX; i++)
		status_worker(view, i, reply);
#define X(name, help) status_value(reply, #name, VIEW_SUM(view, name), help);
	SLOT_GAUGES(X)
	SLOT_COUNTERS(X)
#undef X
	return COMMAND_DONE;
}

enum command_result
command_backends(struct command *command, struct reply *reply)
{
	const struct view *view = command->view;
	uint32_t n = view_n_backends(view);
	for (uint32_t i = 0; i < n; i++) {
		struct backend backend;
		if (!view_backend(view, i, &backend))
			continue;
		char endpoint[ENDPOINT_TEXT_MAX];
		struct row row;
		struct outbuf *out = row_begin(&row);
		json_str(out, "name", backend.name);
		json_str(out, "pool", backend.pool);
		json_str(
		    out, "address", endpoint_text(&backend.endpoint, endpoint));
		json_str(out, "state", view_state_name(&backend));
		json_u64(out, "sessions", view_backend_sessions(view, i));
		json_u64(out, "weight", backend.weight);
		json_u64(out, "latency_ms", backend.latency_us / 1000);
		json_u64(out, "since_s", view_age_s(backend.since_ms));
		json_u64(out, "failures", view_backend_failures(view, i));
		json_str(out, "why", backend.why);
		json_str(out, "text", backend.text);
		row_end(&row, reply);
	}
	return COMMAND_DONE;
}

/* "a.example b.example", ended by "..." when there are too many to show. */
static void
join_names(const struct config *config,
    const struct config_certificate *certificate, struct outbuf *out)
{
	const struct text *names = config_items(config, certificate->names);
	for (uint32_t i = 0; i < certificate->names.n; i++) {
		struct span name = config_span(config, names[i]);
		if (outbuf_room(out) < name.len + sizeof("  ...")) {
			outbuf_puts(out, " ...");
			break;
		}
		if (i > 0)
			outbuf_putc(out, ' ');
		outbuf_put(out, name);
	}
}

enum command_result
command_certificates(struct command *command, struct reply *reply)
{
	const struct view *view = command->view;
	const struct config *config = view->config;
	uint32_t n = config == NULL ? 0 : config->certificates.n;
	for (uint32_t i = 0; i < n; i++) {
		const struct config_certificate *certificate =
		    config_certificate_at(config, i);
		uint8_t data[NAMES_MAX];
		struct outbuf names;
		outbuf_init(&names, data, sizeof(data));
		join_names(config, certificate, &names);
		struct row row;
		struct outbuf *out = row_begin(&row);
		json_text(out, "name", config_span(config, certificate->name));
		json_bool(out, "usable", certificate->usable);
		json_i64(out, "days_left", view_left_s(certificate) / 86400);
		json_u64(out, "renewals", certificate->renewals);
		json_text(out, "names", outbuf_span(&names));
		row_end(&row, reply);
	}
	return COMMAND_DONE;
}

static void
put_listener(const struct config *config, const struct config_listen *listen,
    const struct addr *addr, struct reply *reply)
{
	struct row row;
	struct outbuf *out = row_begin(&row);
	json_text(out, "name", config_span(config, listen->name));
	json_addr(out, "address", addr);
	json_text(out, "tls", config_span(config, listen->tls_name));
	json_text(out, "pool", config_span(config, listen->pool_name));
	json_bool(out, "proxy_protocol", listen->proxy_protocol);
	row_end(&row, reply);
}

enum command_result
command_listeners(struct command *command, struct reply *reply)
{
	const struct view *view = command->view;
	const struct config *config = view->config;
	uint32_t n = config == NULL ? 0 : config->listens.n;
	for (uint32_t i = 0; i < n; i++) {
		const struct config_listen *listen =
		    config_listen_at(config, i);
		const struct addr *addrs =
		    config_items(config, listen->addresses);
		for (uint32_t j = 0; j < listen->addresses.n; j++)
			put_listener(config, listen, &addrs[j], reply);
	}
	return COMMAND_DONE;
}
