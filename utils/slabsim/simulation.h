/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One slab cache, and every object that it has handed out, by number. Each object is filled with a
 * byte of its own, so that a wrong allocator is noticed. Nothing here prints.
 */
#ifndef SLABSIM_SIMULATION_H
#define SLABSIM_SIMULATION_H

#include "slab/slab.h"

struct shape {
	size_t object_bytes, slab_bytes, keep_empty;
	size_t limit_bytes; /* of all memory; 0: none */
	bool debug;
};

struct simulation; /* opaque */

/* 0, -EINVAL for a shape that slab_cache__create refuses, -ENOMEM. */
int simulation__create(const struct shape *shape, struct simulation **ret_simulation);
void simulation__free(struct simulation *simulation);

struct slab_cache *simulation__cache(struct simulation *simulation);

/* Allocates an object. *ret_number: its number, from 1 on. 0 or -ENOMEM. */
int simulation__allocate(struct simulation *simulation, uint64_t *ret_number);

/*
 * Deallocates the object of that number, whether it is allocated or not. If it was deallocated
 * before and another object has its place now, that object loses the place: *ret_victim is its
 * number, else 0. Returns 0; -ENOENT when there never was such a number; an error of
 * slab_cache__free.
 */
int simulation__deallocate(struct simulation *simulation, uint64_t number, uint64_t *ret_victim);

/* The same for any address. *ret_victim is the number of the object there, 0 if there is none. */
int simulation__deallocate_address(struct simulation *simulation, void *address,
				   uint64_t *ret_victim);

/* The address of an object, NULL if no object ever had that number. */
void *simulation__object(const struct simulation *simulation, uint64_t number);

/* Is the object of that number allocated? */
bool simulation__is_live(const struct simulation *simulation, uint64_t number);

struct run_result {
	uint64_t allocated, deallocated, refused; /* operations; refused: no memory */
	uint64_t wrong; /* objects that did not hold what was written to them, and other errors */
};

/*
 * Runs random operations: alternately mostly allocs and mostly frees. Calls each with argument
 * after every `every` operations, if every is not 0. The same seed and state of the cache give the
 * same run.
 * Returns 0, or -ENOMEM if the list of objects cannot grow; *ret_result is filled in in any case.
 */
int simulation__run(struct simulation *simulation, uint64_t operations, uint64_t seed,
		    uint64_t every, void (*each)(uint64_t done, void *argument), void *argument,
		    struct run_result *ret_result);

#endif
