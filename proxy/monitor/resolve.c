/* SPDX-License-Identifier: ISC */
/*
 * See resolve.h. Each name is two questions, one per family, so that the
 * failure of one leaves the other's addresses alone. c-ares calls back while
 * it works; nothing of ours happens then but noting the answer. All else is
 * done by on_timer().
 */
#include "proxy/monitor/resolve.h"

#include <ares.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proxy/base/ensure.h"
#include "proxy/base/list.h"

#define MIN_INTERVAL_MS	 1000
#define RETRY_MS	 5000 /* after a failure, when the interval is longer */
#define QUERY_TIMEOUT_MS 2000
#define QUERY_TRIES	 3

enum {
	V4,
	V6,
	N_FAMILIES
};

struct name;

struct question {
	struct name *name;
	int family; /* V4, V6 */
	bool is_open;
	int status;    /* of the last answer, ARES_... */
	bool has_more; /* than are used */
	uint32_t n;
	struct addr addrs[RESOLVER_FAMILY_MAX]; /* in order */
};

struct name {
	struct list_link link;
	struct resolver *resolver;
	bool is_wanted;
	bool has_answer; /* good or bad */
	bool is_failing;
	bool has_more;
	uint64_t interval_ms;
	uint64_t due_ms;
	uint64_t ttl_ms; /* the smallest of the running questions */
	struct question questions[N_FAMILIES];
	char host[];
};

/* A socket of c-ares that is watched. */
struct watch {
	struct list_link link;
	uv_poll_t poll;
	ares_socket_t fd;
	struct resolver *resolver;
};

struct resolver {
	uv_loop_t *loop;
	struct resolver_events events;
	ares_channel channel;
	bool has_channel;
	bool is_changed;
	uv_timer_t timer;      /* names that are due, changes to tell */
	uv_timer_t ares_timer; /* c-ares's own time-outs */
	struct list_link names;
	struct list_link watches;
};

static void arm(struct resolver *resolver);
static void arm_ares(struct resolver *resolver);

/* ---- answers ----------------------------------------------------------- */

static bool
is_running(const struct name *name)
{
	return name->questions[V4].is_open || name->questions[V6].is_open;
}

static bool
has_addr(const struct question *question, const struct addr *addr)
{
	for (uint32_t i = 0; i < question->n; i++)
		if (addr_equal(&question->addrs[i], addr))
			return true;
	return false;
}

/* The lowest ones stay: answers come in any order, and where there are more
 * than are used it must not be other ones each time. */
static void
add_addr(struct question *question, const struct sockaddr *sa)
{
	struct addr *addrs = question->addrs, addr;
	uint32_t at = 0;

	if (!addr_from_sockaddr(sa, &addr))
		return;
	addr.port = 0;
	if (has_addr(question, &addr))
		return;
	while (at < question->n &&
	       memcmp(addrs[at].ip, addr.ip, sizeof(addr.ip)) < 0)
		at++;
	if (question->n < RESOLVER_FAMILY_MAX)
		question->n++;
	else
		question->has_more = true;
	if (at == RESOLVER_FAMILY_MAX)
		return;
	memmove(&addrs[at + 1], &addrs[at],
	    (question->n - 1 - at) * sizeof(addrs[0]));
	addrs[at] = addr;
}

static bool
is_same_set(const struct question *a, const struct question *b)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (!has_addr(b, &a->addrs[i]))
			return false;
	return a->n == b->n;
}

/* A TTL of 0 is what /etc/hosts gives: it says nothing. */
static void
note_ttl(struct name *name, int ttl)
{
	uint64_t ms = ttl > 0 ? (uint64_t)ttl * 1000 : 0;

	if (ms != 0 && ms < name->ttl_ms)
		name->ttl_ms = ms;
}

