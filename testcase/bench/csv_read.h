/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reads a whole CSV file (RFC 4180) into cells. The text is kept, and the cells point into it.
 * A last line without its end, as a killed writer may leave it, is dropped.
 */
#ifndef BENCH_CSV_READ_H
#define BENCH_CSV_READ_H

#include "bench.h"

struct table {
	char *text;
	char **cells; /* rows * columns */
	size_t rows, columns;
};

static inline char *csv_read__text(const char *path)
{
	FILE *file = fopen(path, "re");
	size_t length = 0, size = 65536, got;
	char *text = malloc(size);

	if (!file)
		BENCH_DIE("cannot read %s", path);
	while (text && (got = fread(text + length, 1, size - 1 - length, file)) > 0) {
		length += got;
		if (length == size - 1) {
			char *longer = realloc(text, size *= 2);

			if (!longer)
				free(text);
			text = longer;
		}
	}
	if (!text || ferror(file))
		BENCH_DIE("cannot read %s", path);
	(void)fclose(file);
	text[length] = '\0';
	return text;
}

/* Cuts off the field at *at: unquotes it in place, and moves *at behind its separator. Returns the
 * field, and its separator: ',', '\n' or 0 at the end of the text. */
static inline char *csv_read__field(char **at, char *ret_separator)
{
	char *field = *at, *from = *at, *to = *at;
	int quoted = *from == '"';

	for (from += quoted; *from; from++) {
		if (quoted && *from == '"') {
			if (from[1] != '"') {
				quoted = 0;
				continue;
			}
			from++;
		} else if (!quoted && (*from == ',' || *from == '\n')) {
			break;
		}
		*to++ = *from;
	}
	*ret_separator = *from;
	*at = *from ? from + 1 : from;
	if (*ret_separator == '\n' && to > field && to[-1] == '\r')
		to--;
	*to = '\0';
	return field;
}

/* columns: the number of fields of each line; 0 takes that of the first. */
static inline void csv_read__open(const char *path, size_t columns, struct table *ret)
{
	struct table table = {.text = csv_read__text(path), .columns = columns};
	size_t fields = 0, capacity = 0;
	char *at = table.text, separator;

	while (*at) {
		if (fields == capacity) {
			capacity = capacity ? 2 * capacity : 1024;
			table.cells = realloc(table.cells, capacity * sizeof(*table.cells));
			if (!table.cells)
				BENCH_DIE("no memory for %s", path);
		}
		table.cells[fields++] = csv_read__field(&at, &separator);
		if (separator != '\n')
			continue;
		if (!table.columns)
			table.columns = fields;
		table.rows++;
		errno = 0;
		if (fields != table.rows * table.columns)
			BENCH_DIE("line %zu of %s has not %zu fields", table.rows, path,
				  table.columns);
	}
	*ret = table;
}

static inline const char *csv_read__cell(const struct table *table, size_t row, size_t column)
{
	return table->cells[row * table->columns + column];
}

/* The index of a column by its name in the first row; ends the program if there is none. */
static inline size_t csv_read__column(const struct table *table, const char *name)
{
	for (size_t i = 0; table->rows && i < table->columns; i++)
		if (!strcmp(table->cells[i], name))
			return i;
	errno = 0;
	BENCH_DIE("there is no column %s", name);
}

static inline void csv_read__close(struct table *table)
{
	free(table->cells);
	free(table->text);
	*table = (struct table){0};
}

#endif
