/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tables and extents, see extents.h for the picture. They are made one by one, and given back from
 * the highest number down: making one takes longer than filling it, so some to spare are kept.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/procfs.h"
#include "base/progress.h"
#include "engine/extents.h"

enum { SPARE_EXTENTS = 2, SPARE_SHARE = 32, PROVIDE_EXTENTS = 2 };

enum { UNASKED_EXTENTS = 4 }; /* so few are made without a look at what memory there is */

#define TABLE_BYTES   (EXTENT_SLABS * sizeof(struct slab))
#define EXTENT_BYTES  ((uint64_t)EXTENT_SLABS * SLAB_BYTES)
#define RESERVE_BYTES (256ULL << 20) /* of memory, for all others */

int extents__open(struct extents *extents, int slots_fd, int tables_fd)
{
	*extents = (struct extents){.slots_fd = slots_fd, .tables_fd = tables_fd};
	extents->items = calloc(EXTENTS, sizeof(*extents->items));
	return extents->items ? 0 : -ENOMEM;
}

/* Creates an array of EXTENT_SLABS values, hangs it into outer at index, and maps it. */
static int create_array(int outer, uint32_t index, const char *name, uint32_t value_bytes,
			void **ret_values)
{
	/* cppcheck-suppress unknownMacro */
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	int err = 0, fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), value_bytes,
					 EXTENT_SLABS, &options);
	void *values;

	if (fd < 0)
		return fd;
	values = mmap(NULL, (size_t)EXTENT_SLABS * value_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		      fd, 0);
	if (values == MAP_FAILED) {
		err = -errno;
	} else if (bpf_map_update_elem(outer, &index, &fd, BPF_ANY)) {
		err = -errno;
		munmap(values, (size_t)EXTENT_SLABS * value_bytes);
	} else {
		*ret_values = values;
	}
	close(fd);
	return err;
}

static void remove_array(int outer, uint32_t index, uint32_t value_bytes, void *values)
{
	if (!values)
		return;
	(void)bpf_map_delete_elem(outer, &index); /* its memory goes with the mapping */
	munmap(values, (size_t)EXTENT_SLABS * value_bytes);
}

/* Keeps made true after something was made or removed at index. */
static void settle(struct extents *extents, uint32_t index)
{
	const struct extent *items = extents->items;

	if (index >= extents->made)
		extents->made = index + 1;
	while (extents->made && !items[extents->made - 1].table && !items[extents->made - 1].slots)
		extents->made--;
}

static void remove_slots(struct extents *extents, uint32_t index)
{
	remove_array(extents->slots_fd, index, SLAB_BYTES, extents->items[index].slots);
	extents->items[index].slots = NULL;
	settle(extents, index);
}

static void remove_table(struct extents *extents, uint32_t index)
{
	struct slab **table = &extents->items[index].table;

	if (extents->tables_fd < 0)
		free(*table);
	else
		remove_array(extents->tables_fd, index, sizeof(struct slab), *table);
	*table = NULL;
	settle(extents, index);
}

int extents__need_table(struct extents *extents, uint32_t index)
{
	struct slab **table = &extents->items[index].table;
	int err = 0;

	if (*table)
		return 0;
	if (extents->tables_fd < 0) {
		*table = malloc(TABLE_BYTES);
		err = *table ? 0 : -ENOMEM;
	} else {
		err = create_array(extents->tables_fd, index, "slab_table", sizeof(struct slab),
				   (void **)table);
	}
	settle(extents, index);
	return err;
}

int extents__need_slots(struct extents *extents, uint32_t index)
{
	uint8_t **slots = &extents->items[index].slots;
	int err;

	if (*slots)
		return 0;
	err = create_array(extents->slots_fd, index, "slab_extent", SLAB_BYTES, (void **)slots);
	settle(extents, index);
	return err;
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

/* Has the machine memory for the extents that are missing? The kernel would rather end processes,
 * the target among them, than not give it. */
static bool has_memory_for(const struct extents *extents, uint32_t count)
{
	uint64_t missing = 0;

	for (uint32_t i = 0; i < count; i++)
		missing += !has_slots(extents, i);
	return missing < UNASKED_EXTENTS ||
	       missing * EXTENT_BYTES + RESERVE_BYTES < procfs__available_memory();
}

int extents__fit_slots(struct extents *extents, uint64_t slots)
{
	struct progress progress = {0}; /* the kernel takes seconds for some GiB */
	uint32_t count = extents_for(slots);
	int err = has_memory_for(extents, count) ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < count && !err; i++) {
		progress__step(&progress, "making room for the snapshot", i, count);
		err = extents__need_slots(extents, i);
	}
	progress__end(&progress);
	extents__trim_slots(extents, slots);
	return err;
}

static void trim(struct extents *extents, uint64_t values,
		 void (*remove_one)(struct extents *, uint32_t))
{
	uint32_t enough = extents_for(values);
	uint32_t kept = enough + enough / SPARE_SHARE + SPARE_EXTENTS;

	for (uint32_t i = extents->made; i > kept; i--)
		remove_one(extents, i - 1);
}

void extents__trim_slots(struct extents *extents, uint64_t slots)
{
	trim(extents, slots, remove_slots);
}

void extents__trim_slabs(struct extents *extents, uint64_t slabs)
{
	trim(extents, slabs, remove_table);
}

bool extents__provide(struct extents *extents, uint64_t slots)
{
	uint32_t count = extents_for(slots);
	unsigned int made = 0;

	if (!has_memory_for(extents, count))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (has_slots(extents, i))
			continue;
		if (made == PROVIDE_EXTENTS)
			return true;
		if (extents__need_slots(extents, i) || extents__need_table(extents, i))
			return false;
		made++;
	}
	return false;
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
		remove_slots(extents, i - 1);
		remove_table(extents, i - 1);
	}
	free(extents->items);
	*extents = (struct extents){0};
}
