/* SPDX-License-Identifier: ISC */
/*
 * What no single line can say: names that refer to other sections, defaults
 * that depend on them, and rules over several keys. Runs also when lines were
 * wrong, so that one run shows all there is to mend. Called by load.c.
 */
#include "config/draft.h"

#include <stdio.h>
#include <unistd.h>

#include "proxy/base/ensure.h"

static const char *
text_of(const struct draft *draft, struct text text)
{
	return config_text(builder_config(draft->builder), text);
}

static uint32_t
count(const struct draft *draft, enum section_type type)
{
	return draft->lists[type].n;
}

static uint32_t
online_processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (n < 1)
		return 1;
	return n > CONFIG_WORKERS_MAX ? CONFIG_WORKERS_MAX : (uint32_t)n;
}

static void
check_gateway(struct draft *draft)
{
	struct config_gateway *gateway =
	    draft_fields(draft, SECTION_GATEWAY, 0);

	if (gateway->workers == 0)
		gateway->workers = online_processors();
	if (gateway->keeper_user.len == 0)
		gateway->keeper_user = gateway->user;
	if (count(draft, SECTION_BACKEND) > gateway->max_backends)
		draft_error(draft,
		    draft_line(draft, SECTION_GATEWAY, 0, "max_backends"),
		    "max_backends = %u: there are %u [backend] sections",
		    gateway->max_backends, count(draft, SECTION_BACKEND));
}

/*
 * Resolves a name, or the lack of one, to an index. An error names the key of
 * the section that refers.
 */
static uint32_t
resolve(struct draft *draft, enum section_type from, uint32_t index,
    const char *key, enum section_type to, struct text *name)
{
	const char *what = schema_section(to)->name;
	uint32_t line = draft_line(draft, from, index, key);

	if (name->len > 0) {
		uint32_t found = draft_find(draft, to,
		    config_span(builder_config(draft->builder), *name));
		if (found == CONFIG_NONE)
			draft_error(draft, line, "%s = %s: no section [%s %s]",
			    key, text_of(draft, *name), what,
			    text_of(draft, *name));
		return found;
	}
	if (count(draft, to) == 1) {
		struct section_head *head = draft_fields(draft, to, 0);
		*name = head->name;
		return 0;
	}
	/* That there is none at all is said once, elsewhere. */
	if (count(draft, to) > 1)
		draft_error(draft, line,
		    "%s: expected the name of one of the %u [%s] sections", key,
		    count(draft, to), what);
	return CONFIG_NONE;
}

static struct config_listen *
listen_at(struct draft *draft, uint32_t index)
{
	return draft_fields(draft, SECTION_LISTEN, index);
}

static void
resolve_certificates(struct draft *draft, uint32_t index)
{
	struct config_listen *listen = listen_at(draft, index);
	uint32_t n = listen->certificate_names.n;
	uint32_t n_all = n > 0 ? n : count(draft, SECTION_CERTIFICATE);
	uint32_t line =
	    draft_line(draft, SECTION_LISTEN, index, "certificates");
	struct items indexes =
	    builder_items(draft->builder, NULL, n_all, sizeof(uint32_t), 4);

	for (uint32_t i = 0; i < n_all; i++) {
		const struct config *image = builder_config(draft->builder);
		uint32_t found = i;
		if (n > 0) {
			const struct text *names =
			    config_items(image, listen->certificate_names);
			found = draft_find(draft, SECTION_CERTIFICATE,
			    config_span(image, names[i]));
			if (found == CONFIG_NONE)
				draft_error(draft, line,
				    "certificates: no section "
				    "[certificate %s]",
				    config_text(image, names[i]));
		}
		uint32_t *to = (void *)(draft->builder->data + indexes.off);
		to[i] = found;
	}
	listen->certificates = indexes;
}

static void
check_listen(struct draft *draft, uint32_t index)
{
	struct config_listen *listen = listen_at(draft, index);
	uint32_t line = draft_line(draft, SECTION_LISTEN, index, "proxy_from");

	listen->tls = resolve(draft, SECTION_LISTEN, index, "tls", SECTION_TLS,
	    &listen->tls_name);
	listen->pool = resolve(draft, SECTION_LISTEN, index, "pool",
	    SECTION_POOL, &listen->pool_name);
	resolve_certificates(draft, index);
	if (listen->proxy_protocol && listen->proxy_from.n == 0)
		draft_error(draft,
		    draft_line(draft, SECTION_LISTEN, index, "proxy_protocol"),
		    "proxy_protocol = required: expected proxy_from, the "
		    "networks whose headers are believed");
	if (!listen->proxy_protocol && listen->proxy_from.n > 0)
		draft_warn(draft, line,
		    "proxy_from has no effect while proxy_protocol is off");
	if (!listen->login_command && listen->mechanisms == 0)
		draft_error(draft,
		    draft_line(draft, SECTION_LISTEN, index, "login_command"),
		    "login_command = off: without mechanisms nobody could log "
		    "in");
}

