/* SPDX-License-Identifier: ISC */
/* Parses the load generator's command line and gives the defaults. */
#include "test/bench/load/options.h"

#include <getopt.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const MODE_NAMES[N_MODES] = {
    [MODE_FULL] = "full",
    [MODE_RESUMED] = "resumed",
    [MODE_LOGIN] = "login",
    [MODE_NOOP_CLOSED] = "noop-closed",
    [MODE_NOOP_OPEN] = "noop-open",
    [MODE_FETCH] = "fetch",
    [MODE_APPEND] = "append",
    [MODE_IDLE] = "idle",
    [MODE_MIXED] = "mixed",
};

static const char USAGE[] =
    "usage: bench-load [options] MODE HOST:PORT\n"
    "modes: full resumed login noop-closed noop-open fetch append idle mixed\n"
    "  --number N        connections at once, or sessions held (16)\n"
    "  --seconds S       how long to measure (5)\n"
    "  --count N         or: how many units of work\n"
    "  --rate R          units a second; 0: as fast as answers come (0)\n"
    "  --login-rate R    of mixed (50)\n"
    "  --size KB         of fetch and append (1024)\n"
    "  --processes N     (1)\n"
    "  --sources N       addresses from 127.1.0.1 on; 0: not bound (64)\n"
    "  --ramp N          sessions being made at once, per process (32)\n"
    "  --timeout S       for a connection, an answer (30)\n"
    "  --user U          \"%d\" stands for the session's number (bench)\n"
    "  --password P      (bench)\n"
    "  --literals        log in with literals instead of quoted strings\n"
    "  --idle-command    hold idle sessions in IDLE\n"
    "  --alpn            offer imap\n"
    "  --tls 1.2|1.3     only this version (1.2 or later)\n"
    "  --sigalgs LIST    signatures accepted, so which certificate is shown\n"
    "  --groups LIST     (X25519:P-256; the first is used)\n"
    "  --sni NAME\n"
    "  --sync            wait for a line before beginning and before closing\n";

enum option_id {
	OPTION_NUMBER = 256,
	OPTION_SECONDS,
	OPTION_COUNT,
	OPTION_RATE,
	OPTION_LOGIN_RATE,
	OPTION_SIZE,
	OPTION_PROCESSES,
	OPTION_SOURCES,
	OPTION_RAMP,
	OPTION_TIMEOUT,
	OPTION_USER,
	OPTION_PASSWORD,
	OPTION_LITERALS,
	OPTION_IDLE_COMMAND,
	OPTION_ALPN,
	OPTION_TLS,
	OPTION_SIGALGS,
	OPTION_GROUPS,
	OPTION_SNI,
	OPTION_SYNC,
};

static const struct option OPTIONS[] = {
    {"number", required_argument, NULL, OPTION_NUMBER},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"login-rate", required_argument, NULL, OPTION_LOGIN_RATE},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"processes", required_argument, NULL, OPTION_PROCESSES},
    {"sources", required_argument, NULL, OPTION_SOURCES},
    {"ramp", required_argument, NULL, OPTION_RAMP},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"user", required_argument, NULL, OPTION_USER},
    {"password", required_argument, NULL, OPTION_PASSWORD},
    {"literals", no_argument, NULL, OPTION_LITERALS},
    {"idle-command", no_argument, NULL, OPTION_IDLE_COMMAND},
    {"alpn", no_argument, NULL, OPTION_ALPN},
    {"tls", required_argument, NULL, OPTION_TLS},
    {"sigalgs", required_argument, NULL, OPTION_SIGALGS},
    {"groups", required_argument, NULL, OPTION_GROUPS},
    {"sni", required_argument, NULL, OPTION_SNI},
    {"sync", no_argument, NULL, OPTION_SYNC},
    {NULL, 0, NULL, 0},
};

const char *
options_mode_name(enum load_mode mode)
{
	return MODE_NAMES[mode];
}

static bool
parse_number(const char *text, double min, double max, double *out)
{
	char *end;
	double n = strtod(text, &end);
	if (end == text || *end || !(n >= min && n <= max)) {
		fprintf(stderr, "bench-load: bad number: %s\n", text);
		return false;
	}
	*out = n;
	return true;
}

static bool
set_version(struct load_options *o, const char *text)
{
	bool old = strcmp(text, "1.2") == 0;
	if (!old && strcmp(text, "1.3") != 0)
		return false;
	o->min_version = o->max_version = old ? TLS1_2_VERSION : TLS1_3_VERSION;
	return true;
}

