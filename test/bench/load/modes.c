/* SPDX-License-Identifier: ISC */
/*
 * What the load generator says and when. A process has one or two streams of
 * work, each with its slots. The slots of a held stream log in before the
 * measurement and stay; those of the other kind dial for every unit.
 *
 * Invariant: a slot is in its stream's queue exactly when it could start a
 * unit now. With a rate, a unit's time runs from when it was due and not from
 * when a slot was free for it: a server that stalls cannot hide it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/ensure.h"
#include "test/bench/load/client.h"

#define SCAN_NS		  100000000u
#define MIXED_LOGIN_SLOTS 64

/* ---- the queue ---- */

static struct stream *
stream_of(struct load *l, const struct slot *s)
{
	return &l->streams[s->stream];
}

static void
push_ready(struct load *l, struct slot *s)
{
	struct stream *st = stream_of(l, s);
	if (s->queued)
		return;
	s->queued = true;
	s->next_ready = NULL;
	*st->ready_tail = s;
	st->ready_tail = &s->next_ready;
}

static struct slot *
pop_ready(struct stream *st)
{
	struct slot *s = st->ready;
	st->ready = s->next_ready;
	if (!st->ready)
		st->ready_tail = &st->ready;
	s->queued = false;
	return s;
}

/* ---- units of work ---- */

static void
finish_work(struct load *l, struct slot *s, bool good)
{
	struct stream *st = stream_of(l, s);
	if (s->working && s->measured && !l->over) {
		st->n_done++;
		if (good)
			histogram_add(
			    st->latencies, load_clock_ns() - s->started_ns);
	}
	s->working = false;
	s->deadline_ns = 0;
}

/* Something that had to be there before the measurement is there. */
static void
finish_preparing(struct load *l, struct slot *s)
{
	if (s->working || l->measuring)
		return;
	l->n_opening--;
	s->deadline_ns = 0;
}

static void
ask(struct load *l, struct slot *s, const char *text, enum slot_phase phase)
{
	s->phase = (uint8_t)phase;
	client_send(l, s, text, strlen(text));
}

static void
start_on_held(struct load *l, struct slot *s, enum load_mode job)
{
	unsigned long long kb = l->o->size_kb;
	char text[96];
	s->deadline_ns = load_clock_ns();
	s->deadline_ns += (uint64_t)(l->o->timeout * 1e9);
	if (job == MODE_FETCH) {
		snprintf(text, sizeof(text), "a FETCH %llu BODY[]\r\n", kb);
		ask(l, s, text, PHASE_ANSWER);
	} else if (job == MODE_APPEND) {
		snprintf(
		    text, sizeof(text), "a APPEND INBOX {%llu}\r\n", kb * 1024);
		ask(l, s, text, PHASE_CONTINUATION);
	} else {
		ask(l, s, "a NOOP\r\n", PHASE_ANSWER);
	}
}

static void
start_work(struct load *l, struct stream *st, uint64_t due_ns)
{
	struct slot *s = pop_ready(st);
	st->n_started++;
	s->working = s->measured = true;
	s->started_ns = due_ns;
	if (st->held)
		start_on_held(l, s, st->job);
	else
		client_open(l, s);
}

/* ---- login ---- */

/* The user with its "%d" replaced by the slot's number. */
static void
user_of(const struct load *l, const struct slot *s, char *out, size_t len)
{
	const char *user = l->o->user;
	const char *mark = strstr(user, "%d");
	long n = (s - l->slots) * l->o->processes + l->process;
	if (mark)
		snprintf(out, len, "%.*s%ld%s", (int)(mark - user), user, n,
		    mark + 2);
	else
		snprintf(out, len, "%s", user);
}

static void
log_in(struct load *l, struct slot *s)
{
	char user[256], text[1024];
	const char *password = l->o->password;
	user_of(l, s, user, sizeof(user));
	if (l->o->literals)
		snprintf(text, sizeof(text),
		    "a LOGIN {%zu+}\r\n%s {%zu+}\r\n%s\r\n", strlen(user), user,
		    strlen(password), password);
	else
		snprintf(text, sizeof(text), "a LOGIN \"%s\" \"%s\"\r\n", user,
		    password);
	ask(l, s, text, PHASE_LOGIN);
}

static void
hold(struct load *l, struct slot *s)
{
	finish_preparing(l, s);
	s->phase = PHASE_QUIET;
	l->result->held++;
	push_ready(l, s);
}

