/* SPDX-License-Identifier: ISC */
/* needs: proxy/imap/ backends/reply.c backends/proxyhdr.c proxy/base/ */
/*
 * User and password arrive as the same octets: random ones go through the
 * login dialogue to a server made of our own parser, for every set of
 * capabilities it may list, in pieces of random length both ways.
 */
#include "proxy/imap/login.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/base/imaplex.h"

#define OUT_MAX 65536

struct server {
	struct command_parser *parser;
	struct sasl sasl;
	bool in_exchange;
	const char *capabilities;
	char tag[COMMAND_TAG_MAX + 1];
	struct secret user;
	struct secret password;
	struct secret token;
	struct outbuf out; /* to the gateway */
	char data[OUT_MAX];
};

static uint64_t
next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005U + 1442695040888963407U;
	return *seed >> 33;
}

static void
move(struct secret *to, struct secret *from)
{
	secret_wipe(to);
	*to = *from;
	*from = (struct secret){NULL, 0};
}

static void
on_sasl(struct server *server, enum sasl_status status)
{
	struct credentials *credentials = &server->sasl.credentials;
	assert_true(status == SASL_CHALLENGE || status == SASL_DONE);
	server->in_exchange = status == SASL_CHALLENGE;
	if (server->in_exchange) {
		outbuf_puts(&server->out, "+ \r\n");
		return;
	}
	move(&server->user, &credentials->user);
	move(&server->password, &credentials->password);
	move(&server->token, &credentials->token);
	outbuf_printf(&server->out, "%s OK [CAPABILITY X] in\r\n", server->tag);
}

static void
on_command(struct server *server)
{
	struct command *command = command_parser_command(server->parser);
	char none[64];
	struct outbuf challenge;
	memcpy(server->tag, command->tag, sizeof(server->tag));
	switch (command->kind) {
	case COMMAND_CAPABILITY:
		outbuf_printf(&server->out, "* CAPABILITY %s\r\n%s OK\r\n",
		    server->capabilities, command->tag);
		break;
	case COMMAND_LOGIN:
		move(&server->user, &command->user);
		move(&server->password, &command->password);
		outbuf_printf(
		    &server->out, "%s OK [CAPABILITY X] in\r\n", command->tag);
		break;
	case COMMAND_AUTHENTICATE:
		outbuf_init(&challenge, none, sizeof(none));
		on_sasl(server,
		    sasl_start(&server->sasl, command, UINT32_MAX, &challenge));
		break;
	default:
		fail_msg("command %d", command->kind);
	}
}

static void
serve_line(struct server *server, struct span *in)
{
	char none[64];
	struct outbuf challenge;
	struct span line;
	outbuf_init(&challenge, none, sizeof(none));
	enum command_status status =
	    command_feed_response(server->parser, in, &line);
	if (status == COMMAND_READY)
		on_sasl(server, sasl_respond(&server->sasl, line, &challenge));
	else
		assert_int_equal(status, COMMAND_MORE);
}

static void
serve(struct server *server, struct span in)
{
	while (in.len > 0) {
		if (server->in_exchange) {
			serve_line(server, &in);
			continue;
		}
		switch (command_feed(server->parser, &in)) {
		case COMMAND_MORE:
			break;
		case COMMAND_CONTINUE:
			outbuf_puts(&server->out, "+ go\r\n");
			break;
		case COMMAND_READY:
			on_command(server);
			break;
		default:
			fail_msg("the server refuses the command");
		}
	}
}

static struct span
random_piece(struct span *rest, uint64_t *seed)
{
	size_t max = next_random(seed) % 4 == 0 ? 1 : 40;
	size_t n = 1 + next_random(seed) % max;
	struct span piece = span_of(rest->data, n < rest->len ? n : rest->len);
	span_advance(rest, piece.len);
	return piece;
}

/* Until the verdict; before it somebody always has something to say. */
static enum login_status
converse(struct login *login, struct server *server, uint64_t *seed)
{
	static char data[OUT_MAX];
	struct outbuf out;
	outbuf_init(&out, data, sizeof(data));
	enum login_status status = login_connected(login, &out);
	struct span to_server = outbuf_span(&out);
	struct span to_gateway = outbuf_span(&server->out);
	while (status == LOGIN_WAIT) {
		assert_true(to_server.len + to_gateway.len > 0);
		while (to_server.len > 0)
			serve(server, random_piece(&to_server, seed));
		to_gateway.len = server->out.len -
				 (size_t)(to_gateway.data - server->out.data);
		while (to_gateway.len > 0 && status == LOGIN_WAIT) {
			struct span in = random_piece(&to_gateway, seed);
			status = login_feed(login, &in, &out);
			assert_int_equal(in.len, 0);
		}
		assert_false(out.overflow);
		to_server.len = out.len - (size_t)(to_server.data - out.data);
	}
	return status;
}

