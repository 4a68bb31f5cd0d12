/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The slab engine, kernel side. User space makes the table, which has an entry for each page that
 * may hold data, in address order. It makes and maps the extents, which are arrays of slots. BPF
 * fills both:
 *
 *	slab_tables:  [0] |page|page|page| ...  1024 entries each
 *	                     |         \
 *	extents:      [0] |slot|slot|slot| ...  1024 pages each (4 MiB)
 *
 * A checkpoint of all pages takes slots in the order of the table; a page of zeros takes none.
 * Where writes are tracked, user space lists the slabs to be visited, and gives slots to those that
 * are due. One poll copies SLAB_BATCH pages at most; the next one goes on.
 */
#ifndef BPF_SLAB_BPF_H
#define BPF_SLAB_BPF_H

struct slab_page {
	__u64 words[SLAB_BYTES / 8];
};

/* Sizes, not types: 6.1 wants template and instance to have the same type information, here
 * none. */
struct slab_extent {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, EXTENT_SLABS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, SLAB_BYTES);
};

struct slab_table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, EXTENT_SLABS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct slab));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, EXTENTS);
	__type(key, __u32);
	__array(values, struct slab_extent);
} extents SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, EXTENTS);
	__type(key, __u32);
	__array(values, struct slab_table);
} slab_tables SEC(".maps");

/* The slabs that an operation visits, by their numbers in the table. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SLABS_LISTED);
	__type(key, __u32);
	__type(value, __u64); /* an array has 8 bytes for less, too */
} slab_list SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct slab_page);
} slab_scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct slab_page);
} zero_page SEC(".maps");

static __always_inline struct slab *slab_at(__u64 index)
{
	__u32 outer = index / EXTENT_SLABS, inner = index % EXTENT_SLABS;
	void *table = bpf_map_lookup_elem(&slab_tables, &outer);

	return table ? bpf_map_lookup_elem(table, &inner) : NULL;
}

static __always_inline struct slab_page *slot_at(__u32 slot)
{
	__u32 outer = slot / EXTENT_SLABS, inner = slot % EXTENT_SLABS;
	void *extent = bpf_map_lookup_elem(&extents, &outer);

	return extent ? bpf_map_lookup_elem(extent, &inner) : NULL;
}

/* The slab that this poll visits as number index. */
static __always_inline struct slab *visited_slab(__u32 index)
{
	__u64 at = state.operation.slab_cursor + index;
	__u32 place = at;
	__u64 *number;

	if (!state.listed)
		return slab_at(at);
	number = bpf_map_lookup_elem(&slab_list, &place);
	return number ? slab_at(*number) : NULL;
}

static __noinline bool is_zero_page(const struct slab_page *page)
{
	__u32 i;

	if (!page)
		return false;
	for (i = 0; i < SLAB_BYTES / 8; i += 8)
		if (page->words[i] | page->words[i + 1] | page->words[i + 2] | page->words[i + 3] |
		    page->words[i + 4] | page->words[i + 5] | page->words[i + 6] |
		    page->words[i + 7])
			return false;
	return true;
}

static __noinline bool is_same_page(const struct slab_page *a, const struct slab_page *b)
{
	__u32 i;

	if (!a || !b)
		return false;
	for (i = 0; i < SLAB_BYTES / 8; i += 8)
		if ((a->words[i] ^ b->words[i]) | (a->words[i + 1] ^ b->words[i + 1]) |
		    (a->words[i + 2] ^ b->words[i + 2]) | (a->words[i + 3] ^ b->words[i + 3]) |
		    (a->words[i + 4] ^ b->words[i + 4]) | (a->words[i + 5] ^ b->words[i + 5]) |
		    (a->words[i + 6] ^ b->words[i + 6]) | (a->words[i + 7] ^ b->words[i + 7]))
			return false;
	return true;
}

static __noinline __u64 checksum_of(const struct slab_page *page)
{
	return page ? slab_checksum(page->words) : 0;
}

static void flag_slab(struct slab *slab, __u8 flag)
{
	slab->flags |= flag;
	state.operation.slab_flags++;
}

