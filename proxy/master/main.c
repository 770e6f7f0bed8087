/* SPDX-License-Identifier: ISC */
/* needs: proxy/master/ proxy/ipc/ proxy/base/ config/ backends/pool.c */
/* needs: tls/certificate.c tls/key_image.c tls/file.c tls/judge.c */
/* needs: tls/names.c tls/x509.c */
/* needs: proxy/limits/limiter.c proxy/limits/decide.c */
/* needs: proxy/limits/victim.c */
/* needs: proxy/limits/ladder.c proxy/limits/networks_build.c */
/* needs: tls/names_build.c tls/policy.c tls/policy_check.c */
/* needs: tls/policy_print.c tls/ticket.c */
/* needs: backends/live.c tls/backend_load.c */
/* needs: tls/ticket_secret.c tls/client_load.c tls/issuer.c tls/renewal.c */
/* libs: boringssl uv inih */
/*
 * sallyport, the one program that a person starts: the gateway's master, and
 * what explains, checks and controls it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "proxy/master/arguments.h"
#include "proxy/master/check.h"
#include "proxy/master/ctl.h"
#include "proxy/master/master.h"
#include "tls/key.h"

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

static int
print_versions(void)
{
	printf("sallyport %s\n"
	       "BoringSSL API %d\n"
	       "libuv %s\n"
	       "compiled by %s\n",
	    SALLYPORT_VERSION, BORINGSSL_API_VERSION, uv_version_string(),
	    COMPILER);
	return 0;
}

/* Whoever starts us may have closed some: what we open must not be taken for
 * them, by us or by a role. */
static bool
have_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	return fd >= 0;
}

static int
run_gateway(const char *path)
{
	if (!have_standard_files()) {
		fprintf(stderr, "sallyport: /dev/null: %s\n", strerror(errno));
		return 1;
	}
	/* What the caller left open is not ours, nor our children's. */
	(void)close_range(STDERR_FILENO + 1, ~0U, 0);
	/* Signals stay blocked: a late one must not change the status. */
	return master_run(path);
}

int
main(int argc, char **argv)
{
	/* First of all: a signal that comes now is handled later, not lost. */
	sigset_t handled, before;
	master_signals(&handled);
	(void)sigprocmask(SIG_BLOCK, &handled, &before);
	(void)signal(SIGPIPE, SIG_IGN);

	struct arguments arguments = arguments_parse(argc, argv);
	if (arguments.mode == RUN_GATEWAY)
		return run_gateway(arguments.path);
	/* Everything else is short and may be interrupted. */
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	switch (arguments.mode) {
	case RUN_GATEWAY:
		break;
	case RUN_CHECK:
		return check_run(arguments.path);
	case RUN_PRINT:
		return check_print(arguments.path);
	case RUN_VERSION:
		return print_versions();
	case RUN_HELP:
		fputs(arguments_usage, stdout);
		return 0;
	case RUN_CTL:
		return ctl_main(argc, argv);
	case RUN_BAD:
		fputs(arguments_usage, stderr);
		break;
	}
	return 2;
}
