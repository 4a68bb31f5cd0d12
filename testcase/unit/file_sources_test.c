/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of file_sources on files that this process maps: by their mapping, and by their name.
 */
#include "attach/file_sources.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "folder.h"
#include "tap.h"

#define FILE_NAME "two\nlines"

/* Makes the file, of one page of that byte, and maps it. */
static void *make_file(char byte)
{
	char page[4096];
	int fd = open(FILE_NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	void *area;

	memset(page, byte, sizeof(page));
	must(fd < 0 || write(fd, page, sizeof(page)) != sizeof(page));
	area = mmap(NULL, sizeof(page), PROT_READ, MAP_PRIVATE, fd, 0);
	must(area == MAP_FAILED);
	(void)close(fd);
	return area;
}

static struct mapping find_mapping(struct mappings *mappings, const void *area)
{
	must(procfs__mappings(getpid(), mappings));
	for (size_t i = 0; i < mappings->count; i++)
		if (mappings->items[i].start == (uintptr_t)area)
			return mappings->items[i];
	must(1);
	return (struct mapping){0};
}

/* The first byte of the file, or -errno. */
static int read_first(struct file_sources *sources, const struct mapping *mapping)
{
	char bytes[2] = "";
	int err = file_sources__open(sources, getpid(), mapping);

	if (err)
		return err;
	err = file_source__read(
		file_sources__find(sources, mapping->dev_major, mapping->dev_minor, mapping->inode),
		0, bytes, 1);
	return err ? err : bytes[0];
}

static void test_name(void)
{
	void *area = make_file('a');
	struct file_sources sources = {0};
	struct mappings mappings = {0};
	struct mapping mapping = find_mapping(&mappings, area);
	char bytes[3] = "xx";

	must(munmap(area, 4096));
	tap__equal(read_first(&sources, &mapping), 'a', "a file that is not mapped any more");
	must(unlink(FILE_NAME));
	tap__equal(read_first(&sources, &mapping), 'a', "stays open when it is deleted");
	tap__ok(sources.count == 1 && sources.items[0].bytes == 4096, "once, with its length");
	tap__ok(file_source__read(sources.items, 4095, bytes, 2) == 0 && bytes[0] == 'a' &&
			!bytes[1],
		"behind its end are zeros");
	file_sources__clear(&sources);
	tap__equal(file_sources__open(&sources, getpid(), &mapping), -ESTALE,
		   "it has no name and no mapping");
	procfs__free_mappings(&mappings);
}

static ino_t inode_of(const char *name)
{
	struct stat status;

	return stat(name, &status) ? 0 : status.st_ino;
}

/* A file system that is mounted over the one of the file. */
static void test_other_file(void)
{
	struct file_sources sources = {0};
	struct mappings mappings = {0};
	struct mapping mapping;
	void *area;

	if (unshare(CLONE_NEWNS) || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", folder, "tmpfs", 0, NULL) || chdir(folder)) {
		tap__skip(1, "cannot mount a file system: %s", strerror(errno));
		return;
	}
	area = make_file('a');
	mapping = find_mapping(&mappings, area);
	must(mount("none", folder, "tmpfs", 0, NULL) || chdir(folder));
	(void)make_file('b');
	if (inode_of(FILE_NAME) == mapping.inode)
		tap__equal(read_first(&sources, &mapping), 'a',
			   "another file has its name and its number");
	else
		tap__skip(1, "files of two file systems do not have the same number");
	file_sources__clear(&sources);
	procfs__free_mappings(&mappings);
	must(chdir("/") || umount2(folder, MNT_DETACH) || umount2(folder, MNT_DETACH));
}

int main(void)
{
	folder__enter("file_sources_test");
	tap__plan(6);
	test_name();
	test_other_file();
	folder__remove();
	return tap__done();
}
