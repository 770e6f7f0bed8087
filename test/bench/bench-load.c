/* SPDX-License-Identifier: ISC */
/*
 * The load generator: options, processes and the report.
 *
 * The parent forks, waits until every process is ready, prints "READY n" (n
 * held sessions), lets them begin together and prints one line of JSON. What
 * failed is counted by kind and never dropped.
 *
 * With --sync it waits for a line on standard input before it begins, and
 * for another (or its end) before it closes what is held, so that whoever
 * measures the server can read its counters in between. Mode idle begins at
 * once and ends at a line, end of input or SIGTERM; --sync adds the second.
 */
/* needs: proxy/base/ensure.c test/bench/load/ */
/* libs: boringssl */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/ensure.h"
#include "test/bench/load/client.h"

#define EVENTS 512

/* What parent and children say to each other, one octet each. */
enum word {
	WORD_READY = 'R',
	WORD_BEGIN = 'B',
	WORD_END = 'E',
	WORD_DONE = 'D',
};

struct child {
	pid_t pid;
	int fd;
	bool dead; /* counted as one error */
};

struct crew {
	const struct load_options *o;
	struct load_result *results; /* shared, one each */
	struct child children[LOAD_PROCESSES_MAX];
	long n, n_dead;
};

static const char *const ERROR_NAMES[N_ERRORS] = {
    [ERROR_SOCKET] = "socket",
    [ERROR_CONNECT] = "connect",
    [ERROR_TLS] = "tls",
    [ERROR_RESET] = "reset",
    [ERROR_CLOSED] = "closed",
    [ERROR_PROTOCOL] = "protocol",
    [ERROR_TIMEOUT] = "timeout",
    [ERROR_NOT_RESUMED] = "not_resumed",
    [ERROR_UNSENT] = "unsent",
};

/* ---- a child ---- */

static uint64_t
cpu_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void
say(int fd, enum word word)
{
	char c = (char)word;
	if (write(fd, &c, 1) != 1)
		_exit(1);
}

static void
on_parent(struct load *l, int fd)
{
	char word;
	if (read(fd, &word, 1) != 1)
		_exit(0);
	if (word == WORD_BEGIN) {
		l->result->cpu_ns = cpu_ns();
		mode_begin(l);
	} else if (word == WORD_END && !l->over) {
		mode_end(l);
	}
}

static void
run_child(struct load *l, int parent)
{
	struct epoll_event events[EVENTS];
	bool said_ready = false, said_done = false;
	for (;;) {
		mode_tick(l);
		if (!said_ready && mode_is_ready(l)) {
			said_ready = true;
			say(parent, WORD_READY);
		}
		if (!said_done && l->over) {
			said_done = true;
			l->result->cpu_ns = cpu_ns() - l->result->cpu_ns;
			say(parent, WORD_DONE);
		}
		uint64_t ns = mode_wait_ns(l);
		struct timespec wait = {.tv_sec = (time_t)(ns / 1000000000u),
		    .tv_nsec = (long)(ns % 1000000000u)};
		int n = epoll_pwait2(l->epoll, events, EVENTS, &wait, NULL);
		for (int i = 0; i < n; i++) {
			struct slot *s = events[i].data.ptr;
			if (s)
				client_on_event(l, s, events[i].events);
			else
				on_parent(l, parent);
		}
	}
}

static _Noreturn void
child_main(const struct crew *crew, long process, int parent)
{
	struct load *l = calloc(1, sizeof(*l));
	struct epoll_event ev = {.events = EPOLLIN};
	ENSURE(l);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	prctl(PR_SET_TIMERSLACK, 1000UL);
	l->o = crew->o;
	l->result = &crew->results[process];
	l->process = process;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	ENSURE(l->epoll >= 0);
	ENSURE(epoll_ctl(l->epoll, EPOLL_CTL_ADD, parent, &ev) == 0);
	if (!client_init(l)) {
		fprintf(stderr, "bench-load: TLS options not understood\n");
		_exit(2);
	}
	mode_init(l);
	run_child(l, parent);
	_exit(0);
}

/* ---- the parent ---- */

