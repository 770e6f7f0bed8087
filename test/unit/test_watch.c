/* SPDX-License-Identifier: ISC */
/* needs: proxy/master/watch.c config/builder.c proxy/base/ */
/*
 * Real files in a scratch directory; the clock is a parameter. What administers
 * certificates writes in place, renames over, or swaps a symbolic link.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/load.h"
#include "proxy/master/watch.h"

struct scene {
	char directory[64];
	struct builder *builder;
	struct watch watch;
	uint64_t now_ms;
};

static void
path_of(const struct scene *scene, const char *name, char out[128])
{
	snprintf(out, 128, "%s/%s", scene->directory, name);
}

static void
write_file(const struct scene *scene, const char *name, const char *content)
{
	char path[128];
	path_of(scene, name, path);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fputs(content, file);
	assert_int_equal(fclose(file), 0);
}

static void
make_config(struct scene *scene)
{
	char path[128];
	struct builder *builder = calloc(1, sizeof(*builder));
	assert_non_null(builder);
	builder_append(builder, NULL, sizeof(struct config), 16);
	uint32_t at = builder_append(
	    builder, NULL, sizeof(struct config_certificate), 16);
	path_of(scene, "live/chain.pem", path);
	struct text chain = builder_text(builder, span_str(path));
	path_of(scene, "key.pem", path);
	struct text key = builder_text(builder, span_str(path));
	struct config_certificate *certificate =
	    (struct config_certificate *)(void *)(builder->data + at);
	certificate->chain = chain;
	certificate->key = key;
	builder_config(builder)->certificates = (struct items){at, 1};
	scene->builder = builder;
}

static int
setup(void **state)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	char path[128];
	assert_non_null(scene);
	snprintf(scene->directory, sizeof(scene->directory), "%s",
	    "/tmp/sallyport-watch-XXXXXX");
	assert_non_null(mkdtemp(scene->directory));
	path_of(scene, "live", path);
	assert_int_equal(mkdir(path, 0700), 0);
	write_file(scene, "one.pem", "one");
	write_file(scene, "key.pem", "key");
	path_of(scene, "live/chain.pem", path);
	assert_int_equal(symlink("../one.pem", path), 0);
	make_config(scene);
	watch_init(&scene->watch);
	scene->now_ms = 1000;
	const struct config *config = builder_config(scene->builder);
	watch_set(&scene->watch, config, watch_signature(config), 1000);
	*state = scene;
	return 0;
}

static int
teardown(void **state)
{
	struct scene *scene = *state;
	static const char *const names[] = {"live/chain.pem", "live/new",
	    "one.pem", "two.pem", "key.pem", "key.new", "other"};
	char path[128];
	watch_fini(&scene->watch);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		path_of(scene, names[i], path);
		unlink(path);
	}
	path_of(scene, "live", path);
	rmdir(path);
	path_of(scene, "aside", path);
	rmdir(path);
	rmdir(scene->directory);
	builder_free(scene->builder);
	free(scene);
	return 0;
}

/* Lets the clock run to every next look for as long as given; counts reports.
 */
static int
run_for(struct scene *scene, uint64_t ms)
{
	uint64_t end_ms = scene->now_ms + ms;
	int reports = 0;
	struct pollfd readable = {scene->watch.fd, POLLIN, 0};
	if (scene->watch.fd >= 0 && poll(&readable, 1, 0) == 1)
		watch_ready(&scene->watch, scene->now_ms);
	for (;;) {
		uint64_t next_ms;
		reports += watch_step(&scene->watch, scene->now_ms, &next_ms);
		assert_true(next_ms > scene->now_ms);
		if (next_ms > end_ms)
			break;
		scene->now_ms = next_ms;
	}
	scene->now_ms = end_ms;
	return reports;
}

static void
take(struct scene *scene)
{
	const struct config *config = builder_config(scene->builder);
	watch_set(
	    &scene->watch, config, watch_signature(config), scene->now_ms);
}

static void
test_nothing_happens(void **state)
{
	assert_int_equal(run_for(*state, 3600 * 1000), 0);
}

static void
test_rename_over(void **state)
{
	struct scene *scene = *state;
	char from[128], to[128];
	run_for(scene, 2000);
	write_file(scene, "key.new", "newer");
	path_of(scene, "key.new", from);
	path_of(scene, "key.pem", to);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(run_for(scene, 2000), 1);
	take(scene);
	assert_int_equal(run_for(scene, 3600 * 1000), 0);
}

static void
test_symbolic_link_is_swapped(void **state)
{
	struct scene *scene = *state;
	char link[128], new[128];
	run_for(scene, 2000);
	write_file(scene, "two.pem", "two");
	path_of(scene, "live/new", new);
	path_of(scene, "live/chain.pem", link);
	assert_int_equal(symlink("../two.pem", new), 0);
	assert_int_equal(rename(new, link), 0);
	assert_int_equal(run_for(scene, 2000), 1);
}

