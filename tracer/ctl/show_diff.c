/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See show_diff.h.
 */
#include "ctl/show_diff.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include "ctl/json_object.h"
#include "base/log.h"
#include "base/text.h"
#include "ctl/heat_map.h"

enum { RANGES_SHOWN = 8 }; /* of each mapping */

static void put_name(const char *object, const char *name)
{
	char text[256];

	if (json_object__text(object, name, text, sizeof(text)))
		text__put(stdout, text);
}

/* Shows the ranges of a mapping, from range on. Returns the first range behind the mapping. */
static const char *show_ranges(const char *range, uint64_t end)
{
	char size[TEXT_SIZE_BYTES];
	size_t count = 0;

	for (; range && json_object__number_or_0(range, "start") < end;
	     range = json_object__next(range)) {
		if (++count > RANGES_SHOWN)
			continue;
		(void)printf("  %-14" PRIx64 " %10s %10s %8s  ",
			     json_object__number_or_0(range, "start"), "",
			     text__size(json_object__number_or_0(range, "bytes"), size), "");
		put_name(range, "symbol");
		(void)putchar('\n');
	}
	if (count > RANGES_SHOWN)
		(void)printf("  and %zu more\n", count - RANGES_SHOWN);
	return range;
}

static void show_mapping(const char *item)
{
	char size[TEXT_SIZE_BYTES], changed[TEXT_SIZE_BYTES], state[8];
	const uint64_t start = json_object__number_or_0(item, "start");

	(void)printf("%-16" PRIx64 " %10s %10s %8" PRIu64 "  ", start,
		     text__size(json_object__number_or_0(item, "end") - start, size),
		     text__size(json_object__number_or_0(item, "bytes"), changed),
		     json_object__number_or_0(item, "pages"));
	put_name(item, "name");
	if (json_object__text(item, "state", state, sizeof(state)) && strcmp(state, "same") != 0)
		(void)printf(" (%s)", state);
	(void)putchar('\n');
}

void show_diff__table(const char *answer)
{
	const char *range = json_object__items(answer, "ranges");
	char size[TEXT_SIZE_BYTES];

	(void)printf("%-16s %10s %10s %8s  %s\n", "ADDRESS", "SIZE", "CHANGED", "PAGES", "NAME");
	for (const char *item = json_object__items(answer, "mappings"); item;
	     item = json_object__next(item)) {
		char state[8] = "same";

		(void)json_object__text(item, "state", state, sizeof(state));
		if (!json_object__number_or_0(item, "bytes") && !strcmp(state, "same"))
			continue;
		show_mapping(item);
		range = show_ranges(range, json_object__number_or_0(item, "end"));
	}
	(void)printf("%-16s %10s %10s %8" PRIu64 "\n", "all", "",
		     text__size(json_object__number_or_0(answer, "bytes"), size),
		     json_object__number_or_0(answer, "pages"));
	if (json_object__number_or_0(answer, "more_ranges"))
		(void)printf("%" PRIu64 " more ranges are counted, but not listed\n",
			     json_object__number_or_0(answer, "more_ranges"));
}

static bool ends_in(const char *path, const char *suffix)
{
	const size_t length = strlen(path), bytes = strlen(suffix);

	return length > bytes && !strcmp(path + length - bytes, suffix);
}

bool show_diff__is_map(const char *path)
{
	return !strcmp(path, "-") || ends_in(path, ".svg") || ends_in(path, ".png");
}

static int draw(const struct heat_map *map, const char *path)
{
	FILE *out;
	int err;

	if (!strcmp(path, "-")) {
		(void)setlocale(LC_CTYPE, ""); /* for the blocks; without it they are ASCII */
		return heat_map__write_text(map, stdout);
	}
	out = fopen(path, "we");
	if (!out)
		return -errno;
	err = ends_in(path, ".svg") ? heat_map__write_svg(map, out) : heat_map__write_png(map, out);
	if (fflush(out) && (!err || err == -EIO)) /* what could not be written: for errno */
		err = -errno;
	return fclose(out) && !err ? -errno : err;
}

int show_diff__map(const char *answer, const char *path)
{
	struct heat_map map = {0};
	int err = heat_map__read(answer, &map);

	if (!err)
		err = draw(&map, path);
	heat_map__clear(&map);
	if (err)
		log__error("cannot draw %s: %s", path, strerror(-err));
	return err;
}
