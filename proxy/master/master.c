/* SPDX-License-Identifier: ISC */
/*
 * See master.h. Signals stay blocked and are read from a descriptor, so none
 * is lost, whatever the loop is doing; of those that are read together TERM and
 * INT come before HUP. Called by main().
 */
#include "proxy/master/master.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "config/snapshot.h"
#include "proxy/base/ensure.h"
#include "proxy/ipc/clock.h"
#include "proxy/master/brief.h"
#include "proxy/master/check.h"
#include "proxy/master/pulse.h"
#include "proxy/master/report.h"
#include "proxy/master/spawn.h"
#include "proxy/master/stop.h"

/* The loop turns at least this often; later than PAUSE_MS behind the plan, it
 * was not given the processor. */
#define TICK_MS	     1000
#define PAUSE_MS     1000
#define FIRST_WORKER 3 /* behind keeper, monitor, observer */

const struct config *
master_config(const struct master *master)
{
	return builder_config(master->builder);
}

struct child *
master_worker(struct master *master, uint32_t slot)
{
	ENSURE(FIRST_WORKER + slot < master->n_children);
	return &master->children[FIRST_WORKER + slot];
}

struct child *
master_child(struct master *master, enum child_kind kind)
{
	ENSURE(kind < CHILD_WORKER);
	return &master->children[kind];
}

bool
master_is_stopping(const struct master *master)
{
	return master->state >= MASTER_STOP_WORKERS;
}

uint64_t
master_now_ms(struct master *master)
{
	uint64_t now_ms = clock_ms() - master->skipped_ms;
	if (master->planned_ms == 0 || now_ms < master->planned_ms + PAUSE_MS)
		return now_ms;
	master->skipped_ms += now_ms - master->planned_ms;
	return master->planned_ms;
}

void
master_fail(struct master *master, const char *format, ...)
{
	va_list args;
	if (master_is_stopping(master))
		return; /* what followed from the first failure */
	fprintf(stderr, "sallyport: cannot start: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	master->status = 1;
	stop_request(master, true, "start failed");
}

void
master_steer(struct master *master)
{
	bool live[CONFIG_WORKERS_MAX] = {0};
	ENSURE(master->areas.n_slots <= CONFIG_WORKERS_MAX);
	for (uint32_t i = 0; i < master->areas.n_slots; i++) {
		const struct child *worker = master_worker(master, i);
		live[i] = worker->ready && !worker->full && !worker->hung;
	}
	if (!listeners_steer(&master->listeners, live))
		report_text(master, EVENT_WARNING,
		    "connections cannot be steered to live workers");
}

/* --- one step ------------------------------------------------------------- */

static uint64_t
step_children(struct master *master, uint64_t now_ms)
{
	uint64_t next_ms = UINT64_MAX;
	for (uint32_t i = 0; i < master->n_children; i++)
		next_ms = clock_earliest(
		    next_ms, child_step(&master->children[i], now_ms));
	return next_ms;
}

static void
step_start(struct master *master, uint64_t now_ms)
{
	if (master->state != MASTER_STARTING)
		return;
	for (uint32_t i = 0; i < master->n_children; i++)
		if (!master->children[i].ready)
			return;
	master->state = MASTER_RUNNING;
	master->beat_ms = now_ms;
	report_gateway(master, "started", NULL);
	notify_send(&master->notify, "READY=1\nSTATUS=running");
}

static uint64_t
step_watch(struct master *master, uint64_t now_ms)
{
	uint64_t next_ms;
	if (master->state != MASTER_RUNNING)
		return UINT64_MAX;
	if (watch_step(&master->watch, now_ms, &next_ms))
		reload_request_certificates(master);
	return next_ms;
}

static uint64_t
step_expiry(struct master *master, uint64_t now_ms)
{
	if (master->state != MASTER_RUNNING)
		return UINT64_MAX;
	return expiry_step(&master->expiry, master_config(master), now_ms,
	    (int64_t)time(NULL));
}

static void on_timer(uv_timer_t *timer);

static void
master_step(struct master *master)
{
	uint64_t now_ms = master_now_ms(master);
	master->woken = false;
	step_start(master, now_ms);
	uint64_t next_ms = step_children(master, now_ms);
	next_ms = clock_earliest(next_ms, step_watch(master, now_ms));
	next_ms = clock_earliest(next_ms, reload_step(master, now_ms));
	next_ms = clock_earliest(next_ms, pulse_hearts(master, now_ms));
	next_ms = clock_earliest(next_ms, pulse_tickets(master, now_ms));
	next_ms = clock_earliest(next_ms, step_expiry(master, now_ms));
	next_ms = clock_earliest(next_ms, notify_step(&master->notify, now_ms));
	if (master_is_stopping(master))
		next_ms = clock_earliest(next_ms, stop_step(master, now_ms));
	if (master->state == MASTER_STOPPED) {
		uv_stop(&master->loop);
		return;
	}
	/* Seldom more than needed, and how a pause is noticed. */
	next_ms = clock_earliest(next_ms, now_ms + TICK_MS);
	master->planned_ms = next_ms;
	uint64_t delay_ms = next_ms > now_ms ? next_ms - now_ms : 0;
	/* libuv's own clock stood still during this turn. */
	uv_update_time(&master->loop);
	uv_timer_start(
	    &master->timer, on_timer, master->woken ? 0 : delay_ms, 0);
}

static void
on_timer(uv_timer_t *timer)
{
	master_step(timer->data);
}

void
master_wake(struct master *master)
{
	master->woken = true;
	if (!uv_is_closing((uv_handle_t *)&master->timer))
		uv_timer_start(&master->timer, on_timer, 0, 0);
}

/* --- events --------------------------------------------------------------- */

static void
reap(struct master *master)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (uint32_t i = 0; i < master->n_children; i++)
			if (master->children[i].pid == pid) {
				child_died(&master->children[i], status);
				break;
			}
}

