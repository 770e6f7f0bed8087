/* SPDX-License-Identifier: ISC */
/* -t and -T: what the gateway would do, said before it does it; and the part
 * of the check that the start shares. */
#ifndef MASTER_CHECK_H
#define MASTER_CHECK_H

#include "config/load.h"
#include "proxy/master/privilege.h"

/* Both return the exit status: 1 when there is any error. */
int check_run(const char *path);
int check_print(const char *path);

/* Whom roles become when the master is root. A user that does not exist is an
 * error; keeper_user falls back to user with a warning. */
void check_identities(struct builder *builder, struct identity *out_user,
    struct identity *out_keeper_user, struct problems *problems);

/* To stderr: errors as they are, then warnings with "warning: " before. */
void check_show(const struct problems *problems);

#endif
