/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See memory.h. process_vm_readv(2) and process_vm_writev(2) copy. What they refuse goes through
 * /proc/PID/mem, which ignores the protection of private mappings, or through the file of shared
 * anonymous memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/page.h"
#include "pages/pagemap.h"
#include "target/memory.h"

struct memory {
	struct mappings mappings;
	const struct mapping *known; /* the mapping whose pages are known */
	bool *populated;             /* each page of the window: does pagemap know data of it? */
	uint64_t window_start, window_end;
	pid_t pid;
	struct pagemap pagemap;
	int pagemap_fd;
	int mem_fd;  /* -1 until needed */
	int file_fd; /* of a shared mapping, -1 until needed */
};

enum { WINDOW_PAGES = 4096 };

int memory__open(pid_t pid, struct memory **ret_memory)
{
	struct memory *memory = calloc(1, sizeof(*memory));
	int err = -ENOMEM;

	if (!memory)
		return -ENOMEM;
	memory->pid = pid;
	memory->mem_fd = memory->file_fd = memory->pagemap_fd = -1;
	memory->populated = malloc(WINDOW_PAGES * sizeof(*memory->populated));
	if (!memory->populated)
		goto out;
	err = memory->pagemap_fd = procfs__open(pid, "pagemap", O_RDONLY);
	if (err < 0)
		goto out;
	pagemap__init(&memory->pagemap, memory->pagemap_fd);
	err = 0;
	*ret_memory = memory;
	memory = NULL;
out:
	memory__free(memory);
	return err;
}

static void forget_pages(struct memory *memory)
{
	memory->known = NULL;
	memory->window_start = memory->window_end = 0;
	if (memory->file_fd >= 0)
		close(memory->file_fd);
	memory->file_fd = -1;
}

int memory__refresh(struct memory *memory)
{
	struct mappings mappings = {0};
	int err = procfs__mappings(memory->pid, &mappings);

	if (err)
		return err;
	forget_pages(memory);
	procfs__free_mappings(&memory->mappings);
	memory->mappings = mappings;
	return 0;
}

int memory__look_again(struct memory *memory, bool mappings_changed)
{
	if (mappings_changed)
		return memory__refresh(memory);
	forget_pages(memory);
	return 0;
}

const struct mappings *memory__mappings(const struct memory *memory)
{
	return &memory->mappings;
}

struct pagemap *memory__pagemap(struct memory *memory)
{
	return &memory->pagemap;
}

size_t memory__first_mapping(const struct memory *memory, uint64_t address)
{
	return procfs__first_above(&memory->mappings, address);
}

static const struct mapping *find_mapping(const struct memory *memory, uint64_t address)
{
	const struct mapping *mapping =
		&memory->mappings.items[memory__first_mapping(memory, address)];

	return mapping < memory->mappings.items + memory->mappings.count &&
			       mapping->start <= address
		       ? mapping
		       : NULL;
}

/* Shared memory belongs to a file without a name. A page that this process never touched may have
 * been written by another one. /proc/PID/map_files opens that file, and lseek(2) finds its
 * holes. */
static bool file_holds_data(struct memory *memory, const struct mapping *mapping, uint64_t address)
{
	off_t offset = (off_t)(mapping->offset + (address - mapping->start)), data;
	char name[PROCFS_MAP_FILE_BYTES];

	if (memory->file_fd < 0)
		memory->file_fd =
			procfs__open(memory->pid, procfs__map_file(mapping, name), O_RDONLY);
	if (memory->file_fd < 0)
		return true;
	data = lseek(memory->file_fd, offset, SEEK_DATA);
	if (data < 0)
		return errno != ENXIO;
	return data < offset + (off_t)PAGE_BYTES;
}

