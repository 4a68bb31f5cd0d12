/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Numbers and pictures of a cache, see picture.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "picture.h"

enum { SIGNS_PER_LINE = 64 };

static const struct {
	char sign;
	const char *color, *meaning;
} states[] = {
	[SLAB_OBJECT_NONE] = {'?', "", "unknown"},
	[SLAB_OBJECT_FRESH] = {'_', "\033[2m", "never used"},
	[SLAB_OBJECT_FREE] = {'.', "\033[36m", "free again"},
	[SLAB_OBJECT_ALLOCATED] = {'#', "\033[1;32m", "allocated"},
	[SLAB_OBJECT_DAMAGED] = {'!', "\033[1;31m", "damaged, out of use"},
};

#define COLORS_OFF "\033[0m"

/* https://no-color.org: set, and not empty */
bool picture__has_colors(FILE *file)
{
	const char *no_color = getenv("NO_COLOR");

	return !(no_color && *no_color) && isatty(fileno(file));
}

void picture__print_numbers(FILE *file, const struct slab_cache *cache)
{
	struct slab_stats stats;

	slab_cache__stats(cache, &stats);
	(void)fprintf(file,
		      "objects: %zu allocated, %zu free, %zu damaged; each has %zu bytes and takes "
		      "%zu\n",
		      stats.allocated, stats.free, stats.damaged, stats.object_bytes,
		      stats.stride_bytes);
	(void)fprintf(file,
		      "slabs:   %zu (%zu full, %zu partial, %zu empty), never more than %zu; each "
		      "has %zu bytes for %zu objects\n",
		      stats.slabs, stats.full, stats.partial, stats.empty, stats.most_slabs,
		      stats.slab_bytes, stats.objects_per_slab);
	(void)fprintf(file,
		      "memory:  %zu bytes from the system, %zu of them in slabs; fragmentation "
		      "%u.%u %%\n",
		      stats.bytes, stats.slabs * stats.slab_bytes,
		      stats.fragmentation_permille / 10, stats.fragmentation_permille % 10);
	(void)fprintf(file,
		      "so far:  %llu objects allocated, %llu deallocated, %llu times no memory; "
		      "%llu slabs made, %llu given back\n",
		      (unsigned long long)stats.allocs, (unsigned long long)stats.frees,
		      (unsigned long long)stats.failed, (unsigned long long)stats.made,
		      (unsigned long long)stats.given_back);
}

/* ---- slabs ---- */

struct views {
	struct slab_view *items;
	size_t count, room;
};

static void add_view(const struct slab_view *view, void *argument)
{
	struct views *views = argument;

	if (views->count < views->room)
		views->items[views->count++] = *view;
}

static int compare(const void *a, const void *b)
{
	const struct slab_view *left = a, *right = b;

	return (left->number > right->number) - (left->number < right->number);
}

static const char *list_of(const struct slab_view *view)
{
	if (!view->used)
		return "empty";
	return view->used == view->objects ? "full" : "partial";
}

static void print_slab(FILE *file, const struct slab_cache *cache, const struct slab_view *view,
		       bool colors)
{
	enum slab_object_state last = SLAB_OBJECT_NONE;

	(void)fprintf(file, "slab %-3llu %-8s [", (unsigned long long)view->number, list_of(view));
	for (size_t i = 0; i < view->objects; i++) {
		enum slab_object_state state =
			slab_cache__state(cache, view->first + i * view->stride_bytes);

		if (i && i % SIGNS_PER_LINE == 0)
			(void)fprintf(file, "%s\n%18s", colors ? COLORS_OFF : "", "");
		if (colors && (state != last || i % SIGNS_PER_LINE == 0))
			(void)fprintf(file, "%s%s", COLORS_OFF, states[state].color);
		(void)fputc(states[state].sign, file);
		last = state;
	}
	(void)fprintf(file, "%s]\n", colors ? COLORS_OFF : "");
}

int picture__print_slabs(FILE *file, struct slab_cache *cache, bool colors)
{
	struct views views = {0};
	struct slab_stats stats;

	slab_cache__stats(cache, &stats);
	if (!stats.slabs) {
		(void)fprintf(file, "no slabs\n");
		return 0;
	}
	views.room = stats.slabs;
	views.items = calloc(views.room, sizeof(*views.items));
	if (!views.items)
		return -ENOMEM;
	(void)slab_cache__visit(cache, add_view, &views); /* nothing is interrupted here */
	qsort(views.items, views.count, sizeof(*views.items), compare);
	for (size_t i = 0; i < views.count; i++)
		print_slab(file, cache, &views.items[i], colors);
	free(views.items);
	return 0;
}

void picture__print_legend(FILE *file, bool colors)
{
	for (unsigned int i = SLAB_OBJECT_FRESH; i <= SLAB_OBJECT_DAMAGED; i++)
		(void)fprintf(file, "%s%s%c%s %s", i == SLAB_OBJECT_FRESH ? "" : "   ",
			      colors ? states[i].color : "", states[i].sign,
			      colors ? COLORS_OFF : "", states[i].meaning);
	(void)fputc('\n', file);
}
