/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Shared by bench_table and bench_goals: figures from a file of bench_collect, and tables of text
 * or Markdown.
 */
#ifndef BENCH_PRINTOUT_H
#define BENCH_PRINTOUT_H

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include "bench.h"
#include "csv_read.h"

enum { CELL = 80, MOST_COLUMNS = 18, MOST_ROWS = 64 };

struct printout { /* a table that is being built */
	char cells[MOST_ROWS][MOST_COLUMNS][CELL];
	size_t rows, columns;
};

/* The number in the field name of the row of a figure; NAN if it is empty or there is no row. */
static inline double printout__figure(const struct table *table, const char *op,
				      const char *variant, const char *engine, uint64_t bytes,
				      const char *name)
{
	size_t by_op = csv_read__column(table, "op"), by_variant, by_engine, by_bytes;
	const char *text;

	by_variant = csv_read__column(table, "variant");
	by_engine = csv_read__column(table, "engine");
	by_bytes = csv_read__column(table, "bytes");
	for (size_t row = 1; row < table->rows; row++) {
		if (strcmp(csv_read__cell(table, row, by_op), op) != 0 ||
		    strcmp(csv_read__cell(table, row, by_variant), variant) != 0 ||
		    strcmp(csv_read__cell(table, row, by_engine), engine) != 0 ||
		    strtoull(csv_read__cell(table, row, by_bytes), NULL, 10) != bytes)
			continue;
		text = csv_read__cell(table, row, csv_read__column(table, name));
		return *text ? strtod(text, NULL) : (double)NAN;
	}
	return NAN;
}

/* Has the file times, or is it from an emulated machine? */
static inline bool printout__is_timed(const struct table *table)
{
	for (size_t row = 1; row < table->rows; row++)
		if (*csv_read__cell(table, row, csv_read__column(table, "latency_ns")))
			return true;
	return false;
}

/* Begins a row; its cells are empty. */
static inline void printout__row(struct printout *out)
{
	errno = 0;
	if (out->rows == MOST_ROWS)
		BENCH_DIE("more than %d rows", MOST_ROWS);
	out->rows++;
}

static inline void __attribute__((format(printf, 3, 4)))
printout__set(struct printout *out, size_t column, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(out->cells[out->rows - 1][column], CELL, format, arguments);
	va_end(arguments);
}

/* The first column is flushed left, the others right; in words all left. */
static inline void printout__print(const struct printout *out, bool markdown, bool words)
{
	for (size_t row = 0; row < out->rows; row++) {
		for (size_t i = 0; i < out->columns; i++) {
			int width = 0;

			for (size_t j = 0; j < out->rows; j++)
				if (width < (int)strlen(out->cells[j][i]))
					width = (int)strlen(out->cells[j][i]);
			printf("%s%*s%s", markdown ? "| " : "  ", i && !words ? width : -width,
			       out->cells[row][i], markdown ? " " : "");
		}
		puts(markdown ? "|" : "");
		for (size_t i = 0; markdown && !row && i < out->columns; i++)
			printf("|%s%s", i && !words ? " ---: " : " --- ",
			       i + 1 == out->columns ? "|\n" : "");
	}
	puts("");
}

static inline void printout__time(struct printout *out, size_t column, double ns)
{
	if (isnan(ns))
		printout__set(out, column, "-");
	else if (ns < 1e3)
		printout__set(out, column, "%.0f ns", ns);
	else if (ns < 1e6)
		printout__set(out, column, ns < 1e5 ? "%.1f us" : "%.0f us", ns / 1e3);
	else
		printout__set(out, column, ns < 1e8 ? "%.1f ms" : "%.0f ms", ns / 1e6);
}

static inline void printout__ratio(struct printout *out, size_t column, double ratio)
{
	if (isnan(ratio))
		printout__set(out, column, "-");
	else
		printout__set(out, column,
			      ratio < 10    ? "%.2f"
			      : ratio < 100 ? "%.1f"
					    : "%.0f",
			      ratio);
}

#endif