static void
reopen_logs(struct master *master)
{
	char why[FILES_WHY_MAX];
	if (!files_open_logs(&master->files, master_config(master), why)) {
		report_text(master, EVENT_PROBLEM, why);
		return;
	}
	brief_logs(master_child(master, CHILD_OBSERVER));
}

void
master_signals(sigset_t *out_set)
{
	static const int handled[] = {
	    SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGCHLD};
	sigemptyset(out_set);
	for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++)
		sigaddset(out_set, handled[i]);
}

static void
on_signals(uv_poll_t *poll, int status, int events)
{
	struct master *master = poll->data;
	struct signalfd_siginfo info;
	bool seen[NSIG] = {0};
	(void)status;
	(void)events;
	while (read(master->signal_fd, &info, sizeof(info)) == sizeof(info))
		if (info.ssi_signo < NSIG)
			seen[info.ssi_signo] = true;
	if (seen[SIGCHLD])
		reap(master);
	if (seen[SIGINT])
		stop_request(master, true, "SIGINT");
	if (seen[SIGTERM])
		stop_request(master, false, "SIGTERM");
	if (seen[SIGHUP])
		reload_request(master);
	if (seen[SIGUSR1])
		reopen_logs(master);
	master_wake(master);
}

static void
on_inotify(uv_poll_t *poll, int status, int events)
{
	struct master *master = poll->data;
	(void)status;
	(void)events;
	watch_ready(&master->watch, master_now_ms(master));
	master_wake(master);
}

/* --- the start ------------------------------------------------------------ */

static bool
say_errno(const char *what)
{
	fprintf(stderr, "sallyport: %s: %s\n", what, strerror(errno));
	return false;
}

static bool
take_configuration(struct master *master, struct compiled *compiled)
{
	if (!compile_read(master->path, &master->text, &compiled->problems))
		return false;
	uint64_t n_descriptors = privilege_raise_descriptors();
	struct compile_request request = {
	    .path = master->path,
	    .text = span_secret(&master->text),
	    .capacity = compile_capacity(n_descriptors),
	    .n_descriptors = n_descriptors,
	};
	if (!compile(&request, compiled))
		return false;
	if (master->is_root)
		check_identities(compiled->builder, &master->user,
		    &master->keeper_user, &compiled->problems);
	return compiled->problems.n_errors == 0;
}

