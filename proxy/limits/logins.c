/* SPDX-License-Identifier: ISC */
/*
 * See logins.h. Failures of a prefix are in the entries that its connection
 * holds; a user's entry is found by name and may be evicted while it is
 * written: then one failure counts for a stranger, which is harmless as users
 * are only ever delayed. Called by proxy/session.
 */
#include "proxy/limits/logins.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/limits/gcra.h"
#include "proxy/limits/table.h"

#define DAY_S UINT64_C(86400)

static const uint32_t delays_ms[LOGIN_DELAYS] = {2000, 4000, 8000, 15000};

uint32_t
logins_delay_of(uint64_t level, uint64_t limit)
{
	if (level < limit)
		return 0;
	uint64_t step = level - limit;
	return delays_ms[step < LOGIN_DELAYS ? step : LOGIN_DELAYS - 1];
}

/* --- marks ---------------------------------------------------------------- */

static uint16_t
mark_of(uint64_t hash)
{
	uint16_t mark = (uint16_t)(hash ^ hash >> 16 ^ hash >> 32 ^ hash >> 48);

	return mark == 0 ? 1 : mark;
}

static bool
has_mark(const struct limiter *limiter, const struct limiter_entry *entry,
    uint16_t mark)
{
	const _Atomic uint16_t *marks = limiter_marks(limiter, entry);
	uint8_t n = atomic_load(&entry->n_marks);

	for (int i = 0; i < n && i < LIMITER_MARKS; i++)
		if (atomic_load_explicit(&marks[i], memory_order_relaxed) ==
		    mark)
			return true;
	return false;
}

static bool
has_any_mark(const struct limiter_entry *entry)
{
	return atomic_load(&entry->n_marks) != 0;
}

/* In the place of the oldest one. */
static void
add_mark(
    const struct limiter *limiter, struct limiter_entry *entry, uint16_t mark)
{
	uint8_t n = atomic_load(&entry->n_marks);

	atomic_store_explicit(&limiter_marks(limiter, entry)[n % LIMITER_MARKS],
	    mark, memory_order_relaxed);
	/* Full stays full. */
	atomic_store(&entry->n_marks,
	    n < 2 * LIMITER_MARKS - 1 ? (uint8_t)(n + 1) : LIMITER_MARKS);
}

static uint16_t
pair_mark(const struct limiter *limiter, const struct login_try *login)
{
	struct siphash_key key = limiter->key;

	key.k1 ^= limiter_user_hash(limiter, login->user);
	return mark_of(siphash(&key, login->password));
}

static uint16_t
prefix_mark(const struct limiter *limiter, const struct rung *rung)
{
	return mark_of(limiter_rung_hash(limiter, rung));
}

/* --- users ---------------------------------------------------------------- */

static bool
is_known_from(const struct limiter *limiter, const struct limiter_entry *user,
    const struct rung *rung)
{
	return has_mark(limiter, user, prefix_mark(limiter, rung));
}

static uint32_t
user_delay(const struct limiter *limiter, const struct config *config,
    const struct rung *rung, struct span user, uint64_t now_ms)
{
	const struct config_rate *rate = &config->limits.auth_failures_per_user;

	if (user.len == 0)
		return 0;
	const struct limiter_entry *entry =
	    limiter_find(limiter, limiter_user_hash(limiter, user));
	if (entry == NULL || is_known_from(limiter, entry, rung))
		return 0;
	return logins_delay_of(gcra_level(&entry->failures,
				   gcra_interval(rate, 1), now_ms * GCRA_NS),
	    rate->count);
}

static void
touch(const struct limiter *limiter, const struct limiter_entry *user,
    uint64_t now_ms)
{
	atomic_store_explicit(limiter_connects(limiter, user), now_ms * GCRA_NS,
	    memory_order_relaxed);
}

static bool
has_wrong(const struct limiter_entry *user, uint16_t mark)
{
	uint64_t marks = atomic_load(&user->handshakes);

	for (; marks != 0; marks >>= 16)
		if ((uint16_t)marks == mark)
			return true;
	return false;
}

/* mark: of the password; 0: none was shown. */
static void
count_user(struct limiter *limiter, const struct config *config,
    struct span user, uint16_t mark, uint64_t now_ms)
{
	const struct config_rate *rate = &config->limits.auth_failures_per_user;

	if (user.len == 0)
		return;
	struct limiter_entry *entry = limiter_claim(
	    limiter, limiter_user_hash(limiter, user), NULL, now_ms);
	if (entry == NULL)
		return;
	touch(limiter, entry, now_ms);
	if (mark != 0)
		atomic_store(&entry->handshakes,
		    atomic_load(&entry->handshakes) << 16 | mark);
	(void)gcra_take(&entry->failures, gcra_interval(rate, 1),
	    rate->count + LOGIN_DELAYS, now_ms * GCRA_NS);
}

/* --- prefixes ------------------------------------------------------------- */

static bool
has_recent_login(const struct limiter_entry *entry, uint64_t now_ms)
{
	uint64_t login_s =
	    atomic_load_explicit(&entry->login_s, memory_order_relaxed);

	return login_s != 0 && now_ms / 1000 < login_s + DAY_S;
}

