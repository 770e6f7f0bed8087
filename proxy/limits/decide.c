/* SPDX-License-Identifier: ISC */
/*
 * Who may connect, and who may handshake: the limits applied to the table. A
 * limit is first counted and then compared, so that two workers can never let
 * one too many in between them; who is refused is taken back on every rung.
 * Called by proxy/worker, proxy/session; bans and questions by master and
 * observer.
 */
#include <string.h>

#include "proxy/base/ensure.h"
#include "proxy/limits/gcra.h"
#include "proxy/limits/table.h"

#define DAY_S UINT64_C(86400)
/* handshake_rate = auto: what a core can do with an ECDSA key. Less would turn
 * away who comes back after an outage; with an RSA key the cap of handshakes in
 * flight is met first. */
#define HANDSHAKES_PER_WORKER 4000
/* Above the gateway's rate a prefix may still do this many. */
static const struct config_rate fair_rate = {.count = 12, .period_ms = 1000};
#define FAIR_BURST 20

/* The rungs of an address, hashed and looked up once. */
struct ladder {
	uint32_t n;
	struct rung rungs[LADDER_MAX];
	struct limiter_place places[LADDER_MAX];
	uint64_t intervals[LADDER_MAX]; /* of connections, ns */
};

static void
climb(const struct limiter *limiter, const struct config *config,
    const struct addr *addr, struct ladder *out)
{
	uint64_t interval =
	    gcra_interval(&config->limits.connect_rate_per_ip, 1);

	out->n = ladder_rungs(config, addr, out->rungs);
	for (uint32_t i = 0; i < out->n; i++) {
		out->places[i].hash =
		    limiter_rung_hash(limiter, &out->rungs[i]);
		limiter_expect(limiter, out->places[i].hash);
	}
	for (uint32_t i = 0; i < out->n; i++)
		out->places[i] = limiter_look(limiter, out->places[i].hash);
	for (uint32_t i = 0; i < out->n; i++)
		out->intervals[i] = gcra_share(interval, out->rungs[i].factor);
}

static bool
is_banned(
    const struct limiter *limiter, const struct ladder *ladder, uint64_t now_ms)
{
	for (uint32_t i = 0; i < ladder->n; i++) {
		const struct limiter_entry *entry =
		    limiter_seen(limiter, &ladder->places[i]);
		if (entry != NULL && limiter_ban_left(entry, now_ms) > 0)
			return true;
	}
	return false;
}

static enum limiter_verdict
hold_rungs(struct limiter *limiter, const struct config *config,
    struct ladder *ladder, uint64_t now_ms, struct limiter_hold *hold,
    uint32_t *out_overflows)
{
	enum limiter_verdict verdict = LIMITER_ADMIT;

	for (uint32_t i = 0; i < ladder->n; i++) {
		uint64_t limit = (uint64_t)config->limits.connections_per_ip *
				 ladder->rungs[i].factor;
		switch (limiter_hold_rung(limiter, hold, &ladder->places[i],
		    &ladder->rungs[i], limit, ladder->intervals[i], now_ms)) {
		case ADD_GOOD:
			break;
		case ADD_OVER:
			verdict = LIMITER_CONNECTIONS;
			break;
		case ADD_NO_ROOM:
			(*out_overflows)++;
			if (config->limits.overflow_refuse &&
			    verdict == LIMITER_ADMIT)
				verdict = LIMITER_FULL;
			break;
		}
	}
	return verdict;
}

/* A place that was made for this connection was charged with it. */
static bool
take_rung(struct limiter *limiter, const struct config *config,
    struct ladder *ladder, const struct limiter_hold *hold, uint32_t i,
    uint64_t now_ns)
{
	uint64_t burst = (uint64_t)config->limits.connect_burst_per_ip *
			 ladder->rungs[i].factor;
	struct limiter_place *place = &ladder->places[i];

	if (hold->entries[i] == LIMITER_NONE || place->is_charged)
		return true;
	_Atomic uint64_t *word = limiter_connects_at(limiter, hold->entries[i]);
	place->is_charged =
	    gcra_take(word, ladder->intervals[i], burst, now_ns);
	if (!place->is_charged)
		gcra_fit(word, ladder->intervals[i], burst, now_ns);
	return place->is_charged;
}

static bool
take_rate(struct limiter *limiter, const struct config *config,
    struct ladder *ladder, const struct limiter_hold *hold, uint64_t now_ns)
{
	for (uint32_t i = 0; i < hold->n; i++)
		if (!take_rung(limiter, config, ladder, hold, i, now_ns))
			return false;
	return true;
}

