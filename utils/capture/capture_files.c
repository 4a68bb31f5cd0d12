/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See capture_files.h. Source: proc(5), kcmp(2).
 */
#include "capture/capture_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/nocancel.h"
#include "base/proc_text.h"
#include "process/file_sharing.h"

enum { TEXT_BYTES = 4096 };

static bool is_hidden(int fd, const int *hidden)
{
	for (; *hidden >= 0; hidden++) {
		if (*hidden == fd)
			return true;
	}
	return false;
}

/* Numbers of deleted files are given out again. 0: the file system does not know. */
static uint64_t find_birth(int fd)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &stx) < 0 || !(stx.stx_mask & STATX_BTIME))
		return 0;
	return (uint64_t)stx.stx_btime.tv_sec * 1000000000 + stx.stx_btime.tv_nsec;
}

static void add_file(struct capture *c, int fd)
{
	struct image *image = c->image;
	struct image_file *file = &image->files[image->file_count];
	char path[64], text[TEXT_BYTES];
	struct stat st;
	ssize_t n;

	memset(file, 0, sizeof(*file));
	proc_text__make_path(path, "/proc/self/fdinfo/", (uint64_t)fd, 10, "");
	n = proc_text__read(path, text, sizeof(text));
	if (n == -EFBIG) /* what is needed is at the beginning */
		text[sizeof(text) - 1] = '\0';
	if (fstat(fd, &st) < 0 || (n < 0 && n != -EFBIG))
		return; /* the folder that is being read */
	image->sizes[image->file_count] = (uint64_t)st.st_size;
	if (S_ISREG(st.st_mode))
		image->births[image->file_count] = find_birth(fd);
	file->fd = fd;
	file->offset = proc_text__find_number(text, "pos:", 10);
	file->flags = (uint32_t)proc_text__find_number(text, "flags:", 8);
	file->mode = st.st_mode;
	file->inode = st.st_ino;
	file->dev_major = (uint32_t)(st.st_dev >> 8 & 0xfff);
	file->dev_minor = (uint32_t)((st.st_dev & 0xff) | (st.st_dev >> 12 & 0xfff00));
	if (strstr(text, "\nlock:"))
		file->held = strstr(text, " LEASE ") ? IMAGE_LEASED : IMAGE_LOCKED;
	proc_text__make_path(path, "/proc/self/fd/", (uint64_t)fd, 10, "");
	n = readlink(path, text, sizeof(text));
	if (n > 0 && (size_t)n < sizeof(text))
		file->path = capture_strings__add(c, text, (size_t)n);
	file->same_as = file_sharing__find_twin(getpid(), image, file);
	image->file_count++;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		image->info.missing |= IMAGE_MISSING_FILES;
	else if (st.st_nlink == 0)
		image->info.missing |= IMAGE_MISSING_DELETED;
}

/* /proc lists the files in the order of their numbers. */
ssize_t capture_files__add(struct capture *c, const int *hidden)
{
	int folder = nocancel__open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	_Alignas(struct dirent64) char entries[1024];
	ssize_t n, count = 0;

	if (folder < 0)
		return -errno;
	while ((n = syscall(SYS_getdents64, folder, entries, sizeof(entries))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *entry = (const void *)(entries + at);
			const char *name = entry->d_name;
			int fd;

			at += entry->d_reclen;
			if (*name < '0' || *name > '9')
				continue;
			fd = (int)proc_text__take_number(&name, 10);
			if (fd == folder || is_hidden(fd, hidden))
				continue;
			if (c && c->image->file_count == c->file_room) {
				count = -EAGAIN;
				goto out;
			}
			count++;
			if (c)
				add_file(c, fd);
		}
	}
	if (n < 0)
		count = -errno;
out:
	(void)nocancel__close(folder);
	return count;
}
