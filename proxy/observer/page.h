/* SPDX-License-Identifier: ISC */
/*
 * The status page: one HTML document that needs no script and loads nothing,
 * and asks the browser to come back after ten seconds. No login names and no
 * client addresses are on it.
 */
#ifndef OBSERVER_PAGE_H
#define OBSERVER_PAGE_H

#include "proxy/observer/reply.h"
#include "proxy/observer/view.h"

#define PAGE_NONCE_MAX 33

/* Random, for the one style element that the content policy lets pass. */
void page_make_nonce(char out_nonce[PAGE_NONCE_MAX]);

void page_write(
    const struct view *view, const char *nonce, struct reply *reply);

#endif
