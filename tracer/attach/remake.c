/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See remake.h. The order: the heap shrinks, what is new goes, the heap grows, what is gone or was
 * replaced comes back, rights.
 */
#include "attach/remake.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "attach/file_sources.h"
#include "base/maps_name.h"
#include "base/page.h"
#include "target/reason.h"

enum { RIGHTS = 1 + (PROT_READ | PROT_WRITE | PROT_EXEC) };

/* ---- files ---- */

static bool is_of_file(const struct mapping *mapping)
{
	return mapping->inode != 0;
}

/* Other files cannot be mapped, and to open them may wait. */
static bool can_be_mapped(unsigned int mode)
{
	return S_ISREG(mode) || S_ISCHR(mode) || S_ISBLK(mode);
}

/* Looks at the file that has the name of a mapped one. A file system that has to ask somebody may
 * not answer while the process stands still: the kernel says what it knows already, statx(2). */
static int look_at_file(pid_t pid, const struct mapping *mapping, struct statx *ret_status)
{
	char path[FILE_SOURCES_PATH_BYTES];
	int err = file_sources__path(pid, mapping, path);

	if (err)
		return err;
	if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO | STATX_SIZE,
		  ret_status))
		return -errno;
	return ret_status->stx_ino == mapping->inode && can_be_mapped(ret_status->stx_mode)
		       ? 0
		       : -ESTALE;
}

int remake__file_bytes(pid_t pid, const struct mapping *mapping, uint64_t *ret_bytes)
{
	struct statx status;
	int err = look_at_file(pid, mapping, &status);

	if (!err) /* a device, such as /dev/zero, has no end */
		*ret_bytes =
			S_ISREG(status.stx_mode) ? page__round_up(status.stx_size) : UINT64_MAX;
	return err;
}

int remake__check_files(pid_t pid, const struct layout_change *change,
			const struct mapping **ret_gone)
{
	for (size_t i = 0; i < change->map.count; i++) {
		const struct mapping *mapping = change->map.items[i].mapping;

		struct statx status;

		if (!is_of_file(mapping) || !look_at_file(pid, mapping, &status))
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
	char name[PATH_MAX];
	size_t size;
	int64_t page = 0;
	int err;

	if (!maps_name__decode(mapping->path, name, sizeof(name)))
		return -ENAMETOOLONG;
	size = page__round_up(strlen(name) + 1);
	err = inject__checked_call(inject, &page, SYS_mmap, 0, size, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, UINT64_MAX);
	if (err)
		return err;
	err = memory__write(memory, (uint64_t)page, name, strlen(name) + 1);
	if (err)
		goto out;
	err = inject__checked_call(inject, ret_fd, SYS_open, (uint64_t)page,
				   O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (writes ? O_RDWR : O_RDONLY),
				   0, 0, 0);
out:
	(void)inject__checked_call(inject, NULL, SYS_munmap, (uint64_t)page, size, 0, 0, 0);
	return err;
}

/* ---- mappings ---- */

static uint64_t rights_of(const struct mapping *mapping)
{
	return ((mapping->flags & MAPPING_READ) ? PROT_READ : 0) |
	       ((mapping->flags & MAPPING_WRITE) ? PROT_WRITE : 0) |
	       ((mapping->flags & MAPPING_EXEC) ? PROT_EXEC : 0);
}

/* args: of mmap(2) */
static int map_at(struct inject *inject, const uint64_t args[6])
{
	int64_t value = 0;
	int err = inject__call(inject, SYS_mmap, args, &value);

	return !err && value < 0 && value >= -4095 ? (int)value : err;
}

static int map(struct inject *inject, struct memory *memory, const struct layout_part *part)
{
	const struct mapping *mapping = part->mapping;
	uint64_t flags = MAP_FIXED | ((mapping->flags & MAPPING_SHARED) ? MAP_SHARED : MAP_PRIVATE);
	uint64_t args[6] = {
		part->start, part->end - part->start, rights_of(mapping), 0, UINT64_MAX, 0};
	int64_t fd = -1;
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
	err = map_at(inject, args);
	if (err == -ENOMEM) { /* the kernel counts what may be written */
		args[3] |= MAP_NORESERVE;
		err = map_at(inject, args);
	}
	if (fd >= 0)
		(void)inject__checked_call(inject, NULL, SYS_close, (uint64_t)fd, 0, 0, 0, 0);
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
		    inject__checked_call(inject, NULL, SYS_mprotect, mapping->start,
					 mapping->end - mapping->start, rights_of(mapping), 0,
					 0) != -EPERM)
			continue;
		*ret_sealed = mapping;
		return -REASON_SEALED;
	}
	return 0;
}

