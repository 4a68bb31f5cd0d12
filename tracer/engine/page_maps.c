/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See page_maps.h. Outer maps of one entry hold tables whose size follows the target.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/log.h"
#include "base/procfs.h"
#include "kernel/bcc.h"
#include "kernel/inner_map.h"
#include "engine/page_maps.h"
#include "target/reason.h"
#include <page.bcc.h>

enum {
	PROGRAMS = 2,
	REMOVED = 512,         /* keys that are removed by one call */
	TWICE_PAGES = 1024,    /* so few pages have room for both of their slots */
	UNASKED_PLACES = 4096, /* so few are made without a look at what memory there is */
	SPARE_PLACES = 256,    /* enough for the data of a small target, which need not wait */
	WALK_PLACES = 1024,    /* in the tables of walks, whose places are small */
};

enum table_name {
	AREAS,
	CODES,
	DATA,
	COPY_MAP,
	STORE_MAP,
	FINISHERS,
	RESTORE_MAP,
	BLANK_MAP,
	TABLES
};

static const struct {
	const char *name;
	const char *like;     /* a map to make one like, for an outer map; else NULL */
	uint32_t value_bytes; /* of an array that is mapped; else 0 */
	bool writes;          /* only there where BPF restores */
} table_kinds[TABLES] = {
	[AREAS] = {"areas", "area_list", sizeof(struct page_area), false},
	[CODES] = {"codes", "code_list", sizeof(int64_t), false},
	[DATA] = {"data_maps", "data_map", 0, false},
	[COPY_MAP] = {"copy_map", NULL, 0, false},
	[STORE_MAP] = {"store_map", NULL, 0, false},
	[FINISHERS] = {"finishers", NULL, 0, false}, /* empty once nobody has it open */
	[RESTORE_MAP] = {"restore_map", NULL, 0, true},
	[BLANK_MAP] = {"blank_map", NULL, 0, true},
};

struct table {
	int fd;       /* of the map by that name */
	int like_fd;  /* -1, or for an outer map how the inner one is made */
	int inner_fd; /* -1, or what hangs in it */
	uint64_t places;
	void *values; /* of the inner map, where it is mapped */
};

struct page_maps {
	struct table tables[TABLES];
	struct intervals saved; /* pages that have, or may have, an entry in the data */
	struct page_area *walk;
	size_t walk_areas, walk_room;
	uint64_t walk_pages;
	uint64_t removed[REMOVED]; /* keys to remove from the data, all by one call */
	uint32_t removed_count;
	int programs[PROGRAMS];
	bool writes;
};

/* ---- tables that grow ---- */

static void unmap(struct table *table, enum table_name name)
{
	if (table->values)
		munmap(table->values, table->places * table_kinds[name].value_bytes);
	table->values = NULL;
}

/* Makes a new inner map with so many places, and hangs it in; the old one goes. */
static int replace(struct table *table, enum table_name name, uint64_t places)
{
	size_t bytes = places * table_kinds[name].value_bytes;
	int fd = inner_map__create_like(table->like_fd, (uint32_t)places), err = 0;
	uint32_t zero = 0;
	void *values = NULL;

	if (fd < 0)
		return fd;
	if (bytes) {
		values = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (values == MAP_FAILED) {
			err = -errno;
			goto out;
		}
	}
	if (bpf_map_update_elem(table->fd, &zero, &fd, BPF_ANY)) {
		err = -errno;
		if (bytes)
			munmap(values, bytes);
		goto out;
	}
	unmap(table, name);
	if (table->inner_fd >= 0)
		close(table->inner_fd);
	table->inner_fd = fd;
	table->values = values;
	table->places = places;
	log__debug("page engine: the table %s gets %lu places", table_kinds[name].name,
		   (unsigned long)places);
out:
	if (err)
		close(fd);
	return err;
}

/* Is the table far too large for that? */
static bool is_loose(const struct table *table, uint64_t needed)
{
	return table->places > 4 * needed + 4UL * SPARE_PLACES;
}

static int resize(struct page_maps *maps, enum table_name name, uint64_t needed)
{
	if (needed > UINT32_MAX / 2)
		return -REASON_SLAB_LIMIT;
	return replace(&maps->tables[name], name, needed + needed / 4 + SPARE_PLACES);
}