static void
end_connection(struct load *l, struct slot *s)
{
	client_close(l, s);
	push_ready(l, s);
}

static void
on_greeting(struct load *l, struct slot *s)
{
	struct stream *st = stream_of(l, s);
	if (strncmp(s->line, "* OK", 4) != 0) {
		client_fail(l, s, ERROR_PROTOCOL);
	} else if (st->held || st->job == MODE_LOGIN) {
		log_in(l, s);
	} else if (st->job == MODE_RESUMED && !s->session) {
		client_fail(l, s, ERROR_NOT_RESUMED);
	} else {
		finish_preparing(l, s);
		finish_work(l, s, true);
		end_connection(l, s);
	}
}

static void
on_logged_in(struct load *l, struct slot *s)
{
	if (!stream_of(l, s)->held) {
		finish_work(l, s, true);
		end_connection(l, s);
	} else if (l->o->mode == MODE_IDLE && l->o->idle_command) {
		ask(l, s, "a IDLE\r\n", PHASE_IDLE_START);
	} else {
		hold(l, s);
	}
}

/* ---- callbacks ---- */

void
mode_on_open(struct load *l, struct slot *s)
{
	char *tls = l->result->tls;
	if (!tls[0])
		snprintf(tls, sizeof(l->result->tls), "%s %s %s",
		    SSL_get_version(s->ssl), SSL_get_cipher_name(s->ssl),
		    SSL_get_curve_name(SSL_get_curve_id(s->ssl)));
	if (l->o->mode == MODE_RESUMED && s->working &&
	    !SSL_session_reused(s->ssl))
		client_fail(l, s, ERROR_NOT_RESUMED);
}

void
mode_on_closed(struct load *l, struct slot *s)
{
	bool was_held = s->phase >= PHASE_QUIET;
	finish_preparing(l, s);
	if (s->working)
		finish_work(l, s, false);
	if (stream_of(l, s)->held)
		l->result->held -= was_held;
	else
		s->failed = true;
}

static bool
is_tagged_ok(const char *line)
{
	return strncmp(line, "a OK", 4) == 0;
}

void
mode_on_line(struct load *l, struct slot *s)
{
	bool tagged = strncmp(s->line, "a ", 2) == 0;
	bool more = s->line[0] == '+';
	bool wrong = (tagged && !is_tagged_ok(s->line)) ||
		     strncmp(s->line, "* BYE", 5) == 0;
	if (wrong) {
		client_fail(l, s, ERROR_PROTOCOL);
		return;
	}
	switch ((enum slot_phase)s->phase) {
	case PHASE_GREETING:
		on_greeting(l, s);
		break;
	case PHASE_LOGIN:
		if (tagged)
			on_logged_in(l, s);
		break;
	case PHASE_IDLE_START:
		if (more)
			hold(l, s);
		break;
	case PHASE_CONTINUATION:
		if (!more)
			break;
		s->phase = PHASE_ANSWER;
		s->send_left = l->o->size_kb * 1024;
		client_send_body(l, s);
		break;
	case PHASE_ANSWER:
		if (!tagged)
			break;
		finish_work(l, s, true);
		s->phase = PHASE_QUIET;
		push_ready(l, s);
		break;
	case PHASE_QUIET:
		break;
	}
}

/* ---- time ---- */

/* Finds what waits for too long, and lets failed workers try again. */
static void
scan(struct load *l, uint64_t now)
{
	if (now < l->next_scan_ns)
		return;
	l->next_scan_ns = now + SCAN_NS;
	for (long i = 0; i < l->n_slots; i++) {
		struct slot *s = &l->slots[i];
		if (s->deadline_ns && s->deadline_ns < now)
			client_fail(l, s, ERROR_TIMEOUT);
		if (s->failed && s->state == SLOT_CLOSED) {
			s->failed = false;
			push_ready(l, s);
		}
	}
}

static long
n_to_prepare(const struct load *l)
{
	const struct stream *st = &l->streams[0];
	return st->held || st->job == MODE_RESUMED ? st->end : 0;
}

static void
prepare(struct load *l)
{
	long n = n_to_prepare(l);
	while (l->n_prepared < n && l->n_opening < l->o->ramp) {
		l->n_opening++;
		client_open(l, &l->slots[l->n_prepared++]);
	}
}

static uint64_t
due_ns(const struct load *l, const struct stream *st)
{
	return l->begin_ns + (uint64_t)((double)st->n_started / st->rate * 1e9);
}

