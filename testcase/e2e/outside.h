/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The state of a process as it can be seen from outside while job control has stopped it: mappings,
 * all private memory, and the registers of all threads. Shares no code with what it checks, but for
 * the readers of /proc.
 */
#ifndef E2E_OUTSIDE_H
#define E2E_OUTSIDE_H

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/procfs.h"

enum {
	OUTSIDE_THREADS = 64,
	OUTSIDE_EXTENDED = 16384,
	OUTSIDE_RSEQ_BYTES = 32, /* that the kernel writes */
	OUTSIDE_RESERVED = 256 << 20,
	OUTSIDE_BLOCK = 1 << 16,
	OUTSIDE_NO_HANDLER = 514, /* ERESTARTNOHAND */
	OUTSIDE_RESTART = 516,    /* ERESTART_RESTARTBLOCK */
};

struct outside_thread {
	pid_t tid;
	struct user_regs_struct general;
	uint64_t mask, rseq;
	size_t extended_bytes;
	char extended[OUTSIDE_EXTENDED];
};

struct outside {
	struct mappings mappings;
	unsigned char **bytes; /* of each mapping; NULL: it is not compared */
	uint64_t **pages;      /* their entries of pagemap; NULL: it is a mapping of a file */
	size_t thread_count;
	struct outside_thread threads[OUTSIDE_THREADS];
};

static inline void outside__need(int condition, const char *what)
{
	if (condition)
		return;
	(void)fprintf(stderr, "cannot look at the process: %s: %s\n", what, strerror(errno));
	exit(3);
}

/* A call that the kernel would resume ends with EINTR after a rollback. One that ends with EINTR at
 * any stop is made again. Both count as the same. */
static inline void outside__read_thread(pid_t tid, struct outside_thread *thread)
{
	struct __ptrace_rseq_configuration rseq = {0};
	struct iovec extended = {thread->extended, sizeof(thread->extended)};

	outside__need(!ptrace(PTRACE_SEIZE, tid, NULL, NULL), "seize");
	outside__need(!ptrace(PTRACE_INTERRUPT, tid, NULL, NULL), "interrupt");
	outside__need(waitpid(tid, NULL, __WALL) == tid, "wait");
	thread->tid = tid;
	outside__need(!ptrace(PTRACE_GETREGS, tid, NULL, &thread->general), "registers");
	outside__need(!ptrace(PTRACE_GETSIGMASK, tid, (void *)sizeof(thread->mask), &thread->mask),
		      "signal mask");
	outside__need(!ptrace(PTRACE_GETREGSET, tid, (void *)NT_X86_XSTATE, &extended),
		      "extended registers");
	thread->extended_bytes = extended.iov_len;
	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, (void *)sizeof(rseq), &rseq) > 0)
		thread->rseq = rseq.rseq_abi_pointer;
	if ((int64_t)thread->general.orig_rax >= 0 &&
	    ((int64_t)thread->general.rax == -OUTSIDE_RESTART ||
	     (int64_t)thread->general.rax == -OUTSIDE_NO_HANDLER))
		thread->general.rax = (uint64_t)-EINTR;
	outside__need(!ptrace(PTRACE_DETACH, tid, NULL, NULL), "detach");
}

static inline int outside__compare_threads(const void *a, const void *b)
{
	return ((const struct outside_thread *)a)->tid - ((const struct outside_thread *)b)->tid;
}

/* Address space without access that is as large was reserved, and has no bytes. */
static inline int outside__is_reserved(const struct mapping *mapping)
{
	return !mapping->flags && mapping->end - mapping->start > OUTSIDE_RESERVED;
}

static inline int outside__is_compared(const struct mapping *mapping)
{
	const char *path = mapping->path;

	return !(mapping->flags & MAPPING_SHARED) && !outside__is_reserved(mapping) &&
	       (*path != '[' || !strcmp(path, "[heap]") || !strcmp(path, "[stack]"));
}

/* What the kernel writes counts as zeros. */
static inline void outside__blank(struct outside *outside, uint64_t address)
{
	for (size_t i = 0; i < outside->mappings.count; i++) {
		const struct mapping *mapping = &outside->mappings.items[i];

		if (outside->bytes[i] && address >= mapping->start && address < mapping->end)
			memset(outside->bytes[i] + (address - mapping->start), 0,
			       OUTSIDE_RSEQ_BYTES);
	}
}