/* A walk of few pages keeps the tables of a long one. To replace a table, the kernel waits for all
 * programs that may use the old one, 5 to 20 ms. */
static int fit(struct page_maps *maps, enum table_name name, uint64_t needed)
{
	return needed > maps->tables[name].places ? resize(maps, name, needed) : 0;
}

/* Makes the tables of walks smaller for a snapshot of so many pages. */
static int shrink_walk(struct page_maps *maps, uint64_t pages)
{
	static const enum table_name names[] = {AREAS, CODES};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		int err = is_loose(&maps->tables[names[i]], pages) ? resize(maps, names[i], pages)
								   : 0;

		if (err)
			return err;
	}
	return 0;
}

/* ---- opening ---- */

static int open_table(struct page_maps *maps, const struct bcc *bcc, enum table_name name)
{
	struct table *table = &maps->tables[name];
	int err;

	table->fd = table->like_fd = table->inner_fd = -1;
	if (table_kinds[name].writes && !maps->writes)
		return 0;
	table->places = 1;
	table->fd = bcc__map(bcc, table_kinds[name].name);
	if (table->fd < 0)
		return table->fd;
	if (!table_kinds[name].like)
		return 0;
	table->places = 0;
	table->like_fd = bcc__map(bcc, table_kinds[name].like);
	if (table->like_fd < 0)
		return table->like_fd;
	err = replace(table, name, name == DATA ? SPARE_PLACES : WALK_PLACES);
	if (err)
		log__error("cannot make the map %s: %s", table_kinds[name].like, strerror(-err));
	return err;
}

/* Puts a program where another goes on in it. */
static int put_program(int map_fd, uint32_t index, int program_fd)
{
	int err = bpf_map_update_elem(map_fd, &index, &program_fd, BPF_ANY) ? -errno : 0;

	if (err)
		log__error("cannot join BCC's programs with the others: %s", strerror(-err));
	return err;
}

static int link_programs(struct page_maps *maps, const struct bcc *bcc, int continuations_fd,
			 int moved_fd)
{
	static const char *const names[PROGRAMS] = {"store_pages", "restore_pages"};
	static const uint32_t places[PROGRAMS] = {CONTINUE_STORE_PAGES, CONTINUE_RESTORE_PAGES};
	int err = put_program(maps->tables[FINISHERS].fd, 0, moved_fd);

	for (int i = 0; i < (maps->writes ? 2 : 1) && !err; i++) {
		maps->programs[i] = bcc__load(bcc, names[i]);
		err = maps->programs[i] < 0
			      ? maps->programs[i]
			      : put_program(continuations_fd, places[i], maps->programs[i]);
	}
	return err;
}

int page_maps__open(uint32_t pages_per_poll, bool restore_in_bpf, int continuations_fd,
		    int moved_fd, struct page_maps **ret_maps)
{
	struct page_maps *maps = calloc(1, sizeof(*maps));
	char number[48];
	const char *flags[] = {number, "-DRESTORE_IN_BPF"};
	struct bcc *bcc = NULL;
	int err;

	if (!maps)
		return -ENOMEM;
	maps->writes = restore_in_bpf;
	for (int i = 0; i < PROGRAMS; i++)
		maps->programs[i] = -1;
	for (int i = 0; i < TABLES; i++)
		maps->tables[i] = (struct table){.fd = -1, .like_fd = -1, .inner_fd = -1};
	snprintf(number, sizeof(number), "-DPAGES_PER_POLL=%u", pages_per_poll);
	err = bcc__compile(PAGE_PROGRAM, flags, restore_in_bpf ? 2 : 1, &bcc);
	for (int i = 0; i < TABLES && !err; i++)
		err = open_table(maps, bcc, i);
	if (err)
		goto out;
	err = link_programs(maps, bcc, continuations_fd, moved_fd);
out:
	bcc__free(bcc);
	if (err) {
		page_maps__free(maps);
		return err;
	}
	*ret_maps = maps;
	return 0;
}

/* ---- the snapshot ---- */

/* In the data, a page has its address for a key, and its slot in the low bits. */
static uint64_t key_of(uint64_t address, uint64_t slot)
{
	return address | slot;
}

/* The kernel stops at a key that is not there. */
static void remove_keys(struct page_maps *maps)
{
	for (uint32_t at = 0; at < maps->removed_count; at++) {
		uint32_t count = maps->removed_count - at;

		if (!bpf_map_delete_batch(maps->tables[DATA].inner_fd, maps->removed + at, &count,
					  NULL))
			break;
		at += count;
	}
	maps->removed_count = 0;
}

