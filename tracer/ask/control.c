/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The control files. Every call works relative to the folder that was opened at the start, with
 * AT_SYMLINK_NOFOLLOW, O_NOFOLLOW and O_EXCL.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "base/log.h"
#include "base/procfs.h"
#include "ask/control.h"

#define LOCK_PATH     "/run/tracer.lock"
#define LOCK_MASK     ((1ULL << 62) - 1) /* of the place of a lock, which must not be negative */
#define FOLDER_MAX    (PATH_BYTES - 32)  /* leaves room for a slash, the longest name and its NUL */
#define DEVICE_FACTOR 0x9e3779b97f4a7c15ULL /* spreads devices over the places */

static const char *const requests[OPERATION_KINDS] = {CHECKPOINT_REQUEST, RESTORE_REQUEST,
						      ROLLBACK_REQUEST};
static const char *const completions[OPERATION_KINDS] = {CHECKPOINT_COMPLETION, RESTORE_COMPLETION,
							 ROLLBACK_COMPLETION};

struct control {
	char folder[PATH_BYTES];
	char request_paths[OPERATION_KINDS][PATH_BYTES];
	char completion_paths[OPERATION_KINDS][PATH_BYTES];
	uint64_t answered[OPERATION_KINDS]; /* number of the request file, see number_of() */
	int folder_fd;
	int lock_fd;
	int spare_fd; /* the next completion file, still without a name; -1: none */
	uid_t spare_uid;
	gid_t spare_gid;
};

