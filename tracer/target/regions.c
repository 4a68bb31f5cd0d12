/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Regions of a process. A bss is the part of a loadable segment beyond its bytes in the file: it
 * begins inside the last page of the data and continues in anonymous pages. Only the ELF header
 * tells where. It is read through /proc/PID/map_files, which is right even if the file was replaced
 * or deleted.
 */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/page.h"
#include "target/regions.h"

struct object { /* an ELF file mapped at an address */
	struct object *next;
	uint64_t start; /* of its first mapping */
	uint64_t inode;
	uint64_t bss_start, bss_end; /* absolute addresses; equal if it has none */
};

struct regions {
	struct object *objects;
	uint32_t mask;
};

int regions__create(uint32_t mask, struct regions **ret_regions)
{
	struct regions *regions = calloc(1, sizeof(*regions));

	if (!regions)
		return -ENOMEM;
	regions->mask = mask;
	elf_version(EV_CURRENT);
	*ret_regions = regions;
	return 0;
}

void regions__forget(struct regions *regions)
{
	while (regions->objects) {
		struct object *object = regions->objects;

		regions->objects = object->next;
		free(object);
	}
}

void regions__free(struct regions *regions)
{
	if (!regions)
		return;
	regions__forget(regions);
	free(regions);
}

/* Reads the bounds of the bss. Files may be hostile: a header that makes no sense counts as no bss,
 * and the caller only uses addresses that are mapped. */
static void read_bss(int fd, uint64_t base, struct object *object)
{
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	uint64_t lowest = UINT64_MAX;
	size_t count = 0;
	GElf_Phdr header;

	if (!elf || elf_kind(elf) != ELF_K_ELF || elf_getphdrnum(elf, &count))
		goto out;
	for (size_t i = 0; i < count && i < 1024; i++) {
		if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_LOAD)
			continue;
		if (header.p_vaddr < lowest)
			lowest = page__start(header.p_vaddr);
		if (header.p_memsz <= header.p_filesz)
			continue;
		object->bss_start = base + header.p_vaddr + header.p_filesz - lowest;
		object->bss_end = page__round_up(base + header.p_vaddr + header.p_memsz - lowest);
	}
out:
	if (object->bss_end < object->bss_start)
		object->bss_start = object->bss_end = 0;
	elf_end(elf);
}

static const struct object *find_object(const struct regions *regions,
					const struct mapping *mapping)
{
	const struct object *object = regions->objects;

	while (object && (object->start != mapping->start || object->inode != mapping->inode))
		object = object->next;
	return object;
}

static int learn_object(struct regions *regions, pid_t pid, const struct mapping *mapping)
{
	struct object *object = malloc(sizeof(*object));
	char name[PROCFS_MAP_FILE_BYTES];
	int fd;

	if (!object)
		return -ENOMEM;
	*object = (struct object){
		.next = regions->objects, .start = mapping->start, .inode = mapping->inode};
	regions->objects = object;
	fd = procfs__open(pid, procfs__map_file(mapping, name), O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return 0;
	read_bss(fd, mapping->start, object);
	close(fd);
	return 0;
}

/* Adds the mapped and writable part of an object's bss: the tail of its last page of data, and
 * anonymous memory. */
static int add_bss(const struct object *object, const struct mappings *mappings,
		   struct intervals *wanted)
{
	int err = 0;

	for (size_t i = 0; i < mappings->count && !err; i++) {
		const struct mapping *mapping = &mappings->items[i];
		uint64_t start = mapping->start, end = mapping->end;

		if (mapping->flags & MAPPING_SHARED || !(mapping->flags & MAPPING_WRITE) ||
		    end <= object->bss_start || start >= object->bss_end)
			continue;
		if (mapping->inode && mapping->inode != object->inode)
			continue;
		if (start < object->bss_start)
			start = object->bss_start;
		if (end > object->bss_end)
			end = object->bss_end;
		err = intervals__add(wanted, start, end);
	}
	return err;
}

/* Collects the bss of every object. */
static int add_objects(struct regions *regions, pid_t pid, const struct mappings *mappings,
		       struct intervals *bss)
{
	int err = 0;

	for (size_t i = 0; i < mappings->count && !err; i++) {
		const struct mapping *mapping = &mappings->items[i];
		const struct object *object;

		if (!mapping->inode || mapping->offset || mapping->flags & MAPPING_SHARED)
			continue;
		object = find_object(regions, mapping);
		if (!object) {
			err = learn_object(regions, pid, mapping);
			object = err ? NULL : regions->objects;
		}
		if (object && object->bss_end > object->bss_start)
			err = add_bss(object, mappings, bss);
	}
	return err;
}

static bool is_anonymous(const struct mapping *mapping)
{
	const char *path = mapping->path;

	if (mapping->inode)
		return !strcmp(path, "/dev/zero (deleted)") ||
		       (!strcmp(path, "/dev/zero") && !(mapping->flags & MAPPING_SHARED)) ||
		       !strcmp(path, "/anon_hugepage (deleted)") ||
		       !strncmp(path, "[anon_shmem:", 12);
	return !*path || !strncmp(path, "[anon:", 6);
}

/* The C library keeps the state of the heap (malloc's main arena, the buffers of stdio) in its
 * own data. If the heap were rolled back without it, malloc would hand out memory twice. The
 * same is true of the lists of thread stacks and of libraries: the dynamic linker has them in
 * its data, and before glibc 2.34 libpthread had the first. */
static bool is_c_library(const struct mapping *mapping)
{
	static const char *const names[] = {"libc.so",  "libc-", "libpthread.so", "libpthread-",
					    "ld-linux", "ld-2.", "ld-musl-",      "ld.so"};
	const char *slash = strrchr(mapping->path, '/'), *name = slash ? slash + 1 : "";

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strncmp(name, names[i], strlen(names[i])))
			return true;
	return false;
}

