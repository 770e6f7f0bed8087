/* SPDX-License-Identifier: ISC */
/* Shared areas: one writes, the others only read, nobody changes the size. */
/* needs: proxy/ipc/area.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/ipc/area.h"

#define SIZE 10000

static void
reader_sees_what_the_writer_writes(void **state)
{
	(void)state;
	struct area area;
	assert_true(area_create("test", SIZE, &area));
	size_t size = 0;
	const uint8_t *reader = area_map(area.ro_fd, false, &size);
	assert_non_null(reader);
	assert_int_equal(size, SIZE);
	for (size_t i = 0; i < SIZE; i++)
		assert_int_equal(reader[i], 0);
	memset(area.data, 0x5a, SIZE);
	assert_int_equal(reader[0], 0x5a);
	assert_int_equal(reader[SIZE - 1], 0x5a);
	munmap((void *)(uintptr_t)reader, size);
	area_close(&area);
	assert_null(area.data);
	assert_int_equal(area.rw_fd, -1);
	area_close(&area);
}

static void
read_only_descriptor_cannot_write(void **state)
{
	(void)state;
	struct area area;
	assert_true(area_create("test", SIZE, &area));
	assert_null(area_map(area.ro_fd, true, NULL));
	assert_int_equal(errno, EACCES);
	assert_int_equal(write(area.ro_fd, "x", 1), -1);
	void *data = area_map(area.ro_fd, false, NULL);
	assert_non_null(data);
	assert_int_equal(mprotect(data, SIZE, PROT_READ | PROT_WRITE), -1);
	munmap(data, SIZE);
	area_close(&area);
}

static void
size_and_mode_are_fixed(void **state)
{
	(void)state;
	struct area area;
	assert_true(area_create("test", SIZE, &area));
	assert_int_equal(ftruncate(area.rw_fd, SIZE - 1), -1);
	assert_int_equal(ftruncate(area.rw_fd, SIZE + 1), -1);
	assert_int_equal(fcntl(area.rw_fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	struct stat status;
	assert_int_equal(fstat(area.rw_fd, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(fcntl(area.rw_fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(area.ro_fd, F_GETFD), FD_CLOEXEC);
	area_close(&area);
}

/* Another uid with the read-only descriptor must not get the other back. */
static void
stranger_cannot_reopen_for_writing(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	struct area area;
	assert_true(area_create("test", SIZE, &area));
	pid_t pid = fork();
	if (pid == 0) {
		char path[64];
		snprintf(path, sizeof(path), "/proc/self/fd/%d", area.ro_fd);
		if (setuid(65534) != 0)
			_exit(2);
		_exit(open(path, O_RDWR) >= 0);
	}
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	area_close(&area);
}

static void
unsealed_memory_is_refused(void **state)
{
	(void)state;
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_true(fd >= 0);
	assert_null(area_map(fd, false, NULL));
	assert_int_equal(ftruncate(fd, SIZE), 0);
	assert_null(area_map(fd, false, NULL));
	assert_int_equal(errno, EPROTO);
	close(fd);
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	assert_null(area_map(pipes[0], false, NULL));
	assert_null(area_map(-1, false, NULL));
	close(pipes[0]);
	close(pipes[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reader_sees_what_the_writer_writes),
	    cmocka_unit_test(read_only_descriptor_cannot_write),
	    cmocka_unit_test(size_and_mode_are_fixed),
	    cmocka_unit_test(stranger_cannot_reopen_for_writing),
	    cmocka_unit_test(unsealed_memory_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
