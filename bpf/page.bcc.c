/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The page engine, kernel side, compiled by BCC when the engine is chosen. A poll of the target
 * continues here, called by bpf/poll.bpf.h. It copies PAGES_PER_POLL pages, from where the last
 * poll has ended.
 *
 *	store_map, restore_map:  pid -> cursor           the walk of a checkpoint, of a restore
 *	areas:                   |start,end| ...         what it walks, made by user space
 *	copy_map:                |page|                  a bounce buffer: the stack has 512 bytes
 *	data_maps:               address|slot -> page    4096 bytes of the snapshot in slot 0 or 1,
 *	                                                 and of the one before it in the other; a
 *	                                                 restore takes nothing out
 *	codes:                   |code|code| ...         what became of each page of the walk
 *
 * User space makes the tables whose size depends on the target, and puts them into outer maps of
 * one entry. BCC relocates no callbacks, subprograms or global variables. A poll always ends in
 * the main object, also when a map is missing. Before a walk, user space sets each code to "not
 * reached". The verifier follows the loops page by page, hence PAGE_BATCH.
 */
#include "tracer.h"

struct page {
	u64 words[SLAB_BYTES / 8];
};

/* Templates of the inner maps; never used themselves. */
BPF_F_TABLE("array", u32, struct page_area, area_list, 1, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
BPF_F_TABLE("array", u32, s64, code_list, 1, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
BPF_HASH(data_map, u64, struct page, 1);

BPF_ARRAY_OF_MAPS(areas, "area_list", 1);
BPF_ARRAY_OF_MAPS(codes, "code_list", 1);
BPF_ARRAY_OF_MAPS(data_maps, "data_map", 1);
BPF_ARRAY(copy_map, struct page, 1);
BPF_HASH(store_map, u32, struct page_cursor, 1);
BPF_PROG_ARRAY(finishers, 1);

/* Moves the cursor to the next page; false at the end of the walk. */
static inline __attribute__((always_inline)) bool advance(struct page_cursor *cursor, void *list)
{
	u32 index = cursor->area;
	struct page_area *area;

	if (cursor->address < cursor->end)
		return true;
	area = bpf_map_lookup_elem(list, &index);
	if (!area || area->start >= area->end)
		return false;
	cursor->address = area->start;
	cursor->end = area->end;
	cursor->slot = area->slot;
	cursor->area = index + 1;
	return true;
}

int store_pages(void *ctx)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	int zero = 0;
	struct page_cursor *cursor = store_map.lookup(&pid);
	struct page *page = copy_map.lookup(&zero);
	void *list = areas.lookup(&zero), *results = codes.lookup(&zero);
	void *data = data_maps.lookup(&zero);

	if (!cursor || !page || !list || !results || !data)
		goto out;
#pragma clang loop unroll(disable)
	for (int i = 0; i < PAGES_PER_POLL; i++) {
		u32 number = cursor->number;
		s64 *code = bpf_map_lookup_elem(results, &number);
		u64 address, key;

		if (!code || !advance(cursor, list))
			goto out;
		address = cursor->address;
		key = address | cursor->slot;
		*code = bpf_probe_read_user(page, SLAB_BYTES, (void *)address);
		if (!*code)
			*code = bpf_map_update_elem(data, &key, page, BPF_ANY);
		cursor->address = address + SLAB_BYTES;
		cursor->number = number + 1;
	}
out:
	finishers.call(ctx, 0);
	return 0;
}

/* Left out where the kernel forbids bpf_probe_write_user: it would refuse the program. */
#ifdef RESTORE_IN_BPF
BPF_HASH(restore_map, u32, struct page_cursor, 1);
BPF_ARRAY(blank_map, struct page, 1);

int restore_pages(void *ctx)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	int zero = 0;
	struct page_cursor *cursor = restore_map.lookup(&pid);
	struct page *blank = blank_map.lookup(&zero);
	void *list = areas.lookup(&zero), *results = codes.lookup(&zero);
	void *data = data_maps.lookup(&zero);

	if (!cursor || !blank || !list || !results || !data)
		goto out;
#pragma clang loop unroll(disable)
	for (int i = 0; i < PAGES_PER_POLL; i++) {
		u32 number = cursor->number;
		s64 *code = bpf_map_lookup_elem(results, &number);
		struct page *saved;
		u64 address, key;

		if (!code || !advance(cursor, list))
			goto out;
		address = cursor->address;
		key = address | cursor->slot;
		saved = cursor->slot == PAGE_BLANK ? blank : bpf_map_lookup_elem(data, &key);
		if (saved) /* else it stays as if it had not been reached */
			*code = bpf_probe_write_user((void *)address, saved, SLAB_BYTES);
		cursor->address = address + SLAB_BYTES;
		cursor->number = number + 1;
	}
out:
	finishers.call(ctx, 0);
	return 0;
}
#endif
