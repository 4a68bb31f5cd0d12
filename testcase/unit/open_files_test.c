/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of open_files on this process, also with a file whose file system does not answer: this
 * test serves it itself, fuse(4).
 */
#include "attach/open_files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../limit.h"
#include "folder.h"
#include "tap.h"

enum { FILE_NODE = 23 };

static int own_files; /* /proc/PID/fd of this process */

static struct open_files list_own(void)
{
	struct open_files files = {0};

	must(open_files__read(own_files, &files));
	return files;
}

static bool is_only(const struct open_files *files, int fd)
{
	return files->count == 1 && files->items[0].fd == fd;
}

static void test_lists(void)
{
	struct open_files before = list_own(), after, opened = {0}, closed = {0};
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	must(fd < 0);
	after = list_own();
	tap__ok(open_files__subtract(&after, &before, &opened) == 0 && is_only(&opened, fd),
		"a file was opened");
	tap__ok(open_files__subtract(&before, &after, &closed) == 0 && closed.count == 0,
		"none was closed");
	open_files__clear(&before);
	before = after;
	must(dup3(own_files, fd, O_CLOEXEC) != fd);
	after = list_own();
	tap__ok(open_files__subtract(&after, &before, &opened) == 0 && is_only(&opened, fd) &&
			open_files__subtract(&before, &after, &closed) == 0 && is_only(&closed, fd),
		"another file has its number");
	(void)close(fd);
	open_files__clear(&before);
	open_files__clear(&after);
	open_files__clear(&opened);
	open_files__clear(&closed);
}

static void reply(int fuse, uint64_t unique, int err, const void *bytes, size_t length)
{
	struct fuse_out_header head = {
		.len = (uint32_t)(sizeof(head) + length), .error = err, .unique = unique};
	const struct iovec parts[] = {{&head, sizeof(head)}, {(void *)(uintptr_t)bytes, length}};

	(void)!writev(fuse, parts, 2);
}

/* Serves a folder with one file, and never tells the attributes of that file. */
static void __attribute__((noreturn)) serve(int fuse)
{
	static const struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096};
	static const struct fuse_entry_out entry = {
		.nodeid = FILE_NODE,
		.attr = {.ino = FILE_NODE, .mode = S_IFREG | 0600, .nlink = 1}};
	static const struct fuse_attr_out root = {.attr = {.ino = 1, .mode = S_IFDIR | 0700}};
	static const struct fuse_open_out opened;
	static union {
		struct fuse_in_header head;
		char bytes[FUSE_MIN_READ_BUFFER];
	} request;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(fuse, &request, sizeof(request)) > 0) {
		const uint64_t unique = request.head.unique;

		switch (request.head.opcode) {
		case FUSE_INIT:
			reply(fuse, unique, 0, &init, sizeof(init));
			break;
		case FUSE_LOOKUP:
			reply(fuse, unique, 0, &entry, sizeof(entry));
			break;
		case FUSE_OPEN:
			reply(fuse, unique, 0, &opened, sizeof(opened));
			break;
		case FUSE_GETATTR:
			if (request.head.nodeid == 1)
				reply(fuse, unique, 0, &root, sizeof(root));
			break;
		case FUSE_FORGET:
		case FUSE_BATCH_FORGET:
		case FUSE_INTERRUPT:
			break;
		default:
			reply(fuse, unique, -ENOSYS, NULL, 0);
		}
	}
	_exit(0);
}

/* Mounts it. Returns the process that serves it, or -1 where that cannot be. */
static pid_t mount_silent(void)
{
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char options[100];
	pid_t server;

	if (fuse < 0)
		return -1;
	(void)snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fuse);
	if (unshare(CLONE_NEWNS) || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", folder, "fuse", 0, options)) {
		(void)close(fuse);
		return -1;
	}
	server = fork();
	must(server < 0);
	if (!server)
		serve(fuse);
	(void)close(fuse);
	return server;
}

static void test_silent(void)
{
	const pid_t server = mount_silent();
	pid_t reader;
	int file, status;

	if (server < 0) {
		tap__skip(1, "cannot serve a file system: %s", strerror(errno));
		return;
	}
	file = open(folder__path("file"), O_RDONLY | O_CLOEXEC);
	must(file < 0);
	reader = fork();
	must(reader < 0);
	if (!reader) {
		struct open_files files;

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)alarm(LIMIT_SECONDS);
		files = list_own();
		for (size_t i = 0; i < files.count; i++)
			if (files.items[i].fd == file)
				_exit(files.items[i].inode != FILE_NODE);
		_exit(1);
	}
	must(waitpid(reader, &status, 0) != reader);
	tap__ok(status == 0, "a file whose file system does not answer");
	(void)kill(server, SIGKILL);
	(void)waitpid(server, NULL, 0);
	(void)close(file);
	must(umount2(folder, MNT_DETACH));
}

int main(void)
{
	folder__enter("open_files_test");
	own_files = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(own_files < 0);
	tap__plan(4);
	test_lists();
	test_silent();
	folder__remove();
	return tap__done();
}
