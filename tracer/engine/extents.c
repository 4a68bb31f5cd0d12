/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tables and extents, see extents.h for the picture. They are made some at a time, and given back
 * from the highest number down: making one takes longer than filling it, so some to spare are kept.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/progress.h"
#include "engine/extents.h"
#include "kernel/inner_map.h"

enum { SPARE_EXTENTS = 2, SPARE_SHARE = 32 }; /* so many, and one of 32, are kept to spare */

enum { BATCH = 32, PROVIDE_BATCH = 8 }; /* made at a time */

enum { UNASKED_EXTENTS = 3 }; /* a checkpoint may make so many without a look at free memory */

#define TABLE_BYTES  (EXTENT_SLABS * sizeof(struct slab))
#define EXTENT_BYTES ((uint64_t)EXTENT_SLABS * SLAB_BYTES)

int extents__open(struct extents *extents, int slots_fd, int tables_fd)
{
	*extents = (struct extents){.slots_fd = slots_fd, .tables_fd = tables_fd};
	extents->items = calloc(EXTENTS, sizeof(*extents->items));
	return extents->items ? 0 : -ENOMEM;
}

enum kind { TABLE, SLOTS };

static const struct {
	const char *name;
	uint32_t value_bytes;
} kinds[] = {[TABLE] = {"slab_table", sizeof(struct slab)}, [SLOTS] = {"slab_extent", SLAB_BYTES}};

static int outer_fd(const struct extents *extents, enum kind kind)
{
	return kind == SLOTS ? extents->slots_fd : extents->tables_fd;
}

static void *values_at(const struct extents *extents, enum kind kind, uint32_t index)
{
	const struct extent *item = &extents->items[index];

	return kind == SLOTS ? (void *)item->slots : (void *)item->table;
}

/* Keeps made true. */
static void set_values(struct extents *extents, enum kind kind, uint32_t index, void *values)
{
	struct extent *items = extents->items;

	if (kind == SLOTS)
		items[index].slots = values;
	else
		items[index].table = values;
	if (index >= extents->made)
		extents->made = index + 1;
	while (extents->made && !items[extents->made - 1].table && !items[extents->made - 1].slots)
		extents->made--;
}

static void unmap(enum kind kind, void *values)
{
	munmap(values, (size_t)EXTENT_SLABS * kinds[kind].value_bytes);
}

/* Creates an array of EXTENT_SLABS values, and maps it. Returns its descriptor, or -errno. */
static int create_array(enum kind kind, void **ret_values)
{
	/* cppcheck-suppress unknownMacro */
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	uint32_t bytes = kinds[kind].value_bytes;
	int err, fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, kinds[kind].name, sizeof(uint32_t), bytes,
				     EXTENT_SLABS, &options);
	void *values;

	if (fd < 0)
		return fd;
	values =
		mmap(NULL, (size_t)EXTENT_SLABS * bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (values == MAP_FAILED) {
		err = -errno;
		close(fd);
		return err;
	}
	*ret_values = values;
	return fd;
}

/*
 * Hangs arrays into an outer one. Each call waits until no processor runs a BPF program, about 10
 * ms: many at a time wait once (Linux 6.8, maybe_wait_bpf_programs()). Returns 0 or -errno; the
 * first *ret_count hang in any case.
 */
static int hang(int outer, const uint32_t *indices, const int *fds, uint32_t count,
		uint32_t *ret_count)
{
	uint32_t done = count;
	int err = count > 1 ? bpf_map_update_batch(outer, indices, fds, &done, NULL) : -ENOTSUP;

	if (err && done == count) /* it has not begun */
		done = 0;
	for (err = 0; done < count && !err; done += !err)
		err = bpf_map_update_elem(outer, &indices[done], &fds[done], BPF_ANY);
	*ret_count = done;
	return err;
}

static int make_arrays(struct extents *extents, enum kind kind, const uint32_t *indices,
		       uint32_t count)
{
	int fds[BATCH], err = 0, hang_err;
	void *values[BATCH] = {0};
	uint32_t made = 0, hung = 0;

	while (made < count) {
		fds[made] = create_array(kind, &values[made]);
		if (fds[made] < 0) {
			err = fds[made];
			break;
		}
		made++;
	}
	hang_err = made ? hang(outer_fd(extents, kind), indices, fds, made, &hung) : 0;
	for (uint32_t i = 0; i < made; i++) {
		close(fds[i]);
		if (i < hung)
			set_values(extents, kind, indices[i], values[i]);
		else
			unmap(kind, values[i]);
	}
	return err ? err : hang_err;
}

/* Tables of user space alone. */
static int allocate_tables(struct extents *extents, const uint32_t *indices, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		void *table = malloc(TABLE_BYTES);

		if (!table)
			return -ENOMEM;
		set_values(extents, TABLE, indices[i], table);
	}
	return 0;
}

static int make(struct extents *extents, enum kind kind, const uint32_t *indices, uint32_t count)
{
	if (kind == TABLE && extents->tables_fd < 0)
		return allocate_tables(extents, indices, count);
	return make_arrays(extents, kind, indices, count);
}

