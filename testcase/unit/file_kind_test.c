/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of file_kind: by path and mode, can a file be opened again, and what is it called?
 */
#include <sys/stat.h>
#include <unistd.h>

#include "reopen/file_kind.h"
#include "tap.h"

enum { PID = 2300 };

static const struct {
	const char *path;
	uint32_t mode;
	enum file_reopening reopening;
	const char *name;
} cases[] = {
	{"pipe:[23]", S_IFIFO, REOPEN_NEVER, "a pipe"},
	{"socket:[23]", S_IFSOCK, REOPEN_NEVER, "a socket"},
	{"anon_inode:[eventfd]", 0, REOPEN_NEVER, "an eventfd"},
	{"anon_inode:[eventpoll]", 0, REOPEN_NEVER, "an epoll instance"},
	{"anon_inode:inotify", 0, REOPEN_NEVER, "an inotify instance"},
	{"anon_inode:[other]", 0, REOPEN_NEVER, "a file without a name"},
	{"/memfd:mine (deleted)", S_IFREG, REOPEN_NEVER, "a memfd"},
	{"/dev/pts/23", S_IFCHR, REOPEN_NEVER, "a terminal"},
	{"/dev/kvm", S_IFCHR, REOPEN_NEVER, "the device /dev/kvm"},
	{"/dev/null", S_IFCHR, REOPEN_IF_CLOSED, "the device /dev/null"},
	{"/tmp/fifo", S_IFIFO, REOPEN_NEVER, "the FIFO /tmp/fifo"},
	{"/no/file (deleted)", S_IFREG, REOPEN_NEVER, "the deleted file /no/file"},
	{"/no/file", S_IFREG, REOPEN_ALWAYS, NULL},
	{"/tmp", S_IFDIR, REOPEN_ALWAYS, NULL},
	{"(unreachable)/file", S_IFREG, REOPEN_ALWAYS, NULL},
	{"/proc/23/stat", S_IFREG, REOPEN_IF_THERE, "/proc/23/stat, which cannot be opened"},
	{"/proc/cpuinfo", S_IFREG, REOPEN_ALWAYS, NULL},
	{"net:[23]", S_IFREG, REOPEN_NEVER, "the namespace net:[23]"},
};

static struct image image = {.process = {.pid = PID}};

static struct image_file make_file(const char *path, uint32_t mode)
{
	image.strings = path;
	image.string_bytes = strlen(path) + 1;
	return (struct image_file){.mode = mode};
}

static void test_cases(void)
{
	char name[FILE_KIND_BYTES];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct image_file file = make_file(cases[i].path, cases[i].mode);

		tap__equal(file_kind__reopening(&image, &file), cases[i].reopening, cases[i].path);
		tap__ok(!cases[i].name || strcmp(file_kind__name(&image, &file, false, name),
						 cases[i].name) == 0,
			"is %s", cases[i].name ? cases[i].name : "never missing");
	}
}

static void test_paths(void)
{
	char buffer[FILE_KIND_BYTES], own[64] = "";
	struct image_file file = make_file("/proc/2300/maps", S_IFREG);

	tap__ok(strcmp(file_kind__find_path(&image, &file, buffer), "/proc/self/maps") == 0,
		"the process's own folder of /proc");
	file = make_file("/proc/23001/maps", S_IFREG);
	tap__ok(strcmp(file_kind__find_path(&image, &file, buffer), "/proc/23001/maps") == 0,
		"that of another process");
	must(readlink("/proc/self/ns/uts", own, sizeof(own) - 1) <= 0);
	file = make_file(own, S_IFREG);
	tap__equal(file_kind__reopening(&image, &file), REOPEN_IF_CLOSED, "our own namespace");
	tap__ok(strcmp(file_kind__find_path(&image, &file, buffer), "/proc/self/ns/uts") == 0,
		"has a path");
	file = make_file("pipe:[23]", S_IFIFO);
	tap__ok(strcmp(file_kind__name(&image, &file, true, buffer), "pipes") == 0, "many");
}

int main(void)
{
	tap__plan(2 * sizeof(cases) / sizeof(cases[0]) + 5);
	test_cases();
	test_paths();
	return tap__done();
}
