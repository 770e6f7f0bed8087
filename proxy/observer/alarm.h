/* SPDX-License-Identifier: ISC */
/* What a person should look at now: the first lines of the page and of
 * `sallyport ctl status`. */
#ifndef OBSERVER_ALARM_H
#define OBSERVER_ALARM_H

#include "proxy/observer/view.h"

#define ALARMS_MAX 16

enum severity {
	SEVERITY_GOOD,
	SEVERITY_WARN, /* clients are served, but not for ever or not as well */
	SEVERITY_BAD   /* some clients are not served */
};

struct alarms {
	enum severity worst;
	uint32_t n;
	uint32_t n_left_out;
	struct {
		enum severity severity;
		char text[160]; /* as it came from areas: escape it */
	} list[ALARMS_MAX];
};

void alarms_find(const struct view *view, struct alarms *out_alarms);

enum severity alarm_of_certificate(
    const struct config_certificate *certificate);
const char *alarm_class(enum severity severity); /* "good" "warn" "bad" */

#endif
