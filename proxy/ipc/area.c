/* SPDX-License-Identifier: ISC */
/*
 * See area.h. The size is sealed before anybody else sees the descriptor, so
 * a reader can never be sent a SIGBUS by a writer that shrinks the file.
 */
#include "proxy/ipc/area.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Another open file description: dup() would share the right to write. */
static int
reopen_read_only(int fd)
{
	char path[64];
	int n = snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -1;
	return open(path, O_RDONLY | O_CLOEXEC);
}

static bool
prepare(struct area *area)
{
	if (ftruncate(area->rw_fd, (off_t)area->size) != 0 ||
	    fchmod(area->rw_fd, 0600) != 0 ||
	    fcntl(area->rw_fd, F_ADD_SEALS, SEALS) != 0)
		return false;
	area->ro_fd = reopen_read_only(area->rw_fd);
	if (area->ro_fd < 0)
		return false;
	area->data = area_map(area->rw_fd, true, NULL);
	return area->data != NULL;
}

bool
area_create(const char *name, size_t size, struct area *out_area)
{
	*out_area = (struct area){.rw_fd = -1, .ro_fd = -1, .size = size};
	out_area->rw_fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (out_area->rw_fd >= 0 && prepare(out_area))
		return true;
	int saved = errno;
	area_close(out_area);
	errno = saved;
	return false;
}

void
area_close(struct area *area)
{
	if (area->data != NULL)
		munmap(area->data, area->size);
	if (area->ro_fd >= 0)
		close(area->ro_fd);
	if (area->rw_fd >= 0)
		close(area->rw_fd);
	*area = (struct area){.rw_fd = -1, .ro_fd = -1};
}

void *
area_map(int fd, bool writable, size_t *out_size)
{
	struct stat status;
	if (fstat(fd, &status) != 0)
		return NULL;
	if (status.st_size <= 0) {
		errno = EPROTO;
		return NULL;
	}
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS) != SEALS) {
		errno = EPROTO;
		return NULL;
	}
	int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
	void *data =
	    mmap(NULL, (size_t)status.st_size, protection, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		return NULL;
	if (out_size != NULL)
		*out_size = (size_t)status.st_size;
	return data;
}