/* Is the page in memory or in swap? If not, an anonymous one is zeros. */
static inline int outside__is_there(const uint64_t *pages, uint64_t offset)
{
	return !pages || pages[offset / 4096] >> 62;
}

static inline int outside__are_there(const uint64_t *pages, uint64_t offset, uint64_t length)
{
	int result = 0;

	for (uint64_t end = offset + length; offset < end && !result; offset += 4096)
		result = outside__is_there(pages, offset);
	return result;
}

/* A part beyond the end of a file cannot be read, and remains zeros. */
static inline void outside__read(int memory, uint64_t start, uint64_t end, unsigned char *bytes,
				 const uint64_t *pages)
{
	for (uint64_t at = start, length; at < end; at += length) {
		length = end - at < OUTSIDE_BLOCK ? end - at : OUTSIDE_BLOCK;
		if (!outside__are_there(pages, at - start, length))
			continue;
		if (pread(memory, bytes + (at - start), length, (off_t)at) == (ssize_t)length)
			continue;
		for (uint64_t page = at; page < at + length; page += 4096)
			(void)!pread(memory, bytes + (page - start), 4096, (off_t)page);
	}
}

/* The entries of pagemap of [start, end). Most pages of the stacks of threads were never used; to
 * read them all takes seconds. */
static inline uint64_t *outside__read_pages(int pagemap, uint64_t start, uint64_t end)
{
	const size_t bytes = (end - start) / 4096 * sizeof(uint64_t);
	uint64_t *pages = malloc(bytes);

	outside__need(pages != NULL, "memory");
	outside__need(pread(pagemap, pages, bytes, (off_t)(start / 4096 * sizeof(uint64_t))) ==
			      (ssize_t)bytes,
		      "pagemap");
	return pages;
}

/* Looks at process pid. Ends the program if that fails. */
static inline struct outside *outside__look(pid_t pid)
{
	struct outside *outside = calloc(1, sizeof(*outside));
	pid_t *tids = NULL;
	int memory, pagemap;

	outside__need(outside != NULL, "memory");
	outside__need(!procfs__threads(pid, &tids, &outside->thread_count), "threads");
	outside__need(outside->thread_count <= OUTSIDE_THREADS, "too many threads");
	for (size_t i = 0; i < outside->thread_count; i++)
		outside__read_thread(tids[i], &outside->threads[i]);
	free(tids);
	qsort(outside->threads, outside->thread_count, sizeof(*outside->threads),
	      outside__compare_threads);
	outside__need(!procfs__mappings(pid, &outside->mappings), "mappings");
	outside->bytes = calloc(outside->mappings.count, sizeof(*outside->bytes));
	outside->pages = calloc(outside->mappings.count, sizeof(*outside->pages));
	memory = procfs__open(pid, "mem", O_RDONLY);
	pagemap = procfs__open(pid, "pagemap", O_RDONLY);
	outside__need(outside->bytes && outside->pages && memory >= 0 && pagemap >= 0, "mem");
	for (size_t i = 0; i < outside->mappings.count; i++) {
		const struct mapping *mapping = &outside->mappings.items[i];
		const size_t size = mapping->end - mapping->start;

		if (!outside__is_compared(mapping))
			continue;
		outside->bytes[i] = calloc(1, size);
		outside__need(outside->bytes[i] != NULL, "memory");
		if (!mapping->inode)
			outside->pages[i] =
				outside__read_pages(pagemap, mapping->start, mapping->end);
		outside__read(memory, mapping->start, mapping->end, outside->bytes[i],
			      outside->pages[i]);
	}
	(void)close(memory);
	(void)close(pagemap);
	for (size_t i = 0; i < outside->thread_count; i++)
		if (outside->threads[i].rseq)
			outside__blank(outside, outside->threads[i].rseq);
	return outside;
}

static inline const struct mapping *outside__find(const struct outside *outside, uint64_t address,
						  size_t *ret_index)
{
	for (size_t i = 0; i < outside->mappings.count; i++) {
		const struct mapping *mapping = &outside->mappings.items[i];

		*ret_index = i;
		if (address >= mapping->start && address < mapping->end)
			return mapping;
	}
	return NULL;
}

