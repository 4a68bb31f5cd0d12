/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One cache and the numbers of its objects, see simulation.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "simulation.h"

enum { PHASE = 61, MANY = 70, FEW = 30 }; /* operations; percent of them that allocate */

struct item {
	unsigned char *object;
	size_t live; /* its index in the list of live objects, or NOT_LIVE */
};

#define NOT_LIVE SIZE_MAX

struct simulation {
	struct slab_cache *cache;
	struct shape shape;
	size_t bytes;       /* from the system */
	struct item *items; /* by number - 1 */
	size_t count, room;
	size_t *live; /* indexes of allocated items; with as much room as items */
	size_t live_count;
};

/* ---- memory with a limit ---- */

static void *get_memory(size_t bytes, size_t alignment, void *argument)
{
	struct simulation *simulation = argument;
	size_t limit = simulation->shape.limit_bytes;
	void *start;

	if (limit && (bytes > limit || simulation->bytes > limit - bytes))
		return NULL;
	if (posix_memalign(&start, alignment, bytes))
		return NULL;
	simulation->bytes += bytes;
	return start;
}

static int put_memory(void *start, size_t bytes, void *argument)
{
	struct simulation *simulation = argument;

	free(start);
	simulation->bytes -= bytes;
	return 0;
}

int simulation__create(const struct shape *shape, struct simulation **ret_simulation)
{
	struct simulation *simulation = calloc(1, sizeof(*simulation));
	const struct slab_options options = {
		.object_bytes = shape->object_bytes,
		.slab_bytes = shape->slab_bytes,
		.keep_empty = shape->keep_empty,
		.flags = shape->debug ? SLAB_DEBUG : 0,
		.memory = {get_memory, put_memory, simulation},
	};
	int err;

	if (!simulation)
		return -ENOMEM;
	simulation->shape = *shape;
	err = slab_cache__create(&options, &simulation->cache);
	if (err) {
		free(simulation);
		return err;
	}
	*ret_simulation = simulation;
	return 0;
}

void simulation__free(struct simulation *simulation)
{
	if (!simulation)
		return;
	slab_cache__destroy(simulation->cache);
	free(simulation->items);
	free(simulation->live);
	free(simulation);
}

struct slab_cache *simulation__cache(struct simulation *simulation)
{
	return simulation->cache;
}

/* ---- numbers ---- */

static int make_room(struct simulation *simulation)
{
	size_t room = simulation->room ? 2 * simulation->room : 64;
	struct item *items;
	size_t *live;

	if (simulation->count < simulation->room)
		return 0;
	items = reallocarray(simulation->items, room, sizeof(*items));
	if (!items)
		return -ENOMEM;
	simulation->items = items;
	live = reallocarray(simulation->live, room, sizeof(*live));
	if (!live)
		return -ENOMEM;
	simulation->live = live;
	simulation->room = room;
	return 0;
}

static void forget(struct simulation *simulation, size_t index)
{
	size_t place = simulation->items[index].live, last;

	last = simulation->live[--simulation->live_count];
	simulation->live[place] = last;
	simulation->items[last].live = place;
	simulation->items[index].live = NOT_LIVE;
}

/* The number of the live object at an address, 0 if there is none. */
static uint64_t number_at(const struct simulation *simulation, const void *address)
{
	for (size_t i = 0; i < simulation->live_count; i++)
		if (simulation->items[simulation->live[i]].object == address)
			return simulation->live[i] + 1;
	return 0;
}

static unsigned char byte_of(size_t index)
{
	return (unsigned char)(index * 151 + 1);
}

void *simulation__object(const struct simulation *simulation, uint64_t number)
{
	if (number < 1 || number > simulation->count)
		return NULL;
	return simulation->items[number - 1].object;
}

bool simulation__is_live(const struct simulation *simulation, uint64_t number)
{
	return simulation__object(simulation, number) &&
	       simulation->items[number - 1].live != NOT_LIVE;
}

/* ---- operations ---- */

int simulation__allocate(struct simulation *simulation, uint64_t *ret_number)
{
	size_t index = simulation->count;
	unsigned char *object;
	int err = make_room(simulation);

	if (err)
		return err;
	object = slab_cache__alloc(simulation->cache);
	if (!object)
		return -ENOMEM;
	memset(object, byte_of(index), simulation->shape.object_bytes);
	simulation->items[index] = (struct item){object, simulation->live_count};
	simulation->live[simulation->live_count++] = index;
	simulation->count++;
	*ret_number = index + 1;
	return 0;
}

/* victim: the number of the live object at that address, 0 if there is none. */
static int deallocate(struct simulation *simulation, void *address, uint64_t victim)
{
	int err = slab_cache__free(simulation->cache, address);

	if (victim && slab_cache__state(simulation->cache, address) != SLAB_OBJECT_ALLOCATED)
		forget(simulation, victim - 1);
	return err;
}

int simulation__deallocate_address(struct simulation *simulation, void *address,
				   uint64_t *ret_victim)
{
	*ret_victim = number_at(simulation, address);
	return deallocate(simulation, address, *ret_victim);
}

int simulation__deallocate(struct simulation *simulation, uint64_t number, uint64_t *ret_victim)
{
	*ret_victim = 0;
	if (number < 1 || number > simulation->count)
		return -ENOENT;
	if (simulation__is_live(simulation, number))
		return deallocate(simulation, simulation->items[number - 1].object, number);
	return simulation__deallocate_address(simulation, simulation->items[number - 1].object,
					      ret_victim);
}

/* splitmix64, public domain, https://prng.di.unimi.it/splitmix64.c */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static bool is_intact(const struct simulation *simulation, size_t index)
{
	const unsigned char *object = simulation->items[index].object;

	for (size_t i = 0; i < simulation->shape.object_bytes; i++)
		if (object[i] != byte_of(index))
			return false;
	return true;
}

static void deallocate_one(struct simulation *simulation, uint64_t random,
			   struct run_result *result)
{
	size_t index = simulation->live[random % simulation->live_count];

	result->wrong += !is_intact(simulation, index);
	if (slab_cache__free(simulation->cache, simulation->items[index].object))
		result->wrong++;
	else
		result->deallocated++;
	forget(simulation, index);
}

/* Returns 0, or -ENOMEM if there is no room to note it. */
static int allocate_one(struct simulation *simulation, struct run_result *result)
{
	uint64_t number;
	int err = make_room(simulation);

	if (err)
		return err;
	if (simulation__allocate(simulation, &number))
		result->refused++;
	else
		result->allocated++;
	return 0;
}

int simulation__run(struct simulation *simulation, uint64_t operations, uint64_t seed,
		    uint64_t every, void (*each)(uint64_t done, void *argument), void *argument,
		    struct run_result *ret_result)
{
	struct run_result result = {0};
	int err = 0;

	for (uint64_t i = 0; i < operations; i++) {
		uint64_t random = next_random(&seed);

		if (!simulation->live_count || random % 100 < (i / PHASE % 2 ? FEW : MANY))
			err = allocate_one(simulation, &result);
		else
			deallocate_one(simulation, random >> 8, &result);
		if (err)
			break;
		if (every && (i + 1) % every == 0)
			each(i + 1, argument);
	}
	result.wrong += slab_cache__check(simulation->cache, NULL) != 0;
	*ret_result = result;
	return err;
}
