/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Declarations that only the files of the slab allocator share.
 *
 *	cache -- lists --> record <--> record <--> ...       one record for each slab, with the
 *	      -- lookup -> address of a slab | record        state of each of its objects
 *	      -- records -> block of memory for records
 *
 *	record.next[i]:  USED      object i is allocated
 *	                 DAMAGED   object i is out of use
 *	                 j, NONE   object i is free, and j was freed before it, or no other
 *	(undefined for objects from record.fresh on, which were never handed out)
 */
#ifndef SLAB_SLAB_INTERNAL_H
#define SLAB_SLAB_INTERNAL_H

#include "slab.h"

enum { NONE = 0xffff, USED = 0xfffe, DAMAGED = 0xfffd };

_Static_assert((int)SLAB_MAX_OBJECTS < (int)DAMAGED, "an index is no mark");

struct link {
	struct link *previous, *next; /* a ring with its head */
};

enum list { LIST_FULL, LIST_PARTIAL, LIST_EMPTY, LISTS };

struct record {
	struct link link;             /* first, so that a link is its record */
	unsigned char *start, *first; /* of the slab, and its first object */
	struct slab_cache *cache;
	uint32_t used;  /* objects that are allocated or damaged */
	uint32_t fresh; /* objects from here on were never handed out */
	uint32_t free;  /* the object that was freed last, or NONE */
	uint32_t list;
	uint64_t number;
	uint16_t next[]; /* objects_per_slab */
};

struct source { /* memory from the callback, counted */
	struct slab_memory memory;
	size_t bytes;
};

struct entry {
	uintptr_t address; /* 0: no entry */
	struct record *record;
};

struct lookup { /* open addressing, at most half full; without memory at first */
	struct entry *entries;
	size_t capacity, count; /* a power of two */
	unsigned int shift;     /* from a hash to an index */
	struct source *source;
};

struct records {             /* memory for records, in blocks that are aligned to their size */
	struct link partial; /* blocks with room */
	size_t record_bytes, block_bytes;
	size_t rooms; /* records that fit into the blocks with room */
	struct link full;
};

struct slab_cache {        /* what each call needs comes first */
	volatile int busy; /* a call is going on: another one comes from a signal handler */
	bool watched;      /* by slab_debug.c */
	uint32_t objects;  /* in a slab */
	struct link lists[LISTS];
	struct lookup *lookup; /* its own, or that of a heap */
	uintptr_t mask;        /* of an address inside a slab */
	size_t stride;
	uint64_t reciprocal;           /* 2^32 / stride, rounded up */
	uint64_t allocs, frees;        /* frees: of damaged objects as well */
	size_t lead;                   /* from the start of a slab to its first object */
	size_t damaged, counts[LISTS]; /* objects; slabs */
	uint64_t failed, made, given_back, most_slabs;
	struct slab_options options; /* with the defaults filled in */
	struct source source;
	struct lookup own_lookup;
	struct records records;
};

/* ---- lists ---- */

static inline void link__reset(struct link *head)
{
	head->previous = head->next = head;
}

static inline void link__remove(struct link *link)
{
	link->previous->next = link->next;
	link->next->previous = link->previous;
}

static inline void link__insert(struct link *head, struct link *link)
{
	link->previous = head;
	link->next = head->next;
	head->next->previous = link;
	head->next = link;
}

/* ---- slab_memory.c ---- */

/* NULL when there is none. */
void *source__get(struct source *source, size_t bytes, size_t alignment);
/* 0, or -errno: the memory is then still ours. */
int source__put(struct source *source, void *start, size_t bytes);

static inline size_t round_up(size_t bytes, size_t unit)
{
	return (bytes + unit - 1) & ~(unit - 1);
}

/* ---- slab_lookup.c ---- */

/* Makes room for one more. 0, or -ENOMEM: the table is then unchanged. */
int lookup__reserve(struct lookup *lookup);
/* There must be room, and address must not be in the table. */
void lookup__insert(struct lookup *lookup, uintptr_t address, struct record *record);
void lookup__remove(struct lookup *lookup, uintptr_t address);
void lookup__free(struct lookup *lookup);

static inline size_t lookup__hash(const struct lookup *lookup, uintptr_t address)
{
	return (address / PAGE_BYTES * 0x9e3779b97f4a7c15) >> lookup->shift;
}

/* The record of the slab at address, NULL if there is none. */
static inline struct record *lookup__find(const struct lookup *lookup, uintptr_t address)
{
	if (!lookup->capacity)
		return NULL;
	for (size_t i = lookup__hash(lookup, address);; i = (i + 1) & (lookup->capacity - 1)) {
		const struct entry *entry = &lookup->entries[i];

		if (!entry->address)
			return NULL;
		if (entry->address == address)
			return entry->record;
	}
}

/* ---- slab_records.c ---- */

void records__open(struct records *records, size_t record_bytes);
/* NULL when there is no memory. */
struct record *records__get(struct records *records, struct source *source);
void records__put(struct records *records, struct source *source, struct record *record);
/* All records at once. */
void records__close(struct records *records, struct source *source);

/* ---- slab_debug.c ---- */

/* Do the functions below have to be called? */
bool debug__watches(const struct slab_options *options);
/* Bytes before an object, and from one to the next, with red zones if the flags ask for them. */
size_t debug__lead(const struct slab_options *options);
size_t debug__stride(const struct slab_options *options);
/* A slab is new, and nobody may touch it; it goes, and anybody may again. */
void debug__close_slab(const struct slab_cache *cache, const struct record *record);
void debug__open_slab(const struct slab_cache *cache, const struct record *record);
/* Prepares an object for its user, before its constructor. first: it was never handed out. */
void debug__open_object(const struct slab_cache *cache, unsigned char *object, bool first);
/* Its user has freed it. */
void debug__close_object(const struct slab_cache *cache, unsigned char *object);
/* 0, -SLAB_WRITTEN_BEHIND, -SLAB_WRITTEN_BEFORE; for a free one also -SLAB_WRITTEN_FREE. */
int debug__check(const struct slab_cache *cache, unsigned char *object, bool is_free);

/* ---- slab_cache.c, for heaps ---- */

/* Checks options, fills in defaults, and initialises cache, whose memory belongs to the caller.
 * lookup: for its slabs; NULL: one of its own. 0 or -EINVAL. */
int cache__open(struct slab_cache *cache, const struct slab_options *options,
		struct lookup *lookup);
void cache__close(struct slab_cache *cache);
/* slab_cache__free for an object whose slab is known to belong to this cache. */
int cache__release(struct slab_cache *cache, struct record *record, unsigned char *object);

#endif
