/* SPDX-License-Identifier: ISC */
/* Whether those who trust this machine's authorities will trust a chain. */
#ifndef TLS_ISSUER_H
#define TLS_ISSUER_H

#include <stdbool.h>

#include <openssl/x509.h>

struct issuers;

/* SSL_CERT_FILE of the environment, else Debian's ca-certificates. NULL:
 * there is none to be had, nothing can be said. */
struct issuers *issuers_load(void);
void issuers_free(struct issuers *issuers);

/* The last certificate of a chain is one of them, or signed by one. */
bool issuers_know(struct issuers *issuers, X509 *top);

#endif