static void
start_children(struct crew *crew)
{
	for (crew->n = 0; crew->n < crew->o->processes; crew->n++) {
		int fds[2];
		struct child *c = &crew->children[crew->n];
		ENSURE(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
		c->pid = fork();
		ENSURE(c->pid >= 0);
		if (c->pid == 0) {
			close(fds[0]);
			for (long i = 0; i < crew->n; i++)
				close(crew->children[i].fd);
			child_main(crew, crew->n, fds[1]);
		}
		close(fds[1]);
		c->fd = fds[0];
	}
}

/* Waits for this word of every child; one that died is noted once. */
static void
await_all(struct crew *crew, enum word word)
{
	for (long i = 0; i < crew->n; i++) {
		struct child *c = &crew->children[i];
		char got = 0;
		ssize_t n = -1;
		while (!c->dead && (n = read(c->fd, &got, 1)) < 0)
			ENSURE(errno == EINTR);
		if (c->dead || (n == 1 && got == (char)word))
			continue;
		c->dead = true;
		crew->n_dead++;
	}
}

static void
tell_all(struct crew *crew, enum word word)
{
	char c = (char)word;
	for (long i = 0; i < crew->n; i++) {
		/* A dead one is found by await_all(). */
		ssize_t n = send(crew->children[i].fd, &c, 1, MSG_NOSIGNAL);
		(void)n;
	}
}

static void
stop_children(struct crew *crew)
{
	for (long i = 0; i < crew->n; i++)
		close(crew->children[i].fd);
	for (long i = 0; i < crew->n; i++)
		waitpid(crew->children[i].pid, NULL, 0);
}

static void
on_term(int signal_number)
{
	(void)signal_number;
}

/* Returns at a line, at the end of input or at SIGTERM. */
static void
await_line(void)
{
	char c = 0;
	while (read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		continue;
}

static uint64_t
sum_held(const struct crew *crew)
{
	uint64_t n = 0;
	for (long i = 0; i < crew->n; i++)
		n += crew->results[i].held;
	return n;
}

/* ---- the report ---- */

static void
merge(struct load_result *into, const struct load_result *from)
{
	for (int i = 0; i < N_ERRORS; i++)
		into->errors[i] += from->errors[i];
	into->bytes += from->bytes;
	into->cpu_ns += from->cpu_ns;
	into->held += from->held;
	if (from->seconds_ns > into->seconds_ns)
		into->seconds_ns = from->seconds_ns;
	if (!into->tls[0])
		memcpy(into->tls, from->tls, sizeof(into->tls));
	histogram_merge(&into->work, &from->work);
	histogram_merge(&into->logins, &from->logins);
}

static void
print_latencies(const char *name, const struct histogram *h)
{
	printf(", \"%s\": {\"n\": %llu, \"p50\": %.1f, \"p90\": %.1f, "
	       "\"p99\": %.1f, \"p99.9\": %.1f, \"max\": %.1f}",
	    name, (unsigned long long)h->n, (double)histogram_at(h, 0.5) / 1e3,
	    (double)histogram_at(h, 0.9) / 1e3,
	    (double)histogram_at(h, 0.99) / 1e3,
	    (double)histogram_at(h, 0.999) / 1e3, (double)h->max_ns / 1e3);
}

static void
print_errors(const struct crew *crew, const struct load_result *r)
{
	uint64_t total = (uint64_t)crew->n_dead;
	printf(", \"errors\": {");
	for (int i = 0; i < N_ERRORS; i++) {
		printf("\"%s\": %llu, ", ERROR_NAMES[i],
		    (unsigned long long)r->errors[i]);
		total += r->errors[i];
	}
	printf("\"process\": %ld}, \"errors_total\": %llu", crew->n_dead,
	    (unsigned long long)total);
}

static void
report(const struct crew *crew)
{
	struct load_result *r = calloc(1, sizeof(*r));
	ENSURE(r);
	for (long i = 0; i < crew->n; i++)
		merge(r, &crew->results[i]);
	double seconds = (double)r->seconds_ns / 1e9;
	printf("{\"mode\": \"%s\", \"processes\": %ld, \"held\": %llu, "
	       "\"count\": %llu, \"seconds\": %.3f, \"per_second\": %.1f, "
	       "\"bytes\": %llu, \"load_cpu_seconds\": %.3f, \"tls\": \"%s\"",
	    options_mode_name(crew->o->mode), crew->n,
	    (unsigned long long)r->held, (unsigned long long)r->work.n, seconds,
	    seconds > 0 ? (double)r->work.n / seconds : 0,
	    (unsigned long long)r->bytes, (double)r->cpu_ns / 1e9, r->tls);
	print_errors(crew, r);
	print_latencies("latency_us", &r->work);
	if (crew->o->mode == MODE_MIXED)
		print_latencies("login_latency_us", &r->logins);
	printf("}\n");
	fflush(stdout);
	free(r);
}

static void
raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void
conduct(struct crew *crew)
{
	bool idle = crew->o->mode == MODE_IDLE;
	await_all(crew, WORD_READY);
	if (idle || crew->o->sync) {
		printf("READY %llu\n", (unsigned long long)sum_held(crew));
		fflush(stdout);
	}
	if (!idle && crew->o->sync)
		await_line();
	tell_all(crew, WORD_BEGIN);
	if (idle) {
		await_line();
		tell_all(crew, WORD_END);
	}
	await_all(crew, WORD_DONE);
	report(crew);
	if (crew->o->sync)
		await_line();
}

int
main(int argc, char **argv)
{
	struct load_options o;
	if (!options_parse(&o, argc, argv))
		return 2;
	raise_descriptors();
	struct crew crew = {.o = &o};
	size_t len = (size_t)o.processes * sizeof(*crew.results);
	crew.results = mmap(NULL, len, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ENSURE(crew.results != MAP_FAILED);
	start_children(&crew);
	struct sigaction term = {.sa_handler = on_term};
	sigaction(SIGTERM, &term, NULL);
	conduct(&crew);
	stop_children(&crew);
	return crew.n_dead > 0;
}
