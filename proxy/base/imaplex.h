/* SPDX-License-Identifier: ISC */
/* The lexical rules of IMAP (RFC 9051 section 9, RFC 3501 section 9). */
#ifndef BASE_IMAPLEX_H
#define BASE_IMAPLEX_H

#include "proxy/base/span.h"

bool imap_is_atom_char(uint8_t c);    /* ATOM-CHAR */
bool imap_is_astring_char(uint8_t c); /* ATOM-CHAR or resp-specials */
bool imap_is_tag_char(uint8_t c);     /* ASTRING-CHAR without "+" */

/* At least one octet and all of them valid. */
bool imap_is_atom(struct span text);
bool imap_is_tag(struct span text);

/* The next of the words in *text, and *text behind it; false: none is left.
 * Any number of spaces separates them. */
bool imap_next_word(struct span *text, struct span *out_word);

/* May be sent as a quoted string: 7-bit, without CR, LF and NUL. */
bool imap_is_quotable(struct span octets);

/* Writes a quoted string; octets must be quotable. */
void imap_put_quoted(struct outbuf *out, struct span octets);

/*
 * Strict base64 (RFC 4648 section 4): padded, no white space, no bits behind
 * the end. Decoding appends to an empty secret; false: not base64, or out of
 * memory.
 */
bool imap_base64_decode(struct span text, struct secret *out_octets);
void imap_base64_encode(struct outbuf *out, struct span octets);

#endif
