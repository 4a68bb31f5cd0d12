/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See shm_holes.h. The file behind a mapping tells its holes, but only root may open it, below
 * /proc/self/map_files. For others, mincore(2) tells which pages of memory without a file are in
 * memory. It does not tell which are swapped out, so it is used only while nothing is.
 * Source: proc(5), mincore(2), sysinfo(2).
 */
#include "own_memory/shm_holes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/nocancel.h"
#include "base/proc_text.h"

enum { CORE_PAGES = 4096 };

static bool is_memory(const char *path)
{
	static const char *const kinds[] = {"/dev/zero", "/memfd:", "/SYSV", "/dev/shm/"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strncmp(path, kinds[i], strlen(kinds[i])) == 0)
			return true;
	}
	return false;
}

/* A device may act when it is opened. */
static bool is_plain(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool is_swap_unused(void)
{
	struct sysinfo info;

	return sysinfo(&info) == 0 && info.totalswap == info.freeswap;
}

void shm_holes__open(struct shm_holes *s, const struct image_mapping *mapping, const char *strings)
{
	const char *name = strings + mapping->path;
	char path[PROC_TEXT_MAP_PATH];

	*s = (struct shm_holes){.mapping = mapping, .fd = -1};
	if (!(mapping->flags & IMAGE_SHARED) || (!is_memory(name) && !is_plain(name)))
		return;
	proc_text__map_path(path, mapping->start, mapping->end);
	s->fd = nocancel__open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
	if (s->fd < 0)
		s->in_memory = is_memory(name) && is_swap_unused();
}

void shm_holes__close(struct shm_holes *s)
{
	if (s->fd >= 0)
		(void)nocancel__close(s->fd);
	s->fd = -1;
}

/* What the file does not tell, and what is behind its end, counts as data. */
static bool next_by_file(const struct shm_holes *s, uint64_t start, uint64_t end,
			 struct image_run *ret_run)
{
	const uint64_t shift = s->mapping->start - s->mapping->offset; /* may wrap, and back */
	off_t data = lseek(s->fd, (off_t)(start - shift), SEEK_DATA), hole;

	if (data < 0 && errno == ENXIO)
		return false;
	hole = data < 0 ? data : lseek(s->fd, data, SEEK_HOLE);
	*ret_run = (struct image_run){start, end};
	if (hole < 0)
		return true;
	ret_run->start = page__start((uint64_t)data + shift);
	if ((uint64_t)hole + shift < end)
		ret_run->end = page__round_up((uint64_t)hole + shift);
	return ret_run->start < end;
}

/* By blocks of pages, so that a run may be cut in two. */
static bool next_by_memory(uint64_t start, uint64_t end, struct image_run *ret_run)
{
	static unsigned char core[CORE_PAGES];

	for (; start < end; start += (uint64_t)CORE_PAGES * PAGE_BYTES) {
		uint64_t left = (end - start) / PAGE_BYTES, i = 0;
		uint64_t count = left < CORE_PAGES ? left : CORE_PAGES;

		*ret_run = (struct image_run){start, start + count * PAGE_BYTES};
		if (mincore((void *)start, count * PAGE_BYTES, core) < 0) /* NOLINT: our memory */
			return true;
		while (i < count && !(core[i] & 1))
			i++;
		if (i == count)
			continue;
		ret_run->start += i * PAGE_BYTES;
		while (i < count && (core[i] & 1))
			i++;
		ret_run->end = start + i * PAGE_BYTES;
		return true;
	}
	return false;
}

bool shm_holes__next(const struct shm_holes *s, uint64_t start, uint64_t end,
		     struct image_run *ret_run)
{
	if (start >= end)
		return false;
	if (s->fd >= 0)
		return next_by_file(s, start, end, ret_run);
	if (s->in_memory)
		return next_by_memory(start, end, ret_run);
	*ret_run = (struct image_run){start, end};
	return true;
}
