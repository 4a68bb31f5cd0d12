/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The slab store from user space.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/procfs.h"
#include "slab_store.h"

enum { SPARE_EXTENTS = 2, SPARE_SHARE = 32, PROVIDE_EXTENTS = 2, WRITE_SLABS = 1024 };

enum { UNASKED_EXTENTS = 4 }; /* so few are made without a look at what memory there is */

#define EXTENT_BYTES  ((uint64_t)EXTENT_SLABS * SLAB_BYTES)
#define RESERVE_BYTES (256ULL << 20) /* of memory, for all others */

/* A table and an extent of the same number, NULL where there is none. They live as long as they are
 * mapped here or hang in their outer map; no file descriptor is kept, for there may be thousands. */
struct part {
	struct slab *table;
	uint8_t *slots;
};

struct slab_store {
	struct state *state;
	struct page_engine *pages; /* NULL: the bytes are in extents */
	struct intervals ranges;   /* kept in slabs */
	struct intervals known;    /* pages in the table */
	struct part *parts;        /* EXTENTS */
	struct iovec *local, *remote;
	size_t room;
	bool verify;
	uint32_t made;   /* no part has a higher number than this less one */
	uint32_t zeros;  /* pages of the last checkpoint that took no slot */
	uint8_t *buffer; /* with the page engine: WRITE_SLABS, bytes on their way */
	uint32_t sorted; /* slabs in address order; those after it were appended by a restore */
	int extents_fd, tables_fd;
};

int slab_store__open(int extents_fd, int tables_fd, struct page_engine *pages, struct state *state,
		     bool verify, struct slab_store **ret_store)
{
	struct slab_store *store = calloc(1, sizeof(*store));

	if (!store)
		return -ENOMEM;
	store->state = state;
	store->verify = verify;
	store->pages = pages;
	store->extents_fd = extents_fd;
	store->tables_fd = tables_fd;
	store->parts = calloc(EXTENTS, sizeof(*store->parts));
	if (pages)
		store->buffer = malloc((size_t)WRITE_SLABS * SLAB_BYTES);
	if (!store->parts || (pages && !store->buffer)) {
		slab_store__free(store);
		return -ENOMEM;
	}
	*ret_store = store;
	return 0;
}

const struct intervals *slab_store__ranges(const struct slab_store *store)
{
	return &store->ranges;
}

static struct slab *slab_at(const struct slab_store *store, uint32_t index)
{
	return &store->parts[index / EXTENT_SLABS].table[index % EXTENT_SLABS];
}

static uint8_t *slot_at(const struct slab_store *store, uint32_t slot)
{
	return store->parts[slot / EXTENT_SLABS].slots + (size_t)(slot % EXTENT_SLABS) * SLAB_BYTES;
}

/* ---- tables and extents ---- */

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

static void remove_extent(struct slab_store *store, uint32_t index)
{
	remove_array(store->extents_fd, index, SLAB_BYTES, store->parts[index].slots);
	store->parts[index].slots = NULL;
}

static void remove_table(struct slab_store *store, uint32_t index)
{
	if (store->pages)
		free(store->parts[index].table);
	else
		remove_array(store->tables_fd, index, sizeof(struct slab),
			     store->parts[index].table);
	store->parts[index].table = NULL;
}

static int need_table(struct slab_store *store, uint32_t index)
{
	struct part *part = &store->parts[index];

	if (part->table)
		return 0;
	if (index >= store->made)
		store->made = index + 1;
	if (store->pages) { /* BPF does not look at it */
		part->table = calloc(EXTENT_SLABS, sizeof(struct slab));
		return part->table ? 0 : -ENOMEM;
	}
	return create_array(store->tables_fd, index, "slab_table", sizeof(struct slab),
			    (void **)&part->table);
}

