/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See remap.h. Source: mremap(2); proc(5), /proc/PID/maps; mm/vma.c of Linux for what is merged.
 */
#include "preload/remap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/nocancel.h"
#include "base/page.h"
#include "base/raw_syscall.h"
#include "base/proc_text.h"

enum { KIND_BYTES = 128 };

struct mapping {
	uint64_t end;
	char kind[KIND_BYTES]; /* the rest of its line: "rw-p 00000000 00:00 0", and a name */
};

/* Is this line of /proc/self/maps that of the mapping at an address? */
static bool is_line_of(uint64_t address, const char *line, struct mapping *ret)
{
	const uint64_t start = proc_text__take_number(&line, 16);
	size_t length;

	if (*line != '-')
		return false;
	line++;
	ret->end = proc_text__take_number(&line, 16);
	if (address < start || address >= ret->end || *line != ' ')
		return false;
	length = strcspn(++line, "\n");
	if (length >= KIND_BYTES)
		length = KIND_BYTES - 1;
	memcpy(ret->kind, line, length);
	ret->kind[length] = '\0';
	return true;
}

/* Finds the mapping at an address. False if there is none. */
static bool find_mapping(uint64_t address, struct mapping *ret)
{
	const int fd = nocancel__open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	char text[PAGE_BYTES + KIND_BYTES], *line, *end;
	bool is_inside = false, is_found = false; /* inside: of a line whose begin is gone */
	size_t length = 0;
	ssize_t n;

	while (fd >= 0 && !is_found &&
	       (n = nocancel__read(fd, text + length, sizeof(text) - 1 - length)) > 0) {
		length += (size_t)n;
		text[length] = '\0';
		for (line = text; !is_found && (end = strchr(line, '\n')); line = end + 1) {
			is_found = !is_inside && is_line_of(address, line, ret);
			is_inside = false;
		}
		length -= (size_t)(line - text);
		memmove(text, line, length);
		if (length == sizeof(text) - 1) {
			is_inside = true;
			length = 0;
		}
	}
	if (fd >= 0)
		(void)nocancel__close(fd);
	return is_found;
}

/* Is [start, end) private anonymous memory of one kind? ret: its first mapping. */
static bool is_of_one_kind(uint64_t start, uint64_t end, struct mapping *ret)
{
	static const char anonymous[] = "p 00000000 00:00 0";
	struct mapping next;

	if (start >= end || !find_mapping(start, ret) ||
	    strncmp(ret->kind + 3, anonymous, sizeof(anonymous) - 1) != 0)
		return false;
	for (uint64_t at = ret->end; at < end; at = next.end) {
		if (!find_mapping(at, &next) || strcmp(next.kind, ret->kind) != 0)
			return false;
	}
	return true;
}

static int64_t map(uint64_t address, uint64_t bytes, const char *kind, int flags)
{
	const int protection = (kind[0] == 'r' ? PROT_READ : 0) |
			       (kind[1] == 'w' ? PROT_WRITE : 0) | (kind[2] == 'x' ? PROT_EXEC : 0);

	return raw_syscall__call6(SYS_mmap, address, bytes, (uint64_t)protection,
				  (uint64_t)(MAP_PRIVATE | MAP_ANONYMOUS | flags), (uint64_t)-1, 0);
}

/* Moves mapping by mapping. Returns how many bytes could be moved. */
static uint64_t move(uint64_t from, uint64_t bytes, uint64_t to, int flags)
{
	uint64_t done = 0;

	while (done < bytes) {
		struct mapping m;
		uint64_t part;

		if (!find_mapping(from + done, &m))
			break;
		part = m.end - from - done < bytes - done ? m.end - from - done : bytes - done;
		if (raw_syscall__call6(SYS_mremap, from + done, part, part,
				       (uint64_t)(MREMAP_MAYMOVE | MREMAP_FIXED | flags), to + done,
				       0) < 0)
			break;
		done += part;
	}
	return done;
}

int64_t remap__by_hand(uint64_t address, uint64_t bytes, uint64_t new_bytes, int flags, uint64_t to)
{
	const bool is_fixed = flags & MREMAP_FIXED;
	const uint64_t kept = bytes < new_bytes ? bytes : new_bytes;
	struct mapping first;
	uint64_t moved;
	int64_t place;

	if (!is_of_one_kind(address, address + kept, &first)) /* the rest may be unmapped already */
		return -EFAULT;
	if (!is_fixed && new_bytes > bytes &&
	    map(address + bytes, new_bytes - bytes, first.kind, MAP_FIXED_NOREPLACE) >= 0)
		return (int64_t)address;
	if (!(flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	place = map(is_fixed ? to : 0, new_bytes, first.kind, is_fixed ? MAP_FIXED : 0);
	if (place < 0)
		return place;
	moved = move(address, kept, (uint64_t)place, flags & MREMAP_DONTUNMAP);
	if (moved < kept) {
		(void)move((uint64_t)place, moved, address, 0);
		(void)raw_syscall__call(SYS_munmap, (uint64_t)place, new_bytes, 0, 0);
		return -ENOMEM;
	}
	if (bytes > kept && !(flags & MREMAP_DONTUNMAP))
		(void)raw_syscall__call(SYS_munmap, address + kept, bytes - kept, 0, 0);
	return place;
}