/* Who is refused is charged on no rung. */
static void
give_back_rate(struct limiter *limiter, const struct ladder *ladder,
    const struct limiter_hold *hold)
{
	for (uint32_t i = 0; i < hold->n; i++)
		if (hold->entries[i] != LIMITER_NONE &&
		    ladder->places[i].is_charged)
			gcra_give_back(
			    limiter_connects_at(limiter, hold->entries[i]),
			    ladder->intervals[i]);
}

enum limiter_verdict
limiter_enter(struct limiter *limiter, const struct config *config,
    const struct addr *addr, uint64_t now_ms, bool force,
    struct limiter_hold *out_hold, uint32_t *out_overflows)
{
	struct ladder ladder;

	climb(limiter, config, addr, &ladder);
	bool banned = is_banned(limiter, &ladder, now_ms);
	*out_hold = (struct limiter_hold){.n = 0};
	*out_overflows = 0;
	if (banned && !force)
		return LIMITER_BANNED;
	enum limiter_verdict verdict = hold_rungs(
	    limiter, config, &ladder, now_ms, out_hold, out_overflows);
	if (banned)
		verdict = LIMITER_BANNED;
	if (verdict == LIMITER_ADMIT &&
	    !take_rate(limiter, config, &ladder, out_hold, now_ms * GCRA_NS))
		verdict = LIMITER_RATE;
	if (verdict != LIMITER_ADMIT)
		give_back_rate(limiter, &ladder, out_hold);
	if (verdict != LIMITER_ADMIT && !force)
		limiter_release(limiter, out_hold);
	return verdict;
}

enum limiter_verdict
limiter_peek(const struct limiter *limiter, const struct config *config,
    const struct addr *addr, uint64_t now_ms)
{
	const struct config_limits *limits = &config->limits;
	struct ladder ladder;
	enum limiter_verdict verdict = LIMITER_ADMIT;

	climb(limiter, config, addr, &ladder);
	if (is_banned(limiter, &ladder, now_ms))
		return LIMITER_BANNED;
	for (uint32_t i = 0; i < ladder.n; i++) {
		uint64_t factor = ladder.rungs[i].factor;
		const struct limiter_entry *entry =
		    limiter_seen(limiter, &ladder.places[i]);
		if (entry == NULL)
			continue;
		if (limiter_connections(limiter, entry) >=
		    limits->connections_per_ip * factor)
			return LIMITER_CONNECTIONS;
		if (gcra_level(limiter_connects(limiter, entry),
			gcra_interval(&limits->connect_rate_per_ip, factor),
			now_ms * GCRA_NS) >=
		    limits->connect_burst_per_ip * factor)
			verdict = LIMITER_RATE;
	}
	return verdict;
}

bool
limiter_begin_preauth(struct limiter *limiter, const struct config *config,
    const struct addr *addr, bool force, struct limiter_hold *hold)
{
	struct rung rungs[LADDER_MAX];
	bool good = true;

	if (hold->n == 0)
		return true;
	/* A reload may have changed the ladder since. */
	uint32_t n = ladder_rungs(config, addr, rungs);
	for (uint32_t i = 0; i < hold->n; i++) {
		uint64_t factor = rungs[i < n ? i : n - 1].factor;
		if (limiter_hold_preauth(limiter, hold, i) >
		    config->limits.preauth_per_ip * factor)
			good = false;
	}
	hold->preauth = true;
	if (!good && !force)
		limiter_end_preauth(limiter, hold);
	return good;
}

/* A reload may have changed the ladder since. IPv4 has one rung. */
static uint32_t
factor_of(
    const struct config *config, const struct limiter_hold *hold, uint32_t rung)
{
	const struct config_rung *ladder =
	    config_items(config, config->limits.ipv6_ladder);

	if (hold->n == 1 || rung >= config->limits.ipv6_ladder.n)
		return 1;
	return ladder[rung].factor;
}

uint32_t
limiter_weight(const struct limiter *limiter, const struct config *config,
    const struct limiter_hold *hold)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < hold->n; i++) {
		const struct limiter_entry *entry =
		    limiter_held(limiter, hold, i);
		uint32_t factor = factor_of(config, hold, i);
		uint32_t n =
		    entry == NULL ? 0 : limiter_preauth(limiter, entry);
		uint32_t weight = n / factor + (n % factor != 0);
		most = weight > most ? weight : most;
	}
	return most;
}

bool
limiter_is_known(const struct limiter *limiter, const struct limiter_hold *hold,
    uint64_t now_ms)
{
	const struct limiter_entry *entry = limiter_held(limiter, hold, 0);

	if (entry == NULL)
		return false;
	uint64_t login_s =
	    atomic_load_explicit(&entry->login_s, memory_order_relaxed);
	return login_s != 0 && now_ms / 1000 < login_s + DAY_S;
}