static int need_extent(struct slab_store *store, uint32_t index)
{
	struct part *part = &store->parts[index];

	if (part->slots)
		return 0;
	if (index >= store->made)
		store->made = index + 1;
	return create_array(store->extents_fd, index, "slab_extent", SLAB_BYTES,
			    (void **)&part->slots);
}

static uint32_t extents_for(uint64_t slots)
{
	uint64_t extents = (slots + EXTENT_SLABS - 1) / EXTENT_SLABS;

	return extents < EXTENTS ? (uint32_t)extents : EXTENTS;
}

/* Gives back what is more than enough for so many slots: some to spare are kept. */
static void trim_extents(struct slab_store *store, uint64_t slots)
{
	uint32_t enough = extents_for(slots);

	for (uint32_t i = enough + enough / SPARE_SHARE + SPARE_EXTENTS; i < store->made; i++)
		remove_extent(store, i);
}

/* Has the machine memory for the extents that are missing? The kernel would rather end processes, the
 * target among them, than not give it. */
static bool has_memory_for(const struct slab_store *store, uint32_t extents)
{
	uint64_t missing = 0;

	for (uint32_t i = 0; i < extents; i++)
		missing += !store->parts[i].slots;
	return missing < UNASKED_EXTENTS ||
	       missing * EXTENT_BYTES + RESERVE_BYTES < procfs__available_memory();
}

static int fit_extents(struct slab_store *store, uint64_t slots)
{
	int err = has_memory_for(store, extents_for(slots)) ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < extents_for(slots) && !err; i++)
		err = need_extent(store, i);
	trim_extents(store, slots);
	return err;
}

/* The same for tables, for so many slabs; also lowers made. */
static void trim_tables(struct slab_store *store, uint64_t slabs)
{
	uint32_t enough = extents_for(slabs);

	for (uint32_t i = enough + enough / SPARE_SHARE + SPARE_EXTENTS; i < store->made; i++)
		remove_table(store, i);
	while (store->made && !store->parts[store->made - 1].slots &&
	       !store->parts[store->made - 1].table)
		store->made--;
}

/* Slots for so many pages, if as many of them are zeros as the last time, and one to read a page of
 * zeros into. If fewer are zeros, BPF leaves the last of the others to be repaired. */
static uint64_t slots_for(const struct slab_store *store, uint64_t pages)
{
	return (pages > store->zeros ? pages - store->zeros : 0) + 1;
}

bool slab_store__provide(struct slab_store *store, uint64_t pages)
{
	uint32_t needed = extents_for(slots_for(store, pages));
	unsigned int made = 0;

	if (store->pages)
		return false;
	if (!has_memory_for(store, needed))
		return false; /* the checkpoint will say so */
	for (uint32_t i = 0; i < needed; i++) {
		if (store->parts[i].slots)
			continue;
		if (made == PROVIDE_EXTENTS)
			return true;
		if (need_extent(store, i) || need_table(store, i))
			return false; /* the checkpoint will say so, if it still is so then */
		made++;
	}
	return false;
}

/* ---- the table ---- */

static int append(struct slab_store *store, uint64_t address, enum slab_state slab_state)
{
	uint32_t index = store->state->slabs;
	int err;

	if (index >= EXTENTS * EXTENT_SLABS)
		return -EFBIG;
	err = need_table(store, index / EXTENT_SLABS);
	if (err)
		return err;
	*slab_at(store, index) = (struct slab){.address = address, .state = (uint8_t)slab_state};
	store->state->slabs = index + 1;
	return 0;
}

static int append_all(struct slab_store *store, const struct intervals *pages,
		      enum slab_state slab_state)
{
	int err = 0;

	for (size_t i = 0; i < pages->count && !err; i++)
		for (uint64_t page = pages->items[i].start; page < pages->items[i].end && !err;
		     page += SLAB_BYTES)
			err = append(store, page, slab_state);
	return err;
}

