/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See heat_map.h. Here: reading, and text.
 */
#include "ctl/heat_map.h"

#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include "ctl/json_object.h"
#include "base/text.h"

enum { TEXT_COLUMNS = 64, TEXT_CELLS = 2048 };

/* ---- reading ---- */

static uint8_t level_of(char letter)
{
	if (letter >= 'A' && letter <= 'Z')
		return (uint8_t)(letter - 'A');
	if (letter >= 'a' && letter <= 'z')
		return (uint8_t)(letter - 'a' + 26);
	if (letter >= '0' && letter <= '9')
		return (uint8_t)(letter - '0' + 52);
	return letter == '+' ? 62 : letter == '/' ? 63 : 0;
}

/* What a picture can show of a text. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

static int read_block(const char *item, struct heat_block *block)
{
	char name[64] = "", state[8] = "", size[TEXT_SIZE_BYTES], changed[TEXT_SIZE_BYTES];
	const uint64_t start = json_object__number_or_0(item, "start"),
		       bytes = json_object__number_or_0(item, "end") - start;
	const size_t room = strlen(item) + 1;
	char *cells = malloc(room), *smaller;

	if (!cells)
		return -ENOMEM;
	(void)json_object__text(item, "name", name, sizeof(name));
	(void)json_object__text(item, "state", state, sizeof(state));
	(void)json_object__text(item, "cells", cells, room);
	block->count = strlen(cells);
	smaller = realloc(cells, block->count + 1); /* item goes on to the end of the answer */
	if (smaller)
		cells = smaller;
	for (size_t i = 0; i < block->count; i++)
		cells[i] = (char)level_of(cells[i]);
	block->cells = (uint8_t *)cells;
	(void)snprintf(block->label, sizeof(block->label), "%" PRIx64 "  %s  %s, changed: %s%s%s",
		       start, name, text__size(bytes, size),
		       text__size(json_object__number_or_0(item, "bytes"), changed),
		       strcmp(state, "same") != 0 ? ", " : "",
		       strcmp(state, "same") != 0 ? state : "");
	make_printable(block->label);
	return 0;
}

static void label_quiet(struct heat_block *block, size_t mappings, uint64_t bytes)
{
	char size[TEXT_SIZE_BYTES];

	(void)snprintf(block->label, sizeof(block->label), "%zu mapping%s  %s, nothing has changed",
		       mappings, mappings == 1 ? "" : "s", text__size(bytes, size));
}

/* Neighbours that have not changed are one block, without cells. */
static int read_blocks(const char *answer, struct heat_map *map)
{
	uint64_t quiet_bytes = 0;
	size_t quiet = 0;
	int err = 0;

	for (const char *item = json_object__items(answer, "mappings"); item && !err;
	     item = json_object__next(item)) {
		struct heat_block *larger =
			reallocarray(map->blocks, map->count + 1, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		map->blocks = larger;
		if (json_object__number_or_0(item, "bytes")) {
			quiet = 0;
			larger[map->count] = (struct heat_block){.count = 0};
			err = read_block(item, &larger[map->count]);
			map->count += !err;
			continue;
		}
		if (!quiet) {
			larger[map->count++] = (struct heat_block){.count = 0};
			quiet_bytes = 0;
		}
		quiet_bytes += json_object__number_or_0(item, "end") -
			       json_object__number_or_0(item, "start");
		label_quiet(&larger[map->count - 1], ++quiet, quiet_bytes);
	}
	return err;
}

int heat_map__read(const char *answer, struct heat_map *ret)
{
	char from[64] = "", to[64] = "", size[TEXT_SIZE_BYTES];
	struct heat_map map = {0};
	int err = read_blocks(answer, &map);

	if (err) {
		heat_map__clear(&map);
		return err;
	}
	(void)json_object__text(answer, "from", from, sizeof(from));
	(void)snprintf(map.title, sizeof(map.title), "from %s to %s: %s in %" PRIu64 " pages", from,
		       json_object__text(answer, "to", to, sizeof(to)) ? to : "now",
		       text__size(json_object__number_or_0(answer, "bytes"), size),
		       json_object__number_or_0(answer, "pages"));
	make_printable(map.title);
	(void)snprintf(map.legend, sizeof(map.legend),
		       "one cell: %s; colour: how much of it has changed",
		       text__size(json_object__number_or_0(answer, "cell_bytes"), size));
	*ret = map;
	return 0;
}

void heat_map__clear(struct heat_map *map)
{
	for (size_t i = 0; i < map->count; i++)
		free(map->blocks[i].cells);
	free(map->blocks);
	*map = (struct heat_map){0};
}

/* From light yellow to dark red. */
void heat_map__colour(uint8_t level, uint8_t ret_colour[3])
{
	static const uint8_t none[3] = {0xe8, 0xe8, 0xe8};
	static const int least[3] = {0xff, 0xd9, 0x66}, most[3] = {0x99, 0x00, 0x0d};

	for (int i = 0; i < 3; i++)
		ret_colour[i] = level ? (uint8_t)(least[i] + (most[i] - least[i]) * (level - 1) /
								     (HEAT_MAP_LEVELS - 2))
				      : none[i];
}

/* ---- text ---- */

/* The mean of some cells; what has changed is never nothing. */
static unsigned int mean(const uint8_t *cells, size_t count)
{
	unsigned int sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += cells[i];
	return count ? (sum + (unsigned int)count - 1) / (unsigned int)count : 0;
}

/* From nothing to all; what the locale can show. */
static const char *const *choose_shades(void)
{
	static const char *const blocks[] = {"\u00b7", "\u2591", "\u2592", "\u2593", "\u2588"};
	static const char *const ascii[] = {".", "-", "+", "*", "#"};

	return strcmp(nl_langinfo(CODESET), "UTF-8") != 0 ? ascii : blocks;
}

static void put_block(const struct heat_block *block, size_t together, FILE *out)
{
	const char *const *shades = choose_shades();
	size_t column = 0;

	(void)fprintf(out, "%s\n", block->label);
	for (size_t i = 0; i < block->count; i += together) {
		const size_t count = block->count - i < together ? block->count - i : together;
		const unsigned int level = mean(block->cells + i, count);

		if (column++ % TEXT_COLUMNS == 0)
			(void)fputs(column > 1 ? "\n  " : "  ", out);
		(void)fputs(shades[(level * 4 + HEAT_MAP_LEVELS - 2) / (HEAT_MAP_LEVELS - 1)], out);
	}
	if (block->count)
		(void)fputc('\n', out);
}

int heat_map__write_text(const struct heat_map *map, FILE *out)
{
	size_t cells = 0, together;

	for (size_t i = 0; i < map->count; i++)
		cells += map->blocks[i].count;
	together = (cells + TEXT_CELLS - 1) / TEXT_CELLS;
	(void)fprintf(out, "%s\n", map->title);
	for (size_t i = 0; i < map->count; i++)
		put_block(&map->blocks[i], together, out);
	(void)fputs(map->legend, out);
	if (together > 1)
		(void)fprintf(out, "; a character is %zu cells", together);
	(void)fputc('\n', out);
	return ferror(out) ? -EIO : 0;
}
