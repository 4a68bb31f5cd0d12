/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of files: what the process had open is opened again only if it still is that kind of file,
 * even if somebody puts another one there at that moment.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "folder.h"
#include "reopen/files.h"
#include "tap.h"

enum { ROUNDS = 4001, NUMBER = 61 };

static struct image_file file;
static struct image image = {.path = "image", .files = &file, .file_count = 1};

/* The process had that file open, as its only one. */
static void had_open(const char *path, uint32_t flags)
{
	struct stat st;

	must(lstat(path, &st));
	image.strings = path;
	image.string_bytes = strlen(path) + 1;
	file = (struct image_file){.fd = NUMBER,
				   .same_as = -1,
				   .flags = flags,
				   .mode = st.st_mode,
				   .inode = st.st_ino};
}

static int check(bool accept_changes)
{
	struct missing missing = {0};
	struct files files = {0};
	int err;

	must(missing__open(&missing));
	err = files__check(&image, accept_changes, &missing, &files);

	files__free(&files);
	missing__close(&missing);
	return err;
}

static void make_file(const char *name)
{
	const int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	must(fd < 0 || close(fd));
}

static void test_kinds(void)
{
	make_file("file");
	must(mkdir("folder", 0700) || mkfifo("fifo", 0600) || symlink("file", "link"));
	had_open(folder__path("file"), O_RDWR);
	tap__equal(check(false), 0, "a plain file");
	had_open(folder__path("folder"), O_RDONLY | O_DIRECTORY);
	tap__equal(check(false), 0, "a folder");
	had_open(folder__path("link"), O_PATH | O_NOFOLLOW);
	tap__equal(check(false), 0, "a link, by O_PATH");
	had_open(folder__path("file"), O_RDONLY | O_NOFOLLOW);
	tap__equal(check(false), 0, "a plain file, not through a link");
	must(rename("file", "other") || symlink("other", "file"));
	tap__equal(check(true), -EINVAL, "its name is a link now");
	had_open(folder__path("other"), O_RDONLY);
	must(rename("fifo", "other"));
	tap__equal(check(true), -EINVAL, "its name is a FIFO now");
	must(unlink("other"));
	tap__equal(check(true), -ENOENT, "there is no such file");
}

/* Puts a FIFO in the place of the file and back, again and again. Ends with 1 once somebody has
 * opened the FIFO, who waits there for a writer. */
static void swap_for_ever(void)
{
	for (;;) {
		must(renameat2(AT_FDCWD, "swapped", AT_FDCWD, "fifo", RENAME_EXCHANGE));
		must(renameat2(AT_FDCWD, "swapped", AT_FDCWD, "fifo", RENAME_EXCHANGE));
		if (open("fifo", O_WRONLY | O_NONBLOCK | O_CLOEXEC) >= 0)
			_exit(1);
	}
}

static void test_swapping(void)
{
	unsigned int opened = 0, refused = 0;
	int status = 0;
	pid_t pid;

	make_file("swapped");
	must(mkfifo("fifo", 0600));
	had_open(folder__path("swapped"), O_RDONLY);
	pid = fork();
	must(pid < 0);
	if (pid == 0)
		swap_for_ever();
	for (unsigned int i = 0; i < ROUNDS && waitpid(pid, &status, WNOHANG) == 0; i++) {
		const int err = check(false);

		opened += err == 0;
		refused += err == -EINVAL;
	}
	tap__equal(opened + refused, ROUNDS, "while a FIFO takes its place and leaves it");
	tap__ok(status == 0, "nobody opens the FIFO");
	if (status == 0)
		must(kill(pid, SIGKILL) || waitpid(pid, &status, 0) != pid);
	tap__note("%u times opened, %u times refused", opened, refused);
}

int main(void)
{
	tap__plan(9);
	must(!freopen("/dev/null", "we", stderr)); /* it says each refusal */
	folder__enter("files");
	test_kinds();
	test_swapping();
	folder__remove();
	return tap__done();
}
