/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A slab allocator: a cache holds objects of one size, in slabs of consecutive objects.
 *
 *	cache -- full:    slab [########]  slab [########]        # allocated   . free
 *	      -- partial: slab [###.#..#]               a slab is aligned to its size, so an
 *	      -- empty:   slab [........]               object's address gives its slab
 *
 *	slab in debug mode:   | red zone | object | red zone | red zone | object | red zone | ...
 *
 * Always holds: a slab is in exactly one list. The records of slabs and objects lie apart from
 * them, so no write past an object changes a record. A pointer is looked up in the table of slabs
 * before anything is read through it: a wrong one is an error and never a crash.
 *
 * Alloc and free take constant time. A call that makes the cache larger also calls the memory
 * callback; when the number of slabs has doubled, it copies the table of slabs. An alloc takes, in
 * this order: the last freed object of a partial slab, an object that was never used, an object of
 * an empty slab, an object of a new slab.
 *
 * Signals and threads: nothing here takes a lock, calls malloc, or touches errno or other
 * thread-local data. So everything may be called in a signal handler, and where the FS register is
 * not set up. A handler cannot use a cache whose call it has interrupted: its call is refused
 * (-SLAB_INTERRUPTED, or NULL) and changes nothing. Give a handler a cache of its own, or block the
 * signal around each use. A cache is not protected against a second thread. Of the C library only
 * memset and memcpy are used; the default memory callback makes its system calls itself. Do not
 * compile this with stack protectors where FS is not set up: they read it.
 *
 * After: J. Bonwick, "The Slab Allocator: An Object-Caching Kernel Memory Allocator", USENIX 1994.
 */
#ifndef SLAB_SLAB_H
#define SLAB_SLAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/page.h"

enum {
	SLAB_MIN_BYTES = PAGE_BYTES, /* of a slab */
	SLAB_MAX_BYTES = 64 << 20,
	SLAB_MAX_OBJECTS = 65000, /* in a slab */
	SLAB_MAX_ALIGN = PAGE_BYTES,
	SLAB_KEEP_EMPTY_DEFAULT = 2,
};

struct slab_cache; /* opaque */

/* Calls return the negative of these, where no errno says what is wrong. */
enum slab_error {
	/* Not the start of an object of this cache, but foreign memory, the middle of an object,
	 * another cache, or a slab that was given back. Errnos end at 4095. */
	SLAB_NO_OBJECT = 4096,
	SLAB_FREE_ALREADY,   /* a double free */
	SLAB_WRITTEN_BEHIND, /* bytes behind the object were written to; only in debug mode */
	SLAB_WRITTEN_BEFORE, /* bytes before it; only in debug mode */
	SLAB_WRITTEN_FREE,   /* it was written to while it was free; only in debug mode */
	SLAB_BROKEN,         /* the cache's own data is damaged */
	SLAB_INTERRUPTED,    /* the caller has interrupted another call for this cache */
	SLAB_ERRORS_END,
};

/* The source of memory. Both functions run inside the functions of this file. So they must be as
 * signal-safe as the caller needs, and must not use the same cache. */
struct slab_memory {
	/* Returns bytes of memory, a multiple of 4096, at a multiple of alignment (a power of two,
	 * at least 4096); NULL when there is none. Its content does not matter. */
	void *(*get)(size_t bytes, size_t alignment, void *argument);
	/* Takes back exactly the memory that one call of get returned. 0, or -errno: then the cache
	 * keeps it. */
	int (*put)(void *start, size_t bytes, void *argument);
	void *argument; /* borrowed */
};

enum slab_flags {
	/* Debug mode: red zones around each object, poison in free ones. Both are checked when an
	 * object is freed or handed out again, and by slab_cache__check. */
	SLAB_DEBUG = 1 << 0,
};

struct slab_options {        /* all except object_bytes may be zero: the default */
	size_t object_bytes; /* 1 to SLAB_MAX_BYTES */
	size_t align;      /* of objects: a power of two from 8 to SLAB_MAX_ALIGN (default 16, 8 for
			      * objects of less than 16 bytes) */
	size_t slab_bytes; /* of a slab: a power of two from SLAB_MIN_BYTES to SLAB_MAX_BYTES
			      * (default 64 KiB, or what 8 objects need) */
	size_t keep_empty; /* empty slabs that are not given back (at least 1, default 2) */
	uint32_t flags;    /* enum slab_flags */
	struct slab_memory memory; /* get and put, or neither: mmap and munmap */
	/* Called once for each object before it is first handed out. The user must free the object
	 * in the state that this made; the next user gets it so. Debug mode then does not poison
	 * free objects. NULL: none, and an object's content is undefined. */
	void (*construct)(void *object, void *argument);
	void *construct_argument; /* borrowed */
};

/*
 * Makes a cache without any slab. options is only read. The caller ends *ret_cache with
 * slab_cache__destroy.
 * Returns 0; -EINVAL if a number in options is not allowed, or no object fits into a slab; -ENOMEM
 * if the callback has no memory. *ret_cache is untouched on failure.
 */
int slab_cache__create(const struct slab_options *options, struct slab_cache **ret_cache);

/*
 * Hands out an object. NULL if the callback has no memory (counted in slab_stats.failed), or if the
 * caller has interrupted another call for this cache; the cache is then unchanged.
 * In debug mode a free object that was written to is never handed out: see slab_stats.damaged.
 */
void *slab_cache__alloc(struct slab_cache *cache);

/*
 * Takes an object back. Its slab is given back if it is empty and so are keep_empty others. NULL is
 * no object and does nothing. Returns 0, -SLAB_NO_OBJECT, -SLAB_FREE_ALREADY, -SLAB_WRITTEN_BEHIND,
 * -SLAB_WRITTEN_BEFORE or -SLAB_INTERRUPTED. If it was written behind or before, the object is
 * damaged. It is neither freed nor handed out again. It stays unchanged, for a debugger, until the
 * cache is destroyed. Other failures change nothing.
 */
int slab_cache__free(struct slab_cache *cache, void *object);

/* Gives all empty slabs back. Returns the number of bytes; 0 also if the caller has interrupted
 * another call for this cache. */
size_t slab_cache__shrink(struct slab_cache *cache);

/* Gives back everything, allocated objects included, and frees the cache. NULL does nothing. */
void slab_cache__destroy(struct slab_cache *cache);

struct slab_stats {
	size_t object_bytes; /* as asked for */
	size_t stride_bytes; /* from one object to the next: with red zones and alignment */
	size_t slab_bytes;   /* of one slab */
	size_t objects_per_slab;
	size_t allocated; /* objects that are handed out */
	size_t free;      /* objects in slabs that can be handed out */
	size_t damaged;   /* objects out of use since their red zone or poison was changed */
	size_t slabs, full, partial, empty; /* slabs, and those in each list */
	size_t most_slabs;                  /* the most there ever were */
	size_t bytes;                       /* taken from the callback: slabs, and their records */
	uint64_t allocs;                    /* objects that were handed out */
	uint64_t frees;                     /* taken back, or found damaged then */
	uint64_t failed;                    /* allocs without memory */
	uint64_t made, given_back;          /* slabs */
	/* Bytes that no allocated object uses, of 1000 bytes in slabs; 0 without a slab. */
	unsigned int fragmentation_permille;
};

/* Fills in *ret_stats, in constant time. In a handler that has interrupted a call for this cache
 * the numbers may be inconsistent. */
void slab_cache__stats(const struct slab_cache *cache, struct slab_stats *ret_stats);

enum slab_object_state {
	SLAB_OBJECT_NONE = 0, /* not the start of an object of this cache */
	SLAB_OBJECT_FRESH,    /* free, and never handed out */
	SLAB_OBJECT_FREE,
	SLAB_OBJECT_ALLOCATED,
	SLAB_OBJECT_DAMAGED,
};

/* The state of the object at any pointer. Nothing is read through the pointer. */
enum slab_object_state slab_cache__state(const struct slab_cache *cache, const void *object);

struct slab_view {            /* of one slab */
	unsigned char *first; /* its first object; the others follow, stride_bytes apart */
	size_t stride_bytes, objects;
	size_t used;     /* objects that are allocated or damaged */
	uint64_t number; /* 1 for the first slab that the cache made, and so on */
};

/* Calls each for every slab: first full, then partial, then empty ones. It must not change the
 * cache. 0, or -SLAB_INTERRUPTED. */
int slab_cache__visit(struct slab_cache *cache,
		      void (*each)(const struct slab_view *view, void *argument), void *argument);

/*
 * Checks lists and counts and, in debug mode, the red zones of all objects and the poison of free
 * ones. Takes time proportional to the number of objects, and changes nothing.
 * Returns 0; -SLAB_WRITTEN_BEHIND, -SLAB_WRITTEN_BEFORE or -SLAB_WRITTEN_FREE for the first damaged
 * object, whose address is then in *ret_object if that is not NULL; -SLAB_BROKEN; or
 * -SLAB_INTERRUPTED. Skips objects that are already known as damaged.
 */
int slab_cache__check(struct slab_cache *cache, void **ret_object);

/* A sentence in English for a result of the calls above, and its name ("SLAB_NO_OBJECT", "ENOMEM").
 * Constant strings; never NULL. */
const char *slab_error__text(int err);
const char *slab_error__name(int err);

#endif