/* Makes the missing ones below end, from *at on, but at most limit of them; *at goes on. */
static int make_missing(struct extents *extents, enum kind kind, uint32_t *at, uint32_t end,
			uint32_t limit)
{
	uint32_t indices[BATCH], count = 0;

	for (; *at < end && count < limit; (*at)++)
		if (!values_at(extents, kind, *at))
			indices[count++] = *at;
	return count ? make(extents, kind, indices, count) : 0;
}

int extents__need_table(struct extents *extents, uint32_t index)
{
	return extents->items[index].table ? 0 : make(extents, TABLE, &index, 1);
}

int extents__need_slots(struct extents *extents, uint32_t index)
{
	return extents->items[index].slots ? 0 : make(extents, SLOTS, &index, 1);
}

/* Only the mapping: what hangs in an outer array stays there. */
static void forget(struct extents *extents, enum kind kind, uint32_t index)
{
	void *values = values_at(extents, kind, index);

	if (!values)
		return;
	if (kind == TABLE && extents->tables_fd < 0)
		free(values);
	else
		unmap(kind, values);
	set_values(extents, kind, index, NULL);
}

static void give_back(struct extents *extents, enum kind kind, uint32_t index)
{
	int outer = outer_fd(extents, kind);

	if (values_at(extents, kind, index) && outer >= 0)
		(void)bpf_map_delete_elem(outer, &index); /* its memory goes with the mapping */
	forget(extents, kind, index);
}

static bool has_slots(const struct extents *extents, uint32_t index)
{
	return extents->items[index].slots != NULL;
}

/* Extents for so many slabs, or slots. */
static uint32_t extents_for(uint64_t values)
{
	uint64_t count = (values + EXTENT_SLABS - 1) / EXTENT_SLABS;

	return count < EXTENTS ? (uint32_t)count : EXTENTS;
}

/* Has the machine memory for the missing extents? For up to UNASKED of them nobody looks. */
static bool has_memory_for(const struct extents *extents, uint32_t count, uint64_t unasked)
{
	uint64_t missing = 0;

	for (uint32_t i = 0; i < count; i++)
		missing += !has_slots(extents, i);
	return missing <= unasked || inner_map__has_memory(missing * EXTENT_BYTES);
}

static void trim(struct extents *extents, enum kind kind, uint64_t values)
{
	uint32_t enough = extents_for(values);
	uint32_t kept = enough + enough / SPARE_SHARE + SPARE_EXTENTS;

	for (uint32_t i = extents->made; i > kept; i--)
		give_back(extents, kind, i - 1);
}

void extents__trim_slots(struct extents *extents, uint64_t slots)
{
	trim(extents, SLOTS, slots);
}

void extents__trim_slabs(struct extents *extents, uint64_t slabs)
{
	trim(extents, TABLE, slabs);
}

static int fit(struct extents *extents, enum kind kind, uint64_t values)
{
	struct progress progress = {0}; /* the kernel takes seconds for some GiB */
	uint32_t at = 0, count = extents_for(values);
	int err = 0;

	while (at < count && !err) {
		progress__step(&progress, "making room for the snapshot", at, count);
		err = make_missing(extents, kind, &at, count, BATCH);
	}
	progress__end(&progress);
	trim(extents, kind, values);
	return err;
}

int extents__fit_slots(struct extents *extents, uint64_t slots)
{
	if (!has_memory_for(extents, extents_for(slots), UNASKED_EXTENTS)) {
		trim(extents, SLOTS, slots);
		return -ENOMEM;
	}
	return fit(extents, SLOTS, slots);
}

int extents__fit_slabs(struct extents *extents, uint64_t slabs)
{
	return fit(extents, TABLE, slabs);
}

bool extents__provide(struct extents *extents, uint64_t slots)
{
	uint32_t slots_at = 0, tables_at = 0, count = extents_for(slots);

	/* small steps add up, so there is a look before each */
	if (!has_memory_for(extents, count, 0) ||
	    make_missing(extents, SLOTS, &slots_at, count, PROVIDE_BATCH) ||
	    make_missing(extents, TABLE, &tables_at, count, PROVIDE_BATCH))
		return false;
	return slots_at < count || tables_at < count;
}

uint64_t extents__slots(const struct extents *extents)
{
	uint64_t slots = 0;

	for (uint32_t i = 0; i < extents->made; i++)
		slots += has_slots(extents, i) ? EXTENT_SLABS : 0;
	return slots;
}

uint64_t extents__memory(const struct extents *extents)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < extents->made; i++) {
		bytes += extents->items[i].slots ? EXTENT_BYTES : 0;
		bytes += extents->items[i].table ? TABLE_BYTES : 0;
	}
	return bytes;
}

void extents__close(struct extents *extents)
{
	for (uint32_t i = extents->made; i > 0; i--) {
		forget(extents, SLOTS, i - 1);
		forget(extents, TABLE, i - 1);
	}
	free(extents->items);
	*extents = (struct extents){0};
}
