/* SPDX-License-Identifier: ISC */
/* See file.h. Called in the master, which may read files that nobody else may.
 */
#include "tls/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Takes what the descriptor holds; one octet more than fstat() said is asked
 * for, to notice a file that grows under our eyes. */
static const char *
read_all(int fd, size_t len, struct secret *out)
{
	size_t got = 0;
	ssize_t n;

	out->data = malloc(len + 1);
	if (out->data == NULL)
		return "out of memory";
	out->len = len + 1;
	do {
		n = read(fd, out->data + got, len + 1 - got);
		if (n > 0)
			got += (size_t)n;
	} while ((n > 0 && got <= len) || (n < 0 && errno == EINTR));
	if (n < 0)
		return strerror(errno);
	if (got != len)
		return "changed while it was read";
	out->data[len] = '\0';
	out->len = len;
	return NULL;
}

/* Returns NULL or why not. A device or a pipe could hang the master. */
const char *
file_read(const char *path, size_t max, struct secret *out, mode_t *out_mode)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	const char *why = NULL;

	if (fd < 0)
		return strerror(errno);
	if (fstat(fd, &st) != 0)
		why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		why = "not a regular file";
	else if (st.st_size == 0)
		why = "is empty";
	else if ((size_t)st.st_size > max)
		why = "is too large";
	else
		why = read_all(fd, (size_t)st.st_size, out);
	*out_mode = st.st_mode;
	close(fd);
	return why;
}
