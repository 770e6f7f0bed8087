/* SPDX-License-Identifier: ISC */
/*
 * Sets of networks as radix trees in the configuration image: a question costs
 * as many steps as prefixes are nested in each other, whatever their number.
 */
#ifndef LIMITS_NETWORKS_H
#define LIMITS_NETWORKS_H

#include "config/load.h"

/* Networks of one file; more is an error, not an outage. */
#define NETWORKS_MAX 4000000

/*
 * Builds the trees of [limits] exempt and deny and of every [listen] allow.
 * The texts are those of the files (empty: none): one network a line, `#` and
 * `;` begin a comment. Errors name the file and the line.
 */
struct networks_files {
	struct span exempt;
	struct span deny;
	struct span allow[CONFIG_MAX_LISTENERS]; /* of each listener */
};
void networks_build(struct builder *builder, const struct networks_files *files,
    struct problems *problems);

/* tree: items of struct config_network. */
bool networks_contain(
    const struct config *config, struct items tree, const struct addr *addr);

#endif
