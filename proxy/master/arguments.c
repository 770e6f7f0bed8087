/* SPDX-License-Identifier: ISC */
/* See arguments.h. Called by main() only. */
#include "proxy/master/arguments.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char arguments_usage[] =
    "usage: sallyport -c FILE         run in the foreground\n"
    "       sallyport -t [-c FILE]    check the configuration and report\n"
    "       sallyport -T [-c FILE]    print the effective configuration\n"
    "       sallyport ctl [-c FILE | -s SOCKET] [--json] COMMAND\n"
    "       sallyport -V | -h         versions, this help\n"
    "FILE is " SALLYPORT_CONFIG " unless given.\n"
    "Signals: HUP reload, TERM stop within stop_timeout (a second one now),\n"
    "INT stop now, USR1 reopen the logs.\n";

static bool
take_mode(struct arguments *arguments, enum run_mode mode)
{
	if (arguments->mode != RUN_GATEWAY)
		return false;
	arguments->mode = mode;
	return true;
}

static bool
take_option(struct arguments *arguments, int option)
{
	switch (option) {
	case 'c':
		arguments->path = optarg;
		return optarg[0] != '\0';
	case 't':
		return take_mode(arguments, RUN_CHECK);
	case 'T':
		return take_mode(arguments, RUN_PRINT);
	case 'V':
		return take_mode(arguments, RUN_VERSION);
	case 'h':
		return take_mode(arguments, RUN_HELP);
	default:
		return false; /* getopt said why */
	}
}

struct arguments
arguments_parse(int argc, char **argv)
{
	struct arguments arguments = {RUN_GATEWAY, SALLYPORT_CONFIG};
	const struct arguments bad = {RUN_BAD, NULL};
	if (argc < 2)
		return bad;
	if (strcmp(argv[1], "ctl") == 0)
		return (struct arguments){RUN_CTL, NULL};
	int option;
	while ((option = getopt(argc, argv, "+c:tTVh")) != -1)
		if (!take_option(&arguments, option))
			return bad;
	if (optind == argc)
		return arguments;
	fprintf(stderr, "%s: unexpected \"%s\"\n", argv[0], argv[optind]);
	return bad;
}
