/* SPDX-License-Identifier: BSD-2-Clause
 *
 * All memory of another process, to be compared with what it is later: each private mapping and
 * each byte of it, but the library's own memory, what the kernel writes by itself (rseq), and the
 * part of the stack that is not in use. Reading needs no help of the process, which waits.
 */
#ifndef ROLLBACK_WHOLE_MEMORY_H
#define ROLLBACK_WHOLE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WHOLE_MEMORY_MAPPINGS = 4096, WHOLE_MEMORY_IGNORED = 16, WHOLE_MEMORY_PAGE = 4096 };

struct whole_memory_range {
	uint64_t start, end;
};

/* What the process says of itself. */
struct whole_memory_view {
	uint64_t own;   /* an address in the library's memory */
	uint64_t stack; /* what lies below on the stack is not in use */
	struct whole_memory_range ignored[WHOLE_MEMORY_IGNORED];
	unsigned int ignored_count;
};

struct whole_memory_mapping {
	uint64_t start, end, offset, inode;
	char rights[8];
	bool stack;
	unsigned char *bytes; /* mapped, not of the heap, which children inherit; NULL: not read */
};

struct whole_memory {
	struct whole_memory_mapping mappings[WHOLE_MEMORY_MAPPINGS];
	size_t count;
};

static inline bool whole_memory__continues(const struct whole_memory_mapping *a,
					   const struct whole_memory_mapping *b)
{
	return a->end == b->start && strcmp(a->rights, b->rights) == 0 && a->inode == b->inode &&
	       (!a->inode || a->offset + (a->end - a->start) == b->offset);
}

/* The kernel splits and merges mappings: those that belong together become one. */
static inline void whole_memory__add(struct whole_memory *w, const struct whole_memory_mapping *m)
{
	struct whole_memory_mapping *last = w->count > 0 ? &w->mappings[w->count - 1] : NULL;

	if (last && whole_memory__continues(last, m)) {
		last->end = m->end;
		last->stack |= m->stack;
	} else if (w->count < WHOLE_MEMORY_MAPPINGS) {
		w->mappings[w->count++] = *m;
	} else {
		abort();
	}
}

/* The library's memory is some mappings without a gap. */
static inline void whole_memory__drop_own(struct whole_memory *w, uint64_t own)
{
	size_t kept = 0;
	uint64_t start = own, end = own;

	for (size_t again = 0; own && again < w->count; again++) {
		for (size_t i = 0; i < w->count; i++) {
			const struct whole_memory_mapping *m = &w->mappings[i];

			if (m->start <= end && end < m->end)
				end = m->end;
			if (m->start < start && start <= m->end)
				start = m->start;
		}
	}
	for (size_t i = 0; i < w->count; i++)
		if (w->mappings[i].end <= start || w->mappings[i].start >= end)
			w->mappings[kept++] = w->mappings[i];
	w->count = kept;
}

static inline void whole_memory__list(struct whole_memory *w, pid_t pid)
{
	char path[64], line[4352];
	FILE *maps;

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	w->count = 0;
	while (maps && fgets(line, sizeof(line), maps)) {
		struct whole_memory_mapping m = {0};
		unsigned int major, minor;

		if (sscanf(line, "%lx-%lx %7s %lx %x:%x %lu", &m.start, &m.end, m.rights, &m.offset,
			   &major, &minor, &m.inode) != 7)
			abort();
		m.stack = strstr(line, "[stack]");
		if (!strstr(line, "[v"))
			whole_memory__add(w, &m);
	}
	if (!maps || fclose(maps))
		abort();
}

static inline void whole_memory__free(struct whole_memory *w)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->mappings[i].bytes)
			(void)munmap(w->mappings[i].bytes,
				     w->mappings[i].end - w->mappings[i].start);
	w->count = 0;
}

/* Reads all of it; ignored bytes become 0. */
static inline void whole_memory__read(struct whole_memory *w, pid_t pid,
				      const struct whole_memory_view *view)
{
	char path[64];
	int mem;

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	whole_memory__list(w, pid);
	whole_memory__drop_own(w, view->own);
	for (size_t i = 0; i < w->count; i++) {
		struct whole_memory_mapping *m = &w->mappings[i];

		if (m->rights[3] == 's')
			continue;
		m->bytes = mmap(NULL, m->end - m->start, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (m->bytes == MAP_FAILED)
			abort();
		/* A guard cannot be read: it counts as zeros. */
		if (pread(mem, m->bytes, m->end - m->start, (off_t)m->start) !=
		    (ssize_t)(m->end - m->start))
			for (uint64_t at = m->start; at < m->end; at += WHOLE_MEMORY_PAGE)
				(void)!pread(mem, m->bytes + (at - m->start), WHOLE_MEMORY_PAGE,
					     (off_t)at);
		if (m->stack && view->stack > m->start && view->stack < m->end)
			memset(m->bytes, 0, view->stack - m->start);
		for (unsigned int k = 0; k < view->ignored_count; k++)
			for (uint64_t at = view->ignored[k].start; at < view->ignored[k].end; at++)
				if (at >= m->start && at < m->end)
					m->bytes[at - m->start] = 0;
	}
	(void)close(mem);
}

/* Are they the same? Names the first difference as a line of TAP. */
static inline bool whole_memory__same(const struct whole_memory *a, const struct whole_memory *b)
{
	for (size_t i = 0; i < a->count || i < b->count; i++) {
		const struct whole_memory_mapping *x = &a->mappings[i], *y = &b->mappings[i];

		if (i == a->count || i == b->count || x->start != y->start || x->end != y->end ||
		    strcmp(x->rights, y->rights) != 0 || x->inode != y->inode ||
		    x->offset != y->offset) {
			const struct whole_memory_mapping *z = i < a->count ? x : y;

			printf("# mapping %lx-%lx %s was another one\n", z->start, z->end,
			       z->rights);
			if (i < a->count && i < b->count)
				printf("# it is %lx-%lx %s\n", y->start, y->end, y->rights);
			return false;
		}
		if (!x->bytes || memcmp(x->bytes, y->bytes, x->end - x->start) == 0)
			continue;
		for (uint64_t k = 0; k < x->end - x->start; k++) {
			if (x->bytes[k] == y->bytes[k])
				continue;
			printf("# %lx in %lx-%lx %s was %02x, is %02x\n", x->start + k, x->start,
			       x->end, x->rights, x->bytes[k], y->bytes[k]);
			return false;
		}
	}
	return true;
}

#endif
