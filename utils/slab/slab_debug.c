/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Debug mode: the red zones around an object, and the poison in a free one. In every mode the
 * address sanitizer is told which bytes belong to a user.
 *
 *	| LEAD: at least 16 bytes | object | at least 16 bytes, up to the next stride |
 *
 * The sanitizer ends the program at a stray access; debug mode finds one at the next check. The
 * checks read bytes that belong to nobody, hence the attribute that switches the sanitizer off.
 */
#include <string.h>
#include "slab_internal.h"

#if defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* gcc's name for it */
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define SANITIZED 1
#else
#define SANITIZED                                 0
#define ASAN_POISON_MEMORY_REGION(start, bytes)   ((void)(start), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(start, bytes) ((void)(start), (void)(bytes))
#endif

enum { ZONE_BYTES = 16, ZONE = 0xb7, POISON = 0xd5 };

static bool is_debug(const struct slab_options *options)
{
	return options->flags & SLAB_DEBUG;
}

bool debug__watches(const struct slab_options *options)
{
	return SANITIZED || is_debug(options);
}

size_t debug__lead(const struct slab_options *options)
{
	return is_debug(options) ? round_up(ZONE_BYTES, options->align) : 0;
}

size_t debug__stride(const struct slab_options *options)
{
	size_t zones = is_debug(options) ? debug__lead(options) + ZONE_BYTES : 0;

	return round_up(options->object_bytes + zones, options->align);
}

void debug__close_slab(const struct slab_cache *cache, const struct record *record)
{
	ASAN_POISON_MEMORY_REGION(record->start, cache->options.slab_bytes);
}

void debug__open_slab(const struct slab_cache *cache, const struct record *record)
{
	ASAN_UNPOISON_MEMORY_REGION(record->start, cache->options.slab_bytes);
}

void debug__open_object(const struct slab_cache *cache, unsigned char *object, bool first)
{
	size_t bytes = cache->options.object_bytes;
	unsigned char *start = object - cache->lead;

	if (first && is_debug(&cache->options)) {
		ASAN_UNPOISON_MEMORY_REGION(start, cache->stride);
		memset(start, ZONE, cache->stride);
		memset(object, POISON, bytes);
		ASAN_POISON_MEMORY_REGION(start, cache->stride);
	}
	ASAN_UNPOISON_MEMORY_REGION(object, bytes);
}

void debug__close_object(const struct slab_cache *cache, unsigned char *object)
{
	if (is_debug(&cache->options) && !cache->options.construct)
		memset(object, POISON, cache->options.object_bytes);
	ASAN_POISON_MEMORY_REGION(object, round_up(cache->options.object_bytes, 8));
}

__attribute__((no_sanitize("address"))) static bool
is_filled(const unsigned char *start, const unsigned char *end, unsigned char wanted)
{
	while (start < end && *start == wanted)
		start++;
	return start == end;
}

int debug__check(const struct slab_cache *cache, unsigned char *object, bool is_free)
{
	const unsigned char *start = object - cache->lead, *behind;

	if (!is_debug(&cache->options))
		return 0;
	behind = object + cache->options.object_bytes;
	if (!is_filled(behind, start + cache->stride, ZONE))
		return -SLAB_WRITTEN_BEHIND;
	if (!is_filled(start, object, ZONE))
		return -SLAB_WRITTEN_BEFORE;
	if (is_free && !cache->options.construct && !is_filled(object, behind, POISON))
		return -SLAB_WRITTEN_FREE;
	return 0;
}