static bool
open_programs(struct master *master)
{
	for (int i = 0; i < CHILD_KINDS; i++) {
		const char *name = child_kind_name((enum child_kind)i);
		master->programs[i] = spawn_open(name);
		if (master->programs[i] >= 0)
			continue;
		fprintf(stderr,
		    "sallyport: the program \"%s\" was found neither "
		    "beside this one nor in " SALLYPORT_LIBEXEC ": %s\n",
		    name, strerror(errno));
		return false;
	}
	return true;
}

static bool
open_files(struct master *master)
{
	char why[FILES_WHY_MAX];
	const struct config *config = master_config(master);
	if (!files_open_logs(&master->files, config, why)) {
		fprintf(stderr, "sallyport: %s\n", why);
		return false;
	}
	if (!files_bind_metrics(&master->files, config, why)) {
		fprintf(stderr, "sallyport: %s\n", why);
		return false;
	}
	enum control_result result =
	    files_bind_control(&master->files, config, why);
	if (why[0] != '\0')
		fprintf(stderr, "sallyport: %s\n", why);
	return result != CONTROL_FAILED;
}

/* Everything that needs the privileges we give up behind it. */
static bool
open_everything(struct master *master, uint32_t capacity)
{
	char why[LISTEN_WHY_MAX];
	const struct config *config = master_config(master);
	if (!open_programs(master))
		return false;
	if (!channel_pair(master->events))
		return say_errno("event socket");
	if (!areas_open(&master->areas, config, capacity))
		return say_errno("shared areas");
	if (!listeners_open(&master->listeners, config, why)) {
		fprintf(stderr, "sallyport: %s\n", why);
		return false;
	}
	master->snapshot = snapshot_seal(master->builder, ++master->generation);
	if (master->snapshot < 0)
		return say_errno("snapshot");
	return open_files(master);
}

/* False: errno is set; all of them may be told to stop even so. */
static bool
init_children(struct master *master)
{
	uint32_t n = FIRST_WORKER + master->areas.n_slots;
	bool good = true;
	int error = 0;
	master->children = calloc(n, sizeof(*master->children));
	ENSURE(master->children != NULL);
	for (; master->n_children < n; master->n_children++) {
		uint32_t i = master->n_children;
		bool is_worker = i >= FIRST_WORKER;
		if (child_init(&master->children[i], master,
			is_worker ? CHILD_WORKER : (enum child_kind)i,
			is_worker ? i - FIRST_WORKER : 0))
			continue;
		good = false;
		error = errno;
	}
	errno = error;
	return good;
}

static bool
init_loop(struct master *master)
{
	sigset_t set;
	master_signals(&set);
	master->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (master->signal_fd < 0 || uv_loop_init(&master->loop) != 0)
		return say_errno("event loop");
	ENSURE(uv_timer_init(&master->loop, &master->timer) == 0);
	ENSURE(uv_poll_init(
		   &master->loop, &master->signals, master->signal_fd) == 0);
	master->timer.data = master;
	master->signals.data = master;
	master->inotify.data = master;
	uv_poll_start(&master->signals, UV_READABLE, on_signals);
	if (master->watch.fd < 0)
		return true;
	ENSURE(uv_poll_init(
		   &master->loop, &master->inotify, master->watch.fd) == 0);
	uv_poll_start(&master->inotify, UV_READABLE, on_inotify);
	return true;
}

static void
start_children(struct master *master)
{
	for (uint32_t i = 0; i < master->n_children; i++) {
		struct child *child = &master->children[i];
		if (child_start(child)) {
			report_role(child, "started", NULL);
			continue;
		}
		master_fail(master, "the %s: %s", child_kind_name(child->kind),
		    strerror(errno));
		return;
	}
}

