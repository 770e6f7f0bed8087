/* SPDX-License-Identifier: ISC */
/* When each backend is checked, and what the result means for its state. */
#ifndef MONITOR_ROUNDS_H
#define MONITOR_ROUNDS_H

#include "proxy/monitor/monitor.h"

/* Looks for what is due, now and whenever something will be. */
void rounds_arm(struct monitor *monitor);

/* Ends a check of this entry that is under way. */
void rounds_forget(struct monitor *monitor, uint32_t index);

/* Every backend was checked at least once by this process. */
bool rounds_is_first_over(const struct monitor *monitor);

#endif
