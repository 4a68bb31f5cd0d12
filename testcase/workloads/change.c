/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Mappings that change between checkpoint and restore, or have changed before: protection, size,
 * place. Memory that is still there gets its bytes back, new memory is left alone, and a restore
 * makes, removes and changes no mapping.
 */
#include <fcntl.h>
#include "workload.h"

enum { PAGES = 23, ACCESS = PROT_READ | PROT_WRITE };

#define BYTES (PAGES * PAGE)
#define PART  (5 * PAGE)

static void protect(void *at, size_t bytes, int protection)
{
	must(!mprotect(at, bytes, protection), "mprotect");
}

/* Both kinds of memory, both kinds of protection, before or after the checkpoint. */
static void protect_one(int flags, int protection, int before)
{
	unsigned char *memory = map_alone(BYTES, flags);

	fill(memory, BYTES, seed(1));
	if (before)
		protect(memory + PART, PART, protection);
	save();
	if (before)
		protect(memory + PART, PART, ACCESS);
	fill(memory, BYTES, seed(2));
	protect(memory + PART, PART, protection);
	restore();
	expect_outside(memory, BYTES, seed(1), "memory");
	protect(memory + PART, PART, ACCESS);
	expect(memory, BYTES, seed(1), "memory with access again");
	must(!munmap(memory, BYTES), "munmap");
}

static void read_only(void)
{
	protect_one(MAP_PRIVATE, PROT_READ, 0);
	protect_one(MAP_PRIVATE, PROT_READ, 1);
	protect_one(MAP_SHARED, PROT_READ, 0);
	protect_one(MAP_SHARED, PROT_READ, 1);
}

static void no_access(void)
{
	protect_one(MAP_PRIVATE, PROT_NONE, 0);
	protect_one(MAP_PRIVATE, PROT_NONE, 1);
	protect_one(MAP_SHARED, PROT_NONE, 0);
	protect_one(MAP_SHARED, PROT_NONE, 1);
}

/* Reserved first, accessible bit by bit, as the arenas of malloc are. Memory that got access after
 * the checkpoint becomes zeros at the restore: malloc relies on that for memory it has not used
 * yet. */
static void later(void)
{
	unsigned char *memory = map_at(NULL, 64 << 20, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE);

	protect(memory, PART, ACCESS);
	fill(memory, PART, seed(1));
	save();
	protect(memory + PART, PART, ACCESS);
	fill(memory, 2 * PART, seed(2));
	restore();
	expect(memory, PART, seed(1), "what had access at the checkpoint");
	expect(memory + PART, PART, 0, "what got access after it");
	fill(memory, 2 * PART, seed(4));
	save();
	protect(memory + 2 * PART, PART, ACCESS);
	fill(memory, 3 * PART, seed(3));
	protect(memory + 2 * PART, PART, PROT_NONE);
	restore();
	expect_outside(memory + 2 * PART, PART, 0, "what had access for a while");
	expect(memory, 2 * PART, seed(4), "what had access at the second checkpoint");
	must(!munmap(memory, 64 << 20), "munmap");
}

/* Data that was made accessible, written and locked away again, all before the checkpoint. */
static void locked_away(void)
{
	unsigned char *memory = map_at(NULL, 3 * BYTES, PROT_NONE, MAP_PRIVATE);

	protect(memory + BYTES, BYTES, ACCESS);
	fill(memory + BYTES, BYTES, seed(1));
	protect(memory + BYTES, BYTES, PROT_NONE);
	save();
	protect(memory + BYTES, BYTES, ACCESS);
	fill(memory + BYTES, BYTES, seed(2));
	restore();
	expect(memory + BYTES, BYTES, seed(1), "what was locked away");
	must(!munmap(memory, 3 * BYTES), "munmap");
}

/* The same again and again in new memory: the snapshot of the old memory gives its places back. */
static void locked_away_often(void)
{
	for (uint64_t round = 0; round < 23; round++) {
		unsigned char *memory = map_alone(10 * BYTES, MAP_PRIVATE);

		fill(memory, 10 * BYTES, seed(round));
		protect(memory, 10 * BYTES, PROT_NONE);
		save();
		protect(memory, 10 * BYTES, ACCESS);
		fill(memory, 10 * BYTES, seed(round + 1));
		restore();
		expect(memory, 10 * BYTES, seed(round), "what was locked away");
		must(!munmap(memory, 10 * BYTES), "munmap");
	}
}

