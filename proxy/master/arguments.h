/* SPDX-License-Identifier: ISC */
/* The command line of the master: sallyport(8). */
#ifndef MASTER_ARGUMENTS_H
#define MASTER_ARGUMENTS_H

enum run_mode {
	RUN_GATEWAY, /* -c FILE */
	RUN_CHECK,   /* -t */
	RUN_PRINT,   /* -T */
	RUN_VERSION, /* -V */
	RUN_HELP,    /* -h */
	RUN_CTL,     /* ctl ...: the rest is not looked at */
	RUN_BAD,     /* why it is bad was printed to stderr */
};

struct arguments {
	enum run_mode mode;
	const char *path; /* of the configuration; points into argv or static */
};

/* Uses getopt, so once per process (a test resets optind). */
struct arguments arguments_parse(int argc, char **argv);

/* For -h and behind an error. */
extern const char arguments_usage[];

#endif
