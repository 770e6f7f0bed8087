/* SPDX-License-Identifier: ISC */
/* needs: proxy/imap/command.c proxy/imap/grammar.c proxy/base/imaplex.c */
/* needs: proxy/base/span.c proxy/base/ensure.c */
/*
 * The parser of commands from the session's side: what it may take out, what
 * stays behind a command, and the response lines of AUTHENTICATE.
 */
#include "proxy/imap/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* After READY the octets behind the command are untouched. */
static void
test_pipelining(void **state)
{
	(void)state;
	struct command_parser *parser = command_parser_new();
	struct span in = span_str("a LOGIN u p\r\nb SELECT inbox\r\n");
	assert_int_equal(command_feed(parser, &in), COMMAND_READY);
	assert_true(span_equal(in, span_str("b SELECT inbox\r\n")));
	struct command *command = command_parser_command(parser);
	struct secret password = command->password;
	command->password = (struct secret){NULL, 0};
	assert_true(span_equal(span_secret(&password), span_str("p")));
	secret_wipe(&password);
	assert_int_equal(command_feed(parser, &in), COMMAND_READY);
	assert_int_equal(command->kind, COMMAND_UNKNOWN);
	assert_int_equal(command->user.len, 0);
	command_parser_free(parser);
	command_parser_free(NULL);
}

/* A failure stays. */
static void
test_failure_stays(void **state)
{
	(void)state;
	struct command_parser *parser = command_parser_new();
	struct span in = span_str("a LOGIN u {4097+}\r\n");
	assert_int_equal(command_feed(parser, &in), COMMAND_TOO_LONG);
	in = span_str("b NOOP\r\n");
	assert_int_equal(command_feed(parser, &in), COMMAND_TOO_LONG);
	struct span line;
	assert_int_equal(
	    command_feed_response(parser, &in, &line), COMMAND_TOO_LONG);
	command_parser_free(parser);
}

static void
check_responses(size_t piece)
{
	static const char text[] =
	    "a AUTHENTICATE PLAIN\r\nabc=\r\n*\n\r\nx\r\r\nb NOOP\r\n";
	static const char *const lines[] = {"abc=", "*", "", "x\r"};
	struct span rest = span_str(text);
	struct span in = span_of(rest.data, 0);
	struct command_parser *parser = command_parser_new();
	size_t n_done = 0;
	while (rest.len > 0 || in.len > 0) {
		if (in.len == 0) {
			in = span_of(
			    rest.data, piece < rest.len ? piece : rest.len);
			span_advance(&rest, in.len);
		}
		struct span line = span_str("unset");
		bool is_command = n_done == 0 || n_done > 4;
		enum command_status status =
		    is_command ? command_feed(parser, &in)
			       : command_feed_response(parser, &in, &line);
		if (status == COMMAND_MORE)
			continue;
		assert_int_equal(status, COMMAND_READY);
		if (!is_command)
			assert_true(
			    span_equal(line, span_str(lines[n_done - 1])));
		n_done++;
	}
	assert_int_equal(n_done, 6);
	assert_string_equal(command_parser_command(parser)->tag, "b");
	command_parser_free(parser);
}

static void
test_responses(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 60; piece++)
		check_responses(piece);
}

static void
test_response_limit(void **state)
{
	(void)state;
	static char text[COMMAND_AUTH_MAX + 1];
	struct span line = span_of(NULL, 0);
	memset(text, 'A', sizeof(text));
	text[COMMAND_AUTH_MAX - 1] = '\n';
	struct command_parser *parser = command_parser_new();
	struct span in = span_of(text, COMMAND_AUTH_MAX);
	assert_int_equal(
	    command_feed_response(parser, &in, &line), COMMAND_READY);
	assert_int_equal(line.len, COMMAND_AUTH_MAX - 1);
	text[COMMAND_AUTH_MAX - 1] = 'A';
	text[COMMAND_AUTH_MAX] = '\n';
	for (size_t i = 0; i < COMMAND_AUTH_MAX; i++) {
		in = span_of(text + i, 1);
		assert_int_equal(
		    command_feed_response(parser, &in, &line), COMMAND_MORE);
	}
	in = span_of(text + COMMAND_AUTH_MAX, 1);
	assert_int_equal(
	    command_feed_response(parser, &in, &line), COMMAND_TOO_LONG);
	command_parser_free(parser);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pipelining),
	    cmocka_unit_test(test_failure_stays),
	    cmocka_unit_test(test_responses),
	    cmocka_unit_test(test_response_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