/* Is it the file of the mapping that is at place now? The kernel's lists say on which device it is:
 * on overlayfs and btrfs, stat(2) tells another one. */
static int check_file(pid_t pid, uint64_t place, const struct mapping *mapping)
{
	struct mappings now = {0};
	int err = procfs__mappings(pid, &now);
	const struct mapping *there = err ? NULL : layout__find(&now, place);

	if (there && (there->inode != mapping->inode || there->dev_major != mapping->dev_major ||
		      there->dev_minor != mapping->dev_minor))
		err = -REASON_MEMORY_GONE;
	procfs__free_mappings(&now);
	return err;
}

/* Maps it elsewhere: a file that can be opened may still not be executed, or written to. */
static int try_to_map(pid_t pid, struct inject *inject, const struct layout_part *part, int64_t fd)
{
	const struct mapping *mapping = part->mapping;
	const uint64_t bytes = part->end - part->start;
	const uint64_t flags = mapping->flags & MAPPING_SHARED ? MAP_SHARED : MAP_PRIVATE;
	int64_t place = 0;
	int err = inject__checked_call(inject, &place, SYS_mmap, 0, bytes, rights_of(mapping),
				       flags | MAP_NORESERVE, (uint64_t)fd);

	if (err)
		return err;
	err = check_file(pid, (uint64_t)place, mapping);
	(void)inject__checked_call(inject, NULL, SYS_munmap, (uint64_t)place, bytes, 0, 0, 0);
	return err;
}

/* Gives a new page rights, and then others. */
static int try_rights(struct inject *inject, uint64_t before, uint64_t after)
{
	int64_t place = 0;
	int err = inject__checked_call(inject, &place, SYS_mmap, 0, PAGE_BYTES, before,
				       MAP_PRIVATE | MAP_ANONYMOUS, UINT64_MAX);

	if (err)
		return err;
	if (after != before)
		err = inject__checked_call(inject, NULL, SYS_mprotect, (uint64_t)place, PAGE_BYTES,
					   after, 0, 0);
	(void)inject__checked_call(inject, NULL, SYS_munmap, (uint64_t)place, PAGE_BYTES, 0, 0, 0);
	return err;
}

/* now: the mappings whose rights are changed; NULL: they are made. tried: from which rights to
 * which. */
static int check_execution(struct inject *inject, const struct mappings *now,
			   const struct layout_parts *parts, bool tried[RIGHTS][RIGHTS],
			   const struct mapping **ret_refused)
{
	int err = 0;

	for (size_t i = 0; i < parts->count && !err; i++) {
		const struct layout_part *part = &parts->items[i];
		const struct mapping *there = now ? layout__find(now, part->start) : NULL;
		const uint64_t after = rights_of(part->mapping);
		const uint64_t before = there ? rights_of(there) : after;

		if (is_of_file(part->mapping) || !(after & PROT_EXEC) || tried[before][after])
			continue;
		tried[before][after] = true;
		err = try_rights(inject, before, after);
		if (err)
			*ret_refused = part->mapping;
	}
	return err;
}

int remake__check_rights(struct inject *inject, const struct mappings *now,
			 const struct layout_change *change, const struct mapping **ret_refused)
{
	bool tried[RIGHTS][RIGHTS] = {{false}};
	int err = check_execution(inject, NULL, &change->map, tried, ret_refused);

	return err ? err : check_execution(inject, now, &change->protect, tried, ret_refused);
}

static int try_file(pid_t pid, struct inject *inject, struct memory *memory,
		    const struct layout_part *part)
{
	int64_t fd = -1;
	int err = open_file(inject, memory, part->mapping, &fd);

	if (err)
		return err;
	err = try_to_map(pid, inject, part, fd);
	(void)inject__checked_call(inject, NULL, SYS_close, (uint64_t)fd, 0, 0, 0, 0);
	return err;
}

/* Must a mapping whose rights cannot be changed be made again? It may be there by a descriptor that
 * cannot write. A private one would lose its pages. */
static bool is_made_again(const struct mapping *mapping, int err)
{
	return err == -EACCES && is_of_file(mapping) && (mapping->flags & MAPPING_SHARED);
}