/* Fills the window of pages that address is in. Returns 0, -ESRCH or another -errno. */
static int look_at_window(struct memory *memory, const struct mapping *mapping, uint64_t address)
{
	const uint64_t bytes = WINDOW_PAGES * PAGE_BYTES;
	uint64_t start = address - (address - mapping->start) % bytes;
	uint64_t end = mapping->end - start < bytes ? mapping->end : start + bytes;
	struct pagemap_run run;
	int more;

	memory->window_start = memory->window_end = 0;
	memset(memory->populated, 0, WINDOW_PAGES * sizeof(*memory->populated));
	pagemap__begin(&memory->pagemap, start, end, 0);
	while ((more = pagemap__next(&memory->pagemap, &run)) > 0)
		for (uint64_t at = run.start; at < run.end; at += PAGE_BYTES)
			memory->populated[(at - start) / PAGE_BYTES] = true;
	if (!more)
		more = pagemap__check(&memory->pagemap);
	if (more)
		return more;
	memory->window_start = start;
	memory->window_end = end;
	return 0;
}

bool memory__holds_data(struct memory *memory, uint64_t address)
{
	const struct mapping *mapping = memory->known;

	address = page__start(address);
	if (!mapping || address < mapping->start || address >= mapping->end) {
		forget_pages(memory);
		mapping = find_mapping(memory, address);
		if (!mapping)
			return true;
		memory->known = mapping;
	}
	if (mapping->inode && !(mapping->flags & MAPPING_SHARED))
		return true; /* an untouched page of a private file mapping reads as the file */
	if ((address < memory->window_start || address >= memory->window_end) &&
	    look_at_window(memory, mapping, address))
		return true;
	if (memory->populated[(address - memory->window_start) / PAGE_BYTES])
		return true;
	return (mapping->flags & MAPPING_SHARED) && file_holds_data(memory, mapping, address);
}

/* ---- which pages hold data ---- */

bool memory__can_scan(const struct memory *memory)
{
	return memory->pagemap.can_scan;
}

static int add_populated(struct memory *memory, uint64_t start, uint64_t end,
			 struct intervals *pages)
{
	struct pagemap_run run;
	int more, err;

	pagemap__begin(&memory->pagemap, start, end, PAGEMAP_ZERO);
	while ((more = pagemap__next(&memory->pagemap, &run)) > 0) {
		if (run.categories & PAGEMAP_ZERO)
			continue;
		err = intervals__add(pages, run.start, run.end);
		if (err)
			return err;
	}
	return more;
}

/* Adds the data of the file behind shared memory, whichever process wrote it. */
static int read_file_extents(struct memory *memory, const struct mapping *mapping, uint64_t start,
			     uint64_t end, struct intervals *pages)
{
	off_t base = (off_t)mapping->offset - (off_t)mapping->start, data, hole;
	char name[PROCFS_MAP_FILE_BYTES];
	int fd, err = 0;

	fd = procfs__open(memory->pid, procfs__map_file(mapping, name), O_RDONLY);
	if (fd < 0)
		return intervals__add(pages, start, end);
	while (start < end && !err) {
		data = lseek(fd, base + (off_t)start, SEEK_DATA);
		if (data < 0)
			break; /* no data from here on */
		hole = lseek(fd, data, SEEK_HOLE);
		start = hole > data ? (uint64_t)(hole - base) : end; /* or the file system lies */
		if ((uint64_t)(data - base) < end)
			err = intervals__add(pages, page__start((uint64_t)(data - base)),
					     start < end ? page__round_up(start) : end);
	}
	close(fd);
	return err;
}

static int data_pages_of(struct memory *memory, const struct mapping *mapping, uint64_t start,
			 uint64_t end, struct intervals *pages)
{
	int err;

	if (mapping->inode && !(mapping->flags & MAPPING_SHARED))
		return intervals__add(pages, start, end);
	err = add_populated(memory, start, end, pages);
	if (!err && mapping->flags & MAPPING_SHARED)
		err = read_file_extents(memory, mapping, start, end, pages);
	return err;
}

int memory__data_pages(struct memory *memory, uint64_t start, uint64_t end, struct intervals *pages)
{
	int err = 0;

	for (size_t i = memory__first_mapping(memory, start); i < memory->mappings.count && !err;
	     i++) {
		const struct mapping *mapping = &memory->mappings.items[i];

		if (mapping->start >= end)
			break;
		err = data_pages_of(memory, mapping,
				    mapping->start > start ? mapping->start : start,
				    mapping->end < end ? mapping->end : end, pages);
	}
	return err ? err : pagemap__check(&memory->pagemap);
}

