/* SPDX-License-Identifier: ISC */
/*
 * See brief.h. A writable area goes to its one writer:
 *   worker    slot, load and users of its own and the limiter rw; loads and
 *             users of the others, backends, tickets ro
 *   monitor   backends rw; loads ro
 *   observer  slots, loads, backends, limiter ro; never tickets or users
 *   keeper    none
 */
#include "proxy/master/brief.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proxy/base/ensure.h"
#include "proxy/ipc/clock.h"
#include "proxy/master/master.h"
#include "proxy/master/report.h"

static void
give(struct child *child, enum message_type type, uint32_t slot, uint64_t arg,
    int fd)
{
	struct message message = {
	    .type = type, .slot = slot, .arg = arg, .n_fds = 1, .fds = {fd}};
	child_send(child, &message);
}

static void
give_hello(struct child *child)
{
	const struct areas *areas = &child->master->areas;
	struct hello hello = {.layout = IPC_LAYOUT,
	    .n_slots = areas->n_slots,
	    .started_ms = child->master->began_ms};
	struct message message = {
	    .type = MESSAGE_HELLO, .slot = child->slot, .len = sizeof(hello)};
	memcpy(message.body, &hello, sizeof(hello));
	child_send(child, &message);
}

static void
give_loads(struct child *child)
{
	const struct areas *areas = &child->master->areas;
	for (uint32_t i = 0; i < areas->n_slots; i++) {
		bool own = child->kind == CHILD_WORKER && i == child->slot;
		give(child, MESSAGE_AREA, i, AREA_LOAD,
		    own ? areas->loads[i].rw_fd : areas->loads[i].ro_fd);
	}
}

/* To workers only: it says who is logged in where. */
static void
give_users(struct child *child)
{
	const struct areas *areas = &child->master->areas;
	for (uint32_t i = 0; i < areas->n_slots; i++)
		give(child, MESSAGE_AREA, i, AREA_USERS,
		    i == child->slot ? areas->users[i].rw_fd
				     : areas->users[i].ro_fd);
}

static void
give_areas(struct child *child)
{
	const struct areas *areas = &child->master->areas;
	switch (child->kind) {
	case CHILD_WORKER:
		give(child, MESSAGE_AREA, child->slot, AREA_SLOT,
		    areas->slots[child->slot].rw_fd);
		give_loads(child);
		give_users(child);
		give(child, MESSAGE_AREA, 0, AREA_BACKENDS,
		    areas->backends.ro_fd);
		give(
		    child, MESSAGE_AREA, 0, AREA_TICKETS, areas->tickets.ro_fd);
		give(
		    child, MESSAGE_AREA, 0, AREA_LIMITER, areas->limiter.rw_fd);
		break;
	case CHILD_MONITOR:
		give_loads(child);
		give(child, MESSAGE_AREA, 0, AREA_BACKENDS,
		    areas->backends.rw_fd);
		break;
	case CHILD_OBSERVER:
		for (uint32_t i = 0; i < areas->n_slots; i++)
			give(child, MESSAGE_AREA, i, AREA_SLOT,
			    areas->slots[i].ro_fd);
		give_loads(child);
		give(child, MESSAGE_AREA, 0, AREA_BACKENDS,
		    areas->backends.ro_fd);
		give(
		    child, MESSAGE_AREA, 0, AREA_LIMITER, areas->limiter.ro_fd);
		break;
	case CHILD_KEEPER:
	case CHILD_KINDS:
		break;
	}
}

static void
give_keeper_pairs(struct child *child)
{
	struct master *master = child->master;
	if (child->kind == CHILD_WORKER || child->kind == CHILD_MONITOR)
		give(child, MESSAGE_KEEPER, child->slot, 0, child->keeper[0]);
	if (child->kind != CHILD_KEEPER)
		return;
	give(child, MESSAGE_KEEPER, CHANNEL_MONITOR_SLOT, 0,
	    master_child(master, CHILD_MONITOR)->keeper[1]);
	for (uint32_t i = 0; i < master->areas.n_slots; i++)
		give(child, MESSAGE_KEEPER, i, 0,
		    master_worker(master, i)->keeper[1]);
}

void
brief_new_keeper(struct master *master)
{
	for (uint32_t i = 0; i < master->areas.n_slots; i++)
		give_keeper_pairs(master_worker(master, i));
	give_keeper_pairs(master_child(master, CHILD_MONITOR));
}