/* Removes name if it is a plain file; says what else it is. 0, also when there is none. */
static int remove_stale(const struct control *control, const char *name)
{
	struct stat status;

	if (fstatat(control->folder_fd, name, &status, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISREG(status.st_mode)) {
		log__error("control file %s/%s is not a plain file but %s; remove it, or choose "
			   "another folder with --control-dir",
			   control->folder, name,
			   S_ISLNK(status.st_mode)   ? "a symbolic link"
			   : S_ISDIR(status.st_mode) ? "a directory"
						     : "a special file");
		return -EEXIST;
	}
	if (unlinkat(control->folder_fd, name, 0) && errno != ENOENT) {
		int err = -errno;

		log__error("cannot remove old control file %s/%s: %s", control->folder, name,
			   strerror(-err));
		return err;
	}
	return 0;
}

/* Two tracers in one folder would answer each other's targets. The lock is kept where only root can
 * reach it: in the folder itself anybody could hold it. One file has a byte for each folder, so
 * nothing is left to be removed when a tracer is killed. */
static int lock_folder(struct control *control)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	struct stat status;
	int err;

	if (fstat(control->folder_fd, &status))
		return -errno;
	lock.l_start = (off_t)((status.st_ino + status.st_dev * DEVICE_FACTOR) & LOCK_MASK);
	control->lock_fd = open(LOCK_PATH, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (control->lock_fd >= 0 && !fcntl(control->lock_fd, F_OFD_SETLK, &lock))
		return 0;
	err = -errno;
	if (control->lock_fd >= 0 && (err == -EAGAIN || err == -EACCES)) {
		log__error("another tracer answers the control files in %s; give this one a folder "
			   "of its own with --control-dir",
			   control->folder);
		return -EBUSY;
	}
	log__error("cannot lock %s, which keeps two tracers out of one folder: %s", LOCK_PATH,
		   strerror(-err));
	return err;
}

/* Says that the folder cannot be used. Returns err. */
static int refuse_folder(const char *folder, int err)
{
	log__error("control folder %s: %s; make it, or choose another one with --control-dir",
		   folder, strerror(-err));
	return err;
}

static int set_paths(struct control *control, const char *folder)
{
	char *real = realpath(folder, NULL);
	int err = 0;

	if (!real)
		return refuse_folder(folder, -errno);
	/* absolute names are kept: the kernel side compares them with what the target passes */
	if (snprintf(control->folder, PATH_BYTES, "%s", *folder == '/' ? folder : real) >
	    FOLDER_MAX) {
		log__error("control folder %s: the name is too long, %d bytes are allowed", folder,
			   FOLDER_MAX);
		err = -ENAMETOOLONG;
	}
	free(real);
	if (err)
		return err;
	for (size_t end = strlen(control->folder); end > 1 && control->folder[end - 1] == '/';)
		control->folder[--end] = '\0';
	for (int kind = 0; kind < OPERATION_KINDS; kind++) {
		const char *slash = control->folder[1] ? "/" : "";

		stpcpy(stpcpy(stpcpy(control->request_paths[kind], control->folder), slash),
		       requests[kind]);
		stpcpy(stpcpy(stpcpy(control->completion_paths[kind], control->folder), slash),
		       completions[kind]);
	}
	return 0;
}

int control__open(const char *folder, struct control **ret_control)
{
	struct control *control = calloc(1, sizeof(*control));
	int err;

	if (!control)
		return -ENOMEM;
	control->folder_fd = control->lock_fd = control->spare_fd = -1;
	err = set_paths(control, folder);
	if (err)
		goto out;
	control->folder_fd = open(control->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (control->folder_fd < 0) {
		err = refuse_folder(folder, -errno);
		goto out;
	}
	err = lock_folder(control);
	if (err)
		goto out;
	for (int kind = 0; kind < OPERATION_KINDS; kind++) {
		err = remove_stale(control, requests[kind]);
		if (err)
			goto out;
		err = remove_stale(control, completions[kind]);
		if (err)
			goto out;
	}
out:
	if (err) {
		if (control->folder_fd >= 0)
			close(control->folder_fd);
		if (control->lock_fd >= 0)
			close(control->lock_fd);
		free(control);
		return err;
	}
	*ret_control = control;
	return 0;
}

const char *control__folder(const struct control *control)
{
	return control->folder;
}

const char *control__request_path(const struct control *control, enum operation_kind kind)
{
	return control->request_paths[kind];
}

const char *control__completion_path(const struct control *control, enum operation_kind kind)
{
	return control->completion_paths[kind];
}

int control__identity(const struct control *control, uint64_t *ret_inode, uint32_t *ret_device)
{
	struct stat status;

	if (fstat(control->folder_fd, &status))
		return -errno;
	*ret_inode = status.st_ino;
	*ret_device = major(status.st_dev) << 20 | minor(status.st_dev);
	return 0;
}

/* Tells a file from a later one of the same name, also where the inode is the same. */
static uint64_t number_of(const struct stat *status)
{
	return ((uint64_t)status->st_ino << 32 ^ (uint64_t)status->st_ctim.tv_sec << 30 ^
		(uint64_t)status->st_ctim.tv_nsec) |
	       1;
}

int control__check_request(struct control *control, enum operation_kind kind, uid_t uid)
{
	struct stat status;

	if (fstatat(control->folder_fd, requests[kind], &status, AT_SYMLINK_NOFOLLOW))
		return -errno;
	control->answered[kind] = number_of(&status);
	return S_ISREG(status.st_mode) && status.st_uid == uid ? 0 : -EPERM;
}

uint64_t control__unanswered(const struct control *control, enum operation_kind kind)
{
	struct stat status;
	uint64_t number;

	if (fstatat(control->folder_fd, requests[kind], &status, AT_SYMLINK_NOFOLLOW))
		return 0;
	number = number_of(&status);
	return number == control->answered[kind] ? 0 : number;
}

bool control__is_replaced(const struct control *control)
{
	struct stat ours, there;

	return stat(control->folder, &there) ||
	       (!fstat(control->folder_fd, &ours) &&
		(there.st_ino != ours.st_ino || there.st_dev != ours.st_dev));
}

bool control__is_elsewhere(const struct control *control, enum operation_kind kind, pid_t pid)
{
	int root = procfs__open(pid, "root", O_PATH | O_DIRECTORY);
	struct stat status;
	bool found;

	if (root < 0)
		return false;
	found = !fstatat(root, control->request_paths[kind] + 1, &status, AT_SYMLINK_NOFOLLOW);
	close(root);
	return found;
}

/* Removes an old completion file that the client has left behind. */
static int remove_old(const struct control *control, const char *name, uid_t uid)
{
	struct stat status;

	if (fstatat(control->folder_fd, name, &status, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISREG(status.st_mode) || (status.st_uid != uid && status.st_uid != 0))
		return -EEXIST;
	return unlinkat(control->folder_fd, name, 0) && errno != ENOENT ? -errno : 0;
}

int control__forget(const struct control *control, enum operation_kind kind, uid_t uid)
{
	int err = remove_old(control, completions[kind], uid);

	if (err == -EEXIST)
		log__error("%s is there, and is not a plain file of user %u: a client may take it "
			   "for the answer; remove it",
			   control->completion_paths[kind], uid);
	return err;
}

void control__provide(struct control *control, uid_t uid, gid_t gid)
{
	int fd;

	if (control->spare_fd >= 0)
		return;
	fd = openat(control->folder_fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0644);
	if (fd >= 0 && fchown(fd, uid, gid)) { /* always: a setgid folder gives it another group */
		close(fd);
		fd = -1;
	}
	control->spare_fd = fd;
	control->spare_uid = uid;
	control->spare_gid = gid;
}

/* Gives the spare file the name. -ENOENT when there is none for that user. */
static int name_spare(struct control *control, const char *name, uid_t uid, gid_t gid)
{
	int err;

	if (control->spare_fd < 0 || control->spare_uid != uid || control->spare_gid != gid)
		return -ENOENT;
	err = linkat(control->spare_fd, "", control->folder_fd, name, AT_EMPTY_PATH) ? -errno : 0;
	if (err != -EEXIST) {
		close(control->spare_fd);
		control->spare_fd = -1;
	}
	return err;
}

static int create(const struct control *control, const char *name, uid_t uid, gid_t gid)
{
	int err = 0, fd = openat(control->folder_fd, name,
				 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	if (fchown(fd, uid, gid)) {
		err = -errno;
		(void)unlinkat(control->folder_fd, name, 0); /* it would only mislead */
	}
	close(fd);
	return err;
}

int control__complete(struct control *control, enum operation_kind kind, uid_t uid, gid_t gid)
{
	const char *name = completions[kind];
	bool replaced = false;

	for (;;) {
		int err = name_spare(control, name, uid, gid);

		if (err && err != -EEXIST)
			err = create(control, name, uid, gid);
		if (err != -EEXIST || replaced)
			return err;
		err = remove_old(control, name, uid);
		if (err)
			return err;
		replaced = true;
	}
}

void control__refuse(struct control *control, enum operation_kind kind, uid_t uid)
{
	if (!control__check_request(control, kind, uid))
		(void)unlinkat(control->folder_fd, requests[kind], 0); /* or the client times out */
}

void control__free(struct control *control)
{
	struct stat status;

	if (!control)
		return;
	for (int kind = 0; kind < OPERATION_KINDS; kind++) {
		const char *const names[] = {requests[kind], completions[kind]};

		for (int i = 0; i < 2; i++)
			if (!fstatat(control->folder_fd, names[i], &status, AT_SYMLINK_NOFOLLOW) &&
			    S_ISREG(status.st_mode))
				(void)unlinkat(control->folder_fd, names[i], 0); /* best effort */
	}
	if (control->spare_fd >= 0)
		close(control->spare_fd);
	close(control->folder_fd);
	close(control->lock_fd);
	free(control);
}
