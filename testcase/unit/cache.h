/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Slab caches as their unit tests use them: made or the program ends, with statistics as a value,
 * and written to where nobody may.
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

/* What a stray write does: changes the byte, by what is not 0. The address sanitizer would
 * rightly end the program here. */
__attribute__((no_sanitize("address"), noinline, unused)) static void
cache__poke(void *address, long offset, unsigned char change)
{
	((volatile unsigned char *)address)[offset] ^= change;
}

#endif