static int delete_all(struct page_maps *maps, const struct intervals *pages)
{
	for (size_t i = 0; i < pages->count; i++)
		for (uint64_t page = pages->items[i].start; page < pages->items[i].end;
		     page += SLAB_BYTES)
			for (uint32_t slot = 0; slot < 2; slot++) {
				uint64_t key = key_of(page, slot);

				if (bpf_map_delete_elem(maps->tables[DATA].inner_fd, &key) &&
				    errno != ENOENT)
					return -errno;
			}
	return 0;
}

/* Places for so many pages. Some are there twice. */
static uint64_t places_for(uint64_t pages)
{
	return pages + (pages <= TWICE_PAGES ? pages : pages / 2);
}

/* Has the machine memory for the data of so many pages? */
static bool has_memory_for(uint64_t pages)
{
	return pages < UNASKED_PLACES || inner_map__has_memory(places_for(pages) * SLAB_BYTES);
}

/* Are the places for data too few, or far too many? */
static bool is_unfit(const struct table *data, uint64_t pages)
{
	return pages > data->places || is_loose(data, pages);
}

static int replace_data(struct page_maps *maps, uint64_t pages)
{
	if (pages > UINT32_MAX / 4)
		return -REASON_SLAB_LIMIT;
	return replace(&maps->tables[DATA], DATA, places_for(pages) + SPARE_PLACES);
}

int page_maps__make_room(struct page_maps *maps, const struct intervals *pages)
{
	uint64_t count = intervals__bytes(pages) / SLAB_BYTES;
	struct intervals gone = {0};
	int err;

	remove_keys(maps);
	if (is_unfit(&maps->tables[DATA], count)) {
		err = has_memory_for(count) ? replace_data(maps, count) : -ENOMEM;
		if (err)
			return err;
		intervals__clear(&maps->saved);
		err = shrink_walk(maps, count);
		if (err)
			return err;
	} else {
		err = intervals__subtract(&maps->saved, pages, &gone);
		if (err)
			return err;
		err = delete_all(maps, &gone);
		intervals__clear(&gone);
		if (err)
			return err;
	}
	return intervals__unite(&maps->saved, pages);
}

int page_maps__take_in(struct page_maps *maps, const struct intervals *pages)
{
	return intervals__unite(&maps->saved, pages);
}

bool page_maps__has_room(const struct page_maps *maps, const struct intervals *pages,
			 uint64_t twice)
{
	uint64_t count = intervals__bytes(pages) / SLAB_BYTES;
	const struct table *data = &maps->tables[DATA];

	return !is_unfit(data, count) && count + twice <= data->places;
}

int page_maps__get(const struct page_maps *maps, uint64_t address, uint32_t slot,
		   uint8_t *ret_bytes)
{
	uint64_t key = key_of(address, slot);

	return bpf_map_lookup_elem(maps->tables[DATA].inner_fd, &key, ret_bytes) ? -errno : 0;
}

int page_maps__put(struct page_maps *maps, uint64_t address, uint32_t slot, const uint8_t *bytes)
{
	uint64_t key = key_of(address, slot);
	int err = intervals__add(&maps->saved, address, address + SLAB_BYTES);

	if (err)
		return err;
	remove_keys(maps);
	return bpf_map_update_elem(maps->tables[DATA].inner_fd, &key, bytes, BPF_ANY) ? -errno : 0;
}

void page_maps__remove(struct page_maps *maps, uint64_t address, uint32_t slot)
{
	maps->removed[maps->removed_count++] = key_of(address, slot);
	if (maps->removed_count == REMOVED)
		remove_keys(maps);
}

int page_maps__drop(struct page_maps *maps, uint64_t start, uint64_t end)
{
	struct intervals range = {0}, gone = {0};
	int err = intervals__add(&range, start, end);

	if (err)
		goto out;
	err = intervals__intersect(&maps->saved, &range, &gone);
	if (err)
		goto out;
	err = delete_all(maps, &gone);
	if (err)
		goto out;
	err = intervals__remove(&maps->saved, start, end);
out:
	intervals__clear(&range);
	intervals__clear(&gone);
	return err;
}

/* ---- the walk ---- */