/* Sources are numbered: workers by slot, then monitor, keeper, master. */
static void
give_event_sources(struct child *child)
{
	struct master *master = child->master;
	uint32_t n = master->areas.n_slots;
	for (uint32_t i = 0; i < n; i++)
		give(child, MESSAGE_EVENT_SOURCE, i, 0,
		    master_worker(master, i)->events[1]);
	give(child, MESSAGE_EVENT_SOURCE, n, 0,
	    master_child(master, CHILD_MONITOR)->events[1]);
	give(child, MESSAGE_EVENT_SOURCE, n + 1, 0,
	    master_child(master, CHILD_KEEPER)->events[1]);
	give(child, MESSAGE_EVENT_SOURCE, n + 2, 0, master->events[1]);
}

static void
give_listeners(struct child *child)
{
	const struct listeners *listeners = &child->master->listeners;
	for (uint32_t i = 0; i < listeners->n_addresses; i++) {
		const struct listen_address *at = &listeners->addresses[i];
		struct message message = {.type = MESSAGE_LISTENER,
		    .slot = at->section,
		    .len = sizeof(at->addr),
		    .n_fds = 1,
		    .fds = {listeners_fd(listeners, i, child->slot)}};
		memcpy(message.body, &at->addr, sizeof(at->addr));
		child_send(child, &message);
	}
}

void
brief_logs(struct child *observer)
{
	const struct files *files = &observer->master->files;
	if (files->log >= 0)
		give(observer, MESSAGE_LOG, 0, 0, files->log);
	if (files->audit >= 0)
		give(observer, MESSAGE_LOG, 1, 0, files->audit);
}

void
brief_ticket(struct child *observer, uint32_t ring, uint64_t age_ms)
{
	struct message message = {
	    .type = MESSAGE_TICKET, .slot = ring, .arg = clock_ms() - age_ms};
	child_send(observer, &message);
}

static void
brief_tickets(struct child *observer)
{
	struct master *master = observer->master;
	uint64_t now_ms = master_now_ms(master);
	for (uint32_t i = 0; i < TICKET_RINGS; i++)
		brief_ticket(observer, i, now_ms - master->rotated_ms[i]);
}

/* A memfd that lives as long as somebody holds it: we don't. */
static int
keys_memfd(const struct key_image *keys)
{
	int fd = memfd_create("keys", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	size_t done = 0;
	while (done < keys->len) {
		ssize_t n = write(fd, keys->data + done, keys->len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			goto fail;
		done += (size_t)n;
	}
	if (fchmod(fd, 0600) == 0 &&
	    fcntl(fd, F_ADD_SEALS,
		F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
		return fd;
fail:
	close(fd);
	return -1;
}

static void
give_keys(struct child *child)
{
	int fd = keys_memfd(&child->master->keys);
	if (fd < 0) {
		child_kill(child, "could not be given the keys");
		return;
	}
	give(child, MESSAGE_KEYS, 0, child->master->generation, fd);
	close(fd);
}

/* Each stands before the snapshot whose pools it is for. */
static void
give_passwords(struct child *monitor)
{
	const struct passwords *passwords = &monitor->master->passwords;
	for (uint32_t i = 0; i < passwords->n; i++) {
		struct span password = span_secret(&passwords->list[i]);
		struct message message = {.type = MESSAGE_PASSWORD,
		    .slot = i,
		    .arg = monitor->master->generation,
		    .len = (uint32_t)password.len};
		if (password.len == 0)
			continue;
		memcpy(message.body, password.data, password.len);
		child_send(monitor, &message);
		explicit_bzero(message.body, password.len);
	}
}

void
brief_snapshot(struct child *child)
{
	struct master *master = child->master;
	child->sent_generation = master->generation;
	if (child->kind == CHILD_KEEPER)
		give_keys(child);
	if (child->kind == CHILD_MONITOR)
		give_passwords(child);
	if (child->kind != CHILD_KEEPER)
		give(child, MESSAGE_SNAPSHOT, 0, master->generation,
		    master->snapshot);
}

void
brief_child(struct child *child)
{
	give_hello(child);
	give_areas(child);
	give(child, MESSAGE_EVENTS, 0, 0, child->events[0]);
	give_keeper_pairs(child);
	if (child->kind == CHILD_OBSERVER) {
		give_event_sources(child);
		brief_logs(child);
		if (child->master->files.metrics >= 0)
			give(child, MESSAGE_METRICS, 0, 0,
			    child->master->files.metrics);
		brief_tickets(child);
		if (child->master->files.control >= 0)
			give(child, MESSAGE_CONTROL, 0, 0,
			    child->master->files.control);
	}
	if (child->kind == CHILD_WORKER)
		give_listeners(child);
	brief_snapshot(child);
	child_tell(child, MESSAGE_START, 0);
}
