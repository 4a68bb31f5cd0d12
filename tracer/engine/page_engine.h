/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The page engine from user space (bpf/page.bcc.c draws its tables): compiled by BCC at the start.
 * Which pages there are is known to the slab table (slab_store.h), in which the engine only holds
 * and moves the bytes. Before a copy a walk is laid out, a list of areas; each poll copies a number
 * of its pages, and leaves a return code for each.
 */
#ifndef TRACER_ENGINE_PAGE_ENGINE_H
#define TRACER_ENGINE_PAGE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>
#include "tracer.h"
#include "base/intervals.h"

struct page_engine;

/*
 * Compiles and loads the engine's programs.
 * pages_per_poll: 1 to PAGE_BATCH. restore_in_bpf: with the one that writes. continuations_fd: the
 * main object's map of that name, which gets the programs; moved_fd: its program pages_moved, in
 * which they end. Both are borrowed.
 * Returns 0 and *ret_engine (page_engine__free), or -errno after saying why on stderr.
 */
int page_engine__open(uint32_t pages_per_poll, bool restore_in_bpf, int continuations_fd,
		      int moved_fd, struct page_engine **ret_engine);

/* Makes places for these pages (page-aligned), before a checkpoint of them; what is saved of others
 * is dropped. 0; -ENOMEM; -errno. */
int page_engine__reserve(struct page_engine *engine, const struct intervals *pages);

/* Begins an empty walk, and adds the page at address to its end; blank: a restore is to write zeros
 * there. 0 or -ENOMEM. */
void page_engine__begin_walk(struct page_engine *engine);
int page_engine__add(struct page_engine *engine, uint64_t address, bool blank);

/*
 * Hands the walk over to the kernel side; target is the process as the kernel knows it.
 * *ret_visits: the pages that polls have to visit, which is none for a restore that is not done in
 * BPF. Returns 0 or -errno.
 */
int page_engine__end_walk(struct page_engine *engine, enum operation_kind kind, uint32_t target,
			  uint32_t *ret_visits);

/* What became of the page of that number in the walk: 0, or the -errno of BPF. */
int page_engine__code(const struct page_engine *engine, uint32_t number);

/* Does the engine write, in a restore? */
bool page_engine__restores(const struct page_engine *engine);

/* Bytes of one page (SLAB_BYTES) in the snapshot: 0 or -errno, -ENOENT if there are none. */
int page_engine__get(const struct page_engine *engine, uint64_t address, uint8_t *ret_bytes);
int page_engine__put(struct page_engine *engine, uint64_t address, const uint8_t *bytes);

/* Drops what is saved of [start, end). 0 or -errno. */
int page_engine__drop(struct page_engine *engine, uint64_t start, uint64_t end);

/* Places for pages in the snapshot; kernel memory of all tables, in bytes. */
uint64_t page_engine__places(const struct page_engine *engine);
uint64_t page_engine__memory(const struct page_engine *engine);

/* Calls each for every table: name, places and kernel memory in bytes. */
void page_engine__for_each_map(const struct page_engine *engine,
			       void (*each)(const char *name, uint64_t places, uint64_t memory,
					    void *argument),
			       void *argument);

/* page_engine__free(NULL) is harmless. */
void page_engine__free(struct page_engine *engine);

#endif