static void
take_addresses(struct question *question, const struct ares_addrinfo *info)
{
	struct question next = {.n = 0};
	const struct ares_addrinfo_node *node = info->nodes;

	for (; node != NULL; node = node->ai_next) {
		add_addr(&next, node->ai_addr);
		note_ttl(question->name, node->ai_ttl);
	}
	if (next.n > 0)
		question->has_more = next.has_more;
	if (next.n == 0 || is_same_set(question, &next))
		return;
	question->n = next.n;
	memcpy(question->addrs, next.addrs, sizeof(next.addrs));
	question->name->resolver->is_changed = true;
}

static bool
says_none(int status)
{
	return status == ARES_ENODATA || status == ARES_ENOTFOUND;
}

/* A family that is gone while the other is there was taken out of the name;
 * a name that is gone altogether keeps what it had. */
static void
drop_family(struct name *name, int gone, int other)
{
	struct question *question = &name->questions[gone];

	if (!says_none(question->status) || question->n == 0 ||
	    name->questions[other].status != ARES_SUCCESS)
		return;
	question->n = 0;
	question->has_more = false;
	name->resolver->is_changed = true;
}

static void
tell_trouble(struct name *name)
{
	const struct resolver_events *events = &name->resolver->events;
	int v4 = name->questions[V4].status, v6 = name->questions[V6].status;
	bool fails = v4 != ARES_SUCCESS && v6 != ARES_SUCCESS;

	if (fails == name->is_failing)
		return;
	name->is_failing = fails;
	events->on_trouble(
	    events->arg, name->host, fails ? ares_strerror(v4) : NULL);
}

static void
tell_surplus(struct name *name)
{
	const struct resolver_events *events = &name->resolver->events;
	bool has_more =
	    name->questions[V4].has_more || name->questions[V6].has_more;

	if (has_more && !name->has_more)
		events->on_surplus(events->arg, name->host);
	name->has_more = has_more;
}

/* Both questions are answered. */
static void
conclude(struct name *name)
{
	uint64_t delay = name->interval_ms;

	drop_family(name, V4, V6);
	drop_family(name, V6, V4);
	tell_trouble(name);
	tell_surplus(name);
	if (name->is_failing && delay > RETRY_MS)
		delay = RETRY_MS;
	if (delay > name->ttl_ms)
		delay = name->ttl_ms;
	if (delay < MIN_INTERVAL_MS)
		delay = MIN_INTERVAL_MS;
	name->due_ms = uv_now(name->resolver->loop) + delay;
}

static void
on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
	struct question *question = arg;
	struct name *name = question->name;

	(void)timeouts;
	question->is_open = false;
	/* resolver_reload() asks again. */
	if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED)
		return;
	question->status = status;
	if (status == ARES_SUCCESS)
		take_addresses(question, info);
	if (info != NULL)
		ares_freeaddrinfo(info);
	if (!is_running(name))
		conclude(name);
	/* The first addresses are not kept waiting for the other family. */
	if (!name->has_answer && (question->n > 0 || !is_running(name))) {
		name->has_answer = true;
		name->resolver->is_changed = true;
	}
	arm(name->resolver);
}

/* RFC 6761 section 6.3. */
static bool
is_localhost(const char *host)
{
	static const char localhost[] = ".localhost";
	size_t len = strlen(host), tail = sizeof(localhost) - 1;

	return strcasecmp(host, localhost + 1) == 0 ||
	       (len > tail && strcasecmp(host + len - tail, localhost) == 0);
}

/* c-ares gives localhost the address ::1 whatever /etc/hosts says, and (1.18)
 * loses a few octets each time; [::1] can be configured as such. */
static bool
is_asked(const struct name *name, int family)
{
	return family == V4 || !is_localhost(name->host);
}

static void
ask(struct name *name)
{
	static const int families[N_FAMILIES] = {AF_INET, AF_INET6};
	struct resolver *resolver = name->resolver;

	name->ttl_ms = UINT64_MAX;
	/* Both are open before either can answer from inside the call. */
	for (int i = 0; i < N_FAMILIES; i++)
		name->questions[i].is_open = is_asked(name, i);
	for (int i = 0; i < N_FAMILIES; i++) {
		if (!is_asked(name, i))
			continue;
		struct ares_addrinfo_hints hints = {.ai_flags = ARES_AI_NOSORT,
		    .ai_family = families[i],
		    .ai_socktype = SOCK_STREAM};
		ares_getaddrinfo(resolver->channel, name->host, NULL, &hints,
		    on_answer, &name->questions[i]);
	}
}