/* ---- mremap ---- */

static void grown(void)
{
	unsigned char *place = map_at(NULL, 3 * BYTES, PROT_NONE, MAP_PRIVATE);
	unsigned char *memory = map_at(place, BYTES, ACCESS, MAP_PRIVATE | MAP_FIXED);

	fill(memory, BYTES, seed(1));
	save();
	must(!munmap(place + BYTES, 2 * BYTES), "munmap");
	must(mremap(memory, BYTES, 2 * BYTES, 0) == memory, "mremap");
	fill(memory, 2 * BYTES, seed(2));
	restore();
	expect(memory, BYTES, seed(1), "what was there before it grew");
	fill(memory, BYTES, seed(2));
	expect(memory, 2 * BYTES, seed(2), "what it grew by");
	save();
	fill(memory, 2 * BYTES, seed(3));
	restore();
	expect(memory, 2 * BYTES, seed(2), "all of it, saved after it grew");
	must(!munmap(memory, 2 * BYTES), "munmap");
}

static void shrunk(void)
{
	unsigned char *memory = map_alone(BYTES, MAP_PRIVATE);

	fill(memory, BYTES, seed(1));
	save();
	must(mremap(memory, BYTES, PART, 0) == memory, "mremap");
	fill(memory, PART, seed(2));
	restore();
	expect(memory, PART, seed(1), "what is left");
	must(mremap(memory, PART, BYTES, 0) == memory, "mremap");
	fill(memory, BYTES, seed(3));
	restore();
	expect(memory, PART, seed(1), "what was there all the time");
	fill(memory, PART, seed(3));
	expect(memory, BYTES, seed(3), "what came back as a new mapping");
}

static void moved(void)
{
	unsigned char *memory = map_alone(BYTES, MAP_PRIVATE),
		      *there = map_alone(PART, MAP_PRIVATE);
	unsigned char *part = memory + PART;

	fill(memory, BYTES, seed(1));
	fill(there, PART, seed(4));
	save();
	must(mremap(part, PART, PART, MREMAP_MAYMOVE | MREMAP_FIXED, there) == there, "mremap");
	fill(there, PART, seed(2));
	fill(memory, PART, seed(2));
	restore();
	expect(memory, PART, seed(1), "what did not move");
	expect(there, PART, seed(2), "what moved, over another");
	must(mremap(there, PART, PART, MREMAP_MAYMOVE | MREMAP_FIXED, part) == part, "mremap");
	fill(part, PART, seed(3));
	restore();
	expect(part, PART, seed(3), "what moved there and back");
	save();
	fill(memory, BYTES, seed(5));
	restore();
	expect(part, PART, seed(3), "what was saved at its new place");
}

/* What was moved away leaves pages without data, in a mapping that is still the one of before. */
static void left_behind(void)
{
	unsigned char *memory = map_alone(BYTES, MAP_PRIVATE),
		      *there = map_alone(BYTES, MAP_PRIVATE);

	fill(memory, BYTES, seed(1));
	save();
	for (uint64_t round = 2; round < 5; round++) {
		must(mremap(memory, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
			    there) == there,
		     "mremap");
		fill(memory + PART, PART, seed(round));
		restore();
		expect_outside(memory, BYTES, seed(1), "what was left behind");
		expect(there, BYTES, seed(1), "what has moved");
	}
	save();
	fill(there, BYTES, seed(6));
	restore();
	expect(there, BYTES, seed(1), "what was saved at its new place");
	must(!munmap(memory, BYTES) && !munmap(there, BYTES), "munmap");
}

/* ---- unmapped, replaced ---- */

static void unmapped(void)
{
	unsigned char *memory = map_alone(BYTES, MAP_PRIVATE);

	fill(memory, BYTES, seed(1));
	save();
	must(!munmap(memory + PART, PART), "munmap");
	fill(memory, PART, seed(2));
	restore();
	expect(memory, PART, seed(1), "what is left");
	must(!msync(memory + 2 * PART, BYTES - 2 * PART, MS_ASYNC), "msync");
	must(msync(memory + PART, PART, MS_ASYNC) && errno == ENOMEM, "what was unmapped");
}

