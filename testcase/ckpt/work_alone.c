/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Scenes of one thread: its stack, its registers, its memory.
 */
#include "work.h"

#include <fcntl.h>
#include <immintrin.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>

enum { FRAME = 512 };

static void count(void)
{
	static uint64_t hashes[2300]; /* of the last steps */
	uint64_t value = 23, steps = 0;

	say("ready");
	while (steps < 23000 || !must_finish()) {
		hashes[steps++ % 2300] = value;
		value = mix(value);
		if (steps % 1000 == 0)
			(void)usleep(1000);
	}
	for (uint64_t again = 23, i = 0; i < steps; i++, again = mix(again))
		check(steps - i > 2300 || hashes[i % 2300] == again);
}

__attribute__((noinline)) static unsigned int descend(unsigned int depth, unsigned int bottom)
{
	volatile unsigned char frame[FRAME];
	unsigned int below;

	for (size_t i = 0; i < FRAME; i++)
		frame[i] = (unsigned char)(depth + i);
	if (depth == bottom) {
		if (bottom == work_number) {
			say("ready");
			wait_for_finish();
			/* the stack still grows */
			check(descend(1, 4 * bottom) == 4 * bottom);
		}
		return depth;
	}
	below = descend(depth + 1, bottom);
	for (size_t i = 0; i < FRAME; i++)
		check(frame[i] == (unsigned char)(depth + i));
	return below;
}

static void recursion(void)
{
	work_number = work_number ? work_number : 2300;
	check(descend(0, (unsigned int)work_number) == work_number);
}

static __thread uint64_t local = 23, locals[230];

static void tls(void)
{
	const uint64_t *address = locals;

	for (unsigned int i = 0; i < 230; i++)
		locals[i] = mix(i);
	local = 2323;
	say("ready");
	do {
		errno = EXDEV;
		for (volatile unsigned int i = 0; i < 3000000; i++)
			;
		check(errno == EXDEV);
	} while (!must_finish());
	check(local == 2323 && address == locals);
	for (unsigned int i = 0; i < 230; i++)
		check(locals[i] == mix(i));
}

/* Loads all sixteen registers, spins, and stores them: the checkpoint comes in between. */
__attribute__((target("avx"))) static void spin_with_avx(const unsigned char *in,
							 unsigned char *out)
{
	uint64_t turns = 5000000;

#define LOAD(n)  "vmovdqu " #n "*32(%1), %%ymm" #n "\n\t"
#define STORE(n) "vmovdqu %%ymm" #n ", " #n "*32(%2)\n\t"
#define ALL(n)   n(0) n(1) n(2) n(3) n(4) n(5) n(6) n(7) REST(n)
#define REST(n)  n(8) n(9) n(10) n(11) n(12) n(13) n(14) n(15)
	__asm__ volatile(ALL(LOAD) "1: dec %0\n\tjnz 1b\n\t" ALL(STORE) "vzeroupper"
			 : "+r"(turns)
			 : "r"(in), "r"(out)
			 : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
			   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
			   "xmm15");
}

static void avx(void)
{
	unsigned char in[512], out[512];
	uint64_t turn = 0;

	must(__builtin_cpu_supports("avx"));
	say("ready");
	do {
		fill(in, sizeof(in), turn++);
		spin_with_avx(in, out);
		check(memcmp(in, out, sizeof(in)) == 0);
	} while (!must_finish());
}

/* Signals interrupt a sleep: nanosleep(2) says EINTR, here and in the process brought back. */
static void in_sleep(void)
{
	const struct timespec long_time = {.tv_sec = 1000};

	say("ready");
	check(nanosleep(&long_time, NULL) == -1 && errno == EINTR);
	say("interrupted");
	wait_for_finish();
}

static void heap(void)
{
	size_t bytes = (work_number ? work_number : 64) << 20;
	unsigned char *memory = malloc(bytes), *more;

	must(memory);
	fill(memory, bytes, 23);
	memset(memory + bytes / 2 / PAGE * PAGE, 0, 23 * PAGE);
	say("ready");
	wait_for_finish();
	check(is_filled(memory, bytes / 2 / PAGE * PAGE, 23));
	for (size_t i = 0; i < 23 * PAGE; i++)
		check(memory[bytes / 2 / PAGE * PAGE + i] == 0);
	check(is_filled(memory + bytes / 2 / PAGE * PAGE + 23 * PAGE,
			bytes - bytes / 2 / PAGE * PAGE - 23 * PAGE,
			23 + (bytes / 2 / PAGE + 23) * PAGE / 8));
	free(memory);
	more = malloc(bytes / 2); /* malloc still works */
	must(more);
	memset(more, 23, bytes / 2);
	free(more);
}

static void brk_area(void)
{
	unsigned char *start = sbrk(23 * PAGE);

	must(start != (void *)-1);
	fill(start, 23 * PAGE, 23);
	say("ready");
	wait_for_finish();
	check(sbrk(0) == start + 23 * PAGE && is_filled(start, 23 * PAGE, 23));
	check(sbrk(230 * PAGE) == start + 23 * PAGE);
	fill(start, 253 * PAGE, 24);
	check(sbrk(-200 * (intptr_t)PAGE) == start + 253 * PAGE && sbrk(0) == start + 53 * PAGE);
}

enum { STEPS = 5 };

