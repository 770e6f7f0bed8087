/* SPDX-License-Identifier: ISC */
/*
 * See command.h. Reads areas, snapshot and clock; changes nothing. Called by
 * control.c. Every line is made in a buffer of its own and then appended, so a
 * reply holds whole lines only.
 */
#include "proxy/observer/command.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/health.h"
#include "proxy/base/parse.h"
#include "proxy/observer/json.h"
#include "proxy/observer/log.h"

#define LINE_MAX_OCTETS 8192
#define NAMES_MAX	1024 /* six characters an octet still fit the line */

static uint64_t
now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* 0 also when the other side's clock reading is later than ours. */
static uint64_t
seconds_since(uint64_t then_ms)
{
	uint64_t now = now_ms();
	return then_ms < now ? (now - then_ms) / 1000 : 0;
}

static bool
grow(struct reply *reply, size_t more)
{
	if (reply->cap - reply->len >= more)
		return true;
	size_t cap = reply->cap == 0 ? 16384 : reply->cap * 2;
	if (cap > REPLY_MAX)
		return false;
	uint8_t *data = realloc(reply->data, cap);
	if (data == NULL)
		return false;
	reply->data = data;
	reply->cap = cap;
	return true;
}

static void
append(struct reply *reply, struct span bytes)
{
	if (reply->failed || !grow(reply, bytes.len)) {
		reply->failed = true;
		return;
	}
	memcpy(reply->data + reply->len, bytes.data, bytes.len);
	reply->len += bytes.len;
}

struct row {
	struct outbuf out;
	uint8_t data[LINE_MAX_OCTETS];
};

static struct outbuf *
row_begin(struct row *row)
{
	outbuf_init(&row->out, row->data, sizeof(row->data));
	json_begin(&row->out);
	return &row->out;
}

static void
row_end(struct row *row, struct reply *reply)
{
	json_end(&row->out);
	if (row->out.overflow)
		reply->failed = true;
	else
		append(reply, outbuf_span(&row->out));
}

/* Sums of one counter or gauge over the slots. */
static uint64_t
sum_slots(const struct view *view, size_t offset)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < VIEW_SLOTS_MAX; i++) {
		const struct slot_area *area = view_slot(view, i);
		if (area == NULL)
			continue;
		const _Atomic uint64_t *value =
		    (const void *)((const char *)area + offset);
		sum += atomic_load_explicit(value, memory_order_relaxed);
	}
	return sum;
}

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
run_status(const struct view *view, struct reply *reply)
{
	struct row row;
	struct outbuf *out = row_begin(&row);
	json_i64(out, "pid", view->master_pid);
	json_u64(out, "uptime_s", seconds_since(view->started_ms));
	json_u64(out, "generation",
	    view->config == NULL ? 0 : view->config->generation);
	row_end(&row, reply);
	for (uint32_t i = 0; i < VIEW_SLOTS_MAX; i++)
		status_worker(view, i, reply);
#define X(name, help)              \
	status_value(reply, #name, \
	    sum_slots(view, offsetof(struct slot_area, name)), help);
	SLOT_GAUGES(X)
	SLOT_COUNTERS(X)
#undef X
}

static void
put_session(const struct view *view, uint32_t slot,
    const struct slot_record *record, struct reply *reply)
{
	char id[LOG_ID_MAX];
	char backend[BACKEND_NAME_MAX];
	view_backend_name(view, record, backend);
	struct row row;
	struct outbuf *out = row_begin(&row);
	json_str(out, "id", log_id_text(record->id, id));
	json_u64(out, "worker", slot);
	json_str(out, "state", session_state_name(record->state));
	json_text(out, "listener", view_listener_name(view, record->listen));
	json_addr(out, "client", &record->client);
	json_str(out, "user", record->user);
	json_str(out, "backend", backend);
	json_str(out, "tls", record->tls_version);
	json_str(out, "cipher", record->cipher);
	json_u64(out, "in", atomic_load(&record->bytes_in));
	json_u64(out, "out", atomic_load(&record->bytes_out));
	json_u64(out, "age_s", seconds_since(record->started_ms));
	row_end(&row, reply);
}

