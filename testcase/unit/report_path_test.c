/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of where report puts its file: the default name and folder, in a source tree and elsewhere,
 * and folders that cannot be written. What is in the file is tested by report_test.
 * Works in a folder of its own below TMPDIR, removed at the end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"
#include "tap.h"

static char said[1 << 12];
static int own_stderr = -1, said_fd = -1;

/* From here on stderr is a file without a name. */
static void listen_to_stderr(void)
{
	must(ftruncate(said_fd, 0));
	must(lseek(said_fd, 0, SEEK_SET) != 0);
	must(dup2(said_fd, STDERR_FILENO) != STDERR_FILENO);
}

/* Puts stderr back; what was said. */
static const char *hear_stderr(void)
{
	ssize_t n;

	must(dup2(own_stderr, STDERR_FILENO) != STDERR_FILENO);
	n = pread(said_fd, said, sizeof(said) - 1, 0);
	said[n > 0 ? n : 0] = '\0';
	return said;
}

/* Does text look like pattern, in which 9 is any digit? Returns what follows, or NULL. */
static const char *match(const char *text, const char *pattern)
{
	for (; *pattern; text++, pattern++) {
		if (*pattern == '9' ? *text < '0' || *text > '9' : *text != *pattern)
			return NULL;
	}
	return text;
}

static int create(const char *path, struct report **ret_report)
{
	return report__create(path, "program", "slab", "mmap,heap,bss,data,stack", "6.1.0-23",
			      ret_report);
}

/* The one file of a folder whose name begins like that, "" if there is none; static. */
static const char *find_file(const char *folder, const char *start)
{
	static char name[NAME_MAX + 1];
	struct dirent *entry;
	DIR *dir = opendir(folder);

	*name = '\0';
	while (dir && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, start, strlen(start)))
			(void)snprintf(name, sizeof(name), "%s", entry->d_name);
	if (dir)
		(void)closedir(dir);
	return name;
}

/* Creates a report under its default name; NULL, or its path below results, static. */
static const char *default_name(const char *program, const char *folder)
{
	static char path[PATH_MAX];
	struct report *report = NULL;
	const char *name;

	if (report__create(NULL, program, "chunk", "heap", "6.1", &report) != 0)
		return NULL;
	(void)snprintf(path, sizeof(path), "%s", report__path(report));
	report__free(report);
	name = path + strlen(folder);
	return strncmp(path, folder, strlen(folder)) == 0 && *name == '/' ? name + 1 : NULL;
}

static void test_default_path(void)
{
	const char *name = default_name("program", "results"), *rest;
	char pid[32], long_name[64];
	struct report *report = NULL;

	(void)snprintf(pid, sizeof(pid), "-%d.csv", (int)getpid());
	rest = name ? match(name, "program-99999999T999999Z") : NULL;
	tap__ok(rest && !strcmp(rest, pid), "the default name: %s", name ? name : "(none)");
	tap__ok(*find_file("results", "program-"), "in results, which is created");
	(void)snprintf(long_name, sizeof(long_name), "%050d", 0);
	name = default_name(long_name, "results");
	tap__ok(name && strspn(name, "0") == 40, "a long name is cut to 40 bytes");
	must(rename("results", "results.old"));
	must(close(open("results", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644)));
	listen_to_stderr();
	tap__equal(create(NULL, &report), -ENOTDIR, "results is a file");
	tap__ok(strstr(hear_stderr(), "--output"), "the message says what to do");
	must(unlink("results"));
}

static int copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	ssize_t n = 1;

	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	while (in >= 0 && out >= 0 && n > 0)
		n = sendfile(out, in, NULL, 1 << 20);
	(void)close(in);
	(void)close(out);
	return n == 0 ? 0 : -1;
}

static int create_once(void)
{
	struct report *report = NULL;

	if (report__create(NULL, "from-copy", "chunk", "heap", "6.1", &report) != 0)
		return 1;
	report__free(report);
	return 0;
}

/* This program once more, as build/NAME: it creates a report and says no more. */
static int run_copy(void)
{
	const char *const argv[] = {"build/copy", "--create", NULL};
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		(void)execv(argv[0], (char **)argv);
		_exit(127);
	}
	(void)waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_source_tree(void)
{
	must(mkdir("build", 0755));
	must(mkdir("tree", 0755));
	must(copy_file("/proc/self/exe", "build/copy"));
	must(rename("build", "tree/build"));
	must(chdir("tree"));
	tap__ok(run_copy() == 0 && *find_file("results", "from-copy-"), "build/ of no source tree");
	must(mkdir("elsewhere", 0755));
	must(rename("results", "results.old"));
	must(mkdir("results", 0755));
	must(close(open("Makefile", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644)));
	must(mkdir("elsewhere/build", 0755));
	must(chdir("elsewhere"));
	must(rmdir("build"));
	must(symlink("../build", "build"));
	tap__ok(run_copy() == 0 && access("results", F_OK) != 0, "build/ of a source tree:");
	must(chdir(".."));
	tap__ok(*find_file("results", "from-copy-"), "its results/ is taken");
	must(rename("results", "results.new"));
	tap__ok(run_copy() == 0 && *find_file("results", "from-copy-"),
		"a source tree without results/");
	must(chdir(".."));
}

/* In a child of ours that is nobody, in a folder that is root's. 0 if all is well. */
static int create_as_nobody(uid_t uid, gid_t gid)
{
	struct report *report = NULL;

	if (setgid(gid) != 0 || setuid(uid) != 0)
		return 2;
	return !(create("nobody.csv", &report) == -EACCES && create(NULL, &report) == -EACCES &&
		 !report);
}

static void test_unwritable(void)
{
	const struct passwd *nobody = getpwnam("nobody");
	int status = -1;
	pid_t child;

	if (geteuid() != 0 || !nobody) {
		tap__skip(3, "needs root and a user nobody");
		return;
	}
	must(chmod(".", 0755));
	listen_to_stderr();
	child = fork();
	if (child == 0)
		_exit(create_as_nobody(nobody->pw_uid, nobody->pw_gid));
	(void)waitpid(child, &status, 0);
	tap__ok(strstr(hear_stderr(), "nobody.csv") && strstr(said, "--output"),
		"the messages name the file, and say what to do");
	tap__ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a folder of somebody else's");
	tap__ok(access("nobody.csv", F_OK) != 0 && access("results", F_OK) != 0,
		"nothing is left in it");
}

static void remove_folder(const char *path)
{
	const char *const argv[] = {"rm", "-rf", "--", path, NULL};
	pid_t child = fork();

	if (child == 0) {
		(void)execvp(argv[0], (char **)argv);
		_exit(127);
	}
	(void)waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	const char *base = getenv("TMPDIR");
	char folder[512];

	if (argc == 2 && !strcmp(argv[1], "--create"))
		return create_once();
	(void)snprintf(folder, sizeof(folder), "%s/report_path_test.XXXXXX", base ? base : "/tmp");
	own_stderr = dup(STDERR_FILENO);
	if (!mkdtemp(folder) || chdir(folder) != 0) {
		perror(folder);
		return 1;
	}
	said_fd = open("said", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (said_fd < 0 || unlink("said") != 0 || own_stderr < 0) {
		perror("said");
		return 1;
	}
	tap__plan(12);
	test_default_path();
	test_unwritable();
	test_source_tree();
	remove_folder(folder);
	(void)close(said_fd);
	(void)close(own_stderr);
	return tap__done();
}