static uint32_t region_of(const struct mapping *mapping)
{
	if (!strcmp(mapping->path, "[heap]"))
		return REGION_HEAP;
	if (!strcmp(mapping->path, "[stack]"))
		return REGION_STACK; /* left out by default: a program that polls is using it */
	if (is_anonymous(mapping))
		return REGION_MMAP;
	if (mapping->inode && !(mapping->flags & MAPPING_SHARED) && mapping->flags & MAPPING_WRITE)
		return is_c_library(mapping) ? REGION_HEAP | REGION_DATA : REGION_DATA;
	return 0;
}

static int add_mapping(const struct mapping *mapping, const struct intervals *tracked,
		       struct intervals *wanted, struct intervals *reserved)
{
	struct intervals own = {0}, held = {0};
	int err;

	if (mapping->flags & (MAPPING_READ | MAPPING_WRITE | MAPPING_EXEC))
		return intervals__add(wanted, mapping->start, mapping->end);
	err = intervals__add(&own, mapping->start, mapping->end);
	if (err)
		goto out;
	err = intervals__intersect(&own, tracked, &held);
	for (size_t i = 0; i < held.count && !err; i++) /* a full store may end inside a page */
		err = intervals__add(wanted, page__start(held.items[i].start),
				     page__round_up(held.items[i].end));
	if (err)
		goto out;
	if (reserved)
		err = intervals__add(reserved, mapping->start, mapping->end);
out:
	intervals__clear(&own);
	intervals__clear(&held);
	return err;
}

int regions__wanted(struct regions *regions, pid_t pid, const struct mappings *mappings,
		    const struct intervals *tracked, struct intervals *ret_wanted,
		    struct intervals *ret_reserved)
{
	struct intervals bss = {0};
	int err;

	intervals__clear(ret_wanted);
	if (ret_reserved)
		intervals__clear(ret_reserved);
	err = add_objects(regions, pid, mappings, &bss);
	for (size_t i = 0; i < mappings->count && !err; i++)
		if (region_of(&mappings->items[i]) & regions->mask)
			err = add_mapping(&mappings->items[i], tracked, ret_wanted, ret_reserved);
	/* a bss counts as bss, even where its mapping looks like data or anonymous memory */
	for (size_t i = 0; i < bss.count && !err; i++) {
		if (regions->mask & REGION_BSS)
			err = intervals__add(ret_wanted, bss.items[i].start, bss.items[i].end);
		else if (!(regions->mask & REGION_DATA))
			err = intervals__remove(ret_wanted, bss.items[i].start, bss.items[i].end);
	}
	intervals__clear(&bss);
	return err;
}
