/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Shared by the programs of the end-to-end tests: bytes that can be computed again from a seed, so
 * that no expected data is stored, and an end with a clear message. Nothing here uses the heap or
 * stdio: a restore would roll them back.
 */
#ifndef E2E_CHECK_H
#define E2E_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../say.h"

enum { CHECK_OK = 0, CHECK_WRONG = 1, CHECK_BROKEN = 2, CHECK_SKIP = 77 };
enum { PAGE = 4096 };

/* Ends the program at once: what a restore did to the C library's state must not matter. */
#define finish(status, ...)                                                                        \
	do {                                                                                       \
		say(__VA_ARGS__);                                                                  \
		_exit(status);                                                                     \
	} while (0)

/* For what a test needs but does not test. */
static inline void must(int ok, const char *what)
{
	if (!ok)
		finish(CHECK_BROKEN, "%s: %m\n", what);
}

static inline unsigned char byte_at(uint64_t seed, size_t i)
{
	uint64_t x = (seed + 1) * 0x9e3779b97f4a7c15 + i * 0xbf58476d1ce4e5b9;

	x ^= x >> 31;
	x *= 0x94d049bb133111eb;
	return (unsigned char)(x >> 56);
}

static inline void fill(volatile unsigned char *at, size_t bytes, uint64_t seed)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = byte_at(seed, i);
}

/* Changes every byte. */
static inline void scramble(volatile unsigned char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		at[i] = (unsigned char)(at[i] + 1 + i % 23);
}

static inline size_t count_wrong(const volatile unsigned char *at, size_t bytes, uint64_t seed)
{
	size_t wrong = 0;

	for (size_t i = 0; i < bytes; i++)
		wrong += at[i] != byte_at(seed, i);
	return wrong;
}

static inline void expect(const volatile unsigned char *at, size_t bytes, uint64_t seed,
			  const char *what)
{
	size_t wrong = count_wrong(at, bytes, seed);

	if (wrong)
		finish(CHECK_WRONG, "%s: %zu of %zu bytes are wrong\n", what, wrong, bytes);
}

static inline void expect_zeros(const volatile unsigned char *at, size_t bytes, const char *what)
{
	for (size_t i = 0; i < bytes; i++)
		if (at[i])
			finish(CHECK_WRONG, "%s: byte %zu is %u, not 0\n", what, i, at[i]);
}

static inline void *map_at(void *at, size_t bytes, int protection, int flags)
{
	void *memory = mmap(at, bytes, protection, flags | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		finish(CHECK_BROKEN, "cannot map %zu bytes: %m\n", bytes);
	return memory;
}

/* A private anonymous mapping without neighbours: pages without access on both sides. */
static inline unsigned char *map_alone(size_t bytes)
{
	char *fence = map_at(NULL, bytes + 2 * (size_t)PAGE, PROT_NONE, MAP_PRIVATE);

	return map_at(fence + PAGE, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED);
}

static inline bool is_mapped(void *at)
{
	unsigned char resident;

	return !mincore(at, PAGE, &resident);
}

static inline void protect(void *at, size_t bytes, int protection)
{
	must(!mprotect(at, bytes, protection), "mprotect");
}

#endif