int memory__all_data_pages(struct memory *memory, const struct intervals *ranges,
			   struct intervals *pages)
{
	int err = 0;

	for (size_t i = 0; i < ranges->count && !err; i++)
		err = memory__data_pages(memory, ranges->items[i].start, ranges->items[i].end,
					 pages);
	return err;
}

static int open_mem(struct memory *memory)
{
	if (memory->mem_fd < 0)
		memory->mem_fd = procfs__open(memory->pid, "mem", O_RDWR);
	return memory->mem_fd < 0 ? memory->mem_fd : 0;
}

/* Copies with /proc/PID/mem, which overrides the protection of the mapping (FOLL_FORCE). */
static int force(struct memory *memory, uint64_t address, void *bytes, size_t length, bool write)
{
	ssize_t done;
	int err = open_mem(memory);

	if (err)
		return err;
	for (size_t at = 0; at < length; at += (size_t)done) {
		if (write)
			done = pwrite(memory->mem_fd, (char *)bytes + at, length - at,
				      (off_t)(address + at));
		else
			done = pread(memory->mem_fd, (char *)bytes + at, length - at,
				     (off_t)(address + at));
		if (done < 0 && errno == EINTR)
			done = 0;
		else if (done <= 0)
			return done ? -errno : -ESRCH; /* 0: its address space is gone */
	}
	return 0;
}

/* Is it shared anonymous memory, a file of the kernel's own? Other files must not be written past
 * the protection of the mapping: the target itself may have no right to. */
static bool is_anonymous(int fd)
{
	int memfd = memfd_create("tracer", MFD_CLOEXEC); /* on the file system of such files */
	struct stat file, own;
	bool same;

	if (memfd < 0)
		return false;
	same = !fstat(fd, &file) && !fstat(memfd, &own) && file.st_dev == own.st_dev;
	close(memfd);
	return same;
}

/* Opens the file behind shared memory. A change of protection splits mappings without an event, so
 * the known mappings may be out of date. Returns the descriptor and the offset of address in
 * *ret_offset, or -errno. */
static int open_file(struct memory *memory, uint64_t address, off_t *ret_offset)
{
	int err = 0;

	for (int tries = 0; tries < 2 && !err; tries++) {
		const struct mapping *mapping = find_mapping(memory, address);
		char name[PROCFS_MAP_FILE_BYTES], path[PATH_MAX];
		int fd;

		if (!mapping || !(mapping->flags & MAPPING_SHARED))
			return -EFAULT;
		(void)procfs__map_file(mapping, name);
		*ret_offset = (off_t)(mapping->offset + (address - mapping->start));
		if (procfs__readlink(memory->pid, name, path, sizeof(path)) >= 0 &&
		    strcmp(path, "/dev/zero (deleted)") != 0)
			return -EFAULT; /* not even opened */
		fd = procfs__open(memory->pid, name, O_WRONLY);
		if (fd >= 0 && !is_anonymous(fd)) {
			close(fd);
			return -EFAULT;
		}
		if (fd != -ESRCH) /* else the mapping is gone, or the process */
			return fd;
		err = memory__refresh(memory);
	}
	return err ? err : -EFAULT;
}

/* Writes a part of a page of shared memory through its file: FOLL_FORCE does not override the
 * protection of shared mappings. */
static int write_file(struct memory *memory, uint64_t address, const void *bytes, size_t length)
{
	off_t offset;
	ssize_t done;
	int fd = open_file(memory, address, &offset);

	if (fd < 0)
		return fd;
	done = pwrite(fd, bytes, length, offset);
	close(fd);
	return done == (ssize_t)length ? 0 : -EFAULT;
}

int memory__read(struct memory *memory, uint64_t address, void *bytes, size_t length)
{
	struct iovec local = {bytes, length}, remote = {(void *)(uintptr_t)address, length};
	ssize_t done = process_vm_readv(memory->pid, &local, 1, &remote, 1, 0);

	if (done == (ssize_t)length)
		return 0;
	if (done < 0 && errno == ESRCH)
		return -ESRCH;
	return force(memory, address, bytes, length, false);
}