static int copy_set(struct intervals *to, const struct intervals *from)
{
	int err = 0;

	intervals__clear(to);
	for (size_t i = 0; i < from->count && !err; i++)
		err = intervals__add(to, from->items[i].start, from->items[i].end);
	return err;
}

void slab_store__clear(struct slab_store *store)
{
	store->state->slabs = store->state->slots = store->state->visits = 0;
	store->sorted = 0;
	intervals__clear(&store->ranges);
	intervals__clear(&store->known);
}

/* Does a poll of the page engine visit the slab? */
static bool is_on_walk(const struct slab *slab)
{
	return slab->state == SLAB_DUE || slab->state == SLAB_PRESENT || slab->state == SLAB_ZERO;
}

/* With the page engine and --verify: a slab that is not what was saved is not restored. */
static int verify(struct slab_store *store, struct slab *slab)
{
	int err = page_engine__get(store->pages, slab->address, store->buffer);

	if (err || slab_checksum((const __u64 *)store->buffer) == slab->checksum)
		return err;
	slab->state = SLAB_UNREADABLE;
	store->state->counters[COUNTER_SLABS_DAMAGED]++;
	return 0;
}

/* Says what the polls of a copy have to visit. */
static int lay_out(struct slab_store *store, enum operation_kind kind)
{
	int err = 0;

	if (!store->pages) {
		store->state->visits = store->state->slabs;
		return 0;
	}
	page_engine__begin_walk(store->pages);
	for (uint32_t i = 0; i < store->state->slabs && !err; i++) {
		struct slab *slab = slab_at(store, i);

		if (store->verify && slab->state == SLAB_PRESENT)
			err = verify(store, slab);
		if (!err && is_on_walk(slab))
			err = page_engine__add(store->pages, slab->address,
					       slab->state == SLAB_ZERO);
	}
	if (!err)
		err = page_engine__end_walk(store->pages, kind, store->state->target,
					    &store->state->visits);
	return err;
}

int slab_store__begin_checkpoint(struct slab_store *store, const struct intervals *ranges,
				 struct memory *memory)
{
	int err;

	slab_store__clear(store);
	err = copy_set(&store->ranges, ranges);
	for (size_t i = 0; i < ranges->count && !err; i++)
		err = memory__data_pages(memory, ranges->items[i].start, ranges->items[i].end,
					 &store->known);
	if (!err && intervals__bytes(&store->known) > (uint64_t)EXTENTS * EXTENT_SLABS * SLAB_BYTES)
		err = -EFBIG;
	if (!err && store->pages)
		err = page_engine__reserve(store->pages, &store->known);
	else if (!err)
		err = fit_extents(store,
				  slots_for(store, intervals__bytes(&store->known) / SLAB_BYTES));
	if (!err)
		trim_tables(store, intervals__bytes(&store->known) / SLAB_BYTES);
	if (!err)
		err = append_all(store, &store->known, SLAB_DUE);
	if (!err)
		err = lay_out(store, OPERATION_CHECKPOINT);
	if (err)
		slab_store__clear(store);
	store->sorted = store->state->slabs;
	return err;
}

void slab_store__end_checkpoint(struct slab_store *store)
{
	store->zeros = store->state->slabs - store->state->slots;
	trim_extents(store, store->state->slots);
}

int slab_store__begin_restore(struct slab_store *store, struct memory *memory)
{
	struct intervals now = {0}, since = {0};
	int err = 0;

	for (size_t i = 0; i < store->ranges.count && !err; i++)
		err = memory__data_pages(memory, store->ranges.items[i].start,
					 store->ranges.items[i].end, &now);
	if (!err)
		err = intervals__subtract(&now, &store->known, &since);
	if (!err)
		err = append_all(store, &since, SLAB_ZERO);
	for (size_t i = 0; i < since.count && !err; i++)
		err = intervals__add(&store->known, since.items[i].start, since.items[i].end);
	if (!err)
		err = lay_out(store, OPERATION_RESTORE);
	intervals__clear(&now);
	intervals__clear(&since);
	return err;
}

