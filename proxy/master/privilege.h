/* SPDX-License-Identifier: ISC */
/*
 * Who the processes are. The master keeps five capabilities when started as
 * root; every role becomes somebody without any.
 */
#ifndef MASTER_PRIVILEGE_H
#define MASTER_PRIVILEGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define IDENTITY_GROUPS_MAX 64

/* Looked up once, by the master: nothing is read between fork and exec. */
struct identity {
	uid_t uid;
	gid_t gid;
	int n_groups;
	gid_t groups[IDENTITY_GROUPS_MAX];
};

enum identity_result {
	IDENTITY_FOUND,
	IDENTITY_UNKNOWN,
	IDENTITY_IS_ROOT, /* a role must not be */
};

enum identity_result identity_find(const char *user, struct identity *out);

/* Leaves the master CAP_DAC_READ_SEARCH, SETUID, SETGID, KILL and
 * NET_BIND_SERVICE, and an empty bounding set, so that no role can gain any.
 * Nothing happens when not root. False: errno. */
bool privilege_limit_master(void);

/* No core files, not readable by processes of the same uid. */
void privilege_protect_memory(void);

/* In a child: becomes the identity (NULL: stays who it is) without any
 * capability, for good. False: errno. */
bool privilege_drop(const struct identity *identity);

/* Raises the soft limit of descriptors to the hard one, returns it. */
uint64_t privilege_raise_descriptors(void);

#endif
