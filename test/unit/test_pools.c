/* SPDX-License-Identifier: ISC */
/* A backend that wants TLS for logins is left alone for a while, and no
 * longer, whether anything else changes or not; one that is configured no more
 * is left alone at once. */
/* needs: proxy/worker/pools.c proxy/imap/capability.c proxy/imap/grammar.c */
/* needs: proxy/ipc/event.c proxy/ipc/tally.c proxy/ipc/slot.c */
/* needs: backends/pool.c backends/balance.c backends/view.c */
/* needs: backends/hash.c config/ proxy/base/ */
/* libs: inih */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "config/load.h"
#include "proxy/worker/worker.h"

static unsigned n_events;

/* What pools.c asks of its neighbours. */
void
worker_emit(struct worker *worker, const struct event *event)
{
	(void)worker;
	(void)event;
	n_events++;
}

uint32_t
session_mechanisms(const struct session *session)
{
	(void)session;
	return 0;
}

static const char text[] = "[listen imaps]\npool = mail\n"
			   "[certificate m]\nchain = /c\nkey = /k\n"
			   "[pool mail]\n"
			   "[backend a]\npool = mail\naddress = 127.0.0.1:1\n"
			   "[backend b]\npool = mail\naddress = 127.0.0.1:2\n";

struct world {
	struct worker worker;
	struct builder *builder;
	struct backends_area *area;
	struct session_ops ops;
	struct backend backends[2];
};

static struct world *
world_new(void)
{
	struct world *world = calloc(1, sizeof(*world));
	struct problems problems = {0};

	assert_non_null(world);
	world->builder = config_load_text("test", span_str(text), &problems);
	assert_non_null(world->builder);
	problems_free(&problems);
	world->area = calloc(1, backends_area_size(2));
	assert_non_null(world->area);
	backends_area_init(world->area, 2);
	for (uint32_t i = 0; i < 2; i++) {
		struct backend *backend = &world->backends[i];
		backend->state = BACKEND_UP;
		backend->generation = 1;
		snprintf(backend->name, sizeof(backend->name), "%c",
		    (char)('a' + i));
		snprintf(backend->pool, sizeof(backend->pool), "mail");
		backends_area_write(world->area, i, backend);
	}
	world->worker.backends = world->area;
	world->worker.snapshot = builder_config(world->builder);
	world->worker.env.now_ms = 5000;
	world->worker.env.slot = calloc(1, slot_area_size(1));
	assert_non_null(world->worker.env.slot);
	pools_init(&world->worker.pools, &world->ops);
	assert_true(pools_use(&world->worker.pools, world->worker.snapshot));
	n_events = 0;
	return world;
}

static void
world_free(struct world *world)
{
	pool_view_fini(&world->worker.pools.views[0]);
	free(world->worker.pools.views);
	free(world->worker.pools.queues);
	builder_free(world->builder);
	free(world->worker.env.slot);
	free(world->area);
	free(world);
}

static void
penalise(struct world *world, uint32_t i)
{
	struct backend_ref ref = {i, 1};

	pools_penalise(&world->worker, ref, &world->backends[i]);
}

static void
expect(struct world *world, enum backend_state a, enum backend_state b)
{
	const struct pool_view *view = pools_view(&world->worker, 0);

	assert_int_equal(view->n_members, 2);
	assert_int_equal(view->members[0].state, a);
	assert_int_equal(view->members[1].state, b);
}

static void
a_penalty_ends_by_itself(void **state)
{
	struct world *world = world_new();
	uint64_t *now_ms = &world->worker.env.now_ms;

	(void)state;
	expect(world, BACKEND_UP, BACKEND_UP);
	penalise(world, 0);
	expect(world, BACKEND_MISCONFIGURED, BACKEND_UP);
	assert_int_equal(5000 + MISCONFIGURED_MS,
	    world->worker.env.slot->tally.backend_untrusting[0]);
	*now_ms += 1000;
	penalise(world, 1);
	expect(world, BACKEND_MISCONFIGURED, BACKEND_MISCONFIGURED);
	*now_ms += MISCONFIGURED_MS - 1001;
	expect(world, BACKEND_MISCONFIGURED, BACKEND_MISCONFIGURED);
	*now_ms += 1;
	expect(world, BACKEND_UP, BACKEND_MISCONFIGURED);
	*now_ms += 1000;
	expect(world, BACKEND_UP, BACKEND_UP);
	assert_int_equal(n_events, 2);
	world_free(world);
}

static void
a_penalty_survives_other_changes(void **state)
{
	struct world *world = world_new();

	(void)state;
	penalise(world, 0);
	penalise(world, 0);
	assert_int_equal(n_events, 1); /* one is told once */
	world->backends[1].state = BACKEND_DOWN;
	backends_area_write(world->area, 1, &world->backends[1]);
	expect(world, BACKEND_MISCONFIGURED, BACKEND_DOWN);
	world->worker.env.now_ms += MISCONFIGURED_MS;
	expect(world, BACKEND_UP, BACKEND_DOWN);
	world_free(world);
}

/* The monitor has yet to see it. */
static void
what_is_not_configured_is_not_used(void **state)
{
	struct world *world = world_new();
	struct backend *backend = &world->backends[1];
	const struct pool_view *view = pools_view(&world->worker, 0);

	(void)state;
	assert_false(view->members[0].is_removed);
	assert_false(view->members[1].is_removed);
	backend->name[0] = 'z';
	backend->generation++;
	backends_area_write(world->area, 1, backend);
	view = pools_view(&world->worker, 0);
	assert_false(view->members[0].is_removed);
	assert_true(view->members[1].is_removed);
	assert_false(member_is_usable(&view->members[1]));
	/* A check that ends changes nothing of that. */
	backend->latency_us = 7;
	backends_area_write(world->area, 1, backend);
	view = pools_view(&world->worker, 0);
	assert_true(view->members[1].is_removed);
	assert_true(pool_view_is_available(view));
	world_free(world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_penalty_ends_by_itself),
	    cmocka_unit_test(a_penalty_survives_other_changes),
	    cmocka_unit_test(what_is_not_configured_is_not_used),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
