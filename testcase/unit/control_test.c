/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of control: each call, with plain files, links, folders, FIFOs, files of other users and
 * another tracer in its way. Works in a folder of its own below TMPDIR, removed at the end. The
 * lock is in /run, so without root only the folders that are refused before it are tested.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ask/control.h"
#include "folder.h"
#include "talk.h"
#include "tap.h"

#define TESTS      67
#define OTHER_USER 54321

#define CHECKPOINT OPERATION_CHECKPOINT
#define RESTORE    OPERATION_RESTORE

static const char *const names[] = {"ready_to_checkpoint", "checkpoint_complete",
				    "ready_to_restore", "restore_complete"};

/* A plain file of that user, in place of whatever plain file is there. */
static void make_file(const char *name, uid_t uid)
{
	int fd;

	(void)unlink(name);
	fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
	must(fd < 0 || write(fd, "old", 3) != 3 || fchown(fd, uid, getegid()) != 0);
	(void)close(fd);
}

static int exists(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0;
}

static int count_files(void)
{
	int count = 0;

	for (int i = 0; i < 4; i++)
		count += exists(names[i]);
	return count;
}

/* Is it a plain, empty file of that user and group? */
static bool is_new(const char *name, uid_t uid, gid_t gid)
{
	struct stat st;

	return lstat(name, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0 &&
	       st.st_uid == uid && st.st_gid == gid && st.st_nlink == 1;
}

/* Opens with stderr in a file; *ret_said: what was told, static. */
static int open_quietly(const char *path, struct control **ret_control, const char **ret_said)
{
	int err;

	talk__listen();
	err = control__open(path, ret_control);
	*ret_said = talk__hear();
	return err;
}

/* Opening must fail, say why, and leave *ret_control alone. */
static void test_refused(const char *path, int wanted, const char *name)
{
	struct control *untouched = (struct control *)&untouched, *control = untouched;
	const char *said;

	tap__equal(open_quietly(path, &control, &said), wanted, "refused: %s", name);
	tap__ok(control == untouched && *said, "which is said, and no result");
}

/* Folders that are refused before the lock, as root or not. */
static void test_bad_folders(void)
{
	static char path[PATH_BYTES + 64];
	size_t length;

	make_file("plain", getuid());
	test_refused("missing", -ENOENT, "a folder that is not there");
	test_refused("", -ENOENT, "no name");
	test_refused("plain", -ENOTDIR, "a file");
	/* a folder with a long name: the same folder, with many slashes */
	length = strlen(folder);
	memcpy(path, folder, length);
	memset(path + length, '/', PATH_BYTES - 31 - length);
	path[PATH_BYTES - 31] = '\0';
	test_refused(path, -ENAMETOOLONG, "a long name");
	must(unlink("plain"));
}

/* The longest name that is allowed has room for each file. */
static void test_long_name(void)
{
	char path[2 * PATH_MAX], name[PATH_BYTES];
	struct control *control = NULL;
	const int length = PATH_BYTES - 32 - (int)strlen(folder) - 1;

	(void)snprintf(name, sizeof(name), "%0*d", length, 0);
	must(mkdir(name, 0700));
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (tap__equal(control__open(path, &control), 0, "the longest name that is allowed")) {
		const char *completion = control__completion_path(control, CHECKPOINT);

		tap__ok(!strncmp(completion, path, strlen(path)) &&
				!strcmp(completion + strlen(path), "/checkpoint_complete"),
			"has room for its files");
	}
	control__free(control);
	must(rmdir(name));
}

static void test_paths(void)
{
	char path[PATH_MAX + 32];
	struct control *control = NULL;

	if (!tap__equal(control__open(".", &control), 0, "a relative name"))
		return;
	tap__equal_string(control__folder(control), folder, "becomes absolute");
	(void)snprintf(path, sizeof(path), "%s/ready_to_checkpoint", folder);
	tap__equal_string(control__request_path(control, CHECKPOINT), path, "request");
	(void)snprintf(path, sizeof(path), "%s/checkpoint_complete", folder);
	tap__equal_string(control__completion_path(control, CHECKPOINT), path, "completion");
	(void)snprintf(path, sizeof(path), "%s/ready_to_restore", folder);
	tap__equal_string(control__request_path(control, RESTORE), path, "request of a restore");
	(void)snprintf(path, sizeof(path), "%s/restore_complete", folder);
	tap__equal_string(control__completion_path(control, RESTORE), path, "its completion");
	control__free(control);
	(void)snprintf(path, sizeof(path), "%s///", folder);
	must(control__open(path, &control));
	tap__equal_string(control__folder(control), folder, "slashes at the end go");
	control__free(control);
	must(symlink(folder, "link"));
	(void)snprintf(path, sizeof(path), "%s/link", folder);
	must(control__open(path, &control));
	tap__equal_string(control__folder(control), path,
			  "a link's own name stays: targets use it");
	control__free(control);
	must(unlink("link"));
}

static void test_open(void)
{
	struct control *first = NULL, *second = NULL;
	const char *said;

	for (int i = 0; i < 4; i++)
		make_file(names[i], i % 2 ? OTHER_USER : getuid());
	tap__equal(control__open(folder, &first), 0, "open");
	tap__equal(count_files(), 0, "files of an earlier run go");
	make_file(names[0], getuid());
	make_file(names[3], getuid());
	must(symlink(".", "again"));
	tap__equal(open_quietly(folder, &second, &said), -EBUSY, "a second tracer");
	tap__ok(strstr(said, folder) && strstr(said, "--control-dir"), "is told what to do");
	tap__equal(open_quietly("again", &second, &said), -EBUSY, "under another name too");
	tap__equal(count_files(), 2, "it leaves the files of the first alone");
	control__free(first);
	tap__equal(count_files(), 0, "closing removes them");
	tap__equal(control__open("again", &second), 0, "then the folder is free");
	control__free(second);
	control__free(NULL);
	must(unlink("again"));
}

/* Something else than a plain file has the name; nothing may happen to it. */
static void test_in_the_way(const char *name, const char *kind)
{
	struct control *control = NULL;
	struct stat before, after;
	const char *said;

	must(lstat(name, &before));
	tap__ok(open_quietly(folder, &control, &said) == -EEXIST && strstr(said, name),
		"open: %s in the way", kind);
	tap__ok(lstat(name, &after) == 0 && before.st_ino == after.st_ino &&
			before.st_mode == after.st_mode,
		"and it is left there");
}

static void test_open_not_plain(void)
{
	make_file("victim", getuid());
	must(symlink("victim", "restore_complete"));
	test_in_the_way("restore_complete", "a link");
	tap__ok(exists("victim"), "what it points to as well");
	must(unlink("restore_complete"));
	must(symlink("nowhere", "ready_to_checkpoint"));
	test_in_the_way("ready_to_checkpoint", "a link to nowhere");
	must(unlink("ready_to_checkpoint"));
	must(mkdir("ready_to_restore", 0700));
	test_in_the_way("ready_to_restore", "a folder");
	must(rmdir("ready_to_restore"));
	must(mkfifo("checkpoint_complete", 0600));
	test_in_the_way("checkpoint_complete", "a FIFO");
	must(unlink("checkpoint_complete"));
}

static void test_requests(struct control *control)
{
	tap__equal(control__check_request(control, CHECKPOINT, 0), -ENOENT,
		   "a request that is gone");
	make_file("ready_to_checkpoint", OTHER_USER);
	tap__equal(control__check_request(control, CHECKPOINT, OTHER_USER), 0, "an honest request");
	tap__equal(control__check_request(control, CHECKPOINT, OTHER_USER + 1), -EPERM,
		   "a request of somebody else's");
	tap__equal(control__check_request(control, RESTORE, OTHER_USER), -ENOENT,
		   "of the other kind");
	control__refuse(control, RESTORE, OTHER_USER);
	control__refuse(control, CHECKPOINT, OTHER_USER + 1);
	tap__ok(exists("ready_to_checkpoint"), "only its own kind and user refuse it");
	control__refuse(control, CHECKPOINT, OTHER_USER);
	tap__ok(!exists("ready_to_checkpoint"), "a refused request is removed");
	must(symlink("victim", "ready_to_restore"));
	must(lchown("ready_to_restore", OTHER_USER, 0));
	must(chown("victim", OTHER_USER, 0));
	tap__equal(control__check_request(control, RESTORE, OTHER_USER), -EPERM, "a link");
	control__refuse(control, RESTORE, OTHER_USER);
	tap__ok(exists("ready_to_restore") && exists("victim"), "which refusing leaves");
	must(unlink("ready_to_restore"));
	must(mkfifo("ready_to_restore", 0600));
	tap__equal(control__check_request(control, RESTORE, 0), -EPERM, "a FIFO");
	must(unlink("ready_to_restore"));
}

static void test_completions(struct control *control)
{
	tap__ok(control__complete(control, CHECKPOINT, OTHER_USER, OTHER_USER + 1) == 0 &&
			is_new("checkpoint_complete", OTHER_USER, OTHER_USER + 1),
		"a completion file for its user and group");
	make_file("checkpoint_complete", OTHER_USER);
	tap__ok(control__complete(control, CHECKPOINT, OTHER_USER, 0) == 0 &&
			is_new("checkpoint_complete", OTHER_USER, 0),
		"an old one of the user's is replaced");
	make_file("checkpoint_complete", 0);
	tap__ok(control__complete(control, CHECKPOINT, OTHER_USER, 0) == 0 &&
			is_new("checkpoint_complete", OTHER_USER, 0),
		"one of root's too");
	tap__equal(control__complete(control, CHECKPOINT, OTHER_USER + 1, 0), -EEXIST,
		   "somebody else's is not");
	tap__ok(is_new("checkpoint_complete", OTHER_USER, 0), "but left");
	must(unlink("checkpoint_complete"));
	must(symlink("victim", "checkpoint_complete"));
	tap__equal(control__complete(control, CHECKPOINT, OTHER_USER, 0), -EEXIST, "a link");
	must(unlink("checkpoint_complete"));
	must(symlink("nowhere", "checkpoint_complete"));
	tap__ok(control__complete(control, CHECKPOINT, OTHER_USER, 0) == -EEXIST &&
			!exists("nowhere"),
		"a link to nowhere creates nothing");
	must(unlink("checkpoint_complete"));
	must(mkdir("checkpoint_complete", 0700));
	tap__equal(control__complete(control, CHECKPOINT, 0, 0), -EEXIST, "a folder");
	must(rmdir("checkpoint_complete"));
}

/* Counts the files without a name in that folder, which control__provide() has made. */
static int nameless(void)
{
	DIR *files = opendir("/proc/self/fd");
	struct dirent *entry;
	int count = 0;

	while (files && (entry = readdir(files))) {
		struct stat status;

		count += !fstatat(dirfd(files), entry->d_name, &status, 0) &&
			 S_ISREG(status.st_mode) && !status.st_nlink;
	}
	if (files)
		closedir(files);
	return count;
}

static void test_provided(struct control *control)
{
	int before = nameless();

	must(chmod(".", 02755));
	must(chown(".", 0, OTHER_USER + 7)); /* new files get that group */
	control__provide(control, OTHER_USER, OTHER_USER + 1);
	control__provide(control, OTHER_USER, OTHER_USER + 1);
	tap__ok(nameless() - before <= 1 && !exists("checkpoint_complete"),
		"provided: once, and nobody sees it");
	make_file("checkpoint_complete", OTHER_USER);
	tap__ok(control__complete(control, CHECKPOINT, OTHER_USER, OTHER_USER + 1) == 0 &&
			is_new("checkpoint_complete", OTHER_USER, OTHER_USER + 1),
		"provided: it takes the place of an old one, with its user and group");
	tap__equal(nameless(), before, "provided: it is used up");
	must(unlink("checkpoint_complete"));
	control__provide(control, OTHER_USER, OTHER_USER + 1);
	tap__ok(control__complete(control, CHECKPOINT, OTHER_USER + 1, OTHER_USER + 1) == 0 &&
			is_new("checkpoint_complete", OTHER_USER + 1, OTHER_USER + 1),
		"provided for another user: it is not used");
	must(unlink("checkpoint_complete"));
	must(symlink("victim", "checkpoint_complete"));
	tap__equal(control__complete(control, CHECKPOINT, OTHER_USER, OTHER_USER + 1), -EEXIST,
		   "provided: a link is not replaced");
	must(unlink("checkpoint_complete"));
	must(chown(".", 0, 0));
	must(chmod(".", 0755));
}

static void test_begin(struct control *control)
{
	make_file("restore_complete", OTHER_USER);
	make_file("checkpoint_complete", OTHER_USER);
	talk__listen();
	tap__equal(control__forget(control, RESTORE, OTHER_USER + 1), -EEXIST,
		   "begin: somebody else's file is in the way");
	tap__ok(strstr(talk__hear(), "restore_complete is there, and is not a plain file of user"),
		"begin: which is told");
	tap__ok(exists("restore_complete"), "begin: and stays");
	tap__equal(control__forget(control, RESTORE, OTHER_USER), 0,
		   "begin: the user's own is not");
	tap__ok(!exists("restore_complete") && exists("checkpoint_complete"),
		"begin: the file of the user goes, not that of the other kind");
	make_file("restore_complete", 0);
	must(control__forget(control, RESTORE, OTHER_USER));
	tap__ok(!exists("restore_complete"), "begin: a file of root's goes");
	must(symlink("victim", "restore_complete"));
	talk__listen();
	tap__equal(control__forget(control, RESTORE, 0), -EEXIST, "begin: a link is in the way");
	(void)talk__hear();
	tap__ok(exists("restore_complete") && exists("victim"), "begin: a link stays");
}

/* Leaves the link of test_begin for the end. */
static void test_free(struct control *control)
{
	make_file("ready_to_checkpoint", OTHER_USER);
	control__free(control);
	tap__ok(!exists("ready_to_checkpoint") && !exists("checkpoint_complete"),
		"free: plain files go");
	tap__ok(exists("restore_complete") && exists("victim"), "free: a link stays");
	must(unlink("restore_complete"));
	must(unlink("victim"));
}

static void run_tests(void)
{
	struct control *control = NULL;

	test_bad_folders();
	if (geteuid() != 0) {
		tap__skip(TESTS - 8, "needs root: the lock of a folder is in /run");
		return;
	}
	test_long_name();
	test_paths();
	test_open();
	test_open_not_plain();
	must(control__open(folder, &control));
	test_requests(control);
	test_completions(control);
	test_provided(control);
	test_begin(control);
	test_free(control);
}

int main(void)
{
	folder__enter("control_test");
	talk__open();
	tap__plan(TESTS);
	run_tests();
	talk__close();
	if (rmdir(folder) != 0)
		tap__note("%s is left behind: %s", folder, strerror(errno));
	return tap__done();
}
