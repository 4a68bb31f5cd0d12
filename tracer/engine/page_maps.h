/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The tables of the page engine (bpf/page.bcc.c draws them), and its programs, which BCC
 * compiles when they are opened. The bytes of the snapshot are in one of the tables; which pages
 * there are is known to page_engine.c.
 */
#ifndef TRACER_ENGINE_PAGE_MAPS_H
#define TRACER_ENGINE_PAGE_MAPS_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/types.h>
#include "tracer.h"
#include "base/intervals.h"
#include "kernel/hooks.h"

struct page_maps;

/*
 * Compiles and loads the programs, and makes small tables.
 * pages_per_poll: 1 to PAGE_BATCH. restore_in_bpf: with the one that writes. continuations_fd: the
 * main object's map of that name, which gets the programs; moved_fd: its program pages_moved, in
 * which they end. Both are borrowed.
 * Returns 0 and *ret_maps (page_maps__free), or -errno after saying why on stderr.
 */
int page_maps__open(uint32_t pages_per_poll, bool restore_in_bpf, int continuations_fd,
		    int moved_fd, struct page_maps **ret_maps);

/*
 * Before a checkpoint of these pages (page-aligned): makes room for a slot of each, and for a
 * second slot of half of them (of all if they are few). What is saved of other pages is dropped. A
 * page has two slots, 0 and 1: a checkpoint saves it in one, while the snapshot before it has it in
 * the other. 0; -ENOMEM; -errno.
 */
int page_maps__make_room(struct page_maps *maps, const struct intervals *pages);

/* The same where there is room for these pages: others keep their slots. 0 or -ENOMEM. */
int page_maps__take_in(struct page_maps *maps, const struct intervals *pages);

/* Would page_maps__make_room keep what is saved of these pages, with room for so many in both of
 * their slots? */
bool page_maps__has_room(const struct page_maps *maps, const struct intervals *pages,
			 uint64_t twice);

/* Begins an empty walk, and adds the page at address to its end. slot: 0 or 1; PAGE_BLANK: a
 * restore is to write zeros there. 0 or -ENOMEM. */
void page_maps__begin_walk(struct page_maps *maps);
int page_maps__add(struct page_maps *maps, uint64_t address, uint64_t slot);

/*
 * Hands the walk over to the kernel side; target is the process as the kernel knows it.
 * *ret_visits: the pages that polls have to visit, which is none for a restore that is not done in
 * BPF. Returns 0 or -errno.
 */
int page_maps__end_walk(struct page_maps *maps, enum operation_kind kind, uint32_t target,
			uint32_t *ret_visits);

/* What became of the page of that number in the walk: 0, or the -errno of BPF. */
int page_maps__code(const struct page_maps *maps, uint32_t number);

/* Does BPF write, in a restore? */
bool page_maps__writes(const struct page_maps *maps);

/* Bytes of one page (SLAB_BYTES) in one of its slots: 0 or -errno, -ENOENT if there are none. */
int page_maps__get(const struct page_maps *maps, uint64_t address, uint32_t slot,
		   uint8_t *ret_bytes);
int page_maps__put(struct page_maps *maps, uint64_t address, uint32_t slot, const uint8_t *bytes);
void page_maps__remove(struct page_maps *maps, uint64_t address, uint32_t slot);

/* Drops what is saved of [start, end), in both slots. 0 or -errno. */
int page_maps__drop(struct page_maps *maps, uint64_t start, uint64_t end);

/* Places for pages in the snapshot; kernel memory of all tables, in bytes. */
uint64_t page_maps__places(const struct page_maps *maps);
uint64_t page_maps__memory(const struct page_maps *maps);

/* Calls each for every table. */
void page_maps__for_each(const struct page_maps *maps, map_visitor *each, void *argument);

/* page_maps__free(NULL) is harmless. */
void page_maps__free(struct page_maps *maps);

#endif
