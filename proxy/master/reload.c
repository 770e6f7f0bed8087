/* SPDX-License-Identifier: ISC */
/*
 * See reload.h. What is new is built aside; from commit() on it is the running
 * configuration, and a role that does not take it is replaced by one that
 * starts with it. Called by the master.
 */
#include "proxy/master/reload.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "config/snapshot.h"
#include "proxy/base/ensure.h"
#include "proxy/master/brief.h"
#include "proxy/master/master.h"
#include "proxy/master/pulse.h"
#include "proxy/master/report.h"
#include "proxy/master/request.h"

#define NEVER  UINT64_MAX
#define ACK_MS 5000

void
reload_request(struct master *master)
{
	master->reload.wanted = true;
	master_wake(master);
}

void
reload_request_certificates(struct master *master)
{
	master->reload.certificates_wanted = true;
	master_wake(master);
}

void
reload_acked(struct master *master)
{
	if (master->reload.phase != RELOAD_IDLE)
		master_wake(master);
}

/* --- building ------------------------------------------------------------- */

static bool
refuse_restart_keys(struct master *master, struct compiled *compiled)
{
	char names[4096];
	struct outbuf out;
	outbuf_init(&out, names, sizeof(names) - 1);
	if (!config_restart_differs(
		master_config(master), builder_config(compiled->builder), &out))
		return true;
	names[out.len] = '\0';
	const char *lines = names;
	struct span line;
	while (problems_next(&lines, &line))
		problems_error(&compiled->problems,
		    "%s: %.*s cannot change without a restart", master->path,
		    (int)line.len, (const char *)line.data);
	return false;
}

static bool
compile_new(struct master *master, struct span text, struct compiled *out)
{
	struct compile_request request = {
	    .path = master->path,
	    .text = text,
	    .capacity = master->areas.capacity,
	    .running = master_config(master),
	    .running_keys = &master->keys,
	    .running_secrets = &master->secrets,
	};
	return compile(&request, out) && refuse_restart_keys(master, out);
}

/* The last steps that can fail, the one that changes something last. */
static int
seal(struct master *master, struct compiled *compiled)
{
	char why[FILES_WHY_MAX];
	int fd = snapshot_seal(compiled->builder, master->generation + 1);
	if (fd < 0) {
		problems_error(&compiled->problems, "%s: snapshot: %s",
		    master->path, strerror(errno));
		return -1;
	}
	if (files_open_logs(
		&master->files, builder_config(compiled->builder), why))
		return fd;
	problems_error(&compiled->problems, "%s: %s", master->path, why);
	close(fd);
	return -1;
}

static void
commit(struct master *master, struct compiled *compiled, int snapshot,
    uint64_t now_ms)
{
	key_image_free(&master->keys);
	master->keys = compiled->keys;
	compiled->keys = (struct key_image){0};
	master->secrets = compiled->secrets;
	expiry_compare(&master->expiry, master_config(master),
	    builder_config(compiled->builder));
	passwords_free(&master->passwords);
	master->passwords = compiled->passwords;
	compiled->passwords = (struct passwords){0};
	builder_free(master->builder);
	master->builder = compiled->builder;
	compiled->builder = NULL;
	close(master->snapshot);
	master->snapshot = snapshot;
	master->generation++;
	pulse_renew_tickets(master, now_ms);
	watch_set(
	    &master->watch, master_config(master), compiled->files, now_ms);
}

static void
report_problems(struct master *master, const struct compiled *compiled)
{
	report_lines(master, EVENT_PROBLEM, compiled->problems.errors);
	/* A text that did not change has nothing new to warn of. */
	if (master->reload.announced)
		report_lines(
		    master, EVENT_WARNING, compiled->problems.warnings);
	report_faults(master, &compiled->faults);
}

/* What did not go live, and what is questionable. */
static void
keep_remarks(struct reload *reload, const struct compiled *compiled)
{
	const char *faults = compiled->faults.errors;
	const char *lists[] = {
	    compiled->problems.warnings, compiled->faults.warnings};
	struct span line;
	problems_free(&reload->remarks);
	while (problems_next(&faults, &line))
		problems_warn(&reload->remarks, "%.*s", (int)line.len,
		    (const char *)line.data);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		while (problems_next(&lists[i], &line))
			problems_warn(&reload->remarks, "warning: %.*s",
			    (int)line.len, (const char *)line.data);
}

/* --- distributing --------------------------------------------------------- */

static void
enter_phase(struct master *master, enum reload_phase phase, uint64_t now_ms)
{
	master->reload.phase = phase;
	master->reload.by_ms = now_ms + ACK_MS;
}

