/* SPDX-License-Identifier: ISC */
/* See observer_world.h. Needs proxy/observer/ but main.c, and what it needs. */
#include "test/support/observer_world.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "proxy/ipc/request.h"

/* Where a command's messages go: command_run() has no argument for it. */
static struct world *sends_to;

int
world_set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	assert_non_null(world);
	assert_true(
	    area_create("slot", slot_area_size(N_RECORDS), &world->slot));
	assert_true(
	    area_create("load", load_area_size(N_BACKENDS), &world->load));
	assert_true(area_create(
	    "backends", backends_area_size(N_BACKENDS), &world->backends));
	slot_area_clear(world->slot.data, N_RECORDS);
	load_area_init(world->load.data, N_BACKENDS);
	backends_area_init(world->backends.data, N_BACKENDS);
	struct view *view = &world->view;
	assert_true(view_map(&view->slots[1], world->slot.ro_fd, 1));
	assert_true(view_map(&view->loads[1], world->load.ro_fd, 1));
	assert_true(view_map(&view->backends, world->backends.ro_fd, 1));
	view->ledger = &world->ledger;
	view->history = &world->history;
	view->trace = trace_new(42);
	assert_non_null(view->trace);
	sends_to = world;
	*state = world;
	return 0;
}

static void
unmap(const struct mapping *mapping)
{
	munmap((void *)(uintptr_t)mapping->data, mapping->size);
}

int
world_tear_down(void **state)
{
	struct world *world = *state;
	unmap(&world->view.slots[1]);
	unmap(&world->view.loads[1]);
	unmap(&world->view.backends);
	area_close(&world->slot);
	area_close(&world->load);
	area_close(&world->backends);
	trace_free(world->view.trace);
	free(world);
	return 0;
}

void
world_session(
    struct world *world, uint32_t record, const char *user, const char *tls)
{
	struct slot_area *area = world->slot.data;
	struct slot_record *to = &area->records[record];
	slot_record_begin(to);
	to->in_use = 1;
	to->state = user == NULL ? SESSION_PREAUTH : SESSION_RELAY;
	to->id = record + 1;
	to->client = (struct addr){
	    .family = ADDR_IPV4, .port = 1000, .ip = {192, 0, 2, 9}};
	to->backend = CONFIG_NONE;
	snprintf(to->user, sizeof(to->user), "%s", user == NULL ? "" : user);
	snprintf(to->tls_version, sizeof(to->tls_version), "%s", tls);
	slot_record_end(to);
	slot_add(&area->connections, 1);
}

static bool
take_message(const struct message *message)
{
	uint64_t id;
	struct world *world = sends_to;
	world->n_sent++;
	world->sent = *message;
	for (size_t at = sizeof(struct request_head);
	     at + sizeof(id) <= message->len && world->n_ids < 1024;
	     at += sizeof(id)) {
		memcpy(&id, message->body + at, sizeof(id));
		world->ids[world->n_ids++] = id;
	}
	return true;
}

static char *
string_of(struct reply *reply)
{
	assert_false(reply->failed);
	char *text = malloc(reply->len + 1);
	assert_non_null(text);
	if (reply->len > 0)
		memcpy(text, reply->data, reply->len);
	text[reply->len] = '\0';
	free(reply->data);
	return text;
}

char *
world_run(struct world *world, const char *request)
{
	struct reply reply = {0};
	struct command command = {
	    .view = &world->view, .number = 7, .uid = 5, .send = take_message};
	command_run(&command, span_str(request), &reply);
	return string_of(&reply);
}

char *
world_write(struct world *world,
    void (*write)(const struct view *view, struct reply *reply))
{
	struct reply reply = {0};
	write(&world->view, &reply);
	return string_of(&reply);
}
