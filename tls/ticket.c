/* SPDX-License-Identifier: ISC */
/*
 * The ring of ticket keys, guarded by a sequence word: odd while the master
 * writes, so a reader that sees the same even number before and after its copy
 * has a whole one. There is one writer, the master; it may die half way, which
 * leaves the number odd and every reader without tickets until a rotation by
 * the next master.
 */
#include "tls/ticket.h"

#include <string.h>

#include <openssl/rand.h>

#define RING_READ_TRIES 8

static void
write_begin(struct ticket_ring *ring)
{
	uint32_t seq = atomic_load_explicit(&ring->seq, memory_order_relaxed);

	/* Or-ed, because a writer that died has left it odd already. */
	atomic_store_explicit(&ring->seq, seq | 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

static void
write_end(struct ticket_ring *ring)
{
	uint32_t seq = atomic_load_explicit(&ring->seq, memory_order_relaxed);

	atomic_store_explicit(&ring->seq, seq + 1, memory_order_release);
}

static void
key_random(struct ticket_key *key)
{
	RAND_bytes((uint8_t *)key, sizeof(*key));
}

void
ticket_ring_start(struct ticket_ring *ring)
{
	write_begin(ring);
	for (int i = TICKET_PREVIOUS; i <= TICKET_NEXT; i++)
		key_random(&ring->keys[i]);
	ring->valid = 1;
	write_end(ring);
}

void
ticket_ring_rotate(struct ticket_ring *ring)
{
	write_begin(ring);
	ring->keys[TICKET_PREVIOUS] = ring->keys[TICKET_CURRENT];
	ring->keys[TICKET_CURRENT] = ring->keys[TICKET_NEXT];
	key_random(&ring->keys[TICKET_NEXT]);
	write_end(ring);
}

void
ticket_ring_set(struct ticket_ring *ring, const struct ticket_key keys[3])
{
	write_begin(ring);
	memcpy(ring->keys, keys, sizeof(ring->keys));
	ring->valid = 1;
	write_end(ring);
}

static bool
try_read(const struct ticket_ring *ring, struct ticket_key out_keys[3])
{
	uint32_t seq = atomic_load_explicit(&ring->seq, memory_order_acquire);

	if ((seq & 1) != 0 || ring->valid == 0)
		return false;
	memcpy(out_keys, ring->keys, sizeof(ring->keys));
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&ring->seq, memory_order_relaxed) == seq;
}

bool
ticket_ring_read(const struct ticket_ring *ring, struct ticket_key out_keys[3])
{
	for (int i = 0; i < RING_READ_TRIES; i++) {
		if (try_read(ring, out_keys))
			return true;
	}
	explicit_bzero(out_keys, sizeof(ring->keys));
	return false;
}