/* A step ends when there is a file of its name. */
static void end_step(unsigned int step)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "step %u", step);
	say(name);
	(void)snprintf(name, sizeof(name), "step%u", step);
	while (step < STEPS && access(name, F_OK) != 0)
		(void)usleep(10000);
}

enum { UNUSED = 7, BESIDE = 23 };

/* Memory that is never used, and then moved to lie right before memory that is. */
struct neighbours {
	unsigned char *unused; /* UNUSED pages for each step, apart from each other */
	unsigned char *used;   /* BESIDE pages; before them is room for all of unused */
};

static struct neighbours make_neighbours(void)
{
	const size_t room = (STEPS + 1ul) * UNUSED, unused = UNUSED * PAGE, used = BESIDE * PAGE;
	unsigned char *memory =
		mmap(NULL, 3 * room * PAGE + used, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(memory != MAP_FAILED);
	for (size_t i = 0; i < 2 * room; i += 2ul * UNUSED)
		must(mprotect(memory + i * PAGE, unused, PROT_READ | PROT_WRITE) == 0);
	must(mprotect(memory + 3 * room * PAGE, used, PROT_READ | PROT_WRITE) == 0);
	return (struct neighbours){memory, memory + 3 * room * PAGE};
}

/* The kernel makes one mapping of both, and forgets that somebody wants to know what is written. */
static void change_neighbours(const struct neighbours *n, size_t step)
{
	must(mremap(n->unused + step * 2 * UNUSED * PAGE, UNUSED * PAGE, UNUSED * PAGE,
		    MREMAP_MAYMOVE | MREMAP_FIXED,
		    n->used - (step + 1) * UNUSED * PAGE) != MAP_FAILED);
	fill(n->used, BESIDE * PAGE, step);
}

/* Memory that changes in each of five steps, in all ways that memory can. Then all of it is
 * compared with a copy that is made anew. */
static void changes(void)
{
	enum { PAGES = 2300 };
	const int both = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
	unsigned char *memory = mmap(NULL, PAGES * PAGE, both, flags, -1, 0);
	unsigned char *expected = mmap(NULL, PAGES * PAGE, both, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct neighbours neighbours = make_neighbours();

	must(memory != MAP_FAILED && expected != MAP_FAILED);
	fill(memory, PAGES * PAGE, 1);
	for (unsigned int step = 0; step <= STEPS; step++) {
		unsigned char *part = memory + (size_t)step * 300 * PAGE;

		for (size_t i = step; i < PAGES; i += 101)
			memory[i * PAGE + step] ^= 0xff;
		must(madvise(part, 23 * PAGE, MADV_DONTNEED) == 0);
		must(mmap(part + 40 * PAGE, 23 * PAGE, both, flags | MAP_FIXED, -1, 0) !=
		     MAP_FAILED);
		fill(part + 50 * PAGE, PAGE, step);
		memset(part + 70 * PAGE, 0, 5 * PAGE);
		must(mremap(part + 90 * PAGE, 7 * PAGE, 7 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			    part + 100 * PAGE) != MAP_FAILED);
		must(mmap(part + 90 * PAGE, 7 * PAGE, both, flags | MAP_FIXED, -1, 0) !=
		     MAP_FAILED);
		change_neighbours(&neighbours, step);
		memcpy(expected, memory, PAGES * PAGE);
		end_step(step);
	}
	wait_for_finish();
	check(memcmp(memory, expected, PAGES * PAGE) == 0);
	check(is_filled(neighbours.used, BESIDE * PAGE, STEPS));
}

/* Each step writes a little everywhere: one small page of a hundred. The memory is in huge pages,
 * where there are any. */
static void scattered(void)
{
	enum { PAGES = 8192, HUGE = 512 };
	const size_t bytes = PAGES * PAGE;
	unsigned char *memory = mmap(NULL, bytes + HUGE * PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(memory != MAP_FAILED);
	memory += (HUGE * PAGE - (uintptr_t)memory % (HUGE * PAGE)) % (HUGE * PAGE);
	must(madvise(memory, bytes, MADV_HUGEPAGE) == 0 || errno == EINVAL);
	fill(memory, bytes, 23);
	for (unsigned int step = 0; step <= STEPS; step++) {
		for (size_t i = step; i < PAGES; i += 101)
			memory[i * PAGE] ^= 0xff;
		end_step(step);
	}
	wait_for_finish();
	for (unsigned int step = 0; step <= STEPS; step++)
		for (size_t i = step; i < PAGES; i += 101)
			memory[i * PAGE] ^= 0xff;
	check(is_filled(memory, bytes, 23));
}

/* Single pages so far apart that each is a segment, and each gap too: more than an image can
 * have. */
static void apart(void)
{
	const size_t apart_by = 17UL << 20, pages = 33000;
	volatile unsigned char *memory = mmap(NULL, pages * apart_by, PROT_READ | PROT_WRITE,
					      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	must(memory != MAP_FAILED);
	must(madvise((void *)memory, pages * apart_by, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
	for (size_t i = 0; i < pages; i++)
		memory[i * apart_by] = 23;
	say("ready");
	wait_for_finish();
}

const struct work_scene work_alone[] = {
	{"count", count},         {"recursion", recursion}, {"tls", tls},      {"avx", avx},
	{"sleep", in_sleep},      {"heap", heap},           {"brk", brk_area}, {"changes", changes},
	{"scattered", scattered}, {"apart", apart},         {NULL, NULL},
};
