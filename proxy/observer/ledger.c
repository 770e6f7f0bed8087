/* SPDX-License-Identifier: ISC */
/* See ledger.h. Called by the observer's main and its journal. */
#include "proxy/observer/ledger.h"

#define X(role, name) name,
static const char *const roles[] = {LEDGER_ROLES(X)};
#undef X

const char *
ledger_role_name(unsigned int role)
{
	return role < LEDGER_ROLE_MAX ? roles[role] : "?";
}

/* The text fields that are looked at, empty when absent. */
struct words {
	struct span role;
	struct span state;
	struct span verdict;
};

static bool
read_words(struct event_reader *reader, struct words *words)
{
	struct event_value value;
	while (event_reader_next(reader, &value)) {
		if (value.field == FIELD_ROLE)
			words->role = value.text;
		else if (value.field == FIELD_STATE)
			words->state = value.text;
		else if (value.field == FIELD_VERDICT)
			words->verdict = value.text;
	}
	return !reader->malformed;
}

static void
on_role(struct ledger *ledger, const struct words *words)
{
	if (!span_equal(words->state, span_str("ended")) || ledger->draining)
		return;
	for (unsigned int i = 0; i < LEDGER_ROLE_MAX; i++)
		if (span_equal(words->role, span_str(roles[i])))
			ledger->restarts[i]++;
}

void
ledger_take(struct ledger *ledger, struct span message)
{
	struct event_reader reader;
	struct words words = {0};
	if (!event_reader_init(&reader, message))
		return;
	int kind = reader.head.kind;
	if (kind != EVENT_ROLE && kind != EVENT_RELOAD &&
	    kind != EVENT_GATEWAY && kind != EVENT_CERTIFICATE)
		return;
	if (!read_words(&reader, &words))
		return;
	if (kind == EVENT_ROLE)
		on_role(ledger, &words);
	else if (kind == EVENT_GATEWAY)
		ledger->draining |=
		    span_equal(words.state, span_str("stopping"));
	else if (kind == EVENT_CERTIFICATE)
		/* One that expired is no fault of its files. */
		ledger->certificate_faults +=
		    span_equal(words.state, span_str("refused"));
	else if (kind == EVENT_RELOAD &&
		 span_equal(words.verdict, span_str("ok")))
		ledger->reloads_ok++;
	else if (kind == EVENT_RELOAD)
		ledger->reloads_failed++;
}
