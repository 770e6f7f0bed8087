/* SPDX-License-Identifier: ISC */
/*
 * See capability.h. Called by the worker when what is known of a pool changes,
 * by preauth and by the login dialogue.
 *
 * Only atoms are ever written, a word at a time, and a word that has no room
 * is left out: a list is always whole words.
 */
#include "proxy/imap/capability.h"

#include "proxy/base/imaplex.h"

static bool
has_prefix(struct span word, const char *prefix)
{
	struct span wanted = span_str(prefix);
	return word.len >= wanted.len &&
	       span_equal_nocase(span_of(word.data, wanted.len), wanted);
}

static bool
is_one_of(struct span word, const char *const *names, size_t n_names)
{
	for (size_t i = 0; i < n_names; i++)
		if (span_equal_nocase(word, span_str(names[i])))
			return true;
	return false;
}

/* What would lead a client around the gateway, or make it start over. */
static bool
is_forbidden(struct span word)
{
	static const char *const names[] = {"STARTTLS", "LOGINDISABLED",
	    "UNAUTHENTICATE", "LOGIN-REFERRALS", "MAILBOX-REFERRALS"};
	return is_one_of(word, names, sizeof(names) / sizeof(names[0]));
}

/* What the gateway doesn't say by itself. */
static bool
is_session_wide(struct span word)
{
	static const char *const own[] = {"IMAP4rev1", "ID", "SASL-IR"};
	return imap_is_atom(word) && !is_forbidden(word) &&
	       !is_one_of(word, own, sizeof(own) / sizeof(own[0])) &&
	       !has_prefix(word, "AUTH=") && !has_prefix(word, "COMPRESS=");
}

/* A mechanism that only a backend can judge: none that the gateway converts,
 * none that would bind to a channel which ends here. */
static bool
is_other_mechanism(struct span word)
{
	static const char *const never[] = {
	    "AUTH=PLAIN", "AUTH=LOGIN", "AUTH=ANONYMOUS", "AUTH=EXTERNAL"};
	static const char plus[] = "-PLUS";
	size_t n = sizeof(plus) - 1;
	return imap_is_atom(word) && has_prefix(word, "AUTH=") &&
	       !is_one_of(word, never, sizeof(never) / sizeof(never[0])) &&
	       !(word.len > n &&
		   has_prefix(span_of(word.data + word.len - n, n), plus));
}

/* LITERAL+ promises more than the gateway keeps before login. */
static struct span
shown_as(struct span word)
{
	return span_equal_nocase(word, span_str("LITERAL+"))
		   ? span_str("LITERAL-")
		   : word;
}

static bool
has_word(struct span list, struct span wanted)
{
	struct span word;
	bool is_literal = span_equal_nocase(wanted, span_str("LITERAL-"));
	while (imap_next_word(&list, &word)) {
		if (span_equal_nocase(shown_as(word), wanted))
			return true;
		/* RFC 9051 appendix E: part of IMAP4rev2. */
		if (is_literal &&
		    span_equal_nocase(word, span_str("IMAP4rev2")))
			return true;
	}
	return false;
}

static bool
all_have_word(const struct span *lists, size_t n_lists, struct span word)
{
	for (size_t i = 0; i < n_lists; i++)
		if (lists[i].len > 0 && !has_word(lists[i], word))
			return false;
	return true;
}

/* `start` is where the list begins in `out`. */
static void
put_word(struct outbuf *out, size_t start, struct span word)
{
	size_t space = out->len > start ? 1 : 0;
	if (word.len + space > outbuf_room(out))
		return;
	if (space > 0)
		outbuf_putc(out, ' ');
	outbuf_put(out, word);
}

/* Has the list the very word (IMAP4rev2 doesn't stand for LITERAL-)? */
static bool
is_listed(struct span list, struct span wanted)
{
	struct span word;
	while (imap_next_word(&list, &word))
		if (span_equal_nocase(word, wanted))
			return true;
	return false;
}

static void
put_new_word(struct outbuf *out, size_t start, struct span word)
{
	if (!is_listed(span_of(out->data + start, out->len - start), word))
		put_word(out, start, word);
}

static const struct span *
first_learned(const struct span *lists, size_t n_lists)
{
	for (size_t i = 0; i < n_lists; i++)
		if (lists[i].len > 0)
			return &lists[i];
	return NULL;
}

void
capability_common(const struct span *lists, size_t n_lists, struct outbuf *out)
{
	const struct span *first = first_learned(lists, n_lists);
	size_t start = out->len;
	struct span word;
	put_new_word(out, start, span_str("IMAP4rev1"));
	if (first == NULL) {
		put_new_word(out, start, span_str("LITERAL-"));
		return;
	}
	struct span rest = *first;
	while (imap_next_word(&rest, &word)) {
		word = shown_as(word);
		if ((is_session_wide(word) || is_other_mechanism(word)) &&
		    all_have_word(lists, n_lists, word))
			put_new_word(out, start, word);
	}
	/* The first list may say it by IMAP4rev2 alone. */
	word = span_str("LITERAL-");
	if (all_have_word(lists, n_lists, word))
		put_new_word(out, start, word);
}

/* The bit of [listen] mechanisms that lets such a mechanism through. */
static uint32_t
bit_of(struct span word)
{
	if (span_equal_nocase(word, span_str("AUTH=XOAUTH2")))
		return MECHANISM_XOAUTH2;
	if (span_equal_nocase(word, span_str("AUTH=OAUTHBEARER")))
		return MECHANISM_OAUTHBEARER;
	return MECHANISM_OTHER;
}

static bool
is_let_through(struct span word, uint32_t mechanisms)
{
	uint32_t bit = bit_of(word);
	bool is_named = (mechanisms & MECHANISM_NAMED) != 0;

	return is_other_mechanism(word) && (mechanisms & bit) != 0 &&
	       (!is_named || bit != MECHANISM_OTHER ||
		   has_prefix(word, "AUTH=SCRAM-"));
}

void
capability_before_login(struct span common, uint32_t mechanisms,
    bool login_command, struct outbuf *out)
{
	size_t start = out->len;
	struct span word;
	if (common.len == 0)
		common = span_str("IMAP4rev1 LITERAL-");
	put_word(out, start, span_str("IMAP4rev1"));
	put_word(out, start, span_str("ID"));
	put_word(out, start, span_str("SASL-IR"));
	struct span rest = common;
	while (imap_next_word(&rest, &word))
		if (is_session_wide(word))
			put_word(out, start, shown_as(word));
	if (mechanisms & MECHANISM_PLAIN)
		put_word(out, start, span_str("AUTH=PLAIN"));
	if (mechanisms & MECHANISM_LOGIN)
		put_word(out, start, span_str("AUTH=LOGIN"));
	while (imap_next_word(&common, &word))
		if (is_let_through(word, mechanisms))
			put_word(out, start, word);
	if (!login_command)
		put_word(out, start, span_str("LOGINDISABLED"));
}

void
capability_after_login(struct span list, struct outbuf *out)
{
	size_t start = out->len;
	struct span word;
	while (imap_next_word(&list, &word))
		if (imap_is_atom(word) && !is_forbidden(word))
			put_word(out, start, word);
}
