/* SPDX-License-Identifier: ISC */
/*
 * The journal: what happens to an event between its socket and its line.
 * Level, form and target are applied here; lines that could not be written
 * are made up for by one `dropped` event as soon as writing works again.
 */
#ifndef OBSERVER_JOURNAL_H
#define OBSERVER_JOURNAL_H

#include "config/config.h"
#include "proxy/ipc/event.h"
#include "proxy/ipc/slot.h"
#include "proxy/observer/log.h"
#include "proxy/observer/sink.h"
#include "proxy/observer/view.h"

struct journal {
	struct sink log;
	struct sink audit; /* what is audited goes here, when it is set */
	enum config_log_format format;
	int level;	       /* enum config_log_level */
	uint64_t malformed;    /* events not understood, not told about yet */
	struct ledger *ledger; /* told of every loss; NULL: nobody is */
	uint64_t queue_dropped[VIEW_SLOTS_MAX]; /* told about so far */
	uint8_t line[LOG_LINE_MAX];
};

/* logfmt to stderr at level info, until a configuration says otherwise. */
void journal_init(struct journal *journal);
void journal_fini(struct journal *journal);
void journal_configure(
    struct journal *journal, const struct config_gateway *gateway);

/* One event as it came from a role, or as the observer made it. */
void journal_take(struct journal *journal, struct span message);

/* The end line of a session that died with its worker. */
void journal_crashed(struct journal *journal, const struct view *view,
    uint32_t slot, const struct slot_record *record);

/* Once a second: tells what roles could not send and what was lost. */
void journal_tick(struct journal *journal, const struct view *view);

#endif
