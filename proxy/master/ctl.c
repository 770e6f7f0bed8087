/* SPDX-License-Identifier: ISC */
/*
 * See ctl.h. A short-lived client: it may block and may end the program. What
 * it prints came over a socket that the master bound, and is nevertheless
 * checked to be printable before it reaches a terminal.
 */
#include "proxy/master/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/master/compile.h"
#include "proxy/master/ctl_json.h"
#include "proxy/master/ctl_table.h"
#include "proxy/master/ctl_top.h"

#define REQUEST_MAX    4096
#define REPLY_LINE_MAX 16384
#define REPLY_SECONDS  40 /* without an octet: a reload takes its time */

enum {
	CTL_GOOD,
	CTL_ERROR,
	CTL_USAGE
};

struct ctl {
	const char *config_path;
	char socket_path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	bool json;
	char request[REQUEST_MAX];
	struct ctl_table table;
	struct top_rows *rows; /* where they go instead; NULL: the table */
};

static int
usage(void)
{
	fputs("usage: sallyport ctl [-c FILE | -s SOCKET] [--json] COMMAND...\n"
	      "       sallyport ctl -h lists the commands\n",
	    stderr);
	return CTL_USAGE;
}

static bool
set_socket(struct ctl *ctl, const char *path)
{
	int n =
	    snprintf(ctl->socket_path, sizeof(ctl->socket_path), "%s", path);
	return n > 0 && (size_t)n < sizeof(ctl->socket_path);
}

/* Words are joined by one space; a word must not end the line. */
static bool
add_word(struct ctl *ctl, const char *word)
{
	size_t used = strlen(ctl->request);
	size_t room = sizeof(ctl->request) - used;
	const char *space = used > 0 ? " " : "";
	for (const char *c = word; *c != '\0'; c++)
		if (*c < 0x20 || *c > 0x7e)
			return false;
	/* One octet stays for the line's end. */
	int n = snprintf(ctl->request + used, room - 1, "%s%s", space, word);
	return n >= 0 && (size_t)n < room - 1;
}

static bool
parse_arguments(struct ctl *ctl, int argc, char **argv)
{
	int i = 2;
	for (; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "--json") == 0)
			ctl->json = true;
		else if (strcmp(argv[i], "-h") == 0 ||
			 strcmp(argv[i], "--help") == 0)
			return add_word(ctl, "help");
		else if (strcmp(argv[i], "-c") == 0 && i + 1 < argc)
			ctl->config_path = argv[++i];
		else if (strcmp(argv[i], "-s") != 0 || i + 1 >= argc ||
			 !set_socket(ctl, argv[++i]))
			return false;
	}
	if (i == argc)
		return false;
	for (; i < argc; i++)
		if (!add_word(ctl, argv[i]))
			return false;
	return ctl->config_path == NULL || ctl->socket_path[0] == '\0';
}

static bool
socket_of_config(struct ctl *ctl, const char *path)
{
	struct problems problems = {0};
	struct builder *builder = compile_load(path, &problems);
	bool found = false;
	if (builder == NULL) {
		fputs(problems.errors, stderr);
	} else {
		const struct config *config = builder_config(builder);
		struct text control = config->gateway.control;
		found = set_socket(ctl, config_text(config, control));
		if (!found)
			fprintf(
			    stderr, "sallyport: %s sets control = off\n", path);
		builder_free(builder);
	}
	problems_free(&problems);
	return found;
}

static bool
find_socket(struct ctl *ctl)
{
	if (ctl->socket_path[0] != '\0')
		return true;
	if (ctl->config_path != NULL)
		return socket_of_config(ctl, ctl->config_path);
	if (access(SALLYPORT_CONFIG, R_OK) == 0)
		return socket_of_config(ctl, SALLYPORT_CONFIG);
	return set_socket(ctl, CONFIG_CONTROL_DEFAULT);
}

