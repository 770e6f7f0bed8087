/* SPDX-License-Identifier: ISC */
/* See tally.h. Written by a worker's sessions, read by the observer. */
#include "proxy/ipc/tally.h"

#include <string.h>

#define X(name, text) text,
static const char *const ciphers[] = {TALLY_CIPHERS(X)};
static const char *const groups[] = {TALLY_GROUPS(X)};
static const char *const verdicts[] = {TALLY_VERDICTS(X)};
static const char *const mechanisms[] = {TALLY_MECHANISMS(X)};
#undef X
static const uint64_t bounds[TALLY_BUCKETS - 1] = TALLY_BOUNDS;

/* The last name is "other" and takes what is no other. */
static unsigned int
find(const char *const *names, unsigned int n, const char *name)
{
	unsigned int i = 0;
	while (i < n - 1 && strcmp(names[i], name) != 0)
		i++;
	return i;
}

void
tally_time_add(struct tally_time *time, uint64_t us)
{
	unsigned int i = 0;
	while (i < TALLY_BUCKETS - 1 && us > bounds[i])
		i++;
	slot_add(&time->counts[i], 1);
	slot_add(&time->sum_us, us);
}

void
tally_handshake(struct tally *tally, const char *cipher, const char *group)
{
	slot_add(&tally->ciphers[find(ciphers, TALLY_CIPHER_MAX, cipher)], 1);
	slot_add(&tally->groups[find(groups, TALLY_GROUP_MAX, group)], 1);
}

void
tally_login(struct tally *tally, const char *verdict, const char *mechanism)
{
	unsigned int i = find(verdicts, TALLY_VERDICT_MAX, verdict);
	unsigned int j = find(mechanisms, TALLY_MECHANISM_MAX, mechanism);
	slot_add(&tally->logins[i][j], 1);
}

void
tally_backend_failure(struct tally *tally, uint32_t entry)
{
	if (entry < TALLY_BACKENDS)
		slot_add(&tally->backend_failures[entry], 1);
}

void
tally_backend_untrusting(struct tally *tally, uint32_t entry, uint64_t until_ms)
{
	if (entry < TALLY_BACKENDS)
		atomic_store_explicit(&tally->backend_untrusting[entry],
		    until_ms, memory_order_relaxed);
}

const char *
tally_cipher_name(unsigned int i)
{
	return i < TALLY_CIPHER_MAX ? ciphers[i] : "other";
}

const char *
tally_group_name(unsigned int i)
{
	return i < TALLY_GROUP_MAX ? groups[i] : "other";
}

const char *
tally_verdict_name(unsigned int i)
{
	return i < TALLY_VERDICT_MAX ? verdicts[i] : "other";
}

const char *
tally_mechanism_name(unsigned int i)
{
	return i < TALLY_MECHANISM_MAX ? mechanisms[i] : "other";
}

uint64_t
tally_bound_us(unsigned int i)
{
	return i < TALLY_BUCKETS - 1 ? bounds[i] : UINT64_MAX;
}
