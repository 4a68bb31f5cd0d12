/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See files.h.
 */
#include "reopen/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/log.h"
#include "reopen/file_kind.h"
#include "reopen/objects.h"
#include "reopen/outputs.h"
#include "reopen/same_root.h"

enum { NAMED_MAX = 8 }; /* of a kind */

static const char *path_of(const struct image *image, const struct image_file *file)
{
	return image__string(image, file->path);
}

/* ---- opening one ---- */

/* Why a file cannot be opened again. */
struct refusal {
	const char *change; /* the file is not what it was; NULL: a call failed */
	bool is_acceptable; /* with --changed-files */
	int err;            /* -errno */
};

/* Has an open file the birth time that it had, as far as that is known? */
static bool is_as_old(const struct image *image, size_t i, int fd)
{
	struct statx stx;

	if (!image->births || !image->births[i] ||
	    statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &stx) < 0 || !(stx.stx_mask & STATX_BTIME))
		return true;
	return image->births[i] ==
	       (uint64_t)stx.stx_btime.tv_sec * 1000000000 + stx.stx_btime.tv_nsec;
}

/* Has a plain file been replaced, or cut off? That it has grown is no change: the process may have
 * written it after its image. In /proc, numbers and sizes mean nothing. */
static const char *find_replacement(const struct files *files, size_t i, int fd,
				    const struct stat *st)
{
	const struct image *image = files->image;
	const struct image_file *file = &image->files[i];

	if (!image->sizes || !S_ISREG(file->mode) ||
	    strncmp(path_of(image, file), "/proc/", strlen("/proc/")) == 0)
		return NULL;
	if (st->st_ino != file->inode || !is_as_old(image, i, fd) ||
	    (files->is_same_boot &&
	     (major(st->st_dev) != file->dev_major || minor(st->st_dev) != file->dev_minor)))
		return "is another file now, of the same name";
	if ((uint64_t)st->st_size < image->sizes[i])
		return "is shorter now";
	return NULL;
}

static const char *find_change(uint32_t mode, uint32_t mode_now)
{
	if ((mode & S_IFMT) == (mode_now & S_IFMT))
		return NULL;
	return S_ISREG(mode)   ? "is now no plain file"
	       : S_ISDIR(mode) ? "is now no folder"
			       : "is now another kind of file";
}

/* A message queue is a plain file at the root of a file system that may be mounted nowhere. */
static int open_queue(const char *path, int flags)
{
	return errno == ENOENT && path[0] == '/' && !strchr(path + 1, '/')
		       ? (int)syscall(SYS_mq_open, path + 1, flags, 0, NULL)
		       : -1;
}

/*
 * To open another kind of file may block, or do harm. So the name is looked up without opening it,
 * and what it has led to is opened.
 * Returns a descriptor; or -1 and errno, or *ret_change if the name leads to another kind now.
 */
static int open_kind(const char *path, uint32_t mode, int flags, const char **ret_change)
{
	/* the kernel mounts a folder by itself only if it is asked for a folder */
	const int folder = S_ISDIR(mode) && !(flags & O_PATH) ? O_DIRECTORY : 0;
	const int found =
		open(path, O_PATH | O_CLOEXEC | folder | (flags & (O_NOFOLLOW | O_DIRECTORY)));
	char link[32];
	struct stat st;
	int fd, err;

	*ret_change = found < 0 && errno == ENOTDIR && folder ? find_change(mode, 0) : NULL;
	if (found < 0)
		return open_queue(path, flags);
	if (fstat(found, &st) == 0)
		*ret_change = find_change(mode, st.st_mode);
	if (*ret_change) {
		(void)close(found);
		return -1;
	}
	if (flags & O_PATH)
		return found;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", found);
	fd = open(link, flags & ~O_NOFOLLOW);
	err = errno;
	(void)close(found);
	errno = err;
	return fd;
}

/* Returns a descriptor; or -1 and *ret_refusal. Of a file that has changed, which is accepted,
 * *ret_refusal says how. */