/* The first of the sorted slabs at or above address. */
static uint32_t find_slab(const struct slab_store *store, uint64_t address)
{
	uint32_t low = 0, high = store->sorted;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (slab_at(store, middle)->address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int slab_store__drop(struct slab_store *store, uint64_t start, uint64_t end)
{
	int err;

	if (!store->ranges.count)
		return 0;
	for (uint32_t i = find_slab(store, start); i < store->sorted; i++) {
		if (slab_at(store, i)->address >= end)
			break;
		slab_at(store, i)->state = SLAB_GONE;
	}
	for (uint32_t i = store->sorted; i < store->state->slabs; i++)
		if (slab_at(store, i)->address >= start && slab_at(store, i)->address < end)
			slab_at(store, i)->state = SLAB_GONE;
	err = intervals__remove(&store->ranges, start, end);
	if (!err)
		err = intervals__remove(&store->known, start, end);
	if (!err && store->pages)
		err = page_engine__drop(store->pages, start, end);
	return err;
}

/* ---- what the page engine says ---- */

static void flag(struct slab_store *store, struct slab *slab, uint8_t flags)
{
	slab->flags = flags;
	store->state->operation.slab_flags++;
}

static int collect_read(struct slab_store *store, struct slab *slab, int code)
{
	if (!code) {
		slab->state = SLAB_PRESENT;
		store->state->slots++;
		store->state->operation.copied += SLAB_CHUNKS;
		if (!store->verify)
			return 0;
		code = page_engine__get(store->pages, slab->address, store->buffer);
		slab->checksum = slab_checksum((const __u64 *)store->buffer);
		return code;
	}
	slab->state = SLAB_UNREADABLE;
	flag(store, slab, SLAB_FAILED);
	store->state->operation.absent += SLAB_CHUNKS;
	/* what an earlier checkpoint has saved of it must not come back */
	return page_engine__drop(store->pages, slab->address, slab->address + SLAB_BYTES);
}

static void collect_written(struct slab_store *store, struct slab *slab, int code)
{
	struct operation *operation = &store->state->operation;

	if (!code) {
		operation->copied += SLAB_CHUNKS;
	} else if (slab->state == SLAB_ZERO) { /* it may well be absent, and so zero */
		flag(store, slab, SLAB_FAILED);
		operation->absent += SLAB_CHUNKS;
	} else {
		flag(store, slab, SLAB_FAILED | SLAB_DIRTY);
		operation->unwritten += SLAB_CHUNKS;
	}
}

int slab_store__collect(struct slab_store *store)
{
	bool reading = store->state->operation.kind == OPERATION_CHECKPOINT;
	uint32_t number = 0;
	int err = 0;

	for (uint32_t i = 0; store->pages && i < store->state->slabs && !err; i++) {
		struct slab *slab = slab_at(store, i);

		slab->flags = 0;
		if (slab->state == SLAB_UNREADABLE && !reading)
			store->state->operation.lost += SLAB_CHUNKS;
		if (!is_on_walk(slab))
			continue;
		if (reading)
			err = collect_read(store, slab, page_engine__code(store->pages, number++));
		else if (page_engine__restores(store->pages))
			collect_written(store, slab, page_engine__code(store->pages, number++));
		else
			collect_written(store, slab, -EPERM);
	}
	return err;
}

/* ---- repair ---- */

static bool is_due(const struct slab *slab, struct memory *memory)
{
	return slab->flags & SLAB_DIRTY ||
	       (slab->flags & SLAB_FAILED && memory__holds_data(memory, slab->address));
}

bool slab_store__needs_repair(struct slab_store *store, struct memory *memory)
{
	if (!store->state->operation.slab_flags)
		return false;
	for (uint32_t i = 0; i < store->state->slabs; i++)
		if (is_due(slab_at(store, i), memory))
			return true;
	return false;
}

static bool is_zero(const uint8_t *bytes)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, SLAB_BYTES - 1);
}