static long read_slab(__u32 index, void *none)
{
	struct slab *slab = visited_slab(index);
	struct slab_page *page;

	if (!slab)
		return 1;
	slab->flags &= SLAB_LISTED;
	if (slab->state != SLAB_DUE)
		return 0;
	page = slot_at(state.placed ? slab->slot : state.slots);
	if (!page || bpf_probe_read_user(page, SLAB_BYTES, (void *)slab->address)) {
		slab->state = SLAB_UNREADABLE;
		flag_slab(slab, SLAB_FAILED);
		state.operation.absent += SLAB_CHUNKS;
		return 0;
	}
	state.operation.copied += SLAB_CHUNKS;
	if (is_zero_page(page)) {
		slab->state = SLAB_ZERO;
		return 0;
	}
	slab->checksum = verify ? checksum_of(page) : 0;
	if (!state.placed)
		slab->slot = state.slots++;
	slab->state = SLAB_PRESENT;
	return 0;
}

/* The bytes that a slab had at the checkpoint; NULL when there are none. */
static __always_inline struct slab_page *saved_page(const struct slab *slab)
{
	__u32 zero = 0;

	if (slab->state == SLAB_PRESENT)
		return slot_at(slab->slot);
	if (slab->state == SLAB_ZERO)
		return bpf_map_lookup_elem(&zero_page, &zero);
	return NULL;
}

/* Is there nothing to restore? A page that cannot be read counts as different. If it was zero, it
 * may be absent: user space finds out. */
static __always_inline bool is_slab_clean(struct slab *slab, const struct slab_page *saved)
{
	__u32 zero = 0;
	struct slab_page *now = bpf_map_lookup_elem(&slab_scratch, &zero);

	if (!now)
		return false;
	if (bpf_probe_read_user(now, SLAB_BYTES, (void *)slab->address)) {
		if (slab->state != SLAB_ZERO)
			return false;
		flag_slab(slab, SLAB_FAILED);
		return true;
	}
	return slab->state == SLAB_ZERO ? is_zero_page(now) : is_same_page(now, saved);
}

/* The bytes to write; NULL when there are none, and the slab is counted. */
static __always_inline struct slab_page *dirty_page(struct slab *slab)
{
	struct slab_page *saved = saved_page(slab);

	slab->flags &= SLAB_LISTED;
	if (!saved) {
		if (slab->state == SLAB_UNREADABLE)
			state.operation.lost += SLAB_CHUNKS;
		return NULL;
	}
	if (((restore_all || state.all_differ) && slab->state == SLAB_PRESENT) ||
	    !is_slab_clean(slab, saved)) {
		if (!verify || slab->state != SLAB_PRESENT || checksum_of(saved) == slab->checksum)
			return saved;
		count_drop(COUNTER_SLABS_DAMAGED);
		state.operation.lost += SLAB_CHUNKS;
		return NULL;
	}
	if (slab->state == SLAB_ZERO)
		state.operation.absent += SLAB_CHUNKS;
	else
		state.operation.clean += SLAB_CHUNKS;
	return NULL;
}

static long write_slab(__u32 index, void *none)
{
	struct slab *slab = visited_slab(index);
	struct slab_page *saved;

	if (!slab)
		return 1;
	saved = dirty_page(slab);
	if (!saved)
		return 0;
	if (!bpf_probe_write_user((void *)slab->address, saved, SLAB_BYTES)) {
		state.operation.copied += SLAB_CHUNKS;
	} else if (state.all_differ && is_slab_clean(slab, saved)) {
		state.operation.clean += SLAB_CHUNKS; /* read-only, or shared with a child */
	} else {
		flag_slab(slab, SLAB_FAILED | SLAB_DIRTY);
		state.operation.unwritten += SLAB_CHUNKS;
	}
	return 0;
}

static long compare_slab(__u32 index, void *none)
{
	struct slab *slab = visited_slab(index);

	if (!slab)
		return 1;
	if (dirty_page(slab)) {
		flag_slab(slab, SLAB_DIRTY);
		state.operation.unwritten += SLAB_CHUNKS;
	}
	return 0;
}

#endif