static int open_again(const struct files *files, size_t i, struct refusal *ret_refusal)
{
	const struct image *image = files->image;
	const struct image_file *file = &image->files[i];
	uint64_t offset = file->offset;
	struct stat st;
	const int created = O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC;
	char buffer[PATH_MAX];
	const char *path = file_kind__find_path(image, file, buffer), *change;
	int fd = open_kind(path, file->mode, ((int)file->flags & ~created) | O_NOCTTY | O_CLOEXEC,
			   &change);

	*ret_refusal = (struct refusal){.change = change, .err = -EINVAL};
	if (change)
		return -1;
	if (fd >= 0 && fstat(fd, &st) == 0) {
		change = find_replacement(files, i, fd, &st);
		ret_refusal->change = change;
		ret_refusal->is_acceptable = true;
		if (change && !files->accept_changes) {
			(void)close(fd);
			return -1;
		}
		if (change && offset > (uint64_t)st.st_size) /* no hole of zeros */
			offset = (uint64_t)st.st_size;
	}
	/* Not everything can be sought in, as what O_PATH opened; its offset is 0. */
	if (fd >= 0 && (!offset || lseek(fd, (off_t)offset, SEEK_SET) >= 0))
		return fd;
	*ret_refusal = (struct refusal){.err = -errno};
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static int say_refusal(const struct image *image, const struct image_file *file,
		       const struct refusal *refusal)
{
	if (refusal->change)
		log__error("the process had %s open, as file %d, and it %s; put it back and try "
			   "again%s",
			   path_of(image, file), file->fd, refusal->change,
			   refusal->is_acceptable ? ", or use it as it is with --changed-files"
						  : "");
	else
		log__error("the process had %s open, as file %d, and it cannot be opened: %s; "
			   "create it, or make it accessible, and try again",
			   path_of(image, file), file->fd, strerror(-refusal->err));
	return refusal->err;
}

/* ---- what becomes of each ---- */

/* Of the file that shares its offset with this one. */
static enum file_fate fate_of_twin(const struct files *files, size_t i)
{
	const struct image_file *all = files->image->files;

	for (size_t k = 0; k < i; k++) {
		if (all[k].fd == all[i].same_as)
			return files->fates[k];
	}
	return FILE_MISSING;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int decide(const struct files *files, size_t i, enum file_fate *ret)
{
	const struct image *image = files->image;
	const struct image_file *file = &image->files[i];
	const enum file_reopening can = file_kind__reopening(image, file);
	struct refusal refusal;
	int fd;

	*ret = FILE_MISSING;
	if (objects__find(image, file->fd)) {
		*ret = FILE_MADE;
	} else if ((can == REOPEN_NEVER || can == REOPEN_IF_CLOSED) && is_open(file->fd)) {
		*ret = FILE_INHERITED;
		log__debug("descriptor %d was %s; now it is what restart has there", file->fd,
			   path_of(image, file));
	} else if (file->same_as >= 0 && fate_of_twin(files, i) != FILE_MISSING) {
		*ret = FILE_COPIED;
	} else if (can != REOPEN_NEVER) {
		fd = open_again(files, i, &refusal);
		if (fd < 0 && can == REOPEN_ALWAYS)
			return say_refusal(image, file, &refusal);
		if (fd >= 0) {
			if (refusal.change)
				log__warn("%s %s; file %d of the process", path_of(image, file),
					  refusal.change, file->fd);
			*ret = !refusal.change && outputs__is_one(image, i) ? FILE_CONTINUED
									    : FILE_OPENED;
			(void)close(fd);
		}
	}
	return 0;
}

/* ---- naming those that are missing ---- */

static bool is_missing_as(const struct files *files, size_t i, const char *what)
{
	char other[FILE_KIND_BYTES];

	return files->fates[i] == FILE_MISSING &&
	       strcmp(file_kind__name(files->image, &files->image->files[i], false, other), what) ==
		       0;
}

/* Names file i with all later ones that are the same kind of thing: "descriptors 3, 4 (pipes)". */
static void name_missing(const struct files *files, size_t i, struct missing *missing)
{
	const struct image *image = files->image;
	char what[FILE_KIND_BYTES], many[FILE_KIND_BYTES], *numbers = NULL;
	size_t bytes = 0, count = 0;
	FILE *out = open_memstream(&numbers, &bytes);

	(void)file_kind__name(image, &image->files[i], false, what);
	for (size_t k = 0; k < i; k++) {
		if (is_missing_as(files, k, what))
			goto out; /* named with that one */
	}
	for (size_t k = i; k < image->file_count && out; k++) {
		if (is_missing_as(files, k, what) && count++ < NAMED_MAX)
			(void)fprintf(out, "%s%d", count > 1 ? ", " : "", image->files[k].fd);
	}
	if (out && count > NAMED_MAX)
		(void)fprintf(out, " and %zu more", count - NAMED_MAX);
	if (!out || fflush(out) != 0)
		goto out;
	missing__add(missing, "descriptor%s %s (%s)", count > 1 ? "s" : "", numbers,
		     count > 1 ? file_kind__name(image, &image->files[i], true, many) : what);
out:
	if (out)
		(void)fclose(out);
	free(numbers);
}

int files__check(const struct image *image, bool accept_changes, struct missing *missing,
		 struct files *ret)
{
	struct files files = {.image = image,
			      .accept_changes = accept_changes,
			      .is_same_boot = same_root__is_same_boot(image)};
	int err = 0;

	files.fates = calloc(image->file_count + 1, sizeof(*files.fates));
	if (!files.fates) {
		log__error("%s: %s", image->path, strerror(ENOMEM));
		return -ENOMEM;
	}
	for (size_t i = 0; i < image->file_count && !err; i++)
		err = decide(&files, i, &files.fates[i]);
	if (err)
		goto out;
	for (size_t i = 0; i < image->file_count; i++) {
		if (files.fates[i] == FILE_MISSING)
			name_missing(&files, i, missing);
	}
	*ret = files;
	files.fates = NULL;
out:
	free(files.fates);
	return err;
}

void files__free(struct files *files)
{
	free(files->fates);
	free(files->made);
	*files = (struct files){0};
}

/* ---- making those that are made anew ---- */

static void drop_made(const struct files *files, size_t i, int err, struct missing *missing)
{
	const struct image *image = files->image;
	const struct image_file *file = &image->files[i];
	char what[FILE_KIND_BYTES];

	if (!objects__name(image, objects__find(image, file->fd), what, sizeof(what)))
		(void)file_kind__name(image, file, false, what);
	missing__add(missing, "descriptor %d (%s: %s)", file->fd, what, strerror(-err));
	for (size_t k = i; k < image->file_count; k++) {
		if (k == i || image->files[k].same_as == file->fd)
			files->fates[k] = FILE_MISSING;
	}
}

int files__make(struct files *files, int first_fd, struct missing *missing)
{
	const size_t count = files->image->file_count;
	int *errors = calloc(count + 1, sizeof(*errors));

	files->made = calloc(count + 1, sizeof(*files->made));
	if (!errors || !files->made) {
		log__error("%s: %s", files->image->path, strerror(ENOMEM));
		free(errors);
		return -ENOMEM;
	}
	objects__make(files->image, first_fd, files->made, errors);
	for (size_t i = 0; i < count; i++) {
		if (files->fates[i] == FILE_MADE && files->made[i] < 0)
			drop_made(files, i, errors[i], missing);
	}
	free(errors);
	return 0;
}

void files__keep_outputs(struct files *files)
{
	for (size_t i = 0; i < files->image->file_count; i++) {
		if (files->fates[i] == FILE_CONTINUED && !outputs__keep_rest(files->image, i))
			files->fates[i] = FILE_OPENED;
	}
}

/* ---- opening all ---- */

/* Gives an open file the number and the flag that it had. */
static int place(int fd, const struct image_file *file)
{
	const int flag = (int)file->flags & O_CLOEXEC;
	int err = 0;

	if (fd == file->fd)
		return flag || fcntl(fd, F_SETFD, 0) >= 0 ? 0 : -errno;
	if (dup3(fd, file->fd, flag) < 0)
		err = -errno;
	(void)close(fd);
	return err;
}

static int open_one(const struct files *files, size_t i, struct refusal *ret_refusal)
{
	const struct image_file *file = &files->image->files[i];
	const enum file_fate fate = files->fates[i];
	int fd;

	*ret_refusal = (struct refusal){0};
	if (fate == FILE_COPIED) {
		fd = dup3(file->same_as, file->fd, (int)file->flags & O_CLOEXEC);
		ret_refusal->err = fd < 0 ? -errno : 0;
	} else if (fate == FILE_MADE) {
		ret_refusal->err = place(files->made[i], file);
	} else if (fate == FILE_OPENED || fate == FILE_CONTINUED) {
		fd = open_again(files, i, ret_refusal);
		/* A file that only grows (chattr +a) stays as it is. */
		if (fd >= 0 && !ret_refusal->change && fate == FILE_CONTINUED)
			(void)ftruncate(fd, (off_t)file->offset);
		if (fd >= 0)
			*ret_refusal = (struct refusal){.err = place(fd, file)};
	}
	return ret_refusal->err;
}

int files__open(const struct files *files, int first_fd, int messages_fd)
{
	const struct image *image = files->image;
	int next = 0;

	for (size_t i = 0; i < image->file_count; i++) {
		const struct image_file *file = &image->files[i];
		struct refusal refusal;

		for (; next < file->fd; next++) /* these are free in the process */
			(void)close(next);
		next = file->fd + 1;
		if (!open_one(files, i, &refusal))
			continue;
		if (dup2(messages_fd, STDERR_FILENO) >= 0)
			(void)say_refusal(image, file, &refusal);
		return refusal.err;
	}
	for (; next < first_fd; next++)
		(void)close(next);
	objects__watch(image);
	return 0;
}