int slab_store__repair_checkpoint(struct slab_store *store, struct memory *memory,
				  struct snapshot_result *result)
{
	for (uint32_t i = 0; i < store->state->slabs && store->state->operation.slab_flags; i++) {
		struct slab *slab = slab_at(store, i);
		uint32_t slot = store->state->slots;
		uint8_t *bytes;
		int err;

		if (!(slab->flags & SLAB_FAILED))
			continue;
		if (!memory__holds_data(memory, slab->address)) {
			slab->state = SLAB_ZERO;
			continue;
		}
		err = store->pages ? 0 : need_extent(store, slot / EXTENT_SLABS);
		if (err)
			return err;
		bytes = store->pages ? store->buffer : slot_at(store, slot);
		err = memory__read(memory, slab->address, bytes, SLAB_BYTES);
		if (err == -ESRCH)
			return err;
		if (err) {
			result->failed += SLAB_CHUNKS;
			continue;
		}
		result->moved += SLAB_CHUNKS;
		result->forced += SLAB_CHUNKS;
		if (is_zero(bytes)) {
			slab->state = SLAB_ZERO;
			continue;
		}
		if (store->pages)
			err = page_engine__put(store->pages, slab->address, bytes);
		if (err)
			return err;
		slab->checksum = store->verify ? slab_checksum((const __u64 *)bytes) : 0;
		slab->slot = slot;
		slab->state = SLAB_PRESENT;
		store->state->slots++;
	}
	return 0;
}

static int add_piece(struct slab_store *store, size_t *count, uint8_t *bytes, uint64_t address)
{
	if (*count == store->room) {
		size_t room = store->room ? 2 * store->room : 64;
		struct iovec *pieces = realloc(store->local, room * sizeof(*pieces));

		if (!pieces)
			return -ENOMEM;
		store->local = pieces;
		pieces = realloc(store->remote, room * sizeof(*pieces));
		if (!pieces)
			return -ENOMEM;
		store->remote = pieces;
		store->room = room;
	}
	store->local[*count] = (struct iovec){bytes, SLAB_BYTES};
	store->remote[*count] = (struct iovec){(void *)(uintptr_t)address, SLAB_BYTES};
	++*count;
	return 0;
}

/* Does the piece go on where the last one ends, here and there? */
static bool continues(const struct iovec *last, const void *start)
{
	return (const char *)last->iov_base + last->iov_len == (const char *)start;
}

/* Writes the pieces collected so far. */
static int write_pieces(struct slab_store *store, struct memory *memory, size_t *count,
			struct snapshot_result *result)
{
	uint64_t forced, failed;
	int err =
		memory__write_pieces(memory, store->local, store->remote, *count, &forced, &failed);

	for (size_t i = 0; i < *count; i++)
		result->moved += store->local[i].iov_len / CHUNK_BYTES;
	result->forced += forced / CHUNK_BYTES;
	result->failed += failed / CHUNK_BYTES;
	result->moved -= failed / CHUNK_BYTES;
	*count = 0;
	return err == -EFAULT ? 0 : err;
}

/* The bytes that a slab is to have: in its slot, or fetched into place number at of the buffer. */
static int saved_bytes(struct slab_store *store, const struct slab *slab, size_t at,
		       uint8_t **ret_bytes)
{
	static uint8_t zeros[SLAB_BYTES]; /* never written to */

	*ret_bytes = zeros;
	if (slab->state != SLAB_PRESENT)
		return 0;
	if (!store->pages) {
		*ret_bytes = slot_at(store, slab->slot);
		return 0;
	}
	*ret_bytes = store->buffer + at * SLAB_BYTES;
	return page_engine__get(store->pages, slab->address, *ret_bytes);
}

