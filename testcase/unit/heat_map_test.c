/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of the heat map: what is read from an answer, and that colours are in order.
 */
#include "ctl/heat_map.h"

#include <locale.h>
#include <stdbool.h>
#include <stdlib.h>

#include "tap.h"

#define QUIET                                                                                      \
	"{\"name\":\"quiet\",\"start\":4096,\"end\":8192,\"state\":\"same\",\"bytes\":0,"          \
	"\"cells\":\"\"}"

static const char answer[] =
	"{\"from\":\"a\",\"pages\":2,\"bytes\":512,\"cell_bytes\":256,\"mappings\":[" QUIET
	"," QUIET ",{\"name\":\"h\\u00e4p\\n<&>\",\"start\":40960,\"end\":45056,\"state\":\"new\","
	"\"bytes\":512,"
	"\"cells\":\"AZaz09+/\"}," QUIET "]}";

static char *text;

/* What is written of it, by one of the ways. */
static const char *write_map(const struct heat_map *map,
			     int (*way)(const struct heat_map *map, FILE *out))
{
	size_t size;
	FILE *out;

	free(text);
	text = NULL;
	out = open_memstream(&text, &size);
	must(!out);
	tap__equal(way(map, out), 0, "it is written");
	must(fclose(out));
	return text;
}

static void test_blocks(const struct heat_map *map)
{
	static const uint8_t cells[] = {0, 25, 26, 51, 52, 61, 62, 63};

	tap__equal(map->count, 3, "neighbours that have not changed are one block");
	tap__equal_string(map->blocks[0].label, "2 mappings  8.0 KiB, nothing has changed",
			  "which says how many they are");
	tap__ok(map->blocks[1].count == sizeof(cells) &&
			!memcmp(map->blocks[1].cells, cells, sizeof(cells)),
		"cells have all levels");
	tap__equal_string(map->blocks[1].label, "a000  h??p?<&>  4.0 KiB, changed: 512 B, new",
			  "a label is printable ASCII");
	tap__equal_string(map->title, "from a to now: 512 B in 2 pages", "a title");
}

static void test_pictures(const struct heat_map *map)
{
	const char *svg = write_map(map, heat_map__write_svg);

	tap__ok(strstr(svg, "h??p?&lt;&amp;&gt;"), "a name is no markup");
	tap__ok(strstr(svg, "</svg>\n"), "all of it");
	tap__ok(strstr(write_map(map, heat_map__write_text), "\n  .+"), "ASCII for the C locale");
	must(!setlocale(LC_CTYPE, "C.UTF-8"));
	tap__ok(strstr(write_map(map, heat_map__write_text), "\n  \u00b7\u2592"),
		"blocks of Unicode");
	tap__ok(!memcmp(write_map(map, heat_map__write_png), "\x89PNG", 4), "PNG");
}

static void test_colours(void)
{
	uint8_t before[3], colour[3];
	bool darker = true;

	heat_map__colour(1, before);
	for (unsigned int level = 2; level < HEAT_MAP_LEVELS; level++) {
		heat_map__colour((uint8_t)level, colour);
		darker = darker && colour[1] < before[1];
		memcpy(before, colour, sizeof(before));
	}
	tap__ok(darker, "more is darker");
}

int main(void)
{
	struct heat_map map = {0};

	tap__plan(20);
	tap__equal(heat_map__read(answer, &map), 0, "an answer is read");
	test_blocks(&map);
	test_pictures(&map);
	test_colours();
	heat_map__clear(&map);
	must(heat_map__read("no answer", &map));
	tap__ok(!map.count, "no answer gives an empty map");
	heat_map__clear(&map);
	must(heat_map__read("{\"from\":\"\\u00e4\",\"to\":\"b\\n\"}", &map));
	tap__equal_string(map.title, "from ?? to b?: 0 B in 0 pages", "a title is printable ASCII");
	tap__ok(!memcmp(write_map(&map, heat_map__write_png), "\x89PNG", 4),
		"the font has all of it");
	heat_map__clear(&map);
	free(text);
	return tap__done();
}