/* ---- c-ares in the loop ------------------------------------------------ */

static void
on_watch(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;
	struct resolver *resolver = watch->resolver;
	bool failed = status < 0;

	ares_process_fd(resolver->channel,
	    failed || (events & UV_READABLE) ? watch->fd : ARES_SOCKET_BAD,
	    failed || (events & UV_WRITABLE) ? watch->fd : ARES_SOCKET_BAD);
	arm_ares(resolver);
}

static void
on_watch_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static struct watch *
find_watch(struct resolver *resolver, ares_socket_t fd)
{
	struct list_link *it;

	list_for_each (it, &resolver->watches) {
		struct watch *watch = list_entry(it, struct watch, link);
		if (watch->fd == fd)
			return watch;
	}
	return NULL;
}

static struct watch *
add_watch(struct resolver *resolver, ares_socket_t fd)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return NULL;
	if (uv_poll_init(resolver->loop, &watch->poll, fd) != 0) {
		free(watch);
		return NULL;
	}
	watch->poll.data = watch;
	watch->fd = fd;
	watch->resolver = resolver;
	list_append(&resolver->watches, &watch->link);
	return watch;
}

/* Without a watch the question runs into its time-out and is asked again. */
static void
on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolver *resolver = arg;
	struct watch *watch = find_watch(resolver, fd);

	if (!readable && !writable) {
		if (watch == NULL)
			return;
		list_remove(&watch->link);
		uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
		return;
	}
	if (watch == NULL)
		watch = add_watch(resolver, fd);
	if (watch != NULL)
		uv_poll_start(&watch->poll,
		    (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0),
		    on_watch);
}

static void
on_ares_timer(uv_timer_t *timer)
{
	struct resolver *resolver = timer->data;

	ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm_ares(resolver);
}

static void
arm_ares(struct resolver *resolver)
{
	struct timeval tv;

	if (!resolver->has_channel ||
	    ares_timeout(resolver->channel, NULL, &tv) == NULL) {
		uv_timer_stop(&resolver->ares_timer);
		return;
	}
	uint64_t ms =
	    (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000 + 1;
	uv_timer_start(&resolver->ares_timer, on_ares_timer, ms, 0);
}

static bool
open_channel(struct resolver *resolver)
{
	struct ares_options options = {.timeout = QUERY_TIMEOUT_MS,
	    .tries = QUERY_TRIES,
	    .lookups = (char *)(uintptr_t) "fb",
	    .sock_state_cb = on_socket,
	    .sock_state_cb_data = resolver};
	int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
		   ARES_OPT_SOCK_STATE_CB;

	resolver->has_channel = ares_init_options(&resolver->channel, &options,
				    mask) == ARES_SUCCESS;
	return resolver->has_channel;
}

/* ---- names ------------------------------------------------------------- */

static void
free_unwanted(struct resolver *resolver)
{
	struct list_link *it, *tmp;

	list_for_each_safe (it, tmp, &resolver->names) {
		struct name *name = list_entry(it, struct name, link);
		if (name->is_wanted || is_running(name))
			continue;
		list_remove(it);
		free(name);
	}
}

static void
ask_due(struct resolver *resolver)
{
	uint64_t now = uv_now(resolver->loop);
	struct list_link *it;

	list_for_each (it, &resolver->names) {
		struct name *name = list_entry(it, struct name, link);
		if (name->is_wanted && !is_running(name) && name->due_ms <= now)
			ask(name);
	}
}

static void
on_timer(uv_timer_t *timer)
{
	struct resolver *resolver = timer->data;

	free_unwanted(resolver);
	/* No memory for a channel: the names are due again soon. */
	if (resolver->has_channel || open_channel(resolver))
		ask_due(resolver);
	arm_ares(resolver);
	if (resolver->is_changed) {
		resolver->is_changed = false;
		resolver->events.on_change(resolver->events.arg);
	}
	arm(resolver);
}

static void
arm(struct resolver *resolver)
{
	uint64_t now = uv_now(resolver->loop), next = UINT64_MAX;
	struct list_link *it;

	list_for_each (it, &resolver->names) {
		const struct name *name = list_entry(it, struct name, link);
		if (name->is_wanted && !is_running(name) && name->due_ms < next)
			next = name->due_ms;
	}
	if (resolver->is_changed)
		next = 0;
	uint64_t delay = next > now ? next - now : 0;
	if (!resolver->has_channel && !resolver->is_changed)
		delay = delay < MIN_INTERVAL_MS ? MIN_INTERVAL_MS : delay;
	if (next == UINT64_MAX)
		uv_timer_stop(&resolver->timer);
	else
		uv_timer_start(&resolver->timer, on_timer, delay, 0);
}

struct resolver *
resolver_new(uv_loop_t *loop, const struct resolver_events *events)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));

	if (resolver == NULL)
		return NULL;
	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
		free(resolver);
		return NULL;
	}
	resolver->loop = loop;
	resolver->events = *events;
	list_init(&resolver->names);
	list_init(&resolver->watches);
	uv_timer_init(loop, &resolver->timer);
	uv_timer_init(loop, &resolver->ares_timer);
	resolver->timer.data = resolver;
	resolver->ares_timer.data = resolver;
	open_channel(resolver);
	return resolver;
}

