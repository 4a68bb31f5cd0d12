/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A picture of the answer to `tracer ctl PID diff`: memory as rows of cells, one block of rows for
 * each mapping, under its label. The colour of a cell is the share of it that has changed.
 *
 *	559cfe26a000  heap  132 KiB, changed: 512 B
 *	[ ][#][ ][ ]...                               one cell: 512 B
 *	[ ][ ][ ]
 *	12 mappings  3.4 MiB, nothing has changed
 */
#ifndef TRACER_CTL_HEAT_MAP_H
#define TRACER_CTL_HEAT_MAP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
	HEAT_MAP_LEVELS = 64,
	HEAT_MAP_LABEL = 160, /* characters, with the NUL */
	HEAT_MAP_COLUMNS = 128,
};

struct heat_block {
	char label[HEAT_MAP_LABEL]; /* printable ASCII */
	uint8_t *cells;             /* 0 to HEAT_MAP_LEVELS - 1 */
	size_t count;               /* of cells; 0: nothing has changed */
};

struct heat_map {
	struct heat_block *blocks;
	size_t count;
	char title[HEAT_MAP_LABEL], legend[HEAT_MAP_LABEL]; /* printable ASCII */
};

/* Reads an answer. 0 and *ret (heat_map__clear), or -ENOMEM. */
int heat_map__read(const char *answer, struct heat_map *ret);

/* Frees what it holds; harmless on a zeroed one. */
void heat_map__clear(struct heat_map *map);

/* The colour of a level: red, green and blue. */
void heat_map__colour(uint8_t level, uint8_t ret_colour[3]);

/* Write it as text for a terminal, in blocks of Unicode if the locale of the process has them; as
 * SVG; and as PNG. They return 0, -ENOMEM, or -EIO if it cannot be written. */
int heat_map__write_text(const struct heat_map *map, FILE *out);
int heat_map__write_svg(const struct heat_map *map, FILE *out);
int heat_map__write_png(const struct heat_map *map, FILE *out);

#endif