/* --- handshakes ----------------------------------------------------------- */

void
limiter_handshaking(struct limiter *limiter, int change)
{
	ENSURE(limiter->slot < limiter->n_slots);
	atomic_fetch_add_explicit(&limiter->area->handshaking[limiter->slot],
	    (uint32_t)change, memory_order_relaxed);
}

uint32_t
limiter_total_handshaking(const struct limiter *limiter)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < limiter->n_slots; i++)
		sum += atomic_load_explicit(
		    &limiter->area->handshaking[i], memory_order_relaxed);
	return sum;
}

static uint64_t
share_of_cap(const struct limiter *limiter, const struct config *config)
{
	return ((uint64_t)config->limits.handshakes_in_flight +
		   limiter->n_slots - 1) /
	       limiter->n_slots;
}

static uint32_t
own_handshaking(const struct limiter *limiter)
{
	return atomic_load_explicit(
	    &limiter->area->handshaking[limiter->slot], memory_order_relaxed);
}

bool
limiter_handshakes_many(
    const struct limiter *limiter, const struct config *config)
{
	return own_handshaking(limiter) > share_of_cap(limiter, config);
}

uint32_t
limiter_handshakes_over(
    const struct limiter *limiter, const struct config *config, uint32_t coming)
{
	uint64_t cap = config->limits.handshakes_in_flight;
	uint64_t share = share_of_cap(limiter, config);
	uint64_t all = (uint64_t)limiter_total_handshaking(limiter) + coming;
	uint64_t own = (uint64_t)own_handshaking(limiter) + coming;

	if (all <= cap || own <= share)
		return 0;
	return (uint32_t)(all - cap < own - share ? all - cap : own - share);
}

static struct config_rate
gateway_rate(const struct limiter *limiter, const struct config *config)
{
	struct config_rate rate = config->limits.handshake_rate;

	if (rate.count == 0)
		rate = (struct config_rate){.period_ms = 1000,
		    .count =
			(uint64_t)HANDSHAKES_PER_WORKER * limiter->n_slots};
	return rate;
}

static bool
take_share_of(struct limiter_entry *entry, uint32_t factor, uint64_t now_ns)
{
	uint64_t interval = gcra_interval(&fair_rate, factor);
	uint64_t burst = (uint64_t)FAIR_BURST * factor;

	if (gcra_take(&entry->handshakes, interval, burst, now_ns))
		return true;
	/* logins.c: what was meant for a user may have been written here. */
	gcra_fit(&entry->handshakes, interval, burst, now_ns);
	return false;
}

/* On every rung. Counted whatever the gateway does, so that a share is known
 * when it is needed. */
static bool
take_share(struct limiter *limiter, const struct config *config,
    const struct limiter_hold *hold, uint64_t now_ns)
{
	bool fair = true;

	for (uint32_t i = 0; i < hold->n; i++) {
		struct limiter_entry *entry = limiter_held(limiter, hold, i);
		if (entry != NULL &&
		    !take_share_of(entry, factor_of(config, hold, i), now_ns))
			fair = false;
	}
	return fair;
}

bool
limiter_full_handshake(struct limiter *limiter, const struct config *config,
    const struct limiter_hold *hold, uint64_t now_ms)
{
	struct config_rate rate = gateway_rate(limiter, config);
	uint64_t now_ns = now_ms * GCRA_NS;
	bool fair = take_share(limiter, config, hold, now_ns);

	if (gcra_take(&limiter->area->handshakes, gcra_interval(&rate, 1),
		rate.count, now_ns))
		return true;
	if (limiter_is_known(limiter, hold, now_ms))
		return true;
	/* What goes beyond fills a second bucket of the same size. */
	return fair && gcra_take(&limiter->area->handshakes,
			   gcra_interval(&rate, 1), 2 * rate.count, now_ns);
}

/* --- by hand -------------------------------------------------------------- */

bool
limiter_ban(struct limiter *limiter, const struct rung *rung, uint64_t now_ms,
    uint64_t ban_ms)
{
	uint64_t hash = limiter_rung_hash(limiter, rung);
	struct limiter_entry *entry = limiter_find(limiter, hash);

	if (ban_ms == 0 && entry == NULL)
		return true;
	if (entry == NULL)
		entry = limiter_claim(limiter, hash, rung, now_ms);
	if (entry == NULL)
		return false;
	uint64_t until_s = ban_ms == 0 ? 0 : (now_ms + ban_ms + 999) / 1000;
	atomic_store(&entry->ban_s,
	    until_s > UINT32_MAX ? UINT32_MAX : (uint32_t)until_s);
	if (ban_ms == 0)
		atomic_store(&entry->failures, 0);
	return true;
}
