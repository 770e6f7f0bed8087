/* SPDX-License-Identifier: ISC */
/* Commands about one client, or about what TLS clients use. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/ipc/event.h"
#include "proxy/ipc/clock.h"
#include "proxy/limits/admission.h"
#include "proxy/limits/table.h"
#include "proxy/observer/dryrun.h"
#include "proxy/observer/log.h"
#include "proxy/observer/row.h"
#include "proxy/observer/trace.h"

/* Of the longest ban on any prefix of the address; 0: none. */
static uint64_t
ban_left(const struct view *view, const struct addr *addr)
{
	struct rung rungs[LADDER_MAX];
	uint32_t n = view->limiter.area == NULL
			 ? 0
			 : ladder_rungs(view->config, addr, rungs);
	uint64_t most = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct limiter_entry *entry = limiter_find(&view->limiter,
		    limiter_rung_hash(&view->limiter, &rungs[i]));
		uint64_t left =
		    entry == NULL ? 0 : limiter_ban_left(entry, clock_ms());
		most = left > most ? left : most;
	}
	return most;
}

/* When a refusal ends by itself; otherwise whoever may end it. */
static const char *
until_text(const struct view *view, const struct addr *addr,
    const struct admission_result *result, char buf[LOG_TIME_MAX])
{
	switch (result->admission) {
	case ADMISSION_BANNED:
		return log_time_text(
		    ((uint64_t)time(NULL) * 1000 + ban_left(view, addr)) * 1000,
		    buf);
	case ADMISSION_DENIED:
	case ADMISSION_NOT_ALLOWED:
	case ADMISSION_UNTRUSTED:
		return "the configuration is another";
	case ADMISSION_CONNECTIONS:
	case ADMISSION_PREAUTH:
		return "some of its connections end";
	case ADMISSION_RATE:
		return "it connects less often";
	case ADMISSION_TABLE:
	case ADMISSION_MEMORY:
		return "there is room";
	case ADMISSION_ADMIT:
	case ADMISSION_HANDSHAKES:
	case ADMISSION_HANDSHAKE_RATE:
	case ADMISSION_FAILURES:
	case ADMISSION_MAX:
		break;
	}
	return "";
}

/* What each listener would decide now. */
static void
put_rules(const struct view *view, const struct addr *addr, struct reply *reply)
{
	const struct config *config = view->config;
	const struct limiter *limiter =
	    view->limiter.area == NULL ? NULL : &view->limiter;
	for (uint32_t i = 0; i < config->listens.n; i++) {
		struct admission_result result;
		char until[LOG_TIME_MAX];
		struct row row;
		struct outbuf *out = row_begin(&row);
		admission_peek(limiter, config, i, addr, clock_ms(), &result);
		json_text(out, "listener",
		    config_span(config, config_listen_at(config, i)->name));
		json_str(out, "refused",
		    result.refused			  ? "yes"
		    : result.admission == ADMISSION_ADMIT ? "no"
							  : "only observed");
		json_str(out, "rule", admission_name(result.admission));
		json_str(out, "until", until_text(view, addr, &result, until));
		row_end(&row, reply);
	}
}

static void
put_event(const struct trace_event *event, struct reply *reply)
{
	char ts[LOG_TIME_MAX];
	char id[LOG_ID_MAX];
	struct row row;
	struct outbuf *out = row_begin(&row);
	json_str(out, "ts", log_time_text(event->realtime_us, ts));
	json_str(out, "event", event_kind_name((enum event_kind)event->kind));
	json_addr(out, "peer", &event->peer);
	json_str(out, "verdict", event->verdict);
	json_str(out, "why", event->why);
	json_str(out, "state", event->state);
	json_str(out, "user", event->user);
	json_str(out, "backend", event->backend);
	json_str(out, "id", event->id == 0 ? "" : log_id_text(event->id, id));
	row_end(&row, reply);
}

enum command_result
command_why(struct command *command, struct reply *reply)
{
	const struct view *view = command->view;
	struct addr addr;
	if (!addr_parse_ip(command->args[0], &addr))
		return row_fail(reply, "this is no IP address");
	addr_unmap(&addr);
	if (view->config != NULL)
		put_rules(view, &addr, reply);
	const struct trace_client *client = trace_client(view->trace, &addr);
	for (uint32_t age = 0; client != NULL; age++) {
		const struct trace_event *event = trace_event(client, age);
		if (event == NULL)
			break;
		put_event(event, reply);
	}
	return COMMAND_DONE;
}

/* --- tls-report ----------------------------------------------------------- */

#define KINDS_MAX 64 /* of version, cipher and group together */

struct tls_kind {
	char tls[8];
	char cipher[48];
	char group[16];
	uint64_t n;
	uint64_t n_cut_off;
};

struct tls_kinds {
	const struct view *view;
	uint32_t n;
	uint64_t left_out;
	struct tls_kind list[KINDS_MAX];
};

