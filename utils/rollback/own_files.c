/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See own_files.h.
 */
#include "rollback/own_files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/high_number.h"
#include "base/page.h"
#include "base/raw_syscall.h"

static int open_file(struct own_file *file, const char *path, int flags)
{
	struct stat st = {0};
	long fd = raw_syscall__call(SYS_openat, (uint64_t)AT_FDCWD, (uintptr_t)path,
				    (uint64_t)(flags | O_CLOEXEC), 0);

	file->fd = -1;
	if (fd < 0)
		return (int)fd;
	file->fd = high_number__move((int)fd);
	(void)raw_syscall__call(SYS_fstat, (uint64_t)file->fd, (uintptr_t)&st, 0, 0);
	file->device = st.st_dev;
	file->inode = st.st_ino;
	return 0;
}

/* Does its number belong to it still? */
static bool is_open(const struct own_file *file, struct stat *ret_status)
{
	return file->fd >= 0 &&
	       raw_syscall__call(SYS_fstat, (uint64_t)file->fd, (uintptr_t)ret_status, 0, 0) == 0 &&
	       ret_status->st_dev == file->device && ret_status->st_ino == file->inode;
}

static void close_file(struct own_file *file)
{
	struct stat st = {0};

	if (is_open(file, &st))
		(void)raw_syscall__call(SYS_close, (uint64_t)file->fd, 0, 0, 0);
	file->fd = -1;
}

enum rollback_way own_files__way(const struct own_files *files)
{
	switch (files->tracking.way) {
	case WRITE_TRACKING_PROTECT:
		return own_files__has_list(files) ? ROLLBACK_LIST : ROLLBACK_PROTECT;
	case WRITE_TRACKING_SOFT_DIRTY:
		return ROLLBACK_SOFT_DIRTY;
	default:
		return ROLLBACK_COMPARE;
	}
}

/* list_room: 0: no list is asked for. */
static int open_tracking(struct own_files *files, uint64_t list_room)
{
	static const enum write_tracking_way ways[] = {
		[ROLLBACK_PROTECT] = WRITE_TRACKING_PROTECT,
		[ROLLBACK_SOFT_DIRTY] = WRITE_TRACKING_SOFT_DIRTY,
		[ROLLBACK_COMPARE] = WRITE_TRACKING_NONE,
		[ROLLBACK_LIST] = WRITE_TRACKING_PROTECT,
	};

	if (files->wanted == ROLLBACK_BEST)
		write_tracking__open(&files->tracking, &files->pagemap);
	else
		write_tracking__open_way(&files->tracking, ways[files->wanted], &files->pagemap);
	if (list_room && files->tracking.way == WRITE_TRACKING_PROTECT &&
	    (files->wanted == ROLLBACK_BEST || files->wanted == ROLLBACK_LIST))
		(void)listed_pages__open(&files->listed, list_room);
	return files->wanted == ROLLBACK_BEST || files->wanted == own_files__way(files)
		       ? 0
		       : -EOPNOTSUPP;
}

static int open_all(struct own_files *files, uint64_t list_room)
{
	int err = open_file(&files->maps, "/proc/self/maps", O_RDONLY);

	if (err)
		return err;
	err = open_file(&files->task, "/proc/self/task", O_RDONLY | O_DIRECTORY);
	if (err)
		return err;
	err = open_file(&files->pagemap_file, "/proc/self/pagemap", O_RDONLY);
	if (err)
		return err;
	pagemap__init(&files->pagemap, files->pagemap_file.fd);
	*files->same_process = 1;
	return open_tracking(files, list_room);
}

int own_files__open(struct own_files *files, enum rollback_way way, uint64_t *same_process,
		    uint64_t list_room)
{
	int err;

	files->maps.fd = files->task.fd = files->pagemap_file.fd = -1;
	files->tracking = (struct write_tracking)WRITE_TRACKING_OFF;
	files->listed = (struct listed_pages){0};
	files->wanted = way;
	files->generation = 0;
	files->same_process = same_process;
	(void)raw_syscall__call(SYS_madvise, (uintptr_t)same_process, PAGE_BYTES, MADV_WIPEONFORK,
				0);
	err = open_all(files, list_room);
	if (err)
		own_files__close(files);
	return err;
}

static void close_all(struct own_files *files)
{
	close_file(&files->maps);
	close_file(&files->task);
	close_file(&files->pagemap_file);
	write_tracking__close(&files->tracking);
}

void own_files__close(struct own_files *files)
{
	if (*files->same_process)
		listed_pages__close(&files->listed);
	close_all(files);
}

static void lose_list(struct own_files *files)
{
	files->listed.list = NULL;
	if (files->wanted == ROLLBACK_LIST)
		files->wanted = ROLLBACK_PROTECT;
}

/* The list does not depend on open files, so it is kept. But it is of one process, and of pages
 * that are armed. */
int own_files__renew(struct own_files *files)
{
	int err;

	close_all(files);
	files->generation++;
	if (!*files->same_process)
		lose_list(files);
	err = open_all(files, 0);
	if (!err && files->tracking.way != WRITE_TRACKING_PROTECT)
		lose_list(files);
	return err;
}

bool own_files__look_at_list(struct own_files *files)
{
	if (!own_files__has_list(files))
		return false;
	if (!listed_pages__is_over(&files->listed))
		return listed_pages__look(&files->listed);
	lose_list(files);
	files->generation++;
	return false;
}

/* A directory has two links of its own. */
long own_files__check(struct own_files *files)
{
	struct stat st = {0};
	int err = 0;

	if (!*files->same_process || !is_open(&files->task, &st)) {
		err = own_files__renew(files);
		if (!err && !is_open(&files->task, &st))
			err = -EBADF;
	}
	return err ? err : (long)st.st_nlink - 2;
}

int own_files__find(const struct own_files *files, int first, int last)
{
	const int numbers[] = {files->maps.fd, files->task.fd, files->pagemap_file.fd,
			       files->tracking.uffd};
	int lowest = -1;

	for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (numbers[i] >= first && numbers[i] <= last &&
		    (lowest < 0 || numbers[i] < lowest))
			lowest = numbers[i];
	return lowest;
}
