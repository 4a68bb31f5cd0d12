/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of libckpt/history: which names images get, which images are removed, and which parents
 * increments keep. Files that are not of the history stay. An "image" is a file with a number in
 * it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libckpt/history.h"
#include "folder.h"
#include "tap.h"

#define IMAGE "image"

static struct history history;

/* Writes as libckpt does: a new file replaces the old one. */
static void write_file(const char *path, uint64_t id, int is_ours)
{
	FILE *file = fopen("new", "we");

	must(!file || fprintf(file, "%" PRIu64, id) < 0);
	if (is_ours)
		history__begin(&history, fileno(file));
	must(fclose(file) || rename("new", path));
}

static uint64_t read_file(const char *path)
{
	FILE *file = fopen(path, "re");
	char digits[32] = {0};

	if (!file)
		return 0;
	must(!fgets(digits, sizeof(digits), file));
	(void)fclose(file);
	return strtoull(digits, NULL, 10);
}

/* Adds the file of the last history__begin. */
static void add(uint64_t id, uint32_t depth, unsigned int keep)
{
	struct history_item item = history.written;

	item.id = id;
	item.depth = depth;
	history__add(&history, IMAGE, &item, keep);
}

/* Writes one image: the last one gets a second name, the new one takes its place. */
static int take(uint64_t id, uint32_t depth, unsigned int keep)
{
	int err = history__newest(&history) ? history__name(&history, IMAGE) : 0;

	write_file(IMAGE, id, 1);
	add(id, depth, keep);
	return err;
}

/* Are image.FIRST to image.LAST there, and no others up to 40? */
static int only(unsigned int first, unsigned int last)
{
	char name[32];

	for (unsigned int i = 1; i <= 40; i++) {
		(void)snprintf(name, sizeof(name), IMAGE ".%u", i);
		if ((access(name, F_OK) == 0) != (i >= first && i <= last))
			return 0;
	}
	return 1;
}

static void remove_all(void)
{
	char name[32];

	(void)unlink(IMAGE);
	for (unsigned int i = 1; i <= 40; i++) {
		(void)snprintf(name, sizeof(name), IMAGE ".%u", i);
		(void)unlink(name);
	}
	history = (struct history){0};
}

static void test_keep(void)
{
	int err = 0;

	tap__ok(!history__newest(&history), "nothing at first");
	tap__equal(history__name(&history, IMAGE), -ENOENT, "which has no name");
	for (uint64_t id = 1; id <= 23; id++)
		err |= take(id, 0, 3);
	tap__ok(!err && read_file(IMAGE) == 23, "the newest of 23 is at the path");
	tap__ok(only(21, 22) && read_file(IMAGE ".22") == 22, "the two before have names");
	tap__equal(history__newest(&history)->id, 23, "it is known by its id");
	history__forget(&history);
	tap__ok(!history__newest(&history) && only(21, 22), "forgotten, the files stay");
	(void)take(24, 0, 3);
	(void)take(25, 0, 3);
	tap__ok(only(21, 23) && read_file(IMAGE ".23") == 24, "and the names go on");
	remove_all();
}

static void test_increments(void)
{
	for (uint32_t i = 0; i < 7; i++)
		(void)take(i + 1, i, 1);
	tap__ok(only(1, 6), "all that an increment adds to is kept");
	(void)take(8, 0, 1);
	tap__ok(only(8, 7), "a full one needs none of them");
	(void)take(9, 1, 2);
	(void)take(10, 0, 2);
	tap__ok(only(8, 9) && read_file(IMAGE ".8") == 8, "a kept increment keeps its parent");
	tap__equal(history__name(&history, IMAGE), 0, "a name");
	tap__equal_string(history.parent, IMAGE ".10", "is the next one");
	tap__equal(history__name(&history, IMAGE), 0, "asked for again");
	tap__equal_string(history.parent, IMAGE ".10", "it is the same");
	remove_all();
}

static void test_strange_files(void)
{
	char path[PATH_MAX] = "/";

	write_file(IMAGE ".1", 2301, 0);
	(void)take(1, 0, 2);
	(void)take(2, 0, 2);
	tap__ok(read_file(IMAGE ".1") == 2301 && read_file(IMAGE ".2") == 1,
		"a name that is taken is left alone");
	write_file(IMAGE, 2302, 0);
	tap__equal(history__name(&history, IMAGE), -ESTALE, "another file at the path");
	tap__ok(read_file(IMAGE) == 2302 && only(1, 2), "gets no name");
	(void)unlink(IMAGE);
	tap__equal(history__name(&history, IMAGE), -ENOENT, "no file at the path");
	memset(path + 1, 'x', PATH_MAX - 2);
	tap__equal(history__name(&history, path), -ENAMETOOLONG, "a path without room for a name");
	remove_all();
}

/* Another process may write to the same path in between. */
static void test_replaced(void)
{
	struct history_item ours;

	write_file(IMAGE, 1, 1);
	ours = history.written;
	write_file(IMAGE, 2, 0);
	history.written = ours;
	add(1, 0, 3);
	tap__equal(history__name(&history, IMAGE), -ESTALE,
		   "an image that is not there any more when it is noted is not another one");
	remove_all();
}

static void test_fork(void)
{
	int status = -1;
	pid_t child;

	(void)take(1, 0, 3);
	(void)take(2, 0, 3);
	child = fork();
	if (child == 0) {
		int ok = history__newest(&history) == NULL;

		write_file(IMAGE, 3, 1);
		add(3, 0, 1);
		_exit(ok && history__newest(&history)->id == 3 && only(1, 1) ? 0 : 1);
	}
	tap__ok(waitpid(child, &status, 0) == child && status == 0,
		"a child has none of its parent's, and removes none");
	tap__equal(history__name(&history, IMAGE), -ESTALE, "the parent sees that it wrote");
	remove_all();
}

static void test_coming_back(void)
{
	(void)take(1, 0, 1);
	tap__ok(!history__spare(&history, IMAGE) && only(1, 0), "nothing to spare at first");
	history__come_back(&history);
	tap__ok(!history__newest(&history) && !history__spare(&history, IMAGE) && only(1, 0),
		"back from the image at the path, which may be replaced");
	history__come_back(&history);
	write_file(IMAGE, 2, 0);
	tap__equal(history__spare(&history, IMAGE), 0, "back, and a newer one is there");
	tap__ok(read_file(IMAGE) == 2 && read_file(IMAGE ".1") == 2 && only(1, 1),
		"which gets a name");
	tap__ok(!history__spare(&history, IMAGE) && only(1, 1), "once");
	history__come_back(&history);
	(void)unlink(IMAGE);
	tap__ok(!history__spare(&history, IMAGE) && only(1, 1), "back, and nothing is there");
	history__come_back(&history);
	must(mkfifo(IMAGE, 0600));
	tap__ok(!history__spare(&history, IMAGE) && only(1, 1), "back, and a pipe is there");
	remove_all();
}

int main(void)
{
	tap__plan(29);
	folder__enter("history");
	test_keep();
	test_increments();
	test_strange_files();
	test_replaced();
	test_fork();
	test_coming_back();
	folder__remove();
	return tap__done();
}
