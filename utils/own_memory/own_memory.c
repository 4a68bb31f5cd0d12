/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See own_memory.h. /proc/self/mem reads what the program itself may not, and says where nothing
 * can be read instead of a fault.
 */
#include "own_memory/own_memory.h"

#include <errno.h>
#include <fcntl.h>

#include "base/nocancel.h"

static int open_files(struct own_memory *m)
{
	m->pagemap_fd = nocancel__open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0);
	if (m->pagemap_fd < 0)
		return -errno;
	pagemap__init(m->pagemap, m->pagemap_fd);
	m->mem_fd = nocancel__open("/proc/self/mem", O_RDONLY | O_CLOEXEC, 0);
	return m->mem_fd < 0 ? -errno : 0;
}

int own_memory__open(struct own_memory *m, struct arena *arena, const struct image_run *unstable,
		     size_t unstable_count)
{
	*m = (struct own_memory){.unstable = unstable,
				 .unstable_count = unstable_count,
				 .pagemap_fd = -1,
				 .mem_fd = -1};
	m->block = arena__take(arena, OWN_MEMORY_BLOCK + PAGE_BYTES);
	m->pagemap = arena__take(arena, sizeof(*m->pagemap));
	if (!m->block || !m->pagemap)
		return -ENOMEM;
	return open_files(m);
}

int own_memory__reopen(struct own_memory *m)
{
	own_memory__close(m);
	return open_files(m);
}

void own_memory__close(struct own_memory *m)
{
	if (m->pagemap_fd >= 0)
		(void)nocancel__close(m->pagemap_fd);
	if (m->mem_fd >= 0)
		(void)nocancel__close(m->mem_fd);
	m->pagemap_fd = m->mem_fd = -1;
}

bool own_memory__can_read(const struct own_memory *m, uint64_t address)
{
	char byte;

	return nocancel__read_at(m->mem_fd, &byte, 1, (off_t)address) == 1;
}

/* Pages beyond the end of a file are at the end of a mapping; of a device nothing can be read. */
uint64_t own_memory__readable_end(const struct own_memory *m, const struct image_mapping *mapping)
{
	/* All pages below low can be read, none from high on. */
	uint64_t low = 0, high = (mapping->end - mapping->start) / PAGE_BYTES;

	if (own_memory__can_read(m, mapping->end - PAGE_BYTES))
		return mapping->end;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		if (own_memory__can_read(m, mapping->start + middle * PAGE_BYTES))
			low = middle + 1;
		else
			high = middle;
	}
	return mapping->start + low * PAGE_BYTES;
}

bool own_memory__is_unstable(const struct own_memory *m, const struct image_mapping *mapping)
{
	for (size_t i = 0; i < m->unstable_count; i++) {
		if (m->unstable[i].start < mapping->end && mapping->start < m->unstable[i].end)
			return true;
	}
	return false;
}

uint64_t own_memory__alike_end(const struct own_memory *m, uint64_t start, uint64_t end,
			       bool *ret_unstable)
{
	*ret_unstable = false;
	for (size_t i = 0; i < m->unstable_count; i++) {
		const struct image_run *run = &m->unstable[i];

		if (run->start <= start && start < run->end) {
			*ret_unstable = true;
			return run->end < end ? run->end : end;
		}
		if (start < run->start && run->start < end)
			end = run->start;
	}
	return end;
}

int own_memory__copy(struct own_memory *m, uint64_t start, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = nocancel__read_at(m->mem_fd, m->block + done, bytes - done,
					      (off_t)(start + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}
