/* SPDX-License-Identifier: ISC */
/* Commands about sessions: sessions, top, kick. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/ipc/request.h"
#include "proxy/observer/log.h"
#include "proxy/observer/row.h"

#define TOP_ROWS 1000

/* What filters and groups look at. */
enum column {
	COLUMN_USER,
	COLUMN_ADDRESS,
	COLUMN_BACKEND,
	COLUMN_STATE,
	COLUMN_TLS,
	COLUMN_LISTENER,
	COLUMN_ID,
	COLUMN_MAX
};

static const char *const columns[COLUMN_MAX] = {
    "user", "address", "backend", "state", "tls", "listener", "id"};

/* COLUMN_MAX: no such column. */
static enum column
find_column(struct span name)
{
	int i = 0;
	while (i < COLUMN_MAX && !span_equal(name, span_str(columns[i])))
		i++;
	return (enum column)i;
}

struct cell {
	char text[SLOT_USER_MAX + BACKEND_NAME_MAX];
};

static void
cell_of(const struct view *view, const struct slot_record *record,
    enum column column, struct cell *out)
{
	char buf[BACKEND_NAME_MAX + ADDR_TEXT_MAX];
	const char *text = "";
	switch (column) {
	case COLUMN_USER:
		text = record->user;
		break;
	case COLUMN_ADDRESS:
		text = addr_text_ip(&record->client, buf);
		break;
	case COLUMN_BACKEND:
		view_backend_name(view, record, buf);
		text = buf;
		break;
	case COLUMN_STATE:
		text = session_state_name(record->state);
		break;
	case COLUMN_TLS:
		text = record->tls_version;
		break;
	case COLUMN_LISTENER: {
		struct span name = view_listener_name(view, record->listen);
		snprintf(out->text, sizeof(out->text), "%.*s", (int)name.len,
		    (const char *)name.data);
		return;
	}
	case COLUMN_ID:
		text = log_id_text(record->id, buf);
		break;
	case COLUMN_MAX:
		break;
	}
	snprintf(out->text, sizeof(out->text), "%s", text);
}

/* NAME=TEXT is the whole value of a column, TEXT alone a part of any. */
static bool
matches(const struct view *view, const struct slot_record *record,
    struct span filter)
{
	struct cell cell;
	const uint8_t *equals = memchr(filter.data, '=', filter.len);
	if (equals != NULL) {
		size_t len = (size_t)(equals - filter.data);
		enum column column = find_column(span_of(filter.data, len));
		if (column == COLUMN_MAX)
			return false;
		span_advance(&filter, len + 1);
		cell_of(view, record, column, &cell);
		return span_equal(filter, span_str(cell.text));
	}
	for (int i = 0; i < COLUMN_MAX; i++) {
		cell_of(view, record, (enum column)i, &cell);
		if (memmem(cell.text, strlen(cell.text), filter.data,
			filter.len) != NULL)
			return true;
	}
	return false;
}

static bool
matches_all(const struct command *command, const struct slot_record *record)
{
	for (uint32_t i = 0; i < command->n_args; i++)
		if (!matches(command->view, record, command->args[i]))
			return false;
	return true;
}

struct listing {
	const struct command *command;
	struct reply *reply;
};

static bool
put_session(void *arg, uint32_t slot, const struct slot_record *record)
{
	const struct listing *listing = arg;
	const struct view *view = listing->command->view;
	struct reply *reply = listing->reply;
	char id[LOG_ID_MAX];
	char backend[BACKEND_NAME_MAX];
	struct row row;
	if (!matches_all(listing->command, record))
		return !reply->failed;
	view_backend_name(view, record, backend);
	struct outbuf *out = row_begin(&row);
	json_str(out, "id", log_id_text(record->id, id));
	json_u64(out, "worker", slot);
	json_str(out, "state", session_state_name(record->state));
	json_text(out, "listener", view_listener_name(view, record->listen));
	json_addr(out, "peer", &record->client);
	json_str(out, "user", record->user);
	json_str(out, "backend", backend);
	json_str(out, "tls", record->tls_version);
	json_str(out, "cipher", record->cipher);
	json_u64(out, "in", atomic_load(&record->bytes_in));
	json_u64(out, "out", atomic_load(&record->bytes_out));
	json_u64(out, "age_s", view_age_s(record->started_ms));
	row_end(&row, reply);
	return !reply->failed;
}

/* A column that doesn't exist would silently show nothing. */
static bool
has_unknown_column(const struct command *command)
{
	for (uint32_t i = 0; i < command->n_args; i++) {
		struct span word = command->args[i];
		const uint8_t *equals = memchr(word.data, '=', word.len);
		if (equals == NULL)
			continue;
		size_t len = (size_t)(equals - word.data);
		if (find_column(span_of(word.data, len)) == COLUMN_MAX)
			return true;
	}
	return false;
}

enum command_result
command_sessions(struct command *command, struct reply *reply)
{
	struct listing listing = {command, reply};
	if (has_unknown_column(command))
		return row_fail(reply,
		    "a filter is user= address= backend= state= tls= "
		    "listener= id= or a part of one");
	view_sessions(command->view, put_session, &listing);
	return COMMAND_DONE;
}

/* --- top ------------------------------------------------------------------ */

struct group {
	struct cell name;
	uint64_t n;
	uint64_t in;
	uint64_t out;
};