int memory__read_each(struct memory *memory, struct iovec *local, const struct iovec *remote,
		      size_t count)
{
	for (size_t i = 0; i < count;) {
		const size_t end = i + (count - i < IOV_MAX ? count - i : IOV_MAX);
		ssize_t done =
			process_vm_readv(memory->pid, local + i, end - i, remote + i, end - i, 0);

		if (done < 0 && errno == ESRCH)
			return -ESRCH;
		for (; i < end && done >= (ssize_t)local[i].iov_len; i++)
			done -= (ssize_t)local[i].iov_len;
		if (i < end)
			local[i++].iov_len = 0;
	}
	return 0;
}

/* The page at an offset into pieces. */
static void *page_at(const struct iovec *pieces, size_t offset)
{
	while (offset >= pieces->iov_len)
		offset -= pieces++->iov_len;
	return (char *)pieces->iov_base + offset;
}

int memory__read_pieces(struct memory *memory, const struct iovec *local, size_t locals,
			const struct iovec *remote, size_t remotes)
{
	size_t total = 0;
	ssize_t done;
	int err = 0;

	for (size_t i = 0; i < remotes; i++)
		total += remote[i].iov_len;
	done = process_vm_readv(memory->pid, local, locals, remote, remotes, 0);
	if (done < 0 && errno == ESRCH)
		return -ESRCH;
	/* It has stopped at a page that may not be read, or at a limit. */
	for (size_t at = done > 0 ? page__start((size_t)done) : 0; at < total && !err;
	     at += PAGE_BYTES)
		err = memory__read(memory, (uintptr_t)page_at(remote, at), page_at(local, at),
				   PAGE_BYTES);
	return err;
}

int memory__write(struct memory *memory, uint64_t address, const void *bytes, size_t length)
{
	struct iovec local = {(void *)(uintptr_t)bytes, length};
	struct iovec remote = {(void *)(uintptr_t)address, length};
	uint64_t forced, failed;

	return memory__write_pieces(memory, &local, &remote, 1, &forced, &failed);
}

/* Writes one piece page by page, for process_vm_writev stopped inside it. */
static int write_slowly(struct memory *memory, const struct iovec *local,
			const struct iovec *remote, uint64_t *forced, uint64_t *failed)
{
	uint64_t address = (uintptr_t)remote->iov_base;
	size_t length;
	int err;

	for (size_t at = 0; at < remote->iov_len; at += length) {
		length = page__start(address + at) + PAGE_BYTES - (address + at);
		if (length > remote->iov_len - at)
			length = remote->iov_len - at;
		err = force(memory, address + at, (char *)local->iov_base + at, length, true);
		if (err == -ESRCH)
			return err;
		if (err)
			err = write_file(memory, address + at, (char *)local->iov_base + at,
					 length);
		*(err ? failed : forced) += length;
	}
	return 0;
}

int memory__write_pieces(struct memory *memory, const struct iovec *local,
			 const struct iovec *remote, size_t count, uint64_t *ret_forced,
			 uint64_t *ret_failed)
{
	size_t batch;
	int err;

	*ret_forced = *ret_failed = 0;
	for (size_t i = 0; i < count; i += batch) {
		size_t done_pieces = 0;
		ssize_t done;

		batch = count - i < IOV_MAX ? count - i : IOV_MAX;
		done = process_vm_writev(memory->pid, local + i, batch, remote + i, batch, 0);
		if (done < 0 && errno == ESRCH)
			return -ESRCH;
		while (done > 0 && done_pieces < batch &&
		       (size_t)done >= remote[i + done_pieces].iov_len)
			done -= (ssize_t)remote[i + done_pieces++].iov_len;
		if (done_pieces == batch)
			continue;
		err = write_slowly(memory, &local[i + done_pieces], &remote[i + done_pieces],
				   ret_forced, ret_failed);
		if (err)
			return err;
		batch = done_pieces + 1;
	}
	return *ret_failed ? -EFAULT : 0;
}

void memory__free(struct memory *memory)
{
	if (!memory)
		return;
	forget_pages(memory);
	procfs__free_mappings(&memory->mappings);
	if (memory->pagemap_fd >= 0)
		close(memory->pagemap_fd);
	if (memory->mem_fd >= 0)
		close(memory->mem_fd);
	free(memory->populated);
	free(memory);
}
