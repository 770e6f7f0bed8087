/* SPDX-License-Identifier: ISC */
/* The passwords of check_password_file: for the monitor alone, so they are in
 * no image. */
#ifndef MASTER_PASSWORDS_H
#define MASTER_PASSWORDS_H

#include "config/load.h"

#define CHECK_PASSWORD_MAX 256

/* By index of the pools of one configuration; empty where there is none. */
struct passwords {
	struct secret *list; /* heap */
	uint32_t n;
};

/* Reads the files; what is wrong with one is an error in problems. */
void passwords_load(struct passwords *passwords, struct builder *builder,
    struct problems *problems);
void passwords_free(struct passwords *passwords);

#endif
