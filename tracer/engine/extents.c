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

int extents__open(struct extents *extents, int extents_fd, int tables_fd, bool plain)
{
	const struct slab_options records = {.object_bytes = sizeof(struct part),
					     .slab_bytes = SLAB_MIN_BYTES};
	const struct slab_options tables = {.object_bytes = TABLE_BYTES};
	int err;

	*extents = (struct extents){.extents_fd = extents_fd, .tables_fd = tables_fd};
	extents->parts = calloc(EXTENTS, sizeof(struct part *));
	if (!extents->parts)
		return -ENOMEM;
	err = slab_cache__create(&records, &extents->records);
	if (!err && plain)
		err = slab_cache__create(&tables, &extents->tables);
	return err;
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

/* The part of that number, which may be new and have nothing: then it must be given something, or
 * to settle. NULL when there is no memory. */
static struct part *part_for(struct extents *extents, uint32_t index)
{
	struct part *part = extents->parts[index];

	if (part)
		return part;
	part = slab_cache__alloc(extents->records);
	if (!part)
		return NULL;
	*part = (struct part){0};
	extents->parts[index] = part;
	if (index >= extents->made)
		extents->made = index + 1;
	return part;
}

/* A part that has nothing, or no longer anything, goes. */
static void settle(struct extents *extents, uint32_t index)
{
	struct part *part = extents->parts[index];

	if (!part->table && !part->slots) {
		(void)slab_cache__free(extents->records, part);
		extents->parts[index] = NULL;
	}
	while (extents->made && !extents->parts[extents->made - 1])
		extents->made--;
}

static void remove_extent(struct extents *extents, uint32_t index)
{
	struct part *part = extents->parts[index];

	if (!part)
		return;
	remove_array(extents->extents_fd, index, SLAB_BYTES, part->slots);
	part->slots = NULL;
	settle(extents, index);
}

static void remove_table(struct extents *extents, uint32_t index)
{
	struct part *part = extents->parts[index];

	if (!part)
		return;
	if (extents->tables)
		(void)slab_cache__free(extents->tables, part->table);
	else
		remove_array(extents->tables_fd, index, sizeof(struct slab), part->table);
	part->table = NULL;
	settle(extents, index);
}

int extents__need_table(struct extents *extents, uint32_t index)
{
	struct part *part = part_for(extents, index);
	int err;

	if (!part)
		return -ENOMEM;
	if (part->table)
		return 0;
	if (extents->tables) {
		part->table = slab_cache__alloc(extents->tables);
		err = part->table ? 0 : -ENOMEM;
	} else {
		err = create_array(extents->tables_fd, index, "slab_table", sizeof(struct slab),
				   (void **)&part->table);
	}
	settle(extents, index);
	return err;
}

int extents__need_extent(struct extents *extents, uint32_t index)
{
	struct part *part = part_for(extents, index);
	int err;

	if (!part)
		return -ENOMEM;
	if (part->slots)
		return 0;
	err = create_array(extents->extents_fd, index, "slab_extent", SLAB_BYTES,
			   (void **)&part->slots);
	settle(extents, index);
	return err;
}

static bool has_extent(const struct extents *extents, uint32_t index)
{
	return extents->parts[index] && extents->parts[index]->slots;
}

static uint32_t parts_for(uint64_t values)
{
	uint64_t parts = (values + EXTENT_SLABS - 1) / EXTENT_SLABS;

	return parts < EXTENTS ? (uint32_t)parts : EXTENTS;
}

/* Has the machine memory for the extents that are missing? The kernel would rather end processes,
 * the target among them, than not give it. */
static bool has_memory_for(const struct extents *extents, uint32_t count)
{
	uint64_t missing = 0;

	for (uint32_t i = 0; i < count; i++)
		missing += !has_extent(extents, i);
	return missing < UNASKED_EXTENTS ||
	       missing * EXTENT_BYTES + RESERVE_BYTES < procfs__available_memory();
}

int extents__fit_slots(struct extents *extents, uint64_t slots)
{
	uint32_t count = parts_for(slots);
	int err = has_memory_for(extents, count) ? 0 : -ENOMEM;
	struct progress progress = {0}; /* the kernel takes seconds for some GiB */

	for (uint32_t i = 0; i < count && !err; i++) {
		progress__step(&progress, "making room for the snapshot", i, count);
		err = extents__need_extent(extents, i);
	}
	progress__end(&progress);
	extents__trim_slots(extents, slots);
	return err;
}

static void trim(struct extents *extents, uint64_t values,
		 void (*remove_one)(struct extents *, uint32_t))
{
	uint32_t enough = parts_for(values);
	uint32_t kept = enough + enough / SPARE_SHARE + SPARE_EXTENTS;

	for (uint32_t i = extents->made; i > kept; i--)
		remove_one(extents, i - 1);
}

void extents__trim_slots(struct extents *extents, uint64_t slots)
{
	trim(extents, slots, remove_extent);
}

void extents__trim_slabs(struct extents *extents, uint64_t slabs)
{
	trim(extents, slabs, remove_table);
}

bool extents__provide(struct extents *extents, uint64_t slots)
{
	uint32_t count = parts_for(slots);
	unsigned int made = 0;

	if (!has_memory_for(extents, count))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		if (has_extent(extents, i))
			continue;
		if (made == PROVIDE_EXTENTS)
			return true;
		if (extents__need_extent(extents, i) || extents__need_table(extents, i))
			return false;
		made++;
	}
	return false;
}

uint64_t extents__slots(const struct extents *extents)
{
	uint64_t slots = 0;

	for (uint32_t i = 0; i < extents->made; i++)
		slots += has_extent(extents, i) ? EXTENT_SLABS : 0;
	return slots;
}

uint64_t extents__memory(const struct extents *extents)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < extents->made; i++) {
		const struct part *part = extents->parts[i];

		bytes += part && part->slots ? EXTENT_BYTES : 0;
		bytes += part && part->table ? TABLE_BYTES : 0;
	}
	return bytes;
}

void extents__close(struct extents *extents)
{
	for (uint32_t i = extents->made; i > 0; i--) {
		remove_extent(extents, i - 1);
		remove_table(extents, i - 1);
	}
	slab_cache__destroy(extents->records);
	slab_cache__destroy(extents->tables);
	free(extents->parts);
	*extents = (struct extents){0};
}