static void replaced(void)
{
	unsigned char *memory = map_alone(BYTES, MAP_PRIVATE), *part = memory + PART;

	fill(memory, BYTES, seed(1));
	save();
	map_at(part, PART, ACCESS, MAP_PRIVATE | MAP_FIXED);
	fill(part + PAGE, PAGE, seed(2));
	fill(memory, PART, seed(2));
	restore();
	expect(memory, PART, seed(1), "what was not replaced");
	expect(part, PAGE, 0, "what came instead");
	expect(part + PAGE, PAGE, seed(2), "what came instead and was written");
}

/* Calls that fail and change nothing must not make the tracer forget anything. */
static void failing_calls(void)
{
	unsigned char *memory = map_alone(BYTES, MAP_PRIVATE);

	fill(memory, BYTES, seed(1));
	save();
	fill(memory, BYTES, seed(2));
	must(mmap(memory, PART, ACCESS, MAP_PRIVATE | MAP_FIXED, -1, 0) == MAP_FAILED, "mmap");
	must(mmap(memory, PART, ACCESS, MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED, "mmap");
	must(munmap(memory, SIZE_MAX - PAGE) && munmap(memory + 23, PAGE), "munmap");
	must(mremap(memory + 23, PAGE, PART, 0) == MAP_FAILED, "mremap");
	must(mremap(memory, PART, BYTES, 0) == MAP_FAILED, "mremap");
	must(mremap(memory + PART, PART, PART, MREMAP_MAYMOVE | MREMAP_FIXED,
		    memory + PART + PAGE) == MAP_FAILED,
	     "mremap onto itself");
	must(mprotect(memory, PART, -1), "mprotect");
	restore();
	expect(memory, BYTES, seed(1), "memory");
}

/* ---- the heap, the stack-like ---- */

static void brk_up_and_down(void)
{
	unsigned char *start, *heap;

	must((start = sbrk(0)) != (void *)-1, "sbrk");
	heap = start + (-(uintptr_t)start & (PAGE - 1));
	must(!brk(heap + 2 * BYTES), "brk");
	fill(heap, 2 * BYTES, seed(1));
	save();
	must(!brk(heap + 3 * BYTES), "brk"); /* up */
	fill(heap, 3 * BYTES, seed(2));
	restore();
	expect(heap, 2 * BYTES, seed(1), "the heap");
	must(!brk(heap + BYTES + 23), "brk"); /* down, into a page */
	fill(heap, BYTES, seed(3));
	restore();
	expect(heap, BYTES + PAGE, seed(1), "what is left of the heap");
	must(!brk(heap + 2 * BYTES), "brk"); /* up again */
	fill(heap, BYTES, seed(4));
	restore();
	expect(heap, BYTES + PAGE, seed(1), "what was heap all the time");
	expect(heap + BYTES + PAGE, BYTES - PAGE, 0, "what is heap again");
	must(!brk(start), "brk");
}

static void grows_down(void)
{
	size_t room = 64 * BYTES;
	unsigned char *place = map_at(NULL, room, PROT_NONE, MAP_PRIVATE), *top = place + room;
	unsigned char *memory = top - BYTES;

	must(!munmap(place, room), "munmap");
	map_at(memory, BYTES, ACCESS, MAP_PRIVATE | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE);
	fill(memory - BYTES, 2 * BYTES, seed(1));
	save();
	for (unsigned char *at = memory - BYTES - PAGE; at >= memory - 2 * BYTES; at -= PAGE)
		fill(at, PAGE, seed(2));
	fill(memory - BYTES, 2 * BYTES, seed(2));
	restore();
	expect(memory - BYTES, 2 * BYTES, seed(1), "what it had grown to");
	save();
	fill(memory - 2 * BYTES, 3 * BYTES, seed(3));
	restore();
	expect(memory - BYTES, 2 * BYTES, seed(1), "the same, saved again");
	must(!munmap(memory - 2 * BYTES, 3 * BYTES), "munmap");
}

int main(int argc, char **argv)
{
	static const struct workload workloads[] = {
		{"read-only", read_only},
		{"no-access", no_access},
		{"later", later},
		{"locked-away", locked_away},
		{"locked-away-often", locked_away_often},
		{"grown", grown},
		{"shrunk", shrunk},
		{"moved", moved},
		{"left-behind", left_behind},
		{"unmapped", unmapped},
		{"replaced", replaced},
		{"failing-calls", failing_calls},
		{"brk", brk_up_and_down},
		{"grows-down", grows_down},
		{NULL, NULL},
	};

	return play_workloads(workloads, argc, argv);
}
