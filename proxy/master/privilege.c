/* SPDX-License-Identifier: ISC */
/*
 * See privilege.h. capset(2) is called directly: two words of bits need no
 * library. Called by the master at its start, and by its children.
 */
#include "proxy/master/privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/ipc/role.h"

#define CAPABILITY(name) (UINT64_C(1) << (name))
#define CAPABILITIES_MASTER                                         \
	(CAPABILITY(CAP_DAC_READ_SEARCH) | CAPABILITY(CAP_SETUID) | \
	    CAPABILITY(CAP_SETGID) | CAPABILITY(CAP_KILL) |         \
	    CAPABILITY(CAP_NET_BIND_SERVICE))

enum identity_result
identity_find(const char *user, struct identity *out)
{
	/* The master has one thread. */
	/* cppcheck-suppress getpwnamCalled */
	const struct passwd *entry = getpwnam(user);
	if (entry == NULL)
		return IDENTITY_UNKNOWN;
	if (entry->pw_uid == 0)
		return IDENTITY_IS_ROOT;
	out->uid = entry->pw_uid;
	out->gid = entry->pw_gid;
	out->n_groups = IDENTITY_GROUPS_MAX;
	/* More groups than fit: the first ones are enough for a role. */
	if (getgrouplist(user, out->gid, out->groups, &out->n_groups) < 0)
		out->n_groups = IDENTITY_GROUPS_MAX;
	return IDENTITY_FOUND;
}

static void
clear_bounding_set(void)
{
	for (int i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		(void)prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
}

/* Permitted and effective become what is kept of what we have. */
static bool
keep_capabilities(uint64_t kept)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	if (syscall(SYS_capget, &head, data) != 0)
		return false;
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(kept >> (32 * i));
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &head, data) == 0;
}

bool
privilege_limit_master(void)
{
	if (geteuid() != 0)
		return true;
	clear_bounding_set();
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return keep_capabilities(CAPABILITIES_MASTER);
}

void
privilege_protect_memory(void)
{
	struct rlimit none = {0, 0};
	(void)setrlimit(RLIMIT_CORE, &none);
	if (!ROLE_SANITIZED)
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static bool
change_user(const struct identity *identity)
{
	return setgroups((size_t)identity->n_groups, identity->groups) == 0 &&
	       setresgid(identity->gid, identity->gid, identity->gid) == 0 &&
	       setresuid(identity->uid, identity->uid, identity->uid) == 0;
}

bool
privilege_drop(const struct identity *identity)
{
	(void)prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	clear_bounding_set();
	if (identity != NULL && !change_user(identity))
		return false;
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (!keep_capabilities(0))
		return false;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return false;
	if (identity == NULL || setuid(0) != 0)
		return true;
	errno = EPERM; /* it must not be possible to come back */
	return false;
}

uint64_t
privilege_raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	rlim_t before = limit.rlim_cur;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		return before;
	return limit.rlim_cur;
}
