/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Actions of a user, see actions.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "actions.h"
#include "base/parse.h"
#include "errors.h"
#include "picture.h"

static void print_numbers(uint64_t first, uint64_t last)
{
	if (first > last)
		return;
	if (first == last)
		(void)printf("allocated: object %" PRIu64 "\n", first);
	else
		(void)printf("allocated: objects %" PRIu64 " to %" PRIu64 "\n", first, last);
}

int actions__allocate(struct simulation *simulation, uint64_t count)
{
	uint64_t first = 0, last = 0, number;
	int err = 0;

	for (uint64_t i = 0; i < count && !err; i++) {
		err = simulation__allocate(simulation, &number);
		if (err)
			break;
		first = first ? first : number;
		last = number;
	}
	if (first)
		print_numbers(first, last);
	if (err) {
		(void)printf("%s is refused\n", first ? "one more" : "the first one");
		errors__print_meaning(stdout, err);
	}
	return err;
}

static int refused(const char *what, int err)
{
	(void)printf("%s: refused\n", what);
	errors__print_meaning(stdout, err);
	return err;
}

static int deallocate_number(struct simulation *simulation, uint64_t number)
{
	uint64_t victim;
	char what[48];
	int err;

	(void)snprintf(what, sizeof(what), "object %" PRIu64, number);
	if (!simulation__object(simulation, number)) {
		(void)printf("%s: there never was an object of that number\n", what);
		return -ENOENT;
	}
	err = simulation__deallocate(simulation, number, &victim);
	if (err)
		return refused(what, err);
	(void)printf("deallocated: %s\n", what);
	if (!victim)
		return 0;
	(void)printf(
		"  It was deallocated before, and its place has been handed out again, as object "
		"%" PRIu64 ".\n  That one has lost its memory now. No allocator can tell such a "
		"double free from\n  a right one: it is the same address.\n",
		victim);
	return 0;
}

static int deallocate_all(struct simulation *simulation)
{
	uint64_t count = 0, victim;
	int err = 0;

	for (uint64_t number = 1; simulation__object(simulation, number); number++) {
		if (!simulation__is_live(simulation, number))
			continue;
		err = simulation__deallocate(simulation, number, &victim);
		if (err)
			break;
		count++;
	}
	(void)printf("deallocated: %" PRIu64 " objects\n", count);
	return err ? refused("the next", err) : 0;
}

int actions__deallocate(struct simulation *simulation, const char *text)
{
	uint64_t number, victim;
	int err;

	if (!strcmp(text, "all"))
		return deallocate_all(simulation);
	if (parse__u64(text, 0, UINT64_MAX, &number)) {
		(void)printf("'%s' is no number of an object, nor 'all', nor an address after 0x\n",
			     text);
		return -EINVAL;
	}
	if (strncmp(text, "0x", 2) != 0)
		return deallocate_number(simulation, number);
	err = simulation__deallocate_address(simulation, (void *)(uintptr_t)number, &victim);
	if (err)
		return refused(text, err);
	if (number)
		(void)printf("deallocated: object %" PRIu64 " at %s\n", victim, text);
	else
		(void)printf("NULL is no object, and freeing it does nothing\n");
	return 0;
}

static int print_slabs(struct simulation *simulation)
{
	bool colors = picture__has_colors(stdout);
	int err = picture__print_slabs(stdout, simulation__cache(simulation), colors);

	if (err)
		(void)printf("no memory for the picture\n");
	return err;
}

int actions__status(struct simulation *simulation)
{
	int err;

	picture__print_numbers(stdout, simulation__cache(simulation));
	err = print_slabs(simulation);
	if (!err)
		picture__print_legend(stdout, picture__has_colors(stdout));
	return err;
}

static void show(uint64_t done, void *argument)
{
	(void)printf("after %" PRIu64 " operations:\n", done);
	(void)print_slabs(argument);
}

int actions__run(struct simulation *simulation, uint64_t operations, uint64_t seed, uint64_t every)
{
	struct run_result result;
	int err = simulation__run(simulation, operations, seed, every, show, simulation, &result);

	(void)printf("%" PRIu64 " operations with seed %" PRIu64 ": %" PRIu64 " objects allocated, "
		     "%" PRIu64 " deallocated, %" PRIu64 " times no memory\n",
		     result.allocated + result.deallocated + result.refused, seed, result.allocated,
		     result.deallocated, result.refused);
	if (err)
		(void)printf("stopped: no memory for the list of objects\n");
	if (result.wrong)
		(void)printf("WRONG: %" PRIu64 " objects or checks failed\n", result.wrong);
	else
		(void)printf("every object held what was written to it, and the cache is sound\n");
	return result.wrong ? -EPROTO : err;
}

int actions__explain(const char *name)
{
	return errors__explain(stdout, name);
}
