/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See descriptors.h.
 */
#include "rollback/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/raw_syscall.h"
#include "rollback/number_directory.h"

/* Notes a number. That of the directory that is being read is new at each rollback. */
static int add(struct rollback *r, int fd)
{
	struct descriptor *d = &r->descriptors[r->descriptor_count];
	struct stat st = {0};
	long offset;

	if (fd == r->listing)
		return 0;
	if (r->descriptor_count == r->descriptor_room)
		return -E2BIG;
	*d = (struct descriptor){.fd = fd};
	r->descriptor_count++;
	if (!(r->flags & ROLLBACK_OFFSETS) || own_files__find(r->files, fd, fd) >= 0)
		return 0;
	offset = raw_syscall__call(SYS_lseek, (uint64_t)fd, 0, SEEK_CUR, 0);
	if (offset < 0 || raw_syscall__call(SYS_fstat, (uint64_t)fd, (uintptr_t)&st, 0, 0))
		return 0;
	d->seekable = true;
	d->device = st.st_dev;
	d->inode = st.st_ino;
	d->offset = (uint64_t)offset;
	return 0;
}

int descriptors__save(struct rollback *r)
{
	int err;

	if (!(r->flags & (ROLLBACK_CLOSE_NEW | ROLLBACK_OFFSETS)))
		return 0;
	r->listing =
		(int)raw_syscall__call(SYS_openat, (uint64_t)AT_FDCWD, (uintptr_t) "/proc/self/fd",
				       O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (r->listing < 0)
		return r->listing;
	err = number_directory__each(r->listing, r, add);
	(void)raw_syscall__call(SYS_close, (uint64_t)r->listing, 0, 0, 0);
	return err;
}

/* Closes [first, last], but not the files of the library. */
static void close_range_of(const struct rollback *r, int first, int last)
{
	while (first <= last) {
		const int own = own_files__find(r->files, first, last);
		const int end = own < 0 ? last : own - 1;

		if (first <= end)
			(void)raw_syscall__call(SYS_close_range, (uint64_t)first, (uint64_t)end, 0,
						0);
		if (own < 0)
			return;
		first = own + 1;
	}
}

static void put_offset_back(const struct descriptor *d)
{
	struct stat st = {0};

	if (raw_syscall__call(SYS_fstat, (uint64_t)d->fd, (uintptr_t)&st, 0, 0) == 0 &&
	    st.st_dev == d->device && st.st_ino == d->inode)
		(void)raw_syscall__call(SYS_lseek, (uint64_t)d->fd, d->offset, SEEK_SET, 0);
}

void descriptors__restore(const struct rollback *r)
{
	int next = 0;

	for (size_t i = 0; i < r->descriptor_count; i++) {
		const struct descriptor *d = &r->descriptors[i];

		if (r->flags & ROLLBACK_CLOSE_NEW)
			close_range_of(r, next, d->fd - 1);
		if (d->seekable)
			put_offset_back(d);
		next = d->fd + 1;
	}
	if (r->flags & ROLLBACK_CLOSE_NEW)
		close_range_of(r, next, INT_MAX);
}
