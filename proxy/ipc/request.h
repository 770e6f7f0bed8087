/* SPDX-License-Identifier: ISC */
/*
 * Changes by hand on their way from the control socket to whom they concern.
 * The observer sends MESSAGE_REQUEST to the master (arg: its number for it;
 * slot: of a worker, for kinds that name one; body: struct request_head, then
 * what the kind says). The master checks every length, passes it on or does
 * it, and answers with MESSAGE_REPLY (arg: the same number; slot: enum
 * request_reply; body: text). The last reply is GOOD or FAILED.
 */
#ifndef IPC_REQUEST_H
#define IPC_REQUEST_H

#include <stdint.h>

#include "proxy/base/addr.h"
#include "proxy/ipc/channel.h"

enum request_kind {
	REQUEST_RELOAD = 1, /* answered when every role has acknowledged */
	REQUEST_DRAIN,	    /* answered at once */
	REQUEST_KICK,	    /* session ids, uint64_t each; slot: the worker */
	REQUEST_BAN,	    /* struct request_ban */
	REQUEST_UNBAN,	    /* the same */
	REQUEST_NETWORKS,   /* read the files of networks again */
	REQUEST_BACKEND,    /* its name; slot: enum backend_admin */
};

enum request_reply {
	REPLY_LINE, /* one line of text, more follow */
	REPLY_GOOD,
	REPLY_FAILED, /* the text says why */
};

struct request_head {
	uint32_t kind; /* enum request_kind */
	uint32_t uid;  /* who asked, by SO_PEERCRED */
};

#define REQUEST_BAN_MAX_MS (UINT64_C(365) * 86400 * 1000)
struct request_ban {
	struct addr addr;
	uint32_t zero;
	uint64_t ban_ms; /* 0 for UNBAN */
};

#define REQUEST_BODY_MAX (CHANNEL_BODY_MAX - sizeof(struct request_head))
#define REQUEST_IDS_MAX	 (REQUEST_BODY_MAX / sizeof(uint64_t))

#endif
