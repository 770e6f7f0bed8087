/* SPDX-License-Identifier: ISC */
/* See expiry.h. Called by master.c and reload.c. */
#include "proxy/master/expiry.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tls/certificate.h"

#define DAY_S	INT64_C(86400)
#define DAY_MS	UINT64_C(86400000)
#define LOOK_MS UINT64_C(60000)

void
expiry_init(struct expiry *expiry, expiry_emit *emit, void *arg,
    uint64_t now_ms, int64_t now_s)
{
	*expiry = (struct expiry){.emit = emit,
	    .arg = arg,
	    .told_ms = now_ms,
	    .look_ms = now_ms,
	    .seen_s = now_s};
}

static void
begin(struct event *event, const struct config *config,
    const struct config_certificate *certificate, int level, const char *state)
{
	event_begin_level(event, EVENT_CERTIFICATE, level);
	event_text(event, FIELD_NAME, config_span(config, certificate->name));
	event_str(event, FIELD_STATE, state);
}

static void
tell_end(const struct expiry *expiry, const struct config *config,
    const struct config_certificate *certificate, int64_t now_s)
{
	struct event event;
	int64_t left = certificate->not_after - now_s;

	begin(&event, config, certificate, left < 0 ? LEVEL_ERROR : LEVEL_WARN,
	    left < 0 ? "expired" : "expiring");
	if (left >= 0)
		event_u64(&event, FIELD_DAYS, (uint64_t)(left / DAY_S));
	else
		event_str(&event, FIELD_TEXT, "it is served all the same");
	expiry->emit(expiry->arg, &event);
}

static bool
is_due(const struct expiry *expiry,
    const struct config_certificate *certificate, int64_t now_s, bool is_daily)
{
	int64_t end = certificate->not_after;

	if (!certificate->usable)
		return false;
	if (end < now_s && end >= expiry->seen_s)
		return true;
	return is_daily &&
	       end - now_s < (int64_t)certificate->warn_days * DAY_S;
}

uint64_t
expiry_step(struct expiry *expiry, const struct config *config, uint64_t now_ms,
    int64_t now_s)
{
	bool is_daily = now_ms - expiry->told_ms >= DAY_MS;
	uint64_t next_ms = now_ms + LOOK_MS;

	if (now_ms < expiry->look_ms)
		return expiry->look_ms;
	for (uint32_t i = 0; i < config->certificates.n; i++) {
		const struct config_certificate *certificate =
		    config_certificate_at(config, i);
		int64_t left = certificate->not_after - now_s;

		if (is_due(expiry, certificate, now_s, is_daily))
			tell_end(expiry, config, certificate, now_s);
		if (left >= 0 && left < (int64_t)(LOOK_MS / 1000) &&
		    now_ms + (uint64_t)(left + 1) * 1000 < next_ms)
			next_ms = now_ms + (uint64_t)(left + 1) * 1000;
	}
	if (is_daily)
		expiry->told_ms = now_ms;
	expiry->seen_s = now_s;
	expiry->look_ms = next_ms;
	return next_ms;
}

static void
put_hex(char *out, const uint8_t spki[SPKI_HASH_LEN])
{
	for (size_t i = 0; i < SPKI_HASH_LEN; i++)
		snprintf(out + 2 * i, 3, "%02x", spki[i]);
}

static void
tell_renewal(const struct expiry *expiry, const struct config *config,
    const struct config_certificate *certificate)
{
	struct event event;
	int64_t days = (certificate->not_after - certificate->loaded) / DAY_S;

	begin(&event, config, certificate, LEVEL_INFO, "renewed");
	if (days >= 0)
		event_u64(&event, FIELD_DAYS, (uint64_t)days);
	expiry->emit(expiry->arg, &event);
}

static void
tell_key(const struct expiry *expiry, const struct config *config,
    const struct config_certificate *certificate, const uint8_t *old)
{
	char from[2 * SPKI_HASH_LEN + 1], to[2 * SPKI_HASH_LEN + 1];
	char text[sizeof(from) + sizeof(to) + 64];
	struct event event;

	put_hex(from, old);
	put_hex(to, certificate->spki);
	snprintf(text, sizeof(text), "SHA-256 of its public key was %s, is %s",
	    from, to);
	begin(&event, config, certificate, LEVEL_WARN, "pin_changed");
	event_str(&event, FIELD_TEXT, text);
	expiry->emit(expiry->arg, &event);
}

void
expiry_compare(struct expiry *expiry, const struct config *old,
    const struct config *config)
{
	for (uint32_t i = 0; i < config->certificates.n; i++) {
		const struct config_certificate *now =
		    config_certificate_at(config, i);
		const struct config_certificate *before =
		    certificate_find(old, config_text(config, now->name), i);

		if (before == NULL || !before->usable || !now->usable ||
		    certificate_is_same(old, before, config, now))
			continue;
		tell_renewal(expiry, config, now);
		if (memcmp(before->spki, now->spki, SPKI_HASH_LEN) != 0)
			tell_key(expiry, config, now, before->spki);
	}
}