/* Made where nobody looks, so that the swap is all that is seen. */
static void
link_to(const struct scene *scene, const char *target, const char *name)
{
	char aside[128], new[128], link[128];
	path_of(scene, "aside", aside);
	path_of(scene, "aside/new", new);
	path_of(scene, name, link);
	mkdir(aside, 0700);
	assert_int_equal(symlink(target, new), 0);
	assert_int_equal(rename(new, link), 0);
}

/* "live" itself becomes a link, by way of another: live -> now -> first. */
static void
hide_directory(const struct scene *scene)
{
	char from[128], to[128];
	path_of(scene, "live", from);
	path_of(scene, "first", to);
	assert_int_equal(rename(from, to), 0);
	path_of(scene, "deep", to);
	assert_int_equal(mkdir(to, 0700), 0);
	link_to(scene, "../first", "deep/now");
	link_to(scene, "deep/now", "live");
}

static void
show_directory(const struct scene *scene)
{
	char path[128], to[128];
	static const char *const names[] = {"live", "deep/now"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		path_of(scene, names[i], path);
		unlink(path);
	}
	path_of(scene, "deep", path);
	rmdir(path);
	path_of(scene, "first", path);
	path_of(scene, "live", to);
	assert_int_equal(rename(path, to), 0);
}

/* As container platforms mount secrets: nothing changes in the directory that
 * holds the file. */
static void
test_linked_directory_is_swapped(void **state)
{
	struct scene *scene = *state;
	hide_directory(scene);
	take(scene);
	assert_int_equal(run_for(scene, 2000), 0);
	link_to(scene, "..", "deep/now"); /* there is no chain.pem in it */
	assert_int_equal(run_for(scene, 2000), 1);
	show_directory(scene);
}

/* A link to itself leads nowhere, and to no end either. */
static void
test_links_without_end(void **state)
{
	struct scene *scene = *state;
	link_to(scene, "chain.pem", "live/chain.pem");
	take(scene);
	assert_int_equal(run_for(scene, 2000), 0);
	link_to(scene, "../one.pem", "live/chain.pem");
	assert_int_equal(run_for(scene, 2000), 1);
}

/* The target changes, in another directory than the link. */
static void
test_target_changes(void **state)
{
	struct scene *scene = *state;
	run_for(scene, 2000);
	write_file(scene, "one.pem", "one more");
	assert_int_equal(run_for(scene, 2000), 1);
}

static void
test_waits_until_quiet(void **state)
{
	struct scene *scene = *state;
	run_for(scene, 2000);
	char content[16] = "";
	for (size_t i = 0; i < 10; i++) {
		content[i] = 'x';
		write_file(scene, "one.pem", content);
		assert_int_equal(run_for(scene, 510), 0);
	}
	assert_int_equal(run_for(scene, 1010), 1);
}

static void
test_poll_alone_is_enough(void **state)
{
	struct scene *scene = *state;
	/* As on a network file system, where inotify is silent. */
	close(scene->watch.fd);
	scene->watch.fd = -1;
	run_for(scene, 2000);
	write_file(scene, "one.pem", "one more");
	assert_int_equal(run_for(scene, 32 * 1000), 1);
}

static void
test_a_fault_is_reported_once(void **state)
{
	struct scene *scene = *state;
	run_for(scene, 2000);
	write_file(scene, "one.pem", "junk");
	assert_int_equal(run_for(scene, 2000), 1);
	watch_done(
	    &scene->watch, watch_signature(builder_config(scene->builder)));
	assert_int_equal(run_for(scene, 3600 * 1000), 0);
	write_file(scene, "one.pem", "fixed");
	assert_int_equal(run_for(scene, 2000), 1);
}

static void
test_other_files_do_not_matter(void **state)
{
	struct scene *scene = *state;
	run_for(scene, 2000);
	write_file(scene, "other", "a log in the same directory");
	assert_int_equal(run_for(scene, 60 * 1000), 0);
}

static void
test_missing_file_comes(void **state)
{
	struct scene *scene = *state;
	char path[128];
	path_of(scene, "key.pem", path);
	unlink(path);
	take(scene);
	run_for(scene, 2000);
	write_file(scene, "key.pem", "key");
	assert_int_equal(run_for(scene, 2000), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_nothing_happens),
	    TEST(test_rename_over),
	    TEST(test_symbolic_link_is_swapped),
	    TEST(test_linked_directory_is_swapped),
	    TEST(test_links_without_end),
	    TEST(test_target_changes),
	    TEST(test_waits_until_quiet),
	    TEST(test_poll_alone_is_enough),
	    TEST(test_a_fault_is_reported_once),
	    TEST(test_other_files_do_not_matter),
	    TEST(test_missing_file_comes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
