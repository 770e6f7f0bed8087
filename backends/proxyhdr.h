/* SPDX-License-Identifier: ISC */
/*
 * The PROXY protocol, both ways (HAProxy's specification, proxy-protocol.txt
 * sections 2.1 and 2.2).
 */
#ifndef BACKENDS_PROXYHDR_H
#define BACKENDS_PROXYHDR_H

#include "proxy/base/addr.h"
#include "proxy/base/span.h"

#define PROXYHDR_MAX 536 /* what we accept: 16 + 520 octets */

struct proxyhdr {
	struct addr client; /* ADDR_NONE: LOCAL, UNKNOWN or another family */
	struct addr local;  /* the address the client connected to */
	bool is_local;	    /* a balancer's own connection */
};

/* What a v2 header tells a backend of the client's TLS. */
struct proxyhdr_tls {
	const char *version; /* "TLSv1.3" */
	const char *cipher;  /* NULL: not told */
	const char *alpn;    /* NULL: none was negotiated */
	const char *sni;     /* NULL: none (PP2_TYPE_AUTHORITY) */
};

enum proxyhdr_result {
	PROXYHDR_MORE,	   /* a valid beginning */
	PROXYHDR_COMPLETE, /* out_len octets are the header */
	PROXYHDR_BAD,
};

/*
 * Looks at the beginning of a connection; the octets behind the header are not
 * touched. Never reads past in, never wants more than PROXYHDR_MAX. Unless the
 * result is COMPLETE, *out_header is empty and *out_len is 0.
 */
enum proxyhdr_result proxyhdr_parse(
    struct span in, struct proxyhdr *out_header, size_t *out_len);

/*
 * Writes the header of a client's connection, whole or (overflow) not at all;
 * tls may be NULL (a probe that identifies itself as a login does passes the
 * same as a login would). When the families of client and local differ, both
 * are told as IPv6 with the IPv4 one mapped (v2), or UNKNOWN (v1); when one is
 * ADDR_NONE, no address is told. A TLS value over 255 octets is left out.
 */
void proxyhdr_write_v1(
    struct outbuf *out, const struct addr *client, const struct addr *local);
void proxyhdr_write_v2(struct outbuf *out, const struct addr *client,
    const struct addr *local, const struct proxyhdr_tls *tls);

#endif