int slab_store__repair_restore(struct slab_store *store, struct memory *memory,
			       struct snapshot_result *result)
{
	size_t count = 0, fetched = 0;
	int err = 0;

	for (uint32_t i = 0; i < store->state->slabs && store->state->operation.slab_flags && !err;
	     i++) {
		const struct slab *slab = slab_at(store, i);
		void *address = (void *)(uintptr_t)slab->address;
		uint8_t *bytes;

		if (!is_due(slab, memory))
			continue;
		if (store->pages && fetched == WRITE_SLABS) {
			err = write_pieces(store, memory, &count, result);
			fetched = 0;
		}
		if (!err)
			err = saved_bytes(store, slab, fetched++, &bytes);
		if (err)
			break;
		if (count && slab->state == SLAB_PRESENT &&
		    continues(&store->local[count - 1], bytes) &&
		    continues(&store->remote[count - 1], address)) {
			store->local[count - 1].iov_len += SLAB_BYTES;
			store->remote[count - 1].iov_len += SLAB_BYTES;
		} else {
			err = add_piece(store, &count, bytes, slab->address);
		}
	}
	return err ? err : write_pieces(store, memory, &count, result);
}

void slab_store__for_each(struct slab_store *store,
			  void (*each)(const struct slab *slab, const uint8_t *bytes,
				       void *argument),
			  void *argument)
{
	for (uint32_t i = 0; i < store->state->slabs; i++) {
		const struct slab *slab = slab_at(store, i);
		uint8_t *bytes = NULL;

		if (slab->state == SLAB_GONE)
			continue;
		if (slab->state == SLAB_PRESENT && saved_bytes(store, slab, 0, &bytes))
			bytes = NULL;
		each(slab, bytes, argument);
	}
}

int slab_store__read(struct slab_store *store, const struct slab *slab, const uint8_t **ret_bytes)
{
	uint8_t *bytes;
	int err = saved_bytes(store, slab, 0, &bytes);

	if (!err)
		*ret_bytes = bytes;
	return err;
}

uint64_t slab_store__appended(const struct slab_store *store)
{
	uint64_t count = 0;

	for (uint32_t i = store->sorted; i < store->state->slabs; i++)
		count += slab_at(store, i)->state != SLAB_GONE;
	return count;
}

uint64_t slab_store__slots(const struct slab_store *store)
{
	uint64_t slots = 0;

	if (store->pages)
		return page_engine__places(store->pages);
	for (uint32_t i = 0; i < store->made; i++)
		slots += store->parts[i].slots ? EXTENT_SLABS : 0;
	return slots;
}

uint64_t slab_store__memory(const struct slab_store *store)
{
	uint64_t bytes = store->pages ? page_engine__memory(store->pages) : 0;

	for (uint32_t i = 0; i < store->made; i++) {
		if (store->parts[i].slots)
			bytes += (uint64_t)EXTENT_SLABS * SLAB_BYTES;
		if (store->parts[i].table)
			bytes += EXTENT_SLABS * sizeof(struct slab);
	}
	return bytes;
}

void slab_store__damage(struct slab_store *store)
{
	for (uint32_t i = 0; i < store->state->slabs; i++) {
		const struct slab *slab = slab_at(store, i);
		uint8_t *bytes;

		if (slab->state != SLAB_PRESENT || saved_bytes(store, slab, 0, &bytes))
			continue;
		*bytes ^= 1;
		if (store->pages)
			(void)page_engine__put(store->pages, slab->address, bytes);
		return;
	}
}

void slab_store__free(struct slab_store *store)
{
	if (!store)
		return;
	for (uint32_t i = 0; i < store->made; i++) {
		remove_extent(store, i);
		remove_table(store, i);
	}
	intervals__clear(&store->ranges);
	intervals__clear(&store->known);
	free(store->parts);
	free(store->local);
	free(store->remote);
	free(store->buffer);
	free(store);
}
