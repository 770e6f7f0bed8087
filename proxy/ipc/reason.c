/* SPDX-License-Identifier: ISC */
#include "proxy/ipc/reason.h"

const char *
end_reason_name(uint8_t reason)
{
	static const char *const names[] = {
#define X(name, text) text,
	    END_REASONS(X)
#undef X
	};

	return reason < REASON_MAX ? names[reason] : "unknown";
}
