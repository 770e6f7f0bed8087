/* SPDX-License-Identifier: ISC */
/* See dryrun.h. Called by page.c and command_client.c. */
#include "proxy/observer/dryrun.h"

#include <stddef.h>
#include <string.h>

#include "tls/stream.h" /* for the words of a dry run only */

bool
dryrun_is_set(const struct view *view)
{
	const struct config *config = view->config;
	uint32_t n = config == NULL ? 0 : config->tls.n;
	for (uint32_t i = 0; i < n; i++) {
		const struct config_tls *tls = config_tls_at(config, i);
		if (tls->observe_min_version != 0 ||
		    tls->observe_ciphers.len > 0)
			return true;
	}
	return false;
}

const char *
dryrun_verdict(const struct view *view, const char *observed, const char *tls)
{
	if (dryrun_is_set(view))
		return observed;
	return strcmp(tls, "TLSv1.3") == 0 ? "" : "version";
}

const char *
dryrun_of(const struct view *view, const struct slot_record *record)
{
	if (record->tls_version[0] == '\0')
		return "";
	return dryrun_verdict(
	    view, tls_observed_name(record->observed), record->tls_version);
}

struct tally_arg {
	const struct view *view;
	struct dryrun_counts *counts;
};

static bool
count_session(void *arg, uint32_t slot, const struct slot_record *record)
{
	const struct tally_arg *tally = arg;
	(void)slot;
	tally->counts->clients += record->tls_version[0] != '\0';
	tally->counts->cut_off += dryrun_of(tally->view, record)[0] != '\0';
	return true;
}

void
dryrun_count(const struct view *view, struct dryrun_counts *out_counts)
{
	struct tally_arg tally = {view, out_counts};
	*out_counts = (struct dryrun_counts){
	    .handshakes = VIEW_SUM(view, handshakes_full) +
			  VIEW_SUM(view, handshakes_resumed),
	    .by_version = dryrun_is_set(view)
			      ? VIEW_SUM(view, observed_version)
			      : VIEW_SUM(view, handshakes_tls12),
	    .by_cipher = VIEW_SUM(view, observed_cipher)};
	view_sessions(view, count_session, &tally);
}