static bool
count_kind(void *arg, uint32_t slot, const struct slot_record *record)
{
	struct tls_kinds *kinds = arg;
	uint32_t i = 0;
	(void)slot;
	if (record->tls_version[0] == '\0')
		return true;
	while (i < kinds->n &&
	       (strcmp(kinds->list[i].tls, record->tls_version) != 0 ||
		   strcmp(kinds->list[i].cipher, record->cipher) != 0 ||
		   strcmp(kinds->list[i].group, record->group) != 0))
		i++;
	if (i == KINDS_MAX) {
		kinds->left_out++;
		return true;
	}
	struct tls_kind *kind = &kinds->list[i];
	if (i == kinds->n) {
		kinds->n++;
		memcpy(kind->tls, record->tls_version, sizeof(kind->tls));
		memcpy(kind->cipher, record->cipher, sizeof(kind->cipher));
		memcpy(kind->group, record->group, sizeof(kind->group));
	}
	kind->n++;
	kind->n_cut_off += dryrun_of(kinds->view, record)[0] != '\0';
	return true;
}

static void
put_kinds(const struct tls_kinds *kinds, struct reply *reply)
{
	for (uint32_t i = 0; i < kinds->n; i++) {
		const struct tls_kind *kind = &kinds->list[i];
		struct row row;
		struct outbuf *out = row_begin(&row);
		json_str(out, "tls", kind->tls);
		json_str(out, "cipher", kind->cipher);
		json_str(out, "group", kind->group);
		json_u64(out, "clients_now", kind->n);
		json_u64(out, "cut_off", kind->n_cut_off);
		row_end(&row, reply);
	}
}

/* What the dry run asks for. */
static void
put_dryrun(const struct view *view, struct reply *reply)
{
	const struct config *config = view->config;
	uint32_t n = config == NULL ? 0 : config->tls.n;
	for (uint32_t i = 0; i < n; i++) {
		const struct config_tls *tls = config_tls_at(config, i);
		struct row row;
		struct outbuf *out = row_begin(&row);
		json_text(out, "section", config_span(config, tls->name));
		json_str(out, "observe_min_version",
		    tls->observe_min_version == 0	 ? ""
		    : tls->observe_min_version == 0x0304 ? "1.3"
							 : "1.2");
		json_str(out, "observe_ciphers",
		    config_text(config, tls->observe_ciphers));
		row_end(&row, reply);
	}
}

static void
put_counts(const struct view *view, struct reply *reply)
{
	struct dryrun_counts counts;
	struct row row;
	struct outbuf *out = row_begin(&row);
	dryrun_count(view, &counts);
	json_str(out, "stricter_policy",
	    dryrun_is_set(view) ? "as observed" : "TLS 1.3 only");
	json_u64(out, "handshakes", counts.handshakes);
	json_u64(out, "cut_off_by_version", counts.by_version);
	json_u64(out, "cut_off_by_cipher", counts.by_cipher);
	json_u64(out, "clients_now", counts.clients);
	json_u64(out, "cut_off_now", counts.cut_off);
	row_end(&row, reply);
}

struct old_user {
	const char *user;
	const struct addr *peer;
	const char *tls;
	const char *cipher;
	const char *cut_off_by;
};

static void
put_user(struct reply *reply, const struct old_user *old, const char *last,
    uint64_t sessions)
{
	struct row row;
	struct outbuf *out = row_begin(&row);
	json_str(out, "user", old->user);
	json_addr(out, "peer", old->peer);
	json_str(out, "tls", old->tls);
	json_str(out, "cipher", old->cipher);
	json_str(out, "cut_off_by", old->cut_off_by);
	json_str(out, "last", last);
	json_u64(out, "sessions", sessions);
	row_end(&row, reply);
}

struct old_users {
	const struct view *view;
	struct reply *reply;
};

static bool
put_if_old(void *arg, uint32_t slot, const struct slot_record *record)
{
	struct old_users *users = arg;
	const char *why = dryrun_of(users->view, record);
	struct old_user old = {record->user, &record->client,
	    record->tls_version, record->cipher, why};
	(void)slot;
	if (why[0] != '\0' && record->state == SESSION_RELAY)
		put_user(users->reply, &old, "now", 1);
	return !users->reply->failed;
}

static void
put_remembered(const struct view *view, struct reply *reply)
{
	const struct trace_user *users = &view->trace->users[0][0];
	char ts[LOG_TIME_MAX];
	for (uint32_t i = 0; i < TRACE_SETS * TRACE_WAYS; i++) {
		const struct trace_user *user = &users[i];
		const char *why =
		    dryrun_verdict(view, user->observed, user->tls);
		struct old_user old = {
		    user->user, &user->peer, user->tls, user->cipher, why};
		if (user->seen != 0 && why[0] != '\0')
			put_user(reply, &old, log_time_text(user->last_us, ts),
			    user->n_sessions);
	}
}

enum command_result
command_tls_report(struct command *command, struct reply *reply)
{
	const struct view *view = command->view;
	struct old_users users = {view, reply};
	struct tls_kinds *kinds = calloc(1, sizeof(*kinds));
	if (kinds == NULL)
		return row_fail(reply, "out of memory");
	kinds->view = view;
	put_dryrun(view, reply);
	put_counts(view, reply);
	view_sessions(view, count_kind, kinds);
	put_kinds(kinds, reply);
	free(kinds);
	view_sessions(view, put_if_old, &users);
	put_remembered(view, reply);
	return COMMAND_DONE;
}
