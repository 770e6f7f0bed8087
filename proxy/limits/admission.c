/* SPDX-License-Identifier: ISC */
/* See admission.h. Called by proxy/worker/accept.c and proxy/session. */
#include "proxy/limits/admission.h"

#include "proxy/limits/networks.h"

const char *
admission_name(enum admission admission)
{
	switch (admission) {
	case ADMISSION_ADMIT:
		return "admit";
	case ADMISSION_DENIED:
		return "denied";
	case ADMISSION_NOT_ALLOWED:
		return "not_allowed";
	case ADMISSION_UNTRUSTED:
		return "proxy_untrusted";
	case ADMISSION_BANNED:
		return "banned";
	case ADMISSION_CONNECTIONS:
		return "connections_per_ip";
	case ADMISSION_PREAUTH:
		return "preauth_per_ip";
	case ADMISSION_RATE:
		return "connect_rate";
	case ADMISSION_TABLE:
		return "table_full";
	case ADMISSION_MEMORY:
		return "memory";
	case ADMISSION_HANDSHAKES:
		return "handshakes_in_flight";
	case ADMISSION_HANDSHAKE_RATE:
		return "handshake_rate";
	case ADMISSION_FAILURES:
		return "auth_failures";
	case ADMISSION_MAX:
		break;
	}
	return "unknown";
}

/* Also by the IPv4 address that it contains. */
static bool
is_denied(const struct config *config, const struct addr *client)
{
	struct addr plain = ladder_canonical(client);

	return networks_contain(config, config->limits.deny_tree, client) ||
	       networks_contain(config, config->limits.deny_tree, &plain);
}

/* Never by an address inside: anybody may claim any 6to4 prefix. */
static bool
contains(
    const struct config *config, struct items tree, const struct addr *client)
{
	struct addr plain = *client;

	addr_unmap(&plain);
	return networks_contain(config, tree, &plain);
}

bool
admission_is_exempt(const struct config *config, const struct addr *addr)
{
	return contains(config, config->limits.exempt_tree, addr);
}

enum admission
admission_of_client(
    const struct config *config, uint32_t listen, const struct addr *client)
{
	const struct config_listen *listener = config_listen_at(config, listen);

	if ((listener->allow.n > 0 || listener->allow_file.len > 0) &&
	    !contains(config, listener->allow_tree, client))
		return ADMISSION_NOT_ALLOWED;
	return is_denied(config, client) ? ADMISSION_DENIED : ADMISSION_ADMIT;
}

enum admission
admission_of_sender(
    const struct config *config, uint32_t listen, const struct addr *peer)
{
	struct items from = config_listen_at(config, listen)->proxy_from;
	const struct prefix *prefix = config_items(config, from);

	for (uint32_t i = 0; i < from.n; i++)
		if (prefix_contains(&prefix[i], peer))
			return ADMISSION_ADMIT;
	return ADMISSION_UNTRUSTED;
}

static enum admission
admission_of_verdict(enum limiter_verdict verdict)
{
	switch (verdict) {
	case LIMITER_ADMIT:
		return ADMISSION_ADMIT;
	case LIMITER_BANNED:
		return ADMISSION_BANNED;
	case LIMITER_CONNECTIONS:
		return ADMISSION_CONNECTIONS;
	case LIMITER_RATE:
		return ADMISSION_RATE;
	case LIMITER_FULL:
		return ADMISSION_TABLE;
	}
	return ADMISSION_ADMIT;
}

/* By the networks alone. True: the limiter has a say, too. */
static bool
decide_by_networks(const struct limiter *limiter, const struct config *config,
    uint32_t listen, const struct addr *client, struct admission_result *out)
{
	*out = (struct admission_result){
	    .admission = admission_of_client(config, listen, client)};
	out->refused =
	    out->admission == ADMISSION_NOT_ALLOWED ||
	    (out->admission != ADMISSION_ADMIT && !config->limits.observe);
	return !out->refused && limiter != NULL &&
	       client->family != ADDR_NONE &&
	       !admission_is_exempt(config, client);
}

static void
add_verdict(const struct config *config, enum limiter_verdict verdict,
    struct admission_result *out)
{
	enum admission admission = admission_of_verdict(verdict);

	if (out->admission == ADMISSION_ADMIT)
		out->admission = admission;
	out->refused = !config->limits.observe && admission != ADMISSION_ADMIT;
}

void
admission_peek(const struct limiter *limiter, const struct config *config,
    uint32_t listen, const struct addr *client, uint64_t now_ms,
    struct admission_result *out)
{
	if (decide_by_networks(limiter, config, listen, client, out))
		add_verdict(
		    config, limiter_peek(limiter, config, client, now_ms), out);
}

void
admission_enter(struct limiter *limiter, const struct config *config,
    uint32_t listen, const struct addr *client, uint64_t now_ms,
    struct admission_result *out)
{
	if (decide_by_networks(limiter, config, listen, client, out))
		add_verdict(config,
		    limiter_enter(limiter, config, client, now_ms,
			config->limits.observe, &out->hold, &out->overflows),
		    out);
}