static bool
is_any(const struct addr *addr)
{
	struct addr any = {.family = addr->family};

	return addr_equal_ip(addr, &any);
}

/* IPv6 sockets don't take IPv4 connections, so families never overlap. */
static bool
overlaps(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && a->port == b->port &&
	       (addr_equal(a, b) || is_any(a) || is_any(b));
}

struct seen {
	struct addr addrs[CONFIG_MAX_LISTENERS];
	uint32_t n;
};

static void
check_address(struct draft *draft, uint32_t line, const struct addr *addr,
    struct seen *seen)
{
	char text[ADDR_TEXT_MAX], other[ADDR_TEXT_MAX];
	struct addr unmapped = *addr;

	addr_unmap(&unmapped);
	if (unmapped.family != addr->family)
		draft_error(draft, line, "address: write %s as %s",
		    addr_text(addr, text), addr_text(&unmapped, other));
	for (uint32_t i = 0; i < seen->n; i++) {
		if (!overlaps(addr, &seen->addrs[i]))
			continue;
		draft_error(draft, line, "address: %s is also taken by %s",
		    addr_text(addr, text), addr_text(&seen->addrs[i], other));
		return;
	}
	if (seen->n == CONFIG_MAX_LISTENERS)
		draft_error(draft, line, "address: more than %u addresses",
		    CONFIG_MAX_LISTENERS);
	else
		seen->addrs[seen->n++] = *addr;
}

static void
check_addresses(struct draft *draft)
{
	struct seen seen = {.n = 0};

	for (uint32_t i = 0; i < count(draft, SECTION_LISTEN); i++) {
		struct items items = listen_at(draft, i)->addresses;
		const struct addr *addrs =
		    config_items(builder_config(draft->builder), items);
		uint32_t line = draft_line(draft, SECTION_LISTEN, i, "address");
		for (uint32_t j = 0; j < items.n; j++)
			check_address(draft, line, &addrs[j], &seen);
	}
}

static void
check_tls(struct draft *draft, uint32_t index)
{
	const struct config_tls *tls = draft_fields(draft, SECTION_TLS, index);

	if (tls->min_version != 0 && tls->max_version != 0 &&
	    tls->min_version > tls->max_version)
		draft_error(draft,
		    draft_line(draft, SECTION_TLS, index, "max_version"),
		    "max_version is below min_version");
}

#define IDLE_TIMEOUT_RFC_MS (30 * 60 * 1000)

static bool
is_listened_for(struct draft *draft, uint32_t pool)
{
	for (uint32_t i = 0; i < count(draft, SECTION_LISTEN); i++)
		if (listen_at(draft, i)->pool == pool)
			return true;
	return false;
}

static bool
has_backend(struct draft *draft, uint32_t pool)
{
	for (uint32_t i = 0; i < count(draft, SECTION_BACKEND); i++) {
		const struct config_backend *backend =
		    draft_fields(draft, SECTION_BACKEND, i);
		if (backend->pool == pool)
			return true;
	}
	return false;
}

#define CHECK_USER_MAX 256

static void
check_account(
    struct draft *draft, uint32_t index, const struct config_pool *pool)
{
	uint32_t line = draft_line(draft, SECTION_POOL, index, "check_user");

	if ((pool->check_user.len > 0) != (pool->check_password_file.len > 0))
		draft_error(draft, line,
		    "check_user and check_password_file: expected both, or "
		    "none");
	if (pool->check_user.len > CHECK_USER_MAX)
		draft_error(draft, line, "check_user: longer than %d octets",
		    CHECK_USER_MAX);
}

static void
check_pool(struct draft *draft, uint32_t index)
{
	const struct config_pool *pool =
	    draft_fields(draft, SECTION_POOL, index);
	const char *name = text_of(draft, pool->name);

	if (!is_listened_for(draft, index))
		draft_warn(
		    draft, pool->line, "[pool %s]: no listener uses it", name);
	else if (!has_backend(draft, index))
		draft_error(draft, pool->line,
		    "[pool %s]: expected at least one [backend NAME] with "
		    "pool = %s",
		    name, name);
	check_account(draft, index, pool);
	if (pool->idle_timeout_ms < IDLE_TIMEOUT_RFC_MS)
		draft_warn(draft,
		    draft_line(draft, SECTION_POOL, index, "idle_timeout"),
		    "idle_timeout is below 30m: clients rely on 30 minutes "
		    "(RFC 9051 section 5.4)");
}

static void
check_backend_tls(
    struct draft *draft, uint32_t index, const struct config_backend *backend)
{
	uint32_t line =
	    draft_line(draft, SECTION_BACKEND, index, "backend_tls");