static int
connect_to(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = REPLY_SECONDS};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	memcpy(sun.sun_path, path, sizeof(sun.sun_path));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) !=
		0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) !=
		0 ||
	    connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) != 0) {
		int saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static bool
is_printable(const char *line)
{
	for (; *line != '\0'; line++)
		if (*line < 0x20 || *line > 0x7e)
			return false;
	return true;
}

/* Behind the lines that led to it. */
static void
show_error(struct ctl *ctl, const char *text)
{
	ctl_table_flush(&ctl->table, stdout);
	fflush(stdout);
	fprintf(stderr, "sallyport: %s\n", text);
}

/* One line of the reply. Returns -1 while there is more to come. */
static int
take_line(struct ctl *ctl, char *line)
{
	struct ctl_member members[CTL_MEMBERS_MAX];
	size_t n;
	if (!is_printable(line))
		return CTL_USAGE;
	char *whole = ctl->json ? strdup(line) : NULL;
	if ((ctl->json && whole == NULL) ||
	    !ctl_json_parse(line, members, &n)) {
		free(whole);
		return CTL_USAGE;
	}
	int status = -1;
	if (strcmp(members[0].key, "end") == 0)
		status = CTL_GOOD;
	else if (strcmp(members[0].key, "error") == 0)
		status = CTL_ERROR;
	if (ctl->json && status != CTL_GOOD)
		puts(whole);
	else if (status == CTL_ERROR)
		show_error(ctl, members[0].value);
	else if (status < 0 && ctl->rows != NULL)
		top_rows_add(ctl->rows, members, n);
	else if (status < 0)
		ctl_table_add(&ctl->table, members, n, stdout);
	free(whole);
	return status;
}

static int
read_reply(struct ctl *ctl, FILE *stream)
{
	char line[REPLY_LINE_MAX];
	int status = -1;
	while (status < 0 && fgets(line, sizeof(line), stream) != NULL) {
		char *end = strchr(line, '\n');
		if (end == NULL)
			break;
		*end = '\0';
		status = take_line(ctl, line);
	}
	ctl_table_flush(&ctl->table, stdout);
	/* A person would wonder whether it did anything. */
	if (status == CTL_GOOD && !ctl->json && ctl->rows == NULL &&
	    !ctl->table.printed && isatty(STDOUT_FILENO))
		puts("done, nothing to show");
	if (status >= 0 && status != CTL_USAGE)
		return status;
	fputs("sallyport: the reply ended early or is malformed\n", stderr);
	return CTL_USAGE;
}

static void
say_unreachable(const char *socket_path)
{
	int why = errno;
	fprintf(stderr, "sallyport: cannot connect to %s: %s\n", socket_path,
	    strerror(why));
	if (why == EACCES)
		fputs("sallyport: it is for root and control_group\n", stderr);
	else if (why == ENOENT || why == ECONNREFUSED)
		fputs("sallyport: no gateway runs, or its control socket is "
		      "elsewhere: -c FILE or -s SOCKET\n",
		    stderr);
}

static int
ask(struct ctl *ctl)
{
	int fd = connect_to(ctl->socket_path);
	if (fd < 0) {
		say_unreachable(ctl->socket_path);
		return CTL_USAGE;
	}
	size_t len = strlen(ctl->request);
	ctl->request[len++] = '\n';
	FILE *stream = fdopen(fd, "r");
	if (stream == NULL) {
		close(fd);
		return CTL_USAGE;
	}
	int status = CTL_USAGE;
	if (send(fd, ctl->request, len, MSG_NOSIGNAL) == (ssize_t)len)
		status = read_reply(ctl, stream);
	else
		fputs("sallyport: the request was not taken\n", stderr);
	fclose(stream);
	if (fflush(stdout) != 0)
		status = CTL_USAGE;
	return status;
}

static int
ask_for_rows(void *arg, const char *request, struct top_rows *rows)
{
	struct ctl *ctl = arg;
	ctl->rows = rows;
	snprintf(ctl->request, sizeof(ctl->request), "%s", request);
	return ask(ctl);
}

static bool
is_top(const struct ctl *ctl)
{
	static const char *const forms[] = {
	    "top", "top user", "top address", "top backend"};
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strcmp(ctl->request, forms[i]) == 0)
			return true;
	return false;
}

int
ctl_main(int argc, char **argv)
{
	struct ctl ctl = {0};
	if (!parse_arguments(&ctl, argc, argv))
		return usage();
	if (!find_socket(&ctl))
		return CTL_USAGE;
	if (!ctl.json && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) &&
	    is_top(&ctl))
		return ctl_top(
		    ctl.request[3] == '\0' ? "user" : ctl.request + 4,
		    ask_for_rows, &ctl);
	return ask(&ctl);
}