struct groups {
	const struct view *view;
	enum column column;
	struct group *list;
	size_t n;
	size_t cap;
	bool failed;
};

static bool
add_to_groups(void *arg, uint32_t slot, const struct slot_record *record)
{
	struct groups *groups = arg;
	(void)slot;
	if (groups->n == groups->cap) {
		size_t cap = groups->cap == 0 ? 1024 : groups->cap * 2;
		struct group *list = realloc(groups->list, cap * sizeof(*list));
		if (list == NULL) {
			groups->failed = true;
			return false;
		}
		groups->list = list;
		groups->cap = cap;
	}
	struct group *group = &groups->list[groups->n++];
	cell_of(groups->view, record, groups->column, &group->name);
	group->n = 1;
	group->in = atomic_load(&record->bytes_in);
	group->out = atomic_load(&record->bytes_out);
	return true;
}

static int
by_name(const void *a, const void *b)
{
	const struct group *left = a, *right = b;
	return strcmp(left->name.text, right->name.text);
}

static int
by_traffic(const void *a, const void *b)
{
	const struct group *left = a, *right = b;
	uint64_t x = left->in + left->out, y = right->in + right->out;
	if (x != y)
		return x < y ? 1 : -1;
	if (left->n != right->n)
		return left->n < right->n ? 1 : -1;
	return by_name(a, b);
}

/* Of the sorted list: equal names become one. */
static void
merge(struct groups *groups)
{
	size_t to = 0;
	for (size_t i = 1; i < groups->n; i++) {
		struct group *kept = &groups->list[to];
		const struct group *group = &groups->list[i];
		if (by_name(kept, group) != 0) {
			groups->list[++to] = *group;
			continue;
		}
		kept->n += group->n;
		kept->in += group->in;
		kept->out += group->out;
	}
	groups->n = groups->n == 0 ? 0 : to + 1;
}

static void
put_groups(const struct groups *groups, struct reply *reply)
{
	for (size_t i = 0; i < groups->n && i < TOP_ROWS; i++) {
		const struct group *group = &groups->list[i];
		struct row row;
		struct outbuf *out = row_begin(&row);
		json_str(out, columns[groups->column],
		    group->name.text[0] == '\0' ? "-" : group->name.text);
		json_u64(out, "sessions", group->n);
		json_u64(out, "in", group->in);
		json_u64(out, "out", group->out);
		row_end(&row, reply);
	}
}

enum command_result
command_top(struct command *command, struct reply *reply)
{
	struct groups groups = {.view = command->view};
	if (command->n_args > 0)
		groups.column = find_column(command->args[0]);
	if (groups.column > COLUMN_BACKEND)
		return row_fail(reply, "top is by user, address or backend");
	view_sessions(command->view, add_to_groups, &groups);
	if (groups.n > 0) {
		qsort(groups.list, groups.n, sizeof(groups.list[0]), by_name);
		merge(&groups);
		qsort(
		    groups.list, groups.n, sizeof(groups.list[0]), by_traffic);
	}
	put_groups(&groups, reply);
	free(groups.list);
	if (groups.failed)
		return row_fail(reply, "out of memory");
	return COMMAND_DONE;
}

/* --- kick ----------------------------------------------------------------- */

/* One message to a worker while it fills. */
struct kick {
	struct command *command;
	enum column column;
	bool send; /* else they are counted only */
	bool failed;
	uint32_t slot;
	uint64_t n;
	struct message message;
};

static void
flush(struct kick *kick)
{
	struct request_head head = {
	    .kind = REQUEST_KICK, .uid = kick->command->uid};
	struct message *message = &kick->message;
	if (message->len > sizeof(head)) {
		message->type = MESSAGE_REQUEST;
		message->slot = kick->slot;
		message->arg = 0; /* nobody waits for the answer */
		memcpy(message->body, &head, sizeof(head));
		kick->failed |= !kick->command->send(message);
	}
	message->len = sizeof(head);
}

static bool
kick_session(void *arg, uint32_t slot, const struct slot_record *record)
{
	struct kick *kick = arg;
	struct cell cell;
	cell_of(kick->command->view, record, kick->column, &cell);
	if (record->state >= SESSION_LINGER ||
	    !span_equal(kick->command->args[1], span_str(cell.text)))
		return true;
	kick->n++;
	if (!kick->send)
		return true;
	struct message *message = &kick->message;
	if (slot != kick->slot ||
	    message->len + sizeof(record->id) > CHANNEL_BODY_MAX)
		flush(kick);
	kick->slot = slot;
	memcpy(message->body + message->len, &record->id, sizeof(record->id));
	message->len += sizeof(record->id);
	return !kick->failed;
}

enum command_result
command_kick(struct command *command, struct reply *reply)
{
	struct kick kick = {
	    .command = command, .column = find_column(command->args[0])};
	if (kick.column > COLUMN_BACKEND && kick.column != COLUMN_ID)
		return row_fail(
		    reply, "kick is by user, id, backend or address");
	view_sessions(command->view, kick_session, &kick);
	row_audit(command, kick.n);
	kick.send = true;
	kick.n = 0;
	kick.message.len = sizeof(struct request_head);
	view_sessions(command->view, kick_session, &kick);
	flush(&kick);
	if (kick.failed)
		return row_fail(reply, "the master cannot be told");
	struct row row;
	json_u64(row_begin(&row), "sessions", kick.n);
	row_end(&row, reply);
	return COMMAND_DONE;
}
