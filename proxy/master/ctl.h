/* SPDX-License-Identifier: ISC */
/* `sallyport ctl`: asks the control socket and prints what it says. */
#ifndef MASTER_CTL_H
#define MASTER_CTL_H

/*
 * sallyport ctl [-c FILE | -s SOCKET] [--json] COMMAND...
 *
 * argc and argv are those of the program; argv[1] is "ctl". The socket is
 * -s, or what the configuration FILE names, or that of the installed
 * configuration, or the default. Prints tables, or with --json the lines of
 * the reply without the closing one.
 *
 * Returns the exit status: 0 good, 1 the gateway answered with an error,
 * 2 wrong usage, no connection, or a reply that ends early.
 */
int ctl_main(int argc, char **argv);

#endif