/* Gives a shared mapping its rights for trial, and if it must be made again, tries that. */
static int try_to_protect(pid_t pid, struct inject *inject, struct memory *memory,
			  const struct mappings *now, const struct layout_part *part)
{
	const struct mapping *mapping = part->mapping, *there = layout__find(now, part->start);
	const uint64_t bytes = part->end - part->start;
	struct statx status;
	int err;

	if (!there || !(mapping->flags & MAPPING_SHARED))
		return 0;
	err = inject__checked_call(inject, NULL, SYS_mprotect, part->start, bytes,
				   rights_of(mapping), 0, 0);
	if (!err)
		return inject__checked_call(inject, NULL, SYS_mprotect, part->start, bytes,
					    rights_of(there), 0, 0);
	if (!is_made_again(mapping, err))
		return err;
	return look_at_file(pid, mapping, &status) ? -REASON_MEMORY_GONE
						   : try_file(pid, inject, memory, part);
}

int remake__check_access(pid_t pid, struct inject *inject, struct memory *memory,
			 const struct mappings *now, const struct layout_change *change,
			 const struct mapping **ret_refused)
{
	const struct mapping *last = NULL;
	int err = 0;

	for (size_t i = 0; i < change->map.count && !err; i++) {
		const struct layout_part *part = &change->map.items[i];
		const struct mapping *mapping = part->mapping;

		if (!is_of_file(mapping) ||
		    (last && last->inode == mapping->inode && last->flags == mapping->flags &&
		     !strcmp(last->path, mapping->path)))
			continue;
		*ret_refused = last = mapping;
		err = try_file(pid, inject, memory, part);
	}
	for (size_t i = 0; i < change->protect.count && !err; i++) {
		*ret_refused = change->protect.items[i].mapping;
		err = try_to_protect(pid, inject, memory, now, &change->protect.items[i]);
	}
	return err;
}

/* Moves the end of the heap. If brk(2) refuses, the mappings are made without it. */
static int move_heap(struct inject *inject, uint64_t end)
{
	return inject__checked_call(inject, NULL, SYS_brk, end, 0, 0, 0, 0);
}

/*
 * A new mapping replaces the old one in one step: the kernel writes to the area of rseq(2) when a
 * thread returns from a call, and ends the process if there is no memory. But where the heap is to
 * grow, there must be nothing.
 */
static int find_unmapped(const struct layout_change *change, struct intervals *ret)
{
	struct intervals replaced = {0};
	int err = 0;

	for (size_t i = 0; i < change->map.count && !err; i++) {
		const struct layout_part *part = &change->map.items[i];

		if (part->start < change->heap_end_now || part->end > change->heap_end)
			err = intervals__add(&replaced, part->start, part->end);
	}
	if (!err)
		err = intervals__subtract(&change->unmap, &replaced, ret);
	intervals__clear(&replaced);
	return err;
}

static int unmap(struct inject *inject, const struct layout_change *change)
{
	struct intervals ranges = {0};
	int err = find_unmapped(change, &ranges);

	for (size_t i = 0; i < ranges.count && !err; i++) {
		const struct interval *range = &ranges.items[i];

		err = inject__checked_call(inject, NULL, SYS_munmap, range->start,
					   range->end - range->start, 0, 0, 0);
	}
	intervals__clear(&ranges);
	return err;
}

static int protect(struct inject *inject, struct memory *memory, const struct layout_part *part)
{
	const int err =
		inject__checked_call(inject, NULL, SYS_mprotect, part->start,
				     part->end - part->start, rights_of(part->mapping), 0, 0);

	return is_made_again(part->mapping, err) ? map(inject, memory, part) : err;
}

int remake__mappings(struct inject *inject, struct memory *memory,
		     const struct layout_change *change)
{
	int err = 0;

	if (change->heap_end < change->heap_end_now)
		err = move_heap(inject, change->heap_end);
	if (err)
		return err;
	err = unmap(inject, change);
	if (err)
		return err;
	if (change->heap_end > change->heap_end_now)
		err = move_heap(inject, change->heap_end);
	if (err)
		return err;
	for (size_t i = 0; i < change->map.count; i++) {
		err = map(inject, memory, &change->map.items[i]);
		if (err)
			return err;
	}
	for (size_t i = 0; i < change->protect.count && !err; i++)
		err = protect(inject, memory, &change->protect.items[i]);
	return err;
}

int remake__advise(struct inject *inject, const struct intervals *ranges, enum remake_advice advice)
{
	int err = 0;

	for (size_t i = 0; i < ranges->count && !err; i++)
		err = inject__checked_call(inject, NULL, SYS_madvise, ranges->items[i].start,
					   ranges->items[i].end - ranges->items[i].start,
					   (uint64_t)advice, 0, 0);
	return err;
}