static void
announce_end(struct master *master)
{
	if (master->reload.announced)
		notify_send(&master->notify, "READY=1\nSTATUS=running");
	master->reload.announced = false;
}

static void
start_keys(struct master *master, uint64_t now_ms)
{
	struct child *keeper = master_child(master, CHILD_KEEPER);
	enter_phase(master, RELOAD_KEYS, now_ms);
	if (keeper->ready)
		brief_snapshot(keeper);
}

static void
start_roles(struct master *master, uint64_t now_ms)
{
	enter_phase(master, RELOAD_ROLES, now_ms);
	brief_logs(master_child(master, CHILD_OBSERVER));
	for (uint32_t i = 0; i < master->n_children; i++) {
		struct child *child = &master->children[i];
		if (child->kind != CHILD_KEEPER && child->ready &&
		    child->sent_generation != master->generation)
			brief_snapshot(child);
	}
}

/* A role that starts has it already, or gets it when it is ready. */
static bool
is_settled(struct child *child, uint64_t now_ms)
{
	const struct master *master = child->master;
	if (child->pid == 0 || !child->ready || child->why != NULL ||
	    child->acked_generation == master->generation)
		return true;
	if (now_ms < master->reload.by_ms)
		return false;
	child_kill(child, "did not acknowledge the configuration");
	return true;
}

static bool
are_roles_settled(struct master *master, uint64_t now_ms)
{
	bool settled = true;
	for (uint32_t i = 0; i < master->n_children; i++)
		if (!is_settled(&master->children[i], now_ms))
			settled = false;
	return settled;
}

static void
finish(struct master *master, const char *text)
{
	master->reload.phase = RELOAD_IDLE;
	report_reload(master, "ok", text, 0);
	request_reloaded(master, NULL);
	announce_end(master);
	master_wake(master); /* another one may be wanted */
}

/* --- beginning ------------------------------------------------------------ */

static void
fail(struct master *master, struct compiled *compiled, const char *text)
{
	uint32_t n = compiled->problems.n_errors + compiled->faults.n_errors;
	report_problems(master, compiled);
	report_reload(master, "failed", text, n == 0 ? 1 : n);
	request_reloaded(master, compiled);
	announce_end(master);
}

/* True: committed. text is what is compiled. */
static bool
take_text(struct master *master, struct span text, struct compiled *compiled,
    uint64_t now_ms)
{
	if (!compile_new(master, text, compiled))
		return false;
	int snapshot = seal(master, compiled);
	if (snapshot < 0)
		return false;
	commit(master, compiled, snapshot, now_ms);
	report_problems(master, compiled);
	keep_remarks(&master->reload, compiled);
	start_keys(master, now_ms);
	return true;
}

static void
begin_from_file(struct master *master, uint64_t now_ms)
{
	struct compiled compiled = {0};
	struct secret text;
	master->reload.announced = true;
	notify_reloading(&master->notify);
	if (!compile_read(master->path, &text, &compiled.problems)) {
		fail(master, &compiled, "nothing was changed");
	} else if (!take_text(master, span_secret(&text), &compiled, now_ms)) {
		fail(master, &compiled, "nothing was changed");
		secret_wipe(&text);
	} else {
		secret_wipe(&master->text);
		master->text = text;
	}
	compiled_fini(&compiled);
}

static void
begin_certificates(struct master *master, uint64_t now_ms)
{
	struct compiled compiled = {0};
	uint64_t before = watch_signature(master_config(master));
	if (!take_text(master, span_secret(&master->text), &compiled, now_ms)) {
		fail(master, &compiled, "the certificates stay as they were");
		/* Said once; the next change is another attempt. */
		watch_done(&master->watch, before);
	}
	compiled_fini(&compiled);
}

static void
begin(struct master *master, uint64_t now_ms)
{
	struct reload *reload = &master->reload;
	bool from_file = reload->wanted;
	bool certificates = reload->certificates_wanted;
	reload->wanted = reload->certificates_wanted = false;
	if (from_file)
		begin_from_file(master, now_ms);
	else if (certificates)
		begin_certificates(master, now_ms);
}

uint64_t
reload_step(struct master *master, uint64_t now_ms)
{
	struct reload *reload = &master->reload;
	if (master->state != MASTER_RUNNING)
		return NEVER;
	if (reload->phase == RELOAD_IDLE)
		begin(master, now_ms);
	if (reload->phase == RELOAD_KEYS &&
	    is_settled(master_child(master, CHILD_KEEPER), now_ms))
		start_roles(master, now_ms);
	if (reload->phase == RELOAD_ROLES && are_roles_settled(master, now_ms))
		finish(master,
		    reload->announced ? "configuration" : "certificates");
	return reload->phase == RELOAD_IDLE ? NEVER : reload->by_ms;
}
