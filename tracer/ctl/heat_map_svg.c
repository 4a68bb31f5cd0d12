/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See heat_map.h. Cells beside each other that have the same colour are one rectangle.
 */
#include <errno.h>
#include "ctl/heat_map.h"

enum { CELL = 6, LINE = 18, MARGIN = 12, WIDTH = 2 * MARGIN + HEAT_MAP_COLUMNS * CELL };

static void put_text(FILE *out, size_t y, const char *text)
{
	(void)fprintf(out, "<text x=\"%d\" y=\"%zu\">", MARGIN, y + LINE - 6);
	for (; *text; text++) {
		switch (*text) {
		case '<':
			(void)fputs("&lt;", out);
			break;
		case '>':
			(void)fputs("&gt;", out);
			break;
		case '&':
			(void)fputs("&amp;", out);
			break;
		default:
			(void)fputc(*text, out);
		}
	}
	(void)fputs("</text>\n", out);
}

static void put_cells(FILE *out, size_t y, const struct heat_block *block)
{
	size_t i = 0;

	while (i < block->count) {
		const uint8_t level = block->cells[i];
		const size_t column = i % HEAT_MAP_COLUMNS, row = i / HEAT_MAP_COLUMNS;
		size_t width = 1;
		uint8_t colour[3];

		while (i + width < block->count && column + width < HEAT_MAP_COLUMNS &&
		       block->cells[i + width] == level)
			width++;
		heat_map__colour(level, colour);
		(void)fprintf(out,
			      "<rect x=\"%zu\" y=\"%zu\" width=\"%zu\" height=\"%d\" "
			      "fill=\"#%02x%02x%02x\"/>\n",
			      MARGIN + column * CELL, y + row * CELL, width * CELL - 1, CELL - 1,
			      colour[0], colour[1], colour[2]);
		i += width;
	}
}

static size_t rows_of(const struct heat_block *block)
{
	return (block->count + HEAT_MAP_COLUMNS - 1) / HEAT_MAP_COLUMNS;
}

int heat_map__write_svg(const struct heat_map *map, FILE *out)
{
	size_t height = 2 * MARGIN + 2 * LINE, y = MARGIN;

	for (size_t i = 0; i < map->count; i++)
		height += LINE + rows_of(&map->blocks[i]) * CELL;
	(void)fprintf(out,
		      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%zu\" "
		      "font-family=\"monospace\" font-size=\"11\">\n"
		      "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
		      WIDTH, height);
	put_text(out, y, map->title);
	y += LINE;
	for (size_t i = 0; i < map->count; i++) {
		put_text(out, y, map->blocks[i].label);
		y += LINE;
		put_cells(out, y, &map->blocks[i]);
		y += rows_of(&map->blocks[i]) * CELL;
	}
	put_text(out, y, map->legend);
	(void)fputs("</svg>\n", out);
	return ferror(out) ? -EIO : 0;
}