void page_maps__begin_walk(struct page_maps *maps)
{
	remove_keys(maps); /* before a page is saved in such a slot again */
	maps->walk_areas = 0;
	maps->walk_pages = 0;
}

static int grow_walk(struct page_maps *maps)
{
	size_t room = maps->walk_room ? 2 * maps->walk_room : 64;
	struct page_area *walk = realloc(maps->walk, room * sizeof(*walk));

	if (!walk)
		return -ENOMEM;
	maps->walk = walk;
	maps->walk_room = room;
	return 0;
}

int page_maps__add(struct page_maps *maps, uint64_t address, uint64_t slot)
{
	struct page_area *next;

	if (maps->walk_areas == maps->walk_room && grow_walk(maps))
		return -ENOMEM;
	maps->walk_pages++;
	next = &maps->walk[maps->walk_areas];
	if (maps->walk_areas && next[-1].end == address && next[-1].slot == slot) {
		next[-1].end += SLAB_BYTES;
		return 0;
	}
	*next = (struct page_area){address, address + SLAB_BYTES, slot};
	maps->walk_areas++;
	return 0;
}

int page_maps__end_walk(struct page_maps *maps, enum operation_kind kind, uint32_t target,
			uint32_t *ret_visits)
{
	struct page_cursor cursor = {0};
	struct page_area *areas;
	int64_t *codes;
	int err;

	if (kind == OPERATION_RESTORE && !maps->writes) {
		*ret_visits = 0;
		return 0;
	}
	err = fit(maps, AREAS, maps->walk_areas + 1);
	if (err)
		return err;
	err = fit(maps, CODES, maps->walk_pages);
	if (err)
		return err;
	areas = maps->tables[AREAS].values;
	codes = maps->tables[CODES].values;
	if (!areas || !codes)
		return -ENOMEM;
	for (size_t i = 0; i < maps->walk_areas; i++)
		areas[i] = maps->walk[i];
	areas[maps->walk_areas] = (struct page_area){0};
	for (uint64_t i = 0; i < maps->walk_pages; i++)
		codes[i] = -ENODATA; /* until it is reached */
	if (bpf_map_update_elem(
		    maps->tables[kind == OPERATION_CHECKPOINT ? STORE_MAP : RESTORE_MAP].fd,
		    &target, &cursor, BPF_ANY))
		return -errno;
	*ret_visits = (uint32_t)maps->walk_pages;
	return 0;
}

int page_maps__code(const struct page_maps *maps, uint32_t number)
{
	return (int)((const int64_t *)maps->tables[CODES].values)[number];
}

bool page_maps__writes(const struct page_maps *maps)
{
	return maps->writes;
}

/* ---- what it takes ---- */

uint64_t page_maps__places(const struct page_maps *maps)
{
	return maps->tables[DATA].places;
}

static void add_memory(const char *name, uint64_t places, uint64_t memory, void *argument)
{
	(void)name;
	(void)places;
	*(uint64_t *)argument += memory;
}

uint64_t page_maps__memory(const struct page_maps *maps)
{
	uint64_t bytes = 0;

	page_maps__for_each(maps, add_memory, &bytes);
	return bytes;
}

void page_maps__for_each(const struct page_maps *maps, map_visitor *each, void *argument)
{
	for (int i = 0; i < TABLES; i++) {
		const struct table *table = &maps->tables[i];
		uint64_t memory = 0;

		if (table->fd < 0)
			continue;
		memory = procfs__map_memory(table->fd);
		if (table->inner_fd >= 0)
			memory += procfs__map_memory(table->inner_fd);
		each(table_kinds[i].name, table->places, memory, argument);
	}
}

static void close_table(struct table *table, enum table_name name)
{
	unmap(table, name);
	if (table->fd >= 0)
		close(table->fd);
	if (table->like_fd >= 0)
		close(table->like_fd);
	if (table->inner_fd >= 0)
		close(table->inner_fd);
}

void page_maps__free(struct page_maps *maps)
{
	if (!maps)
		return;
	for (int i = 0; i < TABLES; i++)
		close_table(&maps->tables[i], i);
	for (int i = 0; i < PROGRAMS; i++)
		if (maps->programs[i] >= 0)
			close(maps->programs[i]);
	intervals__clear(&maps->saved);
	free(maps->walk);
	free(maps);
}