/* --- the end -------------------------------------------------------------- */

static void
close_loop(struct master *master)
{
	uv_close((uv_handle_t *)&master->timer, NULL);
	uv_close((uv_handle_t *)&master->signals, NULL);
	if (master->watch.fd >= 0)
		uv_close((uv_handle_t *)&master->inotify, NULL);
	for (uint32_t i = 0; i < master->n_children; i++)
		child_fini(&master->children[i]);
	uv_run(&master->loop, UV_RUN_DEFAULT);
	ENSURE(uv_loop_close(&master->loop) == 0);
	close(master->signal_fd);
}

static void
close_fds(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void
release(struct master *master)
{
	free(master->children);
	files_fini(&master->files);
	listeners_close(&master->listeners);
	areas_close(&master->areas);
	watch_fini(&master->watch);
	notify_fini(&master->notify);
	close_fds(&master->snapshot, 1);
	close_fds(master->events, 2);
	close_fds(master->programs, CHILD_KINDS);
	builder_free(master->builder);
	key_image_free(&master->keys);
	ticket_secrets_wipe(&master->secrets);
	passwords_free(&master->passwords);
	problems_free(&master->reload.remarks);
	secret_wipe(&master->text);
}

static void
init(struct master *master, const char *path)
{
	*master = (struct master){
	    .path = path,
	    .snapshot = -1,
	    .events = {-1, -1},
	    .programs = {-1, -1, -1, -1},
	    .began_ms = clock_ms(),
	    .is_root = geteuid() == 0,
	    .stop_by_ms = UINT64_MAX,
	};
	files_init(&master->files);
	notify_init(&master->notify);
	watch_init(&master->watch);
}

/* The log has them, too: twice on one terminal is once too often. */
static void
show_start(const struct compiled *compiled, bool good)
{
	if (good &&
	    builder_config(compiled->builder)->gateway.log == LOG_TO_STDERR)
		return;
	check_show(&compiled->problems);
	check_show(&compiled->faults);
}

static void
report_start(struct master *master, const struct compiled *compiled)
{
	report_lines(master, EVENT_WARNING, compiled->problems.warnings);
	report_faults(master, &compiled->faults);
	if (master->watch.fd < 0)
		report_lines(master, EVENT_WARNING,
		    "no inotify: changes of certificate files are seen when "
		    "they are looked at, every 30 s");
}

static bool
prepare(struct master *master)
{
	struct compiled compiled = {0};
	bool good = take_configuration(master, &compiled);
	show_start(&compiled, good);
	if (good) {
		master->builder = compiled.builder;
		master->keys = compiled.keys;
		master->secrets = compiled.secrets;
		compiled.builder = NULL;
		compiled.keys = (struct key_image){0};
		master->passwords = compiled.passwords;
		compiled.passwords = (struct passwords){0};
		good = open_everything(
		    master, compile_capacity(privilege_raise_descriptors()));
	}
	if (good) {
		report_start(master, &compiled);
		watch_set(&master->watch, master_config(master), compiled.files,
		    master_now_ms(master));
		expiry_init(&master->expiry, report_event, master,
		    master_now_ms(master), (int64_t)time(NULL));
	}
	compiled_fini(&compiled);
	return good;
}

int
master_run(const char *path)
{
	struct master *master = calloc(1, sizeof(*master));
	ENSURE(master != NULL);
	init(master, path);
	master->status = 1;
	if (!prepare(master))
		goto out;
	privilege_protect_memory();
	if (!privilege_limit_master()) {
		say_errno("capabilities");
		goto out;
	}
	pulse_start_tickets(master, master_now_ms(master));
	if (!init_loop(master))
		goto out;
	master->status = 0;
	if (init_children(master))
		start_children(master);
	else
		master_fail(master, "channels: %s", strerror(errno));
	master_wake(master);
	uv_run(&master->loop, UV_RUN_DEFAULT);
	close_loop(master);
out:;
	int status = master->status;
	release(master);
	free(master);
	return status;
}
