/* SPDX-License-Identifier: ISC */
/* needs: proxy/limits/limiter.c proxy/limits/decide.c proxy/limits/ladder.c */
/* needs: proxy/limits/victim.c */
/* needs: proxy/base/siphash.c proxy/base/span.c proxy/base/addr.c */
/* needs: proxy/base/parse.c proxy/base/ensure.c */
/* libs: pthread */
/*
 * The race between who adds to an entry and who evicts it, forced: one set, and
 * three times as many prefixes as it has ways, from threads and from processes
 * (make check-tsan looks at the threads). An entry that is held never becomes
 * another's, and columns return to zero.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/limits/table.h"
#include "test/support/limits_image.h"

#define N_PARTIES  4
#define N_PREFIXES (3 * LIMITER_WAYS)
#define N_HELD	   3
#define ROUNDS	   60000

struct party {
	struct limits_image image;
	struct limiter limiter;
	unsigned seed;
	unsigned rounds;
	unsigned wrong; /* entries that changed while they were held */
	unsigned admitted;
};

static void
one_round(struct party *party, struct limiter_hold *hold, uint64_t *name)
{
	struct limiter *limiter = &party->limiter;
	uint64_t now_ms = 1000000;
	uint32_t overflows;
	struct addr addr = {.family = ADDR_IPV4, .ip = {10, 0, 0}};
	const struct limiter_entry *entry = limiter_held(limiter, hold, 0);

	if (entry != NULL && atomic_load(&entry->name) != *name)
		party->wrong++;
	limiter_release(limiter, hold);
	addr.ip[3] = (uint8_t)((unsigned)rand_r(&party->seed) % N_PREFIXES);
	if (limiter_enter(limiter, &party->image.config, &addr, now_ms, false,
		hold, &overflows) != LIMITER_ADMIT)
		return;
	party->admitted += overflows == 0;
	struct rung rungs[LADDER_MAX];
	ladder_rungs(&party->image.config, &addr, rungs);
	*name = rungs[0].name;
	entry = limiter_held(limiter, hold, 0);
	if (entry != NULL && atomic_load(&entry->name) != *name)
		party->wrong++;
}

static void
run(struct party *party)
{
	struct limiter_hold holds[N_HELD] = {0};
	uint64_t names[N_HELD] = {0};

	for (unsigned i = 0; i < party->rounds; i++)
		one_round(party, &holds[i % N_HELD], &names[i % N_HELD]);
	for (int i = 0; i < N_HELD; i++)
		limiter_release(&party->limiter, &holds[i]);
}

static void *
run_thread(void *arg)
{
	run(arg);
	return NULL;
}

static void
party_init(struct party *party, void *area, size_t size, uint32_t slot)
{
	limits_image_init(&party->image);
	party->image.config.limits.connect_rate_per_ip =
	    (struct config_rate){1000000, 1};
	party->seed = slot + 1;
	party->rounds = ROUNDS;
	assert_true(
	    limiter_attach(&party->limiter, area, size, N_PARTIES, slot));
}

static void
assert_all_zero(void *area, size_t size)
{
	struct limiter limiter;
	assert_true(
	    limiter_attach(&limiter, area, size, N_PARTIES, LIMITER_NONE));
	for (uint32_t i = 0; i < limiter_n_entries(&limiter); i++) {
		const struct limiter_entry *entry = limiter_at(&limiter, i);
		if (entry == NULL)
			continue;
		assert_int_equal(limiter_connections(&limiter, entry), 0);
		assert_int_equal(limiter_preauth(&limiter, entry), 0);
	}
}

static void
test_threads(void **state)
{
	size_t size;
	void *area = limits_area_new(LIMITER_WAYS, N_PARTIES, &size);
	static struct party parties[N_PARTIES];
	pthread_t threads[N_PARTIES];
	(void)state;
	for (uint32_t i = 0; i < N_PARTIES; i++) {
		party_init(&parties[i], area, size, i);
		assert_int_equal(
		    pthread_create(&threads[i], NULL, run_thread, &parties[i]),
		    0);
	}
	for (int i = 0; i < N_PARTIES; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(parties[i].wrong, 0);
		assert_true(parties[i].admitted > 0);
	}
	assert_all_zero(area, size);
	free(area);
}

static void *
shared_area(size_t *out_size)
{
	size_t size;
	void *made = limits_area_new(LIMITER_WAYS, N_PARTIES, &size);
	void *area = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(area != MAP_FAILED);
	memcpy(area, made, size);
	free(made);
	*out_size = size;
	return area;
}

static pid_t
fork_party(void *area, size_t size, uint32_t slot, unsigned rounds)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	static struct party party;
	party_init(&party, area, size, slot);
	party.rounds = rounds;
	run(&party);
	_exit(party.wrong == 0 && party.admitted > 0 ? 0 : 1);
}

static void
test_processes(void **state)
{
	size_t size;
	void *area = shared_area(&size);
	pid_t pids[N_PARTIES];
	(void)state;
	for (uint32_t i = 0; i < N_PARTIES; i++)
		pids[i] = fork_party(area, size, i, ROUNDS);
	for (int i = 0; i < N_PARTIES; i++) {
		int status;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	assert_all_zero(area, size);
	munmap(area, size);
}

/* Killed anywhere, also between adding and taking back, or with a mark in the
 * place of a key: what the master clears is all there is. */
static void
test_killed_processes(void **state)
{
	size_t size;
	void *area = shared_area(&size);
	struct limiter master;
	(void)state;
	assert_true(
	    limiter_attach(&master, area, size, N_PARTIES, LIMITER_NONE));
	for (int round = 0; round < 20; round++) {
		pid_t pids[2];
		for (uint32_t i = 0; i < 2; i++)
			pids[i] = fork_party(area, size, i, UINT32_MAX);
		usleep((useconds_t)(2000 + round * 313));
		for (uint32_t i = 0; i < 2; i++) {
			assert_int_equal(kill(pids[i], SIGKILL), 0);
			assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
		}
		for (uint32_t i = 0; i < 2; i++)
			limiter_clear_slot(&master, i);
		assert_all_zero(area, size);
		const _Atomic uint64_t *keys = (const void *)master.sets;
		for (int i = 0; i < LIMITER_WAYS; i++)
			assert_true(keys[i] == 0 || keys[i] > LIMITER_MARK_MAX);
	}
	munmap(area, size);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_processes),
	    cmocka_unit_test(test_killed_processes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
