/* SPDX-License-Identifier: ISC */
/* The command line of the load generator. */
#ifndef BENCH_LOAD_OPTIONS_H
#define BENCH_LOAD_OPTIONS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define LOAD_PROCESSES_MAX 64

enum load_mode {
	MODE_FULL,
	MODE_RESUMED,
	MODE_LOGIN,
	MODE_NOOP_CLOSED,
	MODE_NOOP_OPEN,
	MODE_FETCH,
	MODE_APPEND,
	MODE_IDLE,
	MODE_MIXED,
	N_MODES,
};

struct load_options {
	enum load_mode mode;
	struct sockaddr_storage address;
	socklen_t address_len;
	long number; /* slots, over all processes */
	long ramp;   /* connections being made at once, per process */
	double rate; /* units a second, over all processes; 0 closed loop */
	double login_rate; /* mixed only */
	double seconds;
	uint64_t count; /* units, over all processes; 0 until time is over */
	uint64_t size_kb;
	double timeout;
	long processes;
	long sources;
	bool sync; /* wait for a line before measuring and before closing */
	bool idle_command;
	bool literals;
	bool alpn;
	uint16_t min_version, max_version;
	const char *sigalgs;
	const char *groups;
	const char *sni;
	const char *user;
	const char *password;
};

/* False when something is not understood; a message has been printed. */
bool options_parse(struct load_options *out, int argc, char **argv);

const char *options_mode_name(enum load_mode mode);

#endif
