/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See program_file.h.
 * Source: prctl_set_mm_map in kernel/sys.c, replace_mm_exe_file in kernel/fork.c.
 */
#include "reopen/program_file.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/page.h"
#include "base/procfs.h"
#include "reopen/high_files.h"

/* From the linker: restart itself. */
extern const char __executable_start[], _end[]; /* NOLINT: the linker's names */

static bool has_capability(const struct __user_cap_data_struct sets[2], unsigned int number)
{
	return (sets[number / 32].effective & 1u << number % 32) != 0;
}

/* Linux before 5.9 knows the second alone. */
static bool may_set(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct sets[2];

	return syscall(SYS_capget, &header, sets) == 0 &&
	       (has_capability(sets, CAP_CHECKPOINT_RESTORE) ||
		has_capability(sets, CAP_SYS_ADMIN));
}

/* A copy takes the place of the mapping in one step, so the code in it can go on. */
static bool detach(const struct mapping *mapping)
{
	const size_t bytes = mapping->end - mapping->start;
	void *place = (void *)mapping->start; /* NOLINT: an address */
	const int protection = (mapping->flags & MAPPING_READ ? PROT_READ : 0) |
			       (mapping->flags & MAPPING_WRITE ? PROT_WRITE : 0) |
			       (mapping->flags & MAPPING_EXEC ? PROT_EXEC : 0);
	void *copy = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (copy == MAP_FAILED)
		return false;
	memcpy(copy, place, bytes);
	if (mprotect(copy, bytes, protection) == 0 &&
	    mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, place) != MAP_FAILED)
		return true;
	(void)munmap(copy, bytes);
	return false;
}

static bool detach_all(void)
{
	struct mappings maps = {0};
	bool are_detached = procfs__mappings(0, &maps) == 0;

	for (size_t i = 0; i < maps.count && are_detached; i++) {
		const struct mapping *m = &maps.items[i];

		if (m->inode && m->start >= page__start((uintptr_t)__executable_start) &&
		    m->start < (uintptr_t)_end)
			are_detached = detach(m);
	}
	procfs__free_mappings(&maps);
	return are_detached;
}

int program_file__open(const struct image *image, int first_fd)
{
	const char *path = image__string(image, image->process.exe);
	struct stat st;
	int fd, moved = -1;

	if (!may_set())
		return -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || access(path, X_OK) < 0 || !detach_all())
		goto out;
	moved = high_files__move_one(fd, first_fd);
out:
	if (moved < 0)
		(void)close(fd);
	return moved < 0 ? -1 : moved;
}
