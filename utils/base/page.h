/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The page of x86-64, and rounding to pages. bpf/ has a name of its own for the same size.
 */
#ifndef BASE_PAGE_H
#define BASE_PAGE_H

#include <stdint.h>

#define PAGE_BYTES 4096UL

/* The start of the page that holds address. */
static inline uint64_t page__start(uint64_t address)
{
	return address & ~(PAGE_BYTES - 1);
}

/* address rounded up to a multiple of the page size. */
static inline uint64_t page__round_up(uint64_t address)
{
	return page__start(address + PAGE_BYTES - 1);
}

#endif
