/* SPDX-License-Identifier: ISC */
/*
 * Seals images and maps them. The master is trusted: what is checked here is
 * that nothing can change under a reader and that both were built alike, not
 * the offsets inside.
 */
#include "config/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

static int
write_all(int fd, struct span bytes)
{
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.data, bytes.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		span_advance(&bytes, (size_t)n);
	}
	return 0;
}

int
snapshot_seal(struct builder *builder, uint64_t generation)
{
	struct config *config = builder_config(builder);
	config->layout = CONFIG_LAYOUT;
	config->size = builder->len;
	config->generation = generation;

	int fd = memfd_create("snapshot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd == -1)
		return -1;
	if (write_all(fd, span_of(builder->data, builder->len)) == -1 ||
	    fcntl(fd, F_ADD_SEALS, SEALS) == -1) {
		int saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static bool
is_image(const struct config *config, size_t size)
{
	return config->layout == CONFIG_LAYOUT && config->size == size;
}

const struct config *
snapshot_map(int fd)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals == -1 || (seals & SEALS) != SEALS || fstat(fd, &st) == -1 ||
	    st.st_size < (off_t)sizeof(struct config)) {
		errno = EPROTO;
		return NULL;
	}
	size_t size = (size_t)st.st_size;
	void *data = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (data == MAP_FAILED)
		return NULL;
	if (!is_image(data, size)) {
		munmap(data, size);
		errno = EPROTO;
		return NULL;
	}
	return data;
}

void
snapshot_unmap(const struct config *config)
{
	if (config != NULL)
		munmap((void *)(uintptr_t)config, config->size);
}
