/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Memory without the C library. bytes.c has memcpy, memset and memcmp too: the compiler calls them.
 */
#ifndef ROLLBACK_BYTES_H
#define ROLLBACK_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The memory at an address. */
static inline void *bytes__at(uint64_t address)
{
	return (void *)address; /* NOLINT(performance-no-int-to-ptr) */
}

static inline void bytes__copy(uint64_t to, uint64_t from, size_t bytes)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

static inline void bytes__clear(uint64_t to, size_t bytes)
{
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(0) : "memory");
}

/* Are two pages the same? */
bool bytes__same_page(uint64_t a, uint64_t b);

/* Are the first bytes of two strings the same? */
bool bytes__begins(const char *text, const char *with);

#endif
