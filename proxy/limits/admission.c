/* SPDX-License-Identifier: ISC */
/* See admission.h. Called by proxy/worker/accept.c and proxy/session. */
#include "proxy/limits/admission.h"

static bool
is_in(
    const struct config *config, struct items prefixes, const struct addr *addr)
{
	const struct prefix *prefix = config_items(config, prefixes);
	for (uint32_t i = 0; i < prefixes.n; i++)
		if (prefix_contains(&prefix[i], addr))
			return true;
	return false;
}

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
	}
	return "unknown";
}

enum admission
admission_of_client(
    const struct config *config, uint32_t listen, const struct addr *client)
{
	const struct config_listen *listener = config_listen_at(config, listen);

	if (is_in(config, config->limits.deny, client))
		return ADMISSION_DENIED;
	if (listener->allow.n > 0 && !is_in(config, listener->allow, client))
		return ADMISSION_NOT_ALLOWED;
	return ADMISSION_ADMIT;
}

enum admission
admission_of_peer(
    const struct config *config, uint32_t listen, const struct addr *peer)
{
	const struct config_listen *listener = config_listen_at(config, listen);

	if (!listener->proxy_protocol)
		return admission_of_client(config, listen, peer);
	if (!is_in(config, listener->proxy_from, peer))
		return ADMISSION_UNTRUSTED;
	return ADMISSION_ADMIT;
}
