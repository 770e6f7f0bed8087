/* SPDX-License-Identifier: ISC */
/*
 * Strict readers of small values: the whole text must be the value, no sign,
 * no white space, no overflow. On failure the output is not written.
 */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/span.h"

/* Decimal digits, at most 20; min <= value <= max. */
bool parse_u64(struct span text, uint64_t min, uint64_t max, uint64_t *out);

/* A number and a unit, ms s m h d; "0" may stand alone. Result in ms. */
bool parse_duration(struct span text, uint64_t *out_ms);

/* "50/s", "20/10m": how many, at least 1, and the period in ms, at least 1. */
bool parse_rate(struct span text, uint64_t *out_count, uint64_t *out_period_ms);

/* Blanks (space, tab) at both ends removed. */
struct span parse_trim(struct span text);

/* The next of the words that blanks separate, and *text behind it; false: none
 * is left. */
bool parse_next_word(struct span *text, struct span *out_word);

/*
 * The next item of a list and *text behind it; false when text is used up.
 * Items are separated by commas and/or blanks ("a, b" and "a b" are two);
 * an empty item ("a,,b") is returned as one of length 0, for the caller to
 * refuse.
 */
bool parse_next_item(struct span *text, struct span *out_item);

#endif