	if (backend->backend_tls == BACKEND_TLS_VERIFY &&
	    backend->backend_tls_ca.len == 0)
		draft_error(draft, line,
		    "backend_tls = verify: expected backend_tls_ca, the "
		    "authorities to verify by");
	if (backend->backend_tls == BACKEND_TLS_VERIFY &&
	    backend->unix_path.len > 0 && backend->backend_tls_name.len == 0)
		draft_error(draft, line,
		    "backend_tls = verify: a Unix socket has no name, "
		    "expected backend_tls_name");
	if (backend->backend_tls == BACKEND_TLS_PIN &&
	    backend->backend_tls_pin.len == 0)
		draft_error(
		    draft, line, "backend_tls = pin: expected backend_tls_pin");
}

/* Judged, renewed and watched like those of listeners, so it stands with them;
 * behind them, because the image of keys has their order. */
static uint32_t
add_certificate(struct draft *draft, const struct config_backend *backend)
{
	char name[sizeof("backend ") + SECTION_NAME_MAX];
	uint32_t index = count(draft, SECTION_CERTIFICATE);

	snprintf(
	    name, sizeof(name), "backend %s", text_of(draft, backend->name));
	draft_add(draft, SECTION_CERTIFICATE, span_str(name), backend->line);
	struct config_certificate *added =
	    draft_fields(draft, SECTION_CERTIFICATE, index);
	added->chain = backend->backend_tls_cert;
	added->key = backend->backend_tls_key;
	added->is_for_backends = true;
	return index;
}

static void
check_backend_certificate(
    struct draft *draft, uint32_t index, struct config_backend *backend)
{
	bool has_cert = backend->backend_tls_cert.len > 0;
	bool has_key = backend->backend_tls_key.len > 0;
	uint32_t line = draft_line(draft, SECTION_BACKEND, index,
	    has_cert ? "backend_tls_cert" : "backend_tls_key");

	backend->certificate = CONFIG_NONE;
	if (has_cert != has_key)
		draft_error(draft, line,
		    "backend_tls_cert, backend_tls_key: expected both or "
		    "neither");
	else if (has_cert && backend->backend_tls == BACKEND_TLS_OFF)
		draft_warn(draft, line,
		    "backend_tls_cert is shown to nobody: backend_tls = off");
	else if (has_cert)
		backend->certificate = add_certificate(draft, backend);
}

static void
check_backend(struct draft *draft, uint32_t index)
{
	struct config_backend *backend =
	    draft_fields(draft, SECTION_BACKEND, index);

	backend->pool = resolve(draft, SECTION_BACKEND, index, "pool",
	    SECTION_POOL, &backend->pool_name);
	if (backend->client_ip == CLIENT_IP_NONE)
		draft_warn(draft,
		    draft_line(draft, SECTION_BACKEND, index, "client_ip"),
		    "client_ip = none: backend %s sees one address for all "
		    "clients, its limits per address hit everyone",
		    text_of(draft, backend->name));
	check_backend_tls(draft, index, backend);
	check_backend_certificate(draft, index, backend);
	if (backend->unix_path.len > 0 && backend->source_ip.n > 0)
		draft_error(draft,
		    draft_line(draft, SECTION_BACKEND, index, "source_ip"),
		    "source_ip: a Unix socket has no source address");
}

/* What must exist; the line is 0 because no line is at fault. */
static void
require_sections(struct draft *draft)
{
	static const enum section_type needed[] = {
	    SECTION_LISTEN, SECTION_CERTIFICATE, SECTION_POOL, SECTION_BACKEND};

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (count(draft, needed[i]) == 0)
			draft_error(draft, 0, "expected at least one [%s NAME]",
			    schema_section(needed[i])->name);
}

static void
add_implicit_sections(struct draft *draft)
{
	if (count(draft, SECTION_GATEWAY) == 0)
		draft_add(draft, SECTION_GATEWAY, span_of(NULL, 0), 0);
	if (count(draft, SECTION_LIMITS) == 0)
		draft_add(draft, SECTION_LIMITS, span_of(NULL, 0), 0);
	if (count(draft, SECTION_TLS) == 0)
		draft_add(draft, SECTION_TLS, span_str("public"), 0);
}

static void
check_limits(struct draft *draft)
{
	struct config_limits *limits = draft_fields(draft, SECTION_LIMITS, 0);

	if (limits->ipv6_ladder.n > CONFIG_LADDER_MAX)
		draft_error(draft,
		    draft_line(draft, SECTION_LIMITS, 0, "ipv6_ladder"),
		    "ipv6_ladder: expected at most %d prefixes",
		    CONFIG_LADDER_MAX);
}

void
check_draft(struct draft *draft)
{
	add_implicit_sections(draft);
	require_sections(draft);
	check_gateway(draft);
	check_limits(draft);
	for (uint32_t i = 0; i < count(draft, SECTION_LISTEN); i++)
		check_listen(draft, i);
	check_addresses(draft);
	for (uint32_t i = 0; i < count(draft, SECTION_TLS); i++)
		check_tls(draft, i);
	for (uint32_t i = 0; i < count(draft, SECTION_BACKEND); i++)
		check_backend(draft, i);
	for (uint32_t i = 0; i < count(draft, SECTION_POOL); i++)
		check_pool(draft, i);
}
