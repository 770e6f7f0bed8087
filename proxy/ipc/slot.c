/* SPDX-License-Identifier: ISC */
/*
 * See slot.h. Writing: seq becomes odd, a release fence, the fields, seq
 * becomes even with release. Reading: seq with acquire, a copy, an acquire
 * fence, seq again; a copy counts only when both were the same even number.
 */
#include "proxy/ipc/slot.h"

#include "proxy/base/ensure.h"
#include "proxy/ipc/channel.h"

#ifdef __SANITIZE_THREAD__
/* gcc's ThreadSanitizer does not know fences; they are right all the same. */
#pragma GCC diagnostic ignored "-Wtsan"
#endif

#define READ_TRIES 8

/* The copy goes word by word and may see a torn record, which is then thrown
 * away: the one intended race, so ThreadSanitizer must not look at it. */
typedef uint64_t __attribute__((may_alias)) record_word;

_Static_assert(sizeof(struct slot_record) % sizeof(record_word) == 0, "words");
_Static_assert(sizeof(struct slot_record) <= 384, "one idle session's share");

void
slot_record_begin(struct slot_record *record)
{
	uint32_t seq = atomic_load_explicit(&record->seq, memory_order_relaxed);
	/* A dead writer may have left it odd: the next odd number. */
	atomic_store_explicit(
	    &record->seq, (seq + 1) | 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

void
slot_record_end(struct slot_record *record)
{
	uint32_t seq = atomic_load_explicit(&record->seq, memory_order_relaxed);
	ENSURE((seq & 1) == 1);
	atomic_store_explicit(&record->seq, seq + 1, memory_order_release);
}

__attribute__((no_sanitize("thread"), noinline)) static void
copy_racing(const struct slot_record *record, struct slot_record *out_record)
{
	const volatile record_word *from = (const volatile record_word *)record;
	record_word *to = (record_word *)out_record;
	for (size_t i = 0; i < sizeof(*record) / sizeof(*from); i++)
		to[i] = from[i];
}

/* Who wrote it is not trusted to have ended its strings. */
static void
end_texts(struct slot_record *record)
{
	record->tls_version[sizeof(record->tls_version) - 1] = '\0';
	record->cipher[sizeof(record->cipher) - 1] = '\0';
	record->group[sizeof(record->group) - 1] = '\0';
	record->sni[sizeof(record->sni) - 1] = '\0';
	record->user[sizeof(record->user) - 1] = '\0';
	record->client_cert[sizeof(record->client_cert) - 1] = '\0';
}

bool
slot_record_read(
    const struct slot_record *record, struct slot_record *out_record)
{
	for (int i = 0; i < READ_TRIES; i++) {
		uint32_t before =
		    atomic_load_explicit(&record->seq, memory_order_acquire);
		if ((before & 1) == 1)
			continue;
		copy_racing(record, out_record);
		atomic_thread_fence(memory_order_acquire);
		uint32_t after =
		    atomic_load_explicit(&record->seq, memory_order_relaxed);
		if (before != after)
			continue;
		end_texts(out_record);
		return out_record->in_use != 0;
	}
	return false;
}

bool
slot_record_read_left(
    const struct slot_record *record, struct slot_record *out_record)
{
	/* What is not in use may have its end in a hole, where even reading
	 * takes memory. */
	if (record->in_use == 0)
		return false;
	copy_racing(record, out_record);
	end_texts(out_record);
	return out_record->in_use != 0;
}

void
slot_area_clear(struct slot_area *area, uint32_t n_records)
{
	area->layout = IPC_LAYOUT;
	area->n_records = n_records;
#define X(name, help) \
	atomic_store_explicit(&area->name, 0, memory_order_relaxed);
	SLOT_GAUGES(X)
#undef X
	for (int i = 0; i < SESSION_STATE_MAX; i++)
		atomic_store_explicit(
		    &area->states[i], 0, memory_order_relaxed);
}

void
slot_record_clear(struct slot_record *record)
{
	slot_record_begin(record);
	record->in_use = 0;
	slot_record_end(record);
}

const char *
session_state_name(uint8_t state)
{
	static const char *const names[] = {
#define X(state, name) name,
	    SESSION_STATES(X)
#undef X
	};
	return state < SESSION_STATE_MAX ? names[state] : "unknown";
}