uint32_t
logins_delay(const struct limiter *limiter, const struct config *config,
    const struct addr *addr, const struct limiter_hold *hold,
    const struct login_try *login, uint64_t now_ms)
{
	const struct config_rate *rate = &config->limits.auth_failures_per_ip;
	struct rung rungs[LADDER_MAX];

	if (hold->n == 0)
		return 0;
	uint32_t n = ladder_rungs(config, addr, rungs);
	uint32_t delay =
	    user_delay(limiter, config, &rungs[0], login->user, now_ms);
	for (uint32_t i = 0; i < n && i < hold->n; i++) {
		const struct limiter_entry *entry =
		    limiter_held(limiter, hold, i);
		if (entry == NULL)
			continue;
		if (limiter_ban_left(entry, now_ms) > 0)
			return LOGIN_BANNED;
		uint32_t own = logins_delay_of(
		    gcra_level(&entry->failures,
			gcra_interval(rate, rungs[i].factor), now_ms * GCRA_NS),
		    rate->count * rungs[i].factor);
		if (own > delay)
			delay = own;
	}
	return delay;
}

/* One by hand may be longer. */
static void
ban(struct limiter_entry *entry, uint32_t until_s)
{
	uint32_t old_s = atomic_load(&entry->ban_s);

	while (old_s < until_s &&
	       !atomic_compare_exchange_weak(&entry->ban_s, &old_s, until_s))
		continue;
}

/* True: it is banned now. */
static bool
count_rung(struct limiter_entry *entry, const struct config *config,
    uint64_t factor, bool is_token, uint64_t now_ms)
{
	const struct config_rate *rate = &config->limits.auth_failures_per_ip;
	uint64_t limit = rate->count * factor;
	uint64_t interval = gcra_interval(rate, factor);
	uint64_t now_ns = now_ms * GCRA_NS;
	/* Tokens go as far as the first delay and no further. */
	uint64_t most = is_token ? limit : limit + LOGIN_DELAYS;

	(void)gcra_take(&entry->failures, interval, most, now_ns);
	if (is_token || has_recent_login(entry, now_ms) ||
	    gcra_level(&entry->failures, interval, now_ns) <
		limit + LOGIN_DELAYS)
		return false;
	ban(entry,
	    (uint32_t)((now_ms + config->limits.auth_ban_ms + 999) / 1000));
	return true;
}

/* The same wrong password of the same user was counted before: here, or
 * anywhere. Many users may be behind one address, and no guess is worth more
 * for being made again. */
static bool
is_repeated(struct limiter *limiter, struct limiter_entry *entry,
    const struct login_try *login, uint16_t mark)
{
	if (entry == NULL || mark == 0)
		return false;
	const struct limiter_entry *user =
	    limiter_find(limiter, limiter_user_hash(limiter, login->user));
	if (has_mark(limiter, entry, mark) ||
	    (user != NULL && has_wrong(user, mark)))
		return true;
	add_mark(limiter, entry, mark);
	return false;
}

bool
logins_failed(struct limiter *limiter, const struct config *config,
    const struct addr *addr, const struct limiter_hold *hold,
    const struct login_try *login, uint64_t now_ms)
{
	struct rung rungs[LADDER_MAX];
	bool banned = false;
	uint16_t mark = login->password.len == 0 || login->user.len == 0
			    ? 0
			    : pair_mark(limiter, login);

	if (hold->n == 0 ||
	    is_repeated(limiter, limiter_held(limiter, hold, 0), login, mark))
		return false;
	uint32_t n = ladder_rungs(config, addr, rungs);
	count_user(limiter, config, login->user, mark, now_ms);
	for (uint32_t i = 0; i < n && i < hold->n; i++) {
		struct limiter_entry *entry = limiter_held(limiter, hold, i);
		if (entry != NULL && count_rung(entry, config, rungs[i].factor,
					 login->is_token, now_ms))
			banned = true;
	}
	return banned;
}

bool
logins_good(struct limiter *limiter, const struct config *config,
    const struct addr *addr, const struct limiter_hold *hold, struct span user,
    uint64_t now_ms)
{
	struct rung rungs[LADDER_MAX];
	/* 0 would mean never. */
	uint32_t now_s = (uint32_t)(now_ms / 1000) + (now_ms < 1000);

	if (addr->family == ADDR_NONE)
		return false;
	(void)ladder_rungs(config, addr, rungs);
	for (uint32_t i = 0; i < hold->n; i++) {
		struct limiter_entry *entry = limiter_held(limiter, hold, i);
		if (entry != NULL)
			atomic_store(&entry->login_s, now_s);
	}
	if (user.len == 0)
		return false;
	struct limiter_entry *entry = limiter_claim(
	    limiter, limiter_user_hash(limiter, user), NULL, now_ms);
	if (entry == NULL)
		return false;
	touch(limiter, entry, now_ms);
	atomic_store(&entry->login_s, now_s);
	if (is_known_from(limiter, entry, &rungs[0]))
		return false;
	bool is_new = has_any_mark(entry);
	add_mark(limiter, entry, prefix_mark(limiter, &rungs[0]));
	return is_new;
}
