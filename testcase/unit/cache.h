/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Helpers for tests of slab caches. They make a cache or end the program, return statistics as a
 * value, and write where nobody may write.
 */
#ifndef UNIT_CACHE_H
#define UNIT_CACHE_H

#include "slab/slab.h"
#include "tap.h"

static inline struct slab_cache *cache__make(const struct slab_options *options)
{
	struct slab_cache *cache = NULL;

	must(slab_cache__create(options, &cache));
	return cache;
}

static inline struct slab_stats cache__stats(const struct slab_cache *cache)
{
	struct slab_stats stats;

	slab_cache__stats(cache, &stats);
	return stats;
}

/* A stray write. change is not 0, so the byte changes. The address sanitizer would rightly end the
 * program here. */
__attribute__((no_sanitize("address"), noinline, unused)) static void
cache__poke(void *address, long offset, unsigned char change)
{
	((volatile unsigned char *)address)[offset] ^= change;
}

#endif
