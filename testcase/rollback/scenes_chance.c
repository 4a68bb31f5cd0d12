/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Scenes of steps by chance: the calls that change mappings, malloc, and the kernel's writes.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../unit/random.h"
#include "scenes.h"

enum { STEPS = 61, POOL_PAGES = 301 };
/* Linux 6.18 never ends to install one where a page of a file was armed and discarded. */
static bool with_guards;

/* The pool has mappings of several kinds. */
static void begin_steps(void)
{
	/* a file that has a name still */
	scene__file = open(scene__program, O_RDONLY | O_CLOEXEC);
	check(scene__file >= 0);
	scene__second = scene__map(POOL_PAGES * PAGE);
	scene__fill(scene__second, 150 * PAGE, 7);
	check(mprotect(scene__second + 30 * PAGE, 7 * PAGE, PROT_READ) == 0);
	check(mprotect(scene__second + 200 * PAGE, 40 * PAGE, PROT_NONE) == 0);
	check(mmap(scene__second + 100 * PAGE, 15 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_FIXED, scene__file, 0) == scene__second + 100 * PAGE);
	scene__second[103 * PAGE] = scene__second[107 * PAGE] = 1;
}

static void begin_guards(void)
{
	begin_steps();
	with_guards = true;
	check(mmap(scene__second + 100 * PAGE, 15 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == scene__second + 100 * PAGE);
	(void)madvise(scene__second + 60 * PAGE, 9 * PAGE, 102);
}

/* Writes where that may not be allowed: the kernel says so, and no signal comes. */
static void write_anywhere(unsigned char *at, size_t bytes)
{
	(void)!pread(scene__file, at, bytes, (off_t)random__below(10 * PAGE));
}

static void take_step(unsigned char *at, size_t bytes)
{
	static const int protections[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
					  PROT_READ | PROT_EXEC};
	const int protection = protections[random__below(4)];
	const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;

	switch (random__below(13)) {
	case 0:
		(void)munmap(at, bytes);
		break;
	case 1:
		(void)mmap(at, bytes, protection, anonymous | MAP_FIXED, -1, 0);
		break;
	case 2:
		(void)mmap(NULL, bytes, protection, anonymous, -1, 0);
		break;
	case 3:
		(void)mprotect(at, bytes, protection);
		break;
	case 4:
		(void)madvise(at, bytes, MADV_DONTNEED);
		break;
	case 5:
		(void)mremap(at, bytes, bytes + random__below(3) * PAGE, MREMAP_MAYMOVE);
		break;
	case 6:
		(void)mremap(at, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			     scene__second + random__below(POOL_PAGES) * PAGE);
		break;
	case 7:
		if (with_guards)
			(void)madvise(at, bytes, 102); /* MADV_GUARD_INSTALL */
		else
			(void)mmap(at, bytes, protection, MAP_PRIVATE | MAP_FIXED, scene__file, 0);
		break;
	case 8:
		(void)msync(at, bytes, MS_ASYNC);
		break;
	case 9:
		(void)madvise(at, bytes, 103); /* MADV_GUARD_REMOVE */
		break;
	case 10:
		free(malloc(1 + random__below(300000)));
		free(realloc(malloc(1 + random__below(300)), 1 + random__below(90000)));
		break;
	default:
		write_anywhere(at + random__below(PAGE), 1 + random__below(bytes - PAGE + 1));
	}
}

static void steps(int round)
{
	random__seed(scene__seed * 1000 + (uint64_t)round);
	for (int i = 0; i < STEPS; i++) {
		const uint64_t page = random__below(POOL_PAGES), most = POOL_PAGES - page;

		take_step(scene__second + page * PAGE,
			  (1 + random__below(most < 17 ? most : 17)) * PAGE);
	}
	scene__block[round] ^= 1;
}

const struct scene scenes_chance[] = {
	SCENE(steps, begin_steps),
	{"steps_guards", 0, begin_guards, NULL, steps, NULL},
	{0},
};