static bool
set_numeric(struct load_options *o, int option, const char *text)
{
	double n = 0;
	double min = option == OPTION_NUMBER || option == OPTION_PROCESSES ||
			     option == OPTION_RAMP
			 ? 1
			 : 0;
	double max = option == OPTION_PROCESSES ? LOAD_PROCESSES_MAX : 1e9;
	if (!parse_number(text, min, max, &n))
		return false;
	if (option == OPTION_NUMBER)
		o->number = (long)n;
	else if (option == OPTION_SECONDS)
		o->seconds = n;
	else if (option == OPTION_COUNT)
		o->count = (uint64_t)n;
	else if (option == OPTION_RATE)
		o->rate = n;
	else if (option == OPTION_LOGIN_RATE)
		o->login_rate = n;
	else if (option == OPTION_SIZE)
		o->size_kb = (uint64_t)n;
	else if (option == OPTION_PROCESSES)
		o->processes = (long)n;
	else if (option == OPTION_SOURCES)
		o->sources = (long)n;
	else if (option == OPTION_RAMP)
		o->ramp = (long)n;
	else
		o->timeout = n;
	return true;
}

static bool
set_option(struct load_options *o, int option, const char *text)
{
	if (option >= OPTION_NUMBER && option <= OPTION_TIMEOUT)
		return set_numeric(o, option, text);
	if (option == OPTION_TLS)
		return set_version(o, text);
	if (option == OPTION_USER)
		o->user = text;
	else if (option == OPTION_PASSWORD)
		o->password = text;
	else if (option == OPTION_LITERALS)
		o->literals = true;
	else if (option == OPTION_IDLE_COMMAND)
		o->idle_command = true;
	else if (option == OPTION_ALPN)
		o->alpn = true;
	else if (option == OPTION_SIGALGS)
		o->sigalgs = text;
	else if (option == OPTION_GROUPS)
		o->groups = text;
	else if (option == OPTION_SNI)
		o->sni = text;
	else if (option == OPTION_SYNC)
		o->sync = true;
	else
		return false;
	return true;
}

static bool
set_mode(struct load_options *o, const char *name)
{
	for (int i = 0; i < N_MODES; i++) {
		if (strcmp(MODE_NAMES[i], name) == 0) {
			o->mode = (enum load_mode)i;
			return true;
		}
	}
	return false;
}

static bool
set_address(struct load_options *o, char *text)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
	    .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	char *colon = strrchr(text, ':');
	if (!colon)
		return false;
	*colon = '\0';
	if (getaddrinfo(text, colon + 1, &hints, &found) != 0)
		return false;
	memcpy(&o->address, found->ai_addr, found->ai_addrlen);
	o->address_len = found->ai_addrlen;
	freeaddrinfo(found);
	return true;
}

/* The rate that a mode has when none is given. */
static void
set_rates(struct load_options *o)
{
	if (o->rate >= 0)
		return;
	o->rate = 0;
	if (o->mode == MODE_NOOP_OPEN)
		o->rate = 1000;
	else if (o->mode == MODE_MIXED)
		o->rate = (double)o->number * 0.02 / 60;
}

bool
options_parse(struct load_options *out, int argc, char **argv)
{
	*out = (struct load_options){
	    .number = 16,
	    .ramp = 32,
	    .rate = -1,
	    .login_rate = 50,
	    .seconds = 5,
	    .size_kb = 1024,
	    .timeout = 30,
	    .processes = 1,
	    .sources = 64,
	    .min_version = TLS1_2_VERSION,
	    .max_version = TLS1_3_VERSION,
	    .groups = "X25519:P-256",
	    .user = "bench",
	    .password = "bench",
	};
	bool good = true;
	bool timed = false;
	for (int c; (c = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
		good = good && set_option(out, c, optarg);
		timed = timed || c == OPTION_SECONDS;
	}
	if (!good || optind + 2 != argc || !set_mode(out, argv[optind]) ||
	    !set_address(out, argv[optind + 1])) {
		fputs(USAGE, stderr);
		return false;
	}
	if (out->count > 0 && !timed)
		out->seconds = 0;
	bool endless = out->seconds <= 0 && out->mode != MODE_IDLE;
	if (out->count < (uint64_t)out->processes && endless) {
		fprintf(stderr, "bench-load: no time and no count\n");
		return false;
	}
	set_rates(out);
	return true;
}
