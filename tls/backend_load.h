/* SPDX-License-Identifier: ISC */
/* The master's part of TLS to backends: reads the authorities. */
#ifndef TLS_BACKEND_LOAD_H
#define TLS_BACKEND_LOAD_H

#include "config/load.h"

/* Puts the certificates of a backend_tls_ca file into the section. NULL, or
 * what is wrong with the text. */
const char *tls_backend_load_ca(
    struct builder *builder, uint32_t section, struct span pem);

#endif