static void
check(struct credentials *credentials, const char *capabilities, bool greets,
    uint64_t *seed)
{
	static struct server server;
	struct backend backend = {.client_ip = CLIENT_IP_NONE};
	struct client_id client_id = {.name = ""};
	struct login_params params = {
	    .backend = &backend,
	    .credentials = credentials,
	    .client_id = &client_id,
	    .session_id = "x",
	};
	memset(&server, 0, sizeof(server));
	server.parser = command_parser_new();
	server.capabilities = capabilities;
	outbuf_init(&server.out, server.data, sizeof(server.data));
	if (greets)
		outbuf_printf(
		    &server.out, "* OK [CAPABILITY %s] hi\r\n", capabilities);
	else
		outbuf_puts(&server.out, "* OK hi\r\n");
	struct login *login = login_new(&params);
	assert_int_equal(converse(login, &server, seed), LOGIN_OK);
	assert_true(span_equal(
	    span_secret(&server.user), span_secret(&credentials->user)));
	assert_true(span_equal(span_secret(&server.password),
	    span_secret(&credentials->password)));
	assert_true(span_equal(
	    span_secret(&server.token), span_secret(&credentials->token)));
	login_free(login);
	sasl_fini(&server.sasl);
	secret_wipe(&server.user);
	secret_wipe(&server.password);
	secret_wipe(&server.token);
	command_parser_free(server.parser);
}

static const char *const lists[] = {"IMAP4rev1", "IMAP4rev1 SASL-IR",
    "IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2",
    "IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2", "IMAP4rev1 LITERAL+",
    "IMAP4rev1 LITERAL-", "IMAP4rev2 AUTH=XOAUTH2",
    "IMAP4rev1 LITERAL+ SASL-IR AUTH=PLAIN ID"};

#define N_LISTS (sizeof(lists) / sizeof(lists[0]))

static void
set_octets(struct secret *secret, size_t len, uint64_t *seed)
{
	static const char awkward[] = "\r\n\"\\{}+ *%()\x7f\x80\xff]";
	static uint8_t octets[4096];
	bool is_awkward = next_random(seed) % 2 == 0;
	bool is_plain = next_random(seed) % 4 == 0;
	for (size_t i = 0; i < len; i++) {
		uint64_t r = next_random(seed);
		octets[i] = (uint8_t)(1 + r % (is_plain ? 127 : 255));
		if (is_awkward && r % 3 == 0)
			octets[i] =
			    (uint8_t)awkward[r / 3 % (sizeof(awkward) - 1)];
	}
	assert_true(secret_set(secret, span_of(octets, len)));
}

static void
set_password(struct credentials *credentials, size_t max, uint64_t *seed)
{
	static const char *const mechanisms[] = {"LOGIN", "PLAIN", "LOGIN"};
	size_t kind = next_random(seed) % 3;
	credentials->kind = CREDENTIALS_PASSWORD;
	credentials->from_command = kind == 0;
	memcpy(credentials->mechanism, mechanisms[kind], 6);
	set_octets(&credentials->user, 1 + next_random(seed) % max, seed);
	set_octets(&credentials->password, next_random(seed) % (max + 1), seed);
}

static void
check_passwords(size_t n, size_t max)
{
	uint64_t seed = 20260801 + max;
	for (size_t i = 0; i < n; i++) {
		struct credentials credentials = {.kind = CREDENTIALS_NONE};
		set_password(&credentials, max, &seed);
		check(&credentials, lists[i % N_LISTS], i / N_LISTS % 2 == 0,
		    &seed);
		credentials_wipe(&credentials);
	}
}

static void
test_passwords(void **state)
{
	(void)state;
	check_passwords(6000, 255);
}

static void
test_short_passwords(void **state)
{
	(void)state;
	check_passwords(4000, 3);
}

static void
test_long_passwords(void **state)
{
	(void)state;
	check_passwords(400, COMMAND_LITERAL_MAX);
}

static void
test_each_octet(void **state)
{
	(void)state;
	uint64_t seed = 1;
	for (int c = 1; c < 256; c++) {
		for (size_t i = 0; i < N_LISTS; i++) {
			struct credentials credentials = {
			    .kind = CREDENTIALS_PASSWORD,
			    .from_command = true,
			    .mechanism = "LOGIN",
			};
			uint8_t octet = (uint8_t)c;
			assert_true(
			    secret_set(&credentials.user, span_of(&octet, 1)));
			assert_true(secret_set(
			    &credentials.password, span_of(&octet, 1)));
			check(&credentials, lists[i], true, &seed);
			credentials_wipe(&credentials);
		}
	}
}

static void
test_tokens(void **state)
{
	(void)state;
	uint64_t seed = 7;
	for (size_t i = 0; i < 400; i++) {
		struct credentials credentials = {
		    .kind = CREDENTIALS_TOKEN,
		    .mechanism = "XOAUTH2",
		    .has_initial = true,
		};
		char text[8700];
		struct outbuf out;
		size_t len = next_random(&seed) % (i % 8 == 0 ? 8500 : 300);
		/* Skip the list that has mechanisms, but not this one. */
		if (strstr(lists[i % N_LISTS], "AUTH=PLAIN ID") != NULL)
			continue;
		assert_true(secret_set(&credentials.user, span_str("me@x")));
		outbuf_init(&out, text, sizeof(text));
		outbuf_puts(&out, "user=me@x\1auth=Bearer ");
		while (len-- > 0)
			outbuf_putc(
			    &out, (char)('!' + next_random(&seed) % 90));
		outbuf_puts(&out, "\1\1");
		assert_true(secret_set(&credentials.token, outbuf_span(&out)));
		check(&credentials, lists[i % N_LISTS], true, &seed);
		credentials_wipe(&credentials);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_passwords),
	    cmocka_unit_test(test_short_passwords),
	    cmocka_unit_test(test_long_passwords),
	    cmocka_unit_test(test_each_octet),
	    cmocka_unit_test(test_tokens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