static bool
is_exhausted(const struct load *l, const struct stream *st)
{
	return l->count > 0 && st == l->streams && st->n_started >= l->count;
}

static void
start_due(struct load *l, struct stream *st, uint64_t now)
{
	if (st->job == MODE_IDLE)
		return;
	/* One pass over the queue: a unit may fail while it is started. */
	for (long n = st->end - st->first; n > 0 && st->ready; n--) {
		uint64_t due = st->rate > 0 ? due_ns(l, st) : now;
		if (due > now || is_exhausted(l, st))
			return;
		start_work(l, st, due);
	}
}

void
mode_tick(struct load *l)
{
	uint64_t now = load_clock_ns();
	scan(l, now);
	if (!l->measuring)
		prepare(l);
	if (!l->measuring || l->over)
		return;
	for (int i = 0; i < l->n_streams; i++)
		start_due(l, &l->streams[i], now);
	bool all = l->count > 0 && l->streams[0].n_done >= l->count;
	if (all || (l->end_ns && now >= l->end_ns))
		mode_end(l);
}

uint64_t
mode_wait_ns(const struct load *l)
{
	uint64_t now = load_clock_ns();
	uint64_t next = l->next_scan_ns;
	if (l->measuring && !l->over) {
		if (l->end_ns && l->end_ns < next)
			next = l->end_ns;
		for (int i = 0; i < l->n_streams; i++) {
			const struct stream *st = &l->streams[i];
			if (!st->ready || st->job == MODE_IDLE ||
			    is_exhausted(l, st))
				continue;
			uint64_t due = st->rate > 0 ? due_ns(l, st) : now;
			if (due < next)
				next = due;
		}
	}
	return next > now ? next - now : 0;
}

/* ---- the measurement ---- */

bool
mode_is_ready(const struct load *l)
{
	return l->n_prepared == n_to_prepare(l) && l->n_opening == 0;
}

void
mode_begin(struct load *l)
{
	l->measuring = true;
	l->begin_ns = load_clock_ns();
	if (l->o->seconds > 0 && l->o->mode != MODE_IDLE)
		l->end_ns = l->begin_ns + (uint64_t)(l->o->seconds * 1e9);
}

static void
count_unsent(struct load *l, const struct stream *st, uint64_t now)
{
	if (st->rate <= 0)
		return;
	uint64_t due = (uint64_t)((double)(now - l->begin_ns) / 1e9 * st->rate);
	if (l->count > 0 && due > l->count)
		due = l->count;
	/* What fell due since the last turn is not late yet. */
	uint64_t fresh = (uint64_t)(st->rate / 100) + 1;
	if (due > st->n_started + fresh)
		l->result->errors[ERROR_UNSENT] += due - st->n_started;
}

void
mode_end(struct load *l)
{
	uint64_t now = load_clock_ns();
	for (int i = 0; i < l->n_streams; i++)
		count_unsent(l, &l->streams[i], now);
	l->over = true;
	l->result->seconds_ns = now - l->begin_ns;
}

/* ---- layout ---- */

static long
share(const struct load *l, long total)
{
	long each = total / l->o->processes;
	return each + (l->process < total % l->o->processes);
}

static void
add_stream(struct load *l, enum load_mode job, long n, double rate)
{
	struct stream *st = &l->streams[l->n_streams++];
	st->job = job;
	st->held = job >= MODE_NOOP_CLOSED;
	st->rate = rate / (double)l->o->processes;
	st->first = l->n_slots;
	st->end = l->n_slots = l->n_slots + n;
	st->ready_tail = &st->ready;
}

void
mode_init(struct load *l)
{
	const struct load_options *o = l->o;
	long n = share(l, o->number);
	add_stream(l, o->mode, n, o->rate);
	l->streams[0].latencies = &l->result->work;
	if (o->mode == MODE_MIXED) {
		add_stream(l, MODE_LOGIN, MIXED_LOGIN_SLOTS, o->login_rate);
		l->streams[1].latencies = &l->result->logins;
	}
	l->count = (uint64_t)share(l, (long)o->count);
	l->slots = calloc((size_t)l->n_slots + 1, sizeof(*l->slots));
	ENSURE(l->slots);
	for (long i = 0; i < l->n_slots; i++) {
		struct slot *s = &l->slots[i];
		s->fd = -1;
		s->stream = i >= l->streams[0].end;
		if (!l->streams[s->stream].held && o->mode != MODE_RESUMED)
			push_ready(l, s);
	}
}