static inline int outside__is_alike(const struct mapping *a, const struct mapping *b)
{
	return a->flags == b->flags && a->inode == b->inode &&
	       (!a->inode || a->offset - a->start == b->offset - b->start);
}

/* Is a mapping of one there in the other, with the same bytes? Anonymous memory must be one mapping
 * there, too; a mapping of a file may be split. */
static inline int outside__has(const struct outside *outside, const struct outside *other,
			       size_t index, char *text, size_t size)
{
	const struct mapping *mapping = &outside->mappings.items[index];
	const unsigned char *bytes = outside->bytes[index];

	for (uint64_t at = mapping->start, end; at < mapping->end; at = end) {
		size_t i;
		const struct mapping *there = outside__find(other, at, &i);

		if (!there || !outside__is_alike(mapping, there) ||
		    (!mapping->inode && there->end < mapping->end)) {
			(void)snprintf(text, size, "%lx: %lx-%lx %s, then %lx-%lx %s",
				       (unsigned long)at, (unsigned long)mapping->start,
				       (unsigned long)mapping->end, mapping->path,
				       there ? (unsigned long)there->start : 0,
				       there ? (unsigned long)there->end : 0,
				       there ? there->path : "nothing");
			return 0;
		}
		end = there->end < mapping->end ? there->end : mapping->end;
		for (; bytes && at < end; at += 4096) {
			if (!outside__is_there(outside->pages[index], at - mapping->start) &&
			    !outside__is_there(other->pages[i], at - there->start))
				continue;
			if (!memcmp(bytes + (at - mapping->start),
				    other->bytes[i] + (at - there->start), 4096))
				continue;
			(void)snprintf(text, size, "bytes of the page %lx of %s", (unsigned long)at,
				       mapping->path);
			return 0;
		}
	}
	return 1;
}

/* Is the address mapped in the other one? */
static inline int outside__is_covered(const struct outside *outside, const struct outside *other,
				      char *text, size_t size)
{
	for (size_t i = 0; i < outside->mappings.count; i++) {
		const struct mapping *mapping = &outside->mappings.items[i], *there;
		size_t number;

		for (uint64_t at = mapping->start; at < mapping->end; at = there->end) {
			there = outside__find(other, at, &number);
			if (there)
				continue;
			(void)snprintf(text, size, "%lx of %s is new", (unsigned long)at,
				       mapping->path);
			return 0;
		}
	}
	return 1;
}

/* Does the second show the state of the first? If not, the first difference is in text. */
static inline int outside__is_same(const struct outside *a, const struct outside *b, char *text,
				   size_t size)
{
	for (size_t i = 0; i < a->mappings.count; i++)
		if (!outside__has(a, b, i, text, size))
			return 0;
	if (!outside__is_covered(b, a, text, size))
		return 0;
	if (a->thread_count != b->thread_count) {
		(void)snprintf(text, size, "%zu threads, then %zu", a->thread_count,
			       b->thread_count);
		return 0;
	}
	for (size_t i = 0; i < a->thread_count; i++) {
		const struct outside_thread *was = &a->threads[i], *is = &b->threads[i];

		if (was->tid == is->tid && was->mask == is->mask &&
		    !memcmp(&was->general, &is->general, sizeof(was->general)) &&
		    was->extended_bytes == is->extended_bytes &&
		    !memcmp(was->extended, is->extended, was->extended_bytes))
			continue;
		(void)snprintf(text, size,
			       "thread %d, then %d: registers or mask; rip %llx, %llx; "
			       "rax %lld, %lld",
			       was->tid, is->tid, was->general.rip, is->general.rip,
			       (long long)was->general.rax, (long long)is->general.rax);
		return 0;
	}
	return 1;
}

static inline void outside__free(struct outside *outside)
{
	for (size_t i = 0; i < outside->mappings.count; i++) {
		free(outside->bytes[i]);
		free(outside->pages[i]);
	}
	free(outside->bytes);
	free(outside->pages);
	procfs__free_mappings(&outside->mappings);
	free(outside);
}

#endif