void
resolver_reload(struct resolver *resolver)
{
	struct list_link *it;

	if (resolver->has_channel)
		ares_destroy(resolver->channel);
	open_channel(resolver);
	list_for_each (it, &resolver->names)
		list_entry(it, struct name, link)->due_ms = 0;
	arm(resolver);
}

void
resolver_begin(struct resolver *resolver)
{
	struct list_link *it;

	list_for_each (it, &resolver->names)
		list_entry(it, struct name, link)->is_wanted = false;
}

/* Freed later: the caller may stand in a callback of a name's. */
void
resolver_end(struct resolver *resolver)
{
	arm(resolver);
}

static struct name *
find_name(struct resolver *resolver, const char *host)
{
	struct list_link *it;

	list_for_each (it, &resolver->names) {
		struct name *name = list_entry(it, struct name, link);
		if (strcmp(name->host, host) == 0)
			return name;
	}
	return NULL;
}

static struct name *
add_name(struct resolver *resolver, const char *host)
{
	size_t len = strlen(host);
	struct name *name = calloc(1, sizeof(*name) + len + 1);

	if (name == NULL)
		return NULL;
	memcpy(name->host, host, len);
	name->resolver = resolver;
	for (int i = 0; i < N_FAMILIES; i++)
		name->questions[i] = (struct question){
		    .name = name, .family = i, .status = ARES_ENODATA};
	list_append(&resolver->names, &name->link);
	return name;
}

uint32_t
resolver_lookup(struct resolver *resolver, const char *host,
    uint64_t interval_ms, struct addr out_addrs[RESOLVER_ADDRS_MAX])
{
	struct name *name = find_name(resolver, host);
	uint32_t n = 0;

	if (name == NULL)
		name = add_name(resolver, host);
	if (name == NULL)
		return 0;
	/* Pools that share a name share the shorter interval. */
	if (!name->is_wanted || interval_ms < name->interval_ms)
		name->interval_ms = interval_ms;
	name->is_wanted = true;
	for (int i = 0; i < N_FAMILIES; i++)
		for (uint32_t j = 0; j < name->questions[i].n; j++)
			out_addrs[n++] = name->questions[i].addrs[j];
	return n;
}

bool
resolver_is_settled(const struct resolver *resolver)
{
	struct list_link *it;

	list_for_each (it, &resolver->names) {
		const struct name *name = list_entry(it, struct name, link);
		if (name->is_wanted && !name->has_answer)
			return false;
	}
	return true;
}
