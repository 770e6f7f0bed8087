/* SPDX-License-Identifier: ISC */
/* See ledger.h. Called by the observer's main and its journal. */
#include "proxy/observer/ledger.h"

#include <string.h>

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

/* FNV-1a: tells our own chains apart, nothing is trusted to it. */
static uint64_t
print_of(const struct config *config, struct items ders)
{
	const struct text *der = config_items(config, ders);
	uint64_t print = UINT64_C(14695981039346656037);
	for (uint32_t i = 0; i < ders.n; i++) {
		struct span octets = config_span(config, der[i]);
		for (size_t j = 0; j < octets.len; j++)
			print =
			    (print ^ octets.data[j]) * UINT64_C(1099511628211);
	}
	return print | 1;
}

static struct ledger_certificate *
find(struct ledger *ledger, struct span name)
{
	for (uint32_t i = 0; i < ledger->n_certificates; i++) {
		struct ledger_certificate *known = &ledger->certificates[i];
		if (span_equal(span_str(known->name), name))
			return known;
	}
	return NULL;
}

static struct ledger_certificate *
add(struct ledger *ledger, struct span name)
{
	if (ledger->n_certificates == LEDGER_CERTIFICATES ||
	    name.len >= sizeof(ledger->certificates[0].name))
		return NULL;
	struct ledger_certificate *made =
	    &ledger->certificates[ledger->n_certificates++];
	*made = (struct ledger_certificate){0};
	memcpy(made->name, name.data, name.len);
	return made;
}

void
ledger_use(struct ledger *ledger, const struct config *config, int64_t now_s)
{
	for (uint32_t i = 0; i < config->certificates.n; i++) {
		const struct config_certificate *certificate =
		    config_certificate_at(config, i);
		struct span name = config_span(config, certificate->name);
		struct ledger_certificate *known = find(ledger, name);
		if (known == NULL)
			known = add(ledger, name);
		uint64_t print = print_of(config, certificate->ders);
		if (known == NULL || !certificate->usable ||
		    known->print == print)
			continue;
		known->renewals += known->print != 0;
		known->print = print;
		known->loaded_s = now_s;
	}
}

const struct ledger_certificate *
ledger_certificate(const struct ledger *ledger, struct span name)
{
	return find((struct ledger *)(uintptr_t)ledger, name);
}
