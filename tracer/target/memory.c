/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The target's memory from user space: process_vm_readv(2), process_vm_writev(2),
 * /proc/PID/pagemap, and /proc/PID/mem, which ignores the protection of private mappings, for pages
 * that the first two refuse.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/page.h"
#include "target/memory.h"

struct memory {
	struct mappings mappings;
	const struct mapping *known; /* the mapping whose pages are known */
	uint8_t *states;             /* enum page_state of a window of its pages */
	uint64_t window_start, window_end;
	pid_t pid;
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
	memory->states = malloc(WINDOW_PAGES);
	if (!memory->states)
		goto out;
	err = memory->pagemap_fd = procfs__open(pid, "pagemap", O_RDONLY);
	if (err < 0)
		goto out;
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

/* The number of the first mapping that ends above address. */
static size_t first_above(const struct memory *memory, uint64_t address)
{
	size_t low = 0, high = memory->mappings.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memory->mappings.items[middle].end > address)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static const struct mapping *find_mapping(const struct memory *memory, uint64_t address)
{
	const struct mapping *mapping = &memory->mappings.items[first_above(memory, address)];

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

bool memory__holds_data(struct memory *memory, uint64_t address)
{
	const struct mapping *mapping = memory->known;
	uint64_t window;
	size_t pages;

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
	if (address < memory->window_start || address >= memory->window_end) {
		window = address - (address - mapping->start) % (WINDOW_PAGES * PAGE_BYTES);
		pages = (mapping->end - window) / PAGE_BYTES;
		if (pages > WINDOW_PAGES)
			pages = WINDOW_PAGES;
		memory->window_start = memory->window_end = 0;
		if (procfs__page_states(memory->pagemap_fd, window, pages, memory->states))
			return true;
		memory->window_start = window;
		memory->window_end = window + pages * PAGE_BYTES;
	}
	if (memory->states[(address - memory->window_start) / PAGE_BYTES] != PAGE_NONE)
		return true;
	return (mapping->flags & MAPPING_SHARED) && file_holds_data(memory, mapping, address);
}

/* ---- which pages hold data ---- */

struct page_region { /* include/uapi/linux/fs.h, since 6.7 */
	uint64_t start, end, categories;
};

struct pm_scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define PAGEMAP_SCAN    _IOWR('f', 16, struct pm_scan_arg)
#define PAGE_IS_PRESENT (1 << 3)
#define PAGE_IS_SWAPPED (1 << 4)
#define PAGE_IS_PFNZERO (1 << 5)
#define PAGE_IS_GUARD   (1 << 8) /* since 6.15; before, a guard page looks like one in swap */

enum { REGIONS = 512 };

/* One call; *ret_end is where it stopped. Returns the number of regions, or -errno. */
static int scan_once(struct memory *memory, uint64_t start, uint64_t end, uint64_t excluded,
		     struct page_region *regions, uint64_t *ret_end)
{
	struct pm_scan_arg scan = {
		.size = sizeof(scan),
		.start = start,
		.end = end,
		.vec = (uintptr_t)regions,
		.vec_len = REGIONS,
		.category_inverted = excluded,
		.category_mask = excluded,
		.category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.return_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
	};
	int found = ioctl(memory->pagemap_fd, PAGEMAP_SCAN, &scan);

	if (found < 0)
		return -errno;
	if (scan.walk_end <= start)
		return -ESRCH; /* its address space is gone */
	*ret_end = scan.walk_end;
	return found;
}

/* -ENOTTY: the kernel has no PAGEMAP_SCAN. */
static int scan_pages(struct memory *memory, uint64_t start, uint64_t end, struct intervals *pages)
{
	struct page_region regions[REGIONS];
	uint64_t next = end;
	int err = 0, found;

	while (start < end && !err) {
		found = scan_once(memory, start, end, PAGE_IS_PFNZERO | PAGE_IS_GUARD, regions,
				  &next);
		if (found == -EINVAL) /* it does not know guard pages */
			found = scan_once(memory, start, end, PAGE_IS_PFNZERO, regions, &next);
		if (found < 0)
			return found;
		for (int i = 0; i < found && !err; i++)
			err = intervals__add(pages, regions[i].start, regions[i].end);
		start = next;
	}
	return err;
}

bool memory__can_scan(struct memory *memory)
{
	struct intervals none = {0};
	bool can = !scan_pages(memory, 0, PAGE_BYTES, &none);

	intervals__clear(&none);
	return can;
}

/* The same from /proc/PID/pagemap, eight bytes for each page. */
static int read_pages(struct memory *memory, uint64_t start, uint64_t end, struct intervals *pages)
{
	int err = 0;

	forget_pages(memory); /* memory->states is used here */
	while (start < end && !err) {
		size_t count = (end - start) / PAGE_BYTES;

		if (count > WINDOW_PAGES)
			count = WINDOW_PAGES;
		err = procfs__page_states(memory->pagemap_fd, start, count, memory->states);
		for (size_t i = 0, run = 0; i < count && !err; i = run) {
			for (run = i; run < count && memory->states[run] != PAGE_NONE; run++)
				;
			if (run > i)
				err = intervals__add(pages, start + i * PAGE_BYTES,
						     start + run * PAGE_BYTES);
			else
				run++;
		}
		start += count * PAGE_BYTES;
	}
	return err;
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
		start = hole < 0 ? end : (uint64_t)(hole - base);
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
	err = scan_pages(memory, start, end, pages);
	if (err == -ENOTTY || err == -EINVAL)
		err = read_pages(memory, start, end, pages);
	if (!err && mapping->flags & MAPPING_SHARED)
		err = read_file_extents(memory, mapping, start, end, pages);
	return err;
}

int memory__data_pages(struct memory *memory, uint64_t start, uint64_t end, struct intervals *pages)
{
	uint8_t state;
	int err = 0;

	for (size_t i = first_above(memory, start); i < memory->mappings.count && !err; i++) {
		const struct mapping *mapping = &memory->mappings.items[i];

		if (mapping->start >= end)
			break;
		err = data_pages_of(memory, mapping,
				    mapping->start > start ? mapping->start : start,
				    mapping->end < end ? mapping->end : end, pages);
	}
	/* a scan of an address space that is gone finds nothing and returns no error */
	return err ? err : procfs__page_states(memory->pagemap_fd, start, 1, &state);
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

/* Writes a part of a page of shared memory through its file, for FOLL_FORCE does not override the
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
	free(memory->states);
	free(memory);
}
