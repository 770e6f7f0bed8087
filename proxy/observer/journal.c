/* SPDX-License-Identifier: ISC */
/* See journal.h. Called by the observer's main. */
#include "proxy/observer/journal.h"

#include <string.h>

#include "proxy/ipc/clock.h"
#include "proxy/observer/ledger.h"

void
journal_init(struct journal *journal)
{
	memset(journal, 0, sizeof(*journal));
	sink_init(&journal->log);
	sink_init(&journal->audit);
	journal->format = LOG_AS_LOGFMT;
	journal->level = LEVEL_INFO;
}

void
journal_fini(struct journal *journal)
{
	sink_fini(&journal->log);
	sink_fini(&journal->audit);
}

void
journal_configure(struct journal *journal, const struct config_gateway *gateway)
{
	sink_configure(&journal->log, gateway->log, gateway->log_facility);
	sink_configure(
	    &journal->audit, gateway->audit, gateway->audit_facility);
	if (gateway->audit != LOG_TO_FILE)
		sink_set_file(&journal->audit, -1);
	journal->format = (enum config_log_format)gateway->log_format;
	journal->level = (int)gateway->log_level;
}

/* What TLS with a client fails for when it is the policy that refuses; "tls" is
 * the word of a summary. */
static bool
is_policy(struct span why)
{
	static const char *const words[] = {"tls", "tls_version", "tls_cipher",
	    "tls_group", "tls_sigalg", "tls_alpn", "tls_sni",
	    "tls_client_certificate"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (span_equal(why, span_str(words[i])))
			return true;
	return false;
}

/* The end of a session, or a summary of such or other events. */
static bool
is_refusal(struct span message)
{
	struct event_reader reader;
	struct event_value value;
	struct span name = span_str(event_kind_name(EVENT_SESSION));
	struct span why = {0};
	if (!event_reader_init(&reader, message))
		return false;
	while (event_reader_next(&reader, &value)) {
		if (value.field == FIELD_NAME)
			name = value.text;
		else if (value.field == FIELD_WHY)
			why = value.text;
	}
	return is_policy(why) ||
	       !span_equal(name, span_str(event_kind_name(EVENT_SESSION)));
}

/* The stream of those who have to show what happened. */
static bool
is_audited(int kind, struct span message)
{
	switch (kind) {
	case EVENT_CONTROL:
	case EVENT_LOGIN:
	case EVENT_LOGIN_NEW_PREFIX:
	case EVENT_BAN:
	case EVENT_REFUSED:
	case EVENT_CERTIFICATE:
	case EVENT_RELOAD:
	case EVENT_GATEWAY:
		return true;
	case EVENT_SESSION:
	case EVENT_SUMMARY:
		return is_refusal(message);
	default:
		return false;
	}
}

static bool
has_audit(const struct journal *journal)
{
	return journal->audit.target == LOG_TO_SYSLOG || journal->audit.fd >= 0;
}

/* False: it is lost. */
static bool
write_event(struct journal *journal, struct sink *sink, struct span message)
{
	struct outbuf out;
	struct event_reader reader;
	if (!event_reader_init(&reader, message)) {
		journal->malformed++;
		return true;
	}
	struct event_head head = reader.head;
	bool audited = has_audit(journal) && is_audited(head.kind, message);
	/* The audit stream is whole at any level of the log. */
	if (head.level > journal->level && !audited)
		return true;
	outbuf_init(&out, journal->line, sizeof(journal->line));
	if (!log_format(message, journal->format, &out)) {
		journal->malformed++;
		return true;
	}
	if (sink == NULL)
		sink = audited ? &journal->audit : &journal->log;
	return sink_write(sink, head.level, outbuf_span(&out));
}

static struct span
event_span(const struct event *event)
{
	return span_of(event->data, event->len);
}

/* False: nothing can be written there now. */
static bool
make_up(struct journal *journal, struct sink *sink)
{
	uint64_t count = sink->dropped;
	if (count == 0)
		return true;
	struct event event;
	event_begin(&event, EVENT_DROPPED);
	event_str(&event, FIELD_WHY, "write_error");
	event_u64(&event, FIELD_COUNT, count);
	sink->dropped = 0;
	if (write_event(journal, sink, event_span(&event)))
		return true;
	/* The line about lost lines is itself no lost line. */
	sink->dropped = count;
	return false;
}

void
journal_take(struct journal *journal, struct span message)
{
	(void)make_up(journal, &journal->log);
	(void)make_up(journal, &journal->audit);
	if (!write_event(journal, NULL, message) && journal->ledger != NULL)
		journal->ledger->dropped_write++;
}

/* A text of a record that a dead worker left: perhaps not terminated. */
static void
put_field(
    struct event *event, enum event_field field, const char *text, size_t size)
{
	event_text(event, field, span_of(text, strnlen(text, size)));
}

static uint64_t
age_ms(const struct slot_record *record)
{
	uint64_t now_ms = clock_ms();
	return record->started_ms < now_ms ? now_ms - record->started_ms : 0;
}

void
journal_crashed(struct journal *journal, const struct view *view, uint32_t slot,
    const struct slot_record *record)
{
	char backend[BACKEND_NAME_MAX];
	view_backend_name(view, record, backend);
	struct event event;
	event_begin(&event, EVENT_SESSION);
	event_u64(&event, FIELD_ID, record->id);
	event_text(
	    &event, FIELD_LISTENER, view_listener_name(view, record->listen));
	event_addr(&event, FIELD_PEER, &record->client);
	put_field(&event, FIELD_SNI, record->sni, sizeof(record->sni));
	put_field(&event, FIELD_TLS, record->tls_version,
	    sizeof(record->tls_version));
	put_field(&event, FIELD_CIPHER, record->cipher, sizeof(record->cipher));
	put_field(&event, FIELD_GROUP, record->group, sizeof(record->group));
	if (record->tls_version[0] != '\0')
		event_bool(&event, FIELD_RESUMED, record->resumed != 0);
	put_field(&event, FIELD_USER, record->user, sizeof(record->user));
	event_str(&event, FIELD_BACKEND, backend);
	event_u64(&event, FIELD_BYTES_IN, atomic_load(&record->bytes_in));
	event_u64(&event, FIELD_BYTES_OUT, atomic_load(&record->bytes_out));
	event_u64(&event, FIELD_DURATION_MS, age_ms(record));
	event_str(&event, FIELD_WHO, "gateway");
	event_str(&event, FIELD_WHY, "crash");
	event_str(&event, FIELD_STATE, session_state_name(record->state));
	event_u64(&event, FIELD_SLOT, slot);
	journal_take(journal, event_span(&event));
}

static void
tell_queue(struct journal *journal, const struct view *view, uint32_t slot)
{
	const struct slot_area *area = view_slot(view, slot);
	if (area == NULL)
		return;
	uint64_t now =
	    atomic_load_explicit(&area->events_dropped, memory_order_relaxed);
	uint64_t told = journal->queue_dropped[slot];
	if (now == told)
		return;
	journal->queue_dropped[slot] = now;
	if (now < told) /* a new area */
		return;
	struct event event;
	event_begin(&event, EVENT_DROPPED);
	event_str(&event, FIELD_WHY, "queue_full");
	event_u64(&event, FIELD_SLOT, slot);
	event_u64(&event, FIELD_COUNT, now - told);
	journal_take(journal, event_span(&event));
}

void
journal_tick(struct journal *journal, const struct view *view)
{
	sink_tick(&journal->log);
	sink_tick(&journal->audit);
	for (uint32_t slot = 0; slot < VIEW_SLOTS_MAX; slot++)
		tell_queue(journal, view, slot);
	if (journal->malformed > 0) {
		if (journal->ledger != NULL)
			journal->ledger->dropped_malformed +=
			    journal->malformed;
		struct event event;
		event_begin(&event, EVENT_DROPPED);
		event_str(&event, FIELD_WHY, "malformed");
		event_u64(&event, FIELD_COUNT, journal->malformed);
		journal->malformed = 0;
		journal_take(journal, event_span(&event));
	}
	(void)make_up(journal, &journal->log);
	(void)make_up(journal, &journal->audit);
}
