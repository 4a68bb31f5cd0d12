/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See describe.h. Source: proc(5), kcmp(2).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "attach/open_files.h"
#include "base/procfs.h"
#include "process/advice.h"
#include "process/file_sharing.h"
#include "save/describe.h"

/* Numbers of deleted files are given out again. 0: the file system does not know. */
static uint64_t find_birth(pid_t pid, int fd)
{
	char name[32], path[64];
	struct statx stx;

	(void)snprintf(name, sizeof(name), "fd/%d", fd);
	if (statx(AT_FDCWD, procfs__path(pid, name, path, sizeof(path)), 0, STATX_BTIME, &stx) <
		    0 ||
	    !(stx.stx_mask & STATX_BTIME))
		return 0;
	return (uint64_t)stx.stx_btime.tv_sec * 1000000000 + stx.stx_btime.tv_nsec;
}

/* What fdinfo says. */
static void read_info(struct image_file *file, const char *text)
{
	const char *at = strstr(text, "pos:");

	if (at)
		file->offset = strtoull(at + strlen("pos:"), NULL, 10);
	at = strstr(text, "flags:");
	if (at)
		file->flags = (uint32_t)strtoul(at + strlen("flags:"), NULL, 8);
	if (strstr(text, "\nlock:"))
		file->held = strstr(text, " LEASE ") ? IMAGE_LEASED : IMAGE_LOCKED;
}

static int add_file(pid_t pid, struct image_draft *draft, int fd)
{
	struct image *image = &draft->image;
	struct image_file *file = &image->files[image->file_count];
	char name[32], text[PATH_MAX];
	struct stat st;
	uint32_t path;
	ssize_t length;
	int err;

	(void)snprintf(name, sizeof(name), "fd/%d", fd);
	err = procfs__stat(pid, name, &st);
	if (err)
		return err;
	length = procfs__readlink(pid, name, text, sizeof(text));
	if (length < 0)
		return (int)length;
	path = image_draft__string(draft, text);
	(void)snprintf(name, sizeof(name), "fdinfo/%d", fd);
	length = procfs__string(pid, name, text, sizeof(text));
	if (length < 0)
		return (int)length;
	*file = (struct image_file){
		.fd = fd,
		.mode = st.st_mode,
		.inode = st.st_ino,
		.dev_major = major(st.st_dev),
		.dev_minor = minor(st.st_dev),
		.path = path,
	};
	read_info(file, text);
	file->same_as = file_sharing__find_twin(pid, image, file);
	image->sizes[image->file_count] = (uint64_t)st.st_size;
	if (S_ISREG(st.st_mode))
		image->births[image->file_count] = find_birth(pid, fd);
	image->file_count++;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		image->info.missing |= IMAGE_MISSING_FILES;
	else if (st.st_nlink == 0)
		image->info.missing |= IMAGE_MISSING_DELETED;
	return draft->err;
}

int describe__files(pid_t pid, struct image_draft *draft)
{
	struct image *image = &draft->image;
	struct open_files files = {0};
	int folder = procfs__open(pid, "fd", O_RDONLY | O_DIRECTORY), err;

	if (folder < 0)
		return folder;
	err = open_files__read(folder, &files);
	(void)close(folder);
	if (err)
		return err;
	image->files = calloc(files.count + 1, sizeof(*image->files));
	image->sizes = calloc(files.count + 1, sizeof(*image->sizes));
	image->births = calloc(files.count + 1, sizeof(*image->births));
	if (!image->files || !image->sizes || !image->births)
		err = -ENOMEM;
	for (size_t i = 0; i < files.count && !err; i++)
		err = add_file(pid, draft, files.items[i].fd);
	open_files__clear(&files);
	return err;
}

int describe__advice(pid_t pid, struct image_draft *draft)
{
	struct image *image = &draft->image;
	uint64_t start = 0, end = 0, first, last;
	int fd = procfs__open(pid, "smaps", O_RDONLY);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	size_t room = 0, next = 0;
	char *line = NULL;

	if (fd >= 0 && !file)
		(void)close(fd);
	if (!file)
		return fd < 0 ? fd : -ENOMEM;
	image->advice = calloc(image->mapping_count + 1, sizeof(*image->advice));
	while (image->advice && getline(&line, &room, file) > 0) {
		int length = 0;

		if (sscanf(line, "%lx-%lx %n", &first, &last, &length) == 2 && length) {
			start = first;
			end = last;
		}
		if (strncmp(line, "VmFlags:", 8) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		while (next < image->mapping_count && image->mappings[next].end <= start)
			next++;
		for (size_t i = next; i < image->mapping_count && image->mappings[i].start < end;
		     i++)
			image->advice[i] = advice__take(line);
	}
	free(line);
	(void)fclose(file);
	return image->advice ? 0 : -ENOMEM;
}
