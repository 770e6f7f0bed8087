/* SPDX-License-Identifier: ISC */
/* Runs a fuzz target over files: `make check-fuzz` replays the corpora with
 * the ordinary compiler. Arguments are files, or directories of files. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

_Noreturn static void
fail(const char *path)
{
	perror(path);
	exit(1);
}

/* The input is copied to a block of its exact size, so that a sanitizer sees
 * every read behind its end. */
static void
replay_file(const char *path)
{
	static uint8_t buffer[INPUT_MAX];
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		fail(path);
	size_t len = fread(buffer, 1, sizeof buffer, file);
	if (ferror(file) || fclose(file) != 0)
		fail(path);
	uint8_t *input = malloc(len == 0 ? 1 : len);
	if (input == NULL)
		fail(path);
	memcpy(input, buffer, len);
	LLVMFuzzerTestOneInput(input, len);
	free(input);
}

static unsigned
replay_directory(const char *path)
{
	DIR *directory = opendir(path);
	if (directory == NULL)
		fail(path);
	unsigned n = 0;
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		char name[4096];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
		replay_file(name);
		n++;
	}
	closedir(directory);
	return n;
}

int
main(int argc, char **argv)
{
	unsigned n = 0;
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++) {
		struct stat info;
		if (stat(argv[i], &info) != 0)
			fail(argv[i]);
		if (S_ISDIR(info.st_mode)) {
			n += replay_directory(argv[i]);
			continue;
		}
		replay_file(argv[i]);
		n++;
	}
	printf("%u inputs\n", n);
	return 0;
}