static void
run_sessions(const struct view *view, struct reply *reply)
{
	for (uint32_t slot = 0; slot < VIEW_SLOTS_MAX; slot++) {
		const struct slot_area *area = view_slot(view, slot);
		uint32_t n = view_n_records(view, slot);
		struct slot_record record;
		for (uint32_t i = 0; i < n && !reply->failed; i++)
			if (slot_record_read(&area->records[i], &record))
				put_session(view, slot, &record, reply);
	}
}

static const char *
state_text(uint32_t state)
{
	return state <= BACKEND_EJECTED
		   ? backend_state_name((enum backend_state)state)
		   : "unknown";
}

static void
run_backends(const struct view *view, struct reply *reply)
{
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
		json_str(out, "state", state_text(backend.state));
		json_u64(out, "sessions", view_backend_sessions(view, i));
		json_u64(out, "weight", backend.weight);
		json_u64(out, "latency_ms", backend.latency_us / 1000);
		json_u64(out, "since_s", seconds_since(backend.since_ms));
		row_end(&row, reply);
	}
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

static void
run_certificates(const struct view *view, struct reply *reply)
{
	const struct config *config = view->config;
	uint32_t n = config == NULL ? 0 : config->certificates.n;
	for (uint32_t i = 0; i < n; i++) {
		const struct config_certificate *certificate =
		    config_certificate_at(config, i);
		uint8_t data[NAMES_MAX];
		struct outbuf names;
		outbuf_init(&names, data, sizeof(data));
		join_names(config, certificate, &names);
		int64_t left = certificate->not_after - (int64_t)time(NULL);
		struct row row;
		struct outbuf *out = row_begin(&row);
		json_text(out, "name", config_span(config, certificate->name));
		json_bool(out, "usable", certificate->usable);
		json_i64(out, "days_left", left / 86400);
		json_text(out, "names", outbuf_span(&names));
		row_end(&row, reply);
	}
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

static void
run_listeners(const struct view *view, struct reply *reply)
{
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
}

static void run_help(const struct view *view, struct reply *reply);

static const struct {
	const char *name;
	const char *help;
	void (*run)(const struct view *view, struct reply *reply);
} commands[] = {
    {"status", "the gateway, its workers, gauges and counters", run_status},
    {"sessions", "every connection there is now", run_sessions},
    {"backends", "state and load of every backend", run_backends},
    {"certificates", "certificates and the days they have left",
	run_certificates},
    {"listeners", "addresses listened at", run_listeners},
    {"help", "this list", run_help},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void
run_help(const struct view *view, struct reply *reply)
{
	(void)view;
	for (size_t i = 0; i < N_COMMANDS; i++) {
		struct row row;
		struct outbuf *out = row_begin(&row);
		json_str(out, "command", commands[i].name);
		json_str(out, "what", commands[i].help);
		row_end(&row, reply);
	}
}

void
command_error(struct reply *reply, const char *text)
{
	reply->len = 0;
	reply->failed = false;
	struct row row;
	json_str(row_begin(&row), "error", text);
	row_end(&row, reply);
}

static void
finish(struct reply *reply)
{
	struct row row;
	json_bool(row_begin(&row), "end", true);
	row_end(&row, reply);
	if (reply->failed)
		command_error(reply, "the reply is too long");
}

/* Words are separated by blanks. False: there is none left. */
static bool
next_word(struct span *rest, struct span *out_word)
{
	*rest = parse_trim(*rest);
	size_t len = 0;
	while (len < rest->len && rest->data[len] != ' ' &&
	       rest->data[len] != '\t')
		len++;
	*out_word = span_of(rest->data, len);
	span_advance(rest, len);
	return len > 0;
}

void
command_run(const struct view *view, struct span request, struct reply *reply)
{
	struct span rest = request;
	struct span word;
	struct span argument;
	if (!next_word(&rest, &word)) {
		command_error(reply, "no command; try help");
		return;
	}
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (!span_equal(word, span_str(commands[i].name)))
			continue;
		if (next_word(&rest, &argument)) {
			command_error(reply, "this command has no arguments");
			return;
		}
		commands[i].run(view, reply);
		finish(reply);
		return;
	}
	command_error(reply, "unknown command; try help");
}
