/* SPDX-License-Identifier: ISC */
/*
 * Assertions for our own bugs: never compiled out, and never reachable by
 * what a peer sends (a peer's misbehaviour is a close reason).
 */
#ifndef BASE_ENSURE_H
#define BASE_ENSURE_H

/* Prints "file:line: ensure failed: cond" to stderr and aborts. */
_Noreturn void ensure_failed(const char *cond, const char *file, int line);

#define ENSURE(cond) \
	((cond) ? (void)0 : ensure_failed(#cond, __FILE__, __LINE__))

#endif
