/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See remake.h. The order: the heap shrinks, all that is new goes, the heap grows, what is gone
 * comes back, rights.
 */
#include "attach/remake.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include "base/page.h"
#include "target/reason.h"

/* Makes a call that returns 0, or an address or a number in *ret_value, or fails. */
static int call(struct inject *inject, int64_t *ret_value, long nr, uint64_t a, uint64_t b,
		uint64_t c, uint64_t d, uint64_t e)
{
	const uint64_t args[6] = {a, b, c, d, e, 0};
	int64_t value = 0;
	int err = inject__call(inject, nr, args, &value);

	if (err)
		return err;
	if (value < 0 && value >= -4095)
		return (int)value;
	if (ret_value)
		*ret_value = value;
	return 0;
}

/* ---- files ---- */

static bool is_of_file(const struct mapping *mapping)
{
	return mapping->inode != 0;
}

static bool is_same_file(pid_t pid, const struct mapping *mapping)
{
	char path[PATH_MAX + 32];
	struct stat status;

	(void)snprintf(path, sizeof(path), "/proc/%d/root%s", (int)pid, mapping->path);
	return !stat(path, &status) && status.st_ino == mapping->inode &&
	       major(status.st_dev) == mapping->dev_major &&
	       minor(status.st_dev) == mapping->dev_minor;
}

int remake__check_files(pid_t pid, const struct layout_change *change,
			const struct mapping **ret_gone)
{
	for (size_t i = 0; i < change->map.count; i++) {
		const struct mapping *mapping = change->map.items[i].mapping;

		if (!is_of_file(mapping) || is_same_file(pid, mapping))
			continue;
		*ret_gone = mapping;
		return -REASON_MEMORY_GONE;
	}
	return 0;
}

/* Opens a file in the process, whose path is written to a page that is mapped for that. */
static int open_file(struct inject *inject, struct memory *memory, const struct mapping *mapping,
		     int64_t *ret_fd)
{
	const bool writes = (mapping->flags & MAPPING_SHARED) && (mapping->flags & MAPPING_WRITE);
	const size_t length = strlen(mapping->path) + 1;
	const size_t size = page__round_up(length);
	int64_t page = 0;
	int err;

	err = call(inject, &page, SYS_mmap, 0, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, UINT64_MAX);
	if (err)
		return err;
	err = memory__write(memory, (uint64_t)page, mapping->path, length);
	if (err)
		goto out;
	err = call(inject, ret_fd, SYS_open, (uint64_t)page,
		   O_CLOEXEC | (writes ? O_RDWR : O_RDONLY), 0, 0, 0);
out:
	(void)call(inject, NULL, SYS_munmap, (uint64_t)page, size, 0, 0, 0);
	return err;
}

/* ---- mappings ---- */

static uint64_t rights_of(const struct mapping *mapping)
{
	return ((mapping->flags & MAPPING_READ) ? PROT_READ : 0) |
	       ((mapping->flags & MAPPING_WRITE) ? PROT_WRITE : 0) |
	       ((mapping->flags & MAPPING_EXEC) ? PROT_EXEC : 0);
}

static int map(struct inject *inject, struct memory *memory, const struct layout_part *part)
{
	const struct mapping *mapping = part->mapping;
	uint64_t flags = MAP_FIXED | ((mapping->flags & MAPPING_SHARED) ? MAP_SHARED : MAP_PRIVATE);
	uint64_t args[6] = {
		part->start, part->end - part->start, rights_of(mapping), 0, UINT64_MAX, 0};
	int64_t fd = -1, value = 0;
	int err = 0;

	if (is_of_file(mapping)) {
		err = open_file(inject, memory, mapping, &fd);
		if (err)
			return err;
		args[4] = (uint64_t)fd;
		args[5] = mapping->offset + (part->start - mapping->start);
	} else {
		flags |= MAP_ANONYMOUS;
		if (!strcmp(mapping->path, "[stack]"))
			flags |= MAP_GROWSDOWN;
	}
	args[3] = flags;
	err = inject__call(inject, SYS_mmap, args, &value);
	if (!err && value < 0 && value >= -4095)
		err = (int)value;
	if (fd >= 0)
		(void)call(inject, NULL, SYS_close, (uint64_t)fd, 0, 0, 0, 0);
	return err;
}

static bool is_changed(const struct mapping *mapping, const struct layout_change *change)
{
	for (size_t i = 0; i < change->unmap.count; i++)
		if (change->unmap.items[i].start < mapping->end &&
		    mapping->start < change->unmap.items[i].end)
			return true;
	for (size_t i = 0; i < change->protect.count; i++)
		if (change->protect.items[i].start < mapping->end &&
		    mapping->start < change->protect.items[i].end)
			return true;
	return false;
}

/* To give a mapping the rights that it has changes nothing, and fails if it is sealed. */
int remake__check_seals(struct inject *inject, const struct mappings *now,
			const struct layout_change *change, const struct mapping **ret_sealed)
{
	for (size_t i = 0; i < now->count; i++) {
		const struct mapping *mapping = &now->items[i];

		if (!is_changed(mapping, change) ||
		    call(inject, NULL, SYS_mprotect, mapping->start, mapping->end - mapping->start,
			 rights_of(mapping), 0, 0) != -EPERM)
			continue;
		*ret_sealed = mapping;
		return -REASON_SEALED;
	}
	return 0;
}

/* Moves the end of the heap. If brk(2) refuses, the mappings are made without it. */
static int move_heap(struct inject *inject, uint64_t end)
{
	return call(inject, NULL, SYS_brk, end, 0, 0, 0, 0);
}

int remake__mappings(struct inject *inject, struct memory *memory,
		     const struct layout_change *change)
{
	int err = 0;

	if (change->heap_end < change->heap_end_now)
		err = move_heap(inject, change->heap_end);
	if (err)
		return err;
	for (size_t i = 0; i < change->unmap.count; i++) {
		const struct interval *range = &change->unmap.items[i];

		err = call(inject, NULL, SYS_munmap, range->start, range->end - range->start, 0, 0,
			   0);
		if (err)
			return err;
	}
	if (change->heap_end > change->heap_end_now)
		err = move_heap(inject, change->heap_end);
	if (err)
		return err;
	for (size_t i = 0; i < change->map.count; i++) {
		err = map(inject, memory, &change->map.items[i]);
		if (err)
			return err;
	}
	for (size_t i = 0; i < change->protect.count && !err; i++) {
		const struct layout_part *part = &change->protect.items[i];

		err = call(inject, NULL, SYS_mprotect, part->start, part->end - part->start,
			   rights_of(part->mapping), 0, 0);
	}
	return err;
}

int remake__advise(struct inject *inject, const struct intervals *ranges, enum remake_advice advice)
{
	int err = 0;

	for (size_t i = 0; i < ranges->count && !err; i++)
		err = call(inject, NULL, SYS_madvise, ranges->items[i].start,
			   ranges->items[i].end - ranges->items[i].start, (uint64_t)advice, 0, 0);
	return err;
}
