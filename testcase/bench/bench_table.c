/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Prints a file of bench_collect for people: a table of latencies by size, one of their ratios to
 * memcpy, the other figures, and the goals. As text, or with --markdown as it stands in
 * docs/performance.md. A file from an emulated machine has no times, and so has its table.
 */
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include "bench.h"
#include "csv_read.h"

enum { CELL = 80, MOST_COLUMNS = 12, MOST_ROWS = 64 };

struct printout { /* a table that is being put together */
	char cells[MOST_ROWS][MOST_COLUMNS][CELL];
	size_t rows, columns;
};

struct column {
	const char *title, *op, *variant;
	const char *time, *ratio; /* names of columns in the file */
	bool of_engine;
};

static const struct column columns[] = {
	{"memcpy", "memcpy", "-", "latency_ns", "latency_to_memcpy", false},
	{"process_vm_readv", "process_vm_readv", "-", "latency_ns", "latency_to_memcpy", false},
	{"checkpoint, copy", "checkpoint", "-", "copy_ns", "copy_to_memcpy", true},
	{"checkpoint", "checkpoint", "-", "latency_ns", "latency_to_memcpy", true},
	{"process_vm_writev", "process_vm_writev", "-", "latency_ns", "latency_to_memcpy", false},
	{"restore", "restore", "dirty_100", "latency_ns", "latency_to_memcpy", true},
	{"restore again", "restore", "again_100", "latency_ns", "latency_to_memcpy", true},
	{"restore unchanged", "restore", "dirty_0", "latency_ns", "latency_to_memcpy", true},
	{"fork+exit", "fork_exit", "-", "latency_ns", "latency_to_memcpy", false},
};

enum { COLUMNS = sizeof(columns) / sizeof(*columns) };

/* ---- finding ---- */

/* The number in a field, NAN if it is empty or there is no such row. */
static double figure(const struct table *table, const char *op, const char *variant,
		     const char *engine, uint64_t bytes, const char *name)
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

/* ---- printing ---- */

static char *next_row(struct printout *out)
{
	errno = 0;
	if (out->rows == MOST_ROWS)
		BENCH_DIE("more than %d rows", MOST_ROWS);
	return out->cells[out->rows++][0];
}

static void __attribute__((format(printf, 3, 4)))
set(struct printout *out, size_t column, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(out->cells[out->rows - 1][column], CELL, format, arguments);
	va_end(arguments);
}

/* The first column is flushed left, the others right; in words all left. */
static void print(const struct printout *out, bool markdown, bool words)
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

static void set_time(struct printout *out, size_t column, double ns)
{
	if (isnan(ns))
		set(out, column, "-");
	else if (ns < 1e3)
		set(out, column, "%.0f ns", ns);
	else if (ns < 1e6)
		set(out, column, ns < 1e5 ? "%.1f us" : "%.0f us", ns / 1e3);
	else
		set(out, column, ns < 1e8 ? "%.1f ms" : "%.0f ms", ns / 1e6);
}

static void set_ratio(struct printout *out, size_t column, double ratio)
{
	if (isnan(ratio))
		set(out, column, "-");
	else
		set(out, column, ratio < 10 ? "%.2f" : ratio < 100 ? "%.1f" : "%.0f", ratio);
}

/* ---- the tables ---- */

static void print_sizes(const struct table *table, const char *engine, bool ratios, bool markdown)
{
	struct printout out = {.columns = COLUMNS + 1};

	(void)next_row(&out);
	set(&out, 0, "memory");
	for (size_t i = 0; i < COLUMNS; i++)
		set(&out, i + 1, "%s", columns[i].title);
	for (unsigned int power = 12; power < 40; power++) {
		uint64_t bytes = 1ULL << power;

		if (isnan(figure(table, "checkpoint", "-", engine, bytes, "samples")))
			continue;
		(void)next_row(&out);
		set(&out, 0, power < 20 ? "%lu KiB" : "%lu MiB",
		    (unsigned long)(bytes >> (power < 20 ? 10 : 20)));
		for (size_t i = 0; i < COLUMNS; i++) {
			const struct column *column = &columns[i];
			double value = figure(table, column->op, column->variant,
					      column->of_engine ? engine : "-", bytes,
					      ratios ? column->ratio : column->time);

			if (ratios)
				set_ratio(&out, i + 1, value);
			else
				set_time(&out, i + 1, value);
		}
	}
	print(&out, markdown, false);
}

static void add_line(struct printout *out, const char *what, const char *unit, double value,
		     double ratio, const char *baseline)
{
	if (isnan(value) && isnan(ratio))
		return;
	(void)next_row(out);
	set(out, 0, "%s", what);
	if (isnan(value))
		set(out, 1, "-");
	else
		set(out, 1, value < 10 ? "%.1f %s" : "%.0f %s", value, unit);
	if (!isnan(ratio))
		set(out, 2, ratio < 10 ? "%.2f x %s" : "%.0f x %s", ratio, baseline);
}

static void print_figures(const struct table *table, bool markdown)
{
	static const struct {
		const char *what, *unit, *op, *variant, *engine;
		uint64_t bytes;
		const char *value;
		double scale;
		const char *ratio, *baseline;
	} lines[] = {
		{"register at mmap, 1 MiB", "ns per chunk", "register", "-", "chunk", 1 << 20,
		 "ns_per_chunk", 1, NULL, NULL},
		{"register at mmap, 4 MiB", "ns per chunk", "register", "-", "chunk", 4 << 20,
		 "ns_per_chunk", 1, NULL, NULL},
		{"drop at munmap, 1 MiB", "ns per chunk", "unregister", "-", "chunk", 1 << 20,
		 "ns_per_chunk", 1, NULL, NULL},
		{"drop at munmap, 4 MiB", "ns per chunk", "unregister", "-", "chunk", 4 << 20,
		 "ns_per_chunk", 1, NULL, NULL},
		{"pairs of testcase idle -n 10", "per second", "pairs", "-", "auto", 4096,
		 "per_second", 1, NULL, NULL},
		{"getppid of another process", "ns", "getppid_other", "on", "-", 0, "latency_ns", 1,
		 "latency_to_untraced", "without the tracer"},
		{"mmap+munmap of another process", "ns", "mmap_pair_other", "on", "-", 65536,
		 "latency_ns", 1, "latency_to_untraced", "without the tracer"},
		{"tracer -q true", "ms", "startup", "on", "-", 0, "latency_ns", 1e-6,
		 "latency_to_untraced", "true alone"},
		{"tracer's store, fdinfo", "bytes per chunk", "store_bytes_per_chunk", "tracer",
		 "chunk", CHUNK, "bytes_per_chunk", 1, NULL, NULL},
		{"hash allocated at the start, fdinfo", "bytes per chunk", "store_bytes_per_chunk",
		 "prealloc", "-", CHUNK, "bytes_per_chunk", 1, NULL, NULL},
		{"hash allocated at the start, MemAvailable", "bytes per chunk",
		 "store_available_per_chunk", "prealloc", "-", CHUNK, "bytes_per_chunk", 1, NULL,
		 NULL},
		{"hash allocated at the start, insert", "ns per chunk", "store_insert", "prealloc",
		 "-", CHUNK, "ns_per_chunk", 1, NULL, NULL},
		{"hash allocated at the start, delete", "ns per chunk", "store_delete", "prealloc",
		 "-", CHUNK, "ns_per_chunk", 1, NULL, NULL},
		{"hash growing on demand, fdinfo", "bytes per chunk", "store_bytes_per_chunk",
		 "no_prealloc", "-", CHUNK, "bytes_per_chunk", 1, NULL, NULL},
		{"hash growing on demand, MemAvailable", "bytes per chunk",
		 "store_available_per_chunk", "no_prealloc", "-", CHUNK, "bytes_per_chunk", 1, NULL,
		 NULL},
		{"hash growing on demand, insert", "ns per chunk", "store_insert", "no_prealloc",
		 "-", CHUNK, "ns_per_chunk", 1, NULL, NULL},
		{"hash growing on demand, delete", "ns per chunk", "store_delete", "no_prealloc",
		 "-", CHUNK, "ns_per_chunk", 1, NULL, NULL},
	};
	struct printout out = {.columns = 3};

	(void)next_row(&out);
	set(&out, 0, "figure");
	set(&out, 1, "median");
	set(&out, 2, "ratio");
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		add_line(&out, lines[i].what, lines[i].unit,
			 figure(table, lines[i].op, lines[i].variant, lines[i].engine,
				lines[i].bytes, lines[i].value) *
				 lines[i].scale,
			 lines[i].ratio ? figure(table, lines[i].op, lines[i].variant,
						 lines[i].engine, lines[i].bytes, lines[i].ratio)
					: (double)NAN,
			 lines[i].baseline);
	print(&out, markdown, true);
}

static void print_goals(const struct table *table, bool markdown)
{
	static const struct {
		const char *what, *unit, *op;
		uint64_t bytes;
		const char *value;
		double goal;
		bool at_least;
	} goals[] = {
		{"checkpoint of 1 MiB, copy", "ns per chunk", "checkpoint", 1 << 20, "ns_per_chunk",
		 250, false},
		{"register at mmap, 1 MiB", "ns per chunk", "register", 1 << 20, "ns_per_chunk",
		 400, false},
		{"pairs of testcase idle -n 10", "per second", "pairs", 4096, "per_second", 2000,
		 true},
	};
	struct printout out = {.columns = 4};

	(void)next_row(&out);
	set(&out, 0, "goal (chunk engine)");
	set(&out, 1, "wanted");
	set(&out, 2, "measured");
	set(&out, 3, "reached?");
	for (size_t i = 0; i < sizeof(goals) / sizeof(*goals); i++) {
		double value =
			figure(table, goals[i].op, "-", "chunk", goals[i].bytes, goals[i].value);
		bool reached = goals[i].at_least ? value >= goals[i].goal : value <= goals[i].goal;

		(void)next_row(&out);
		set(&out, 0, "%s", goals[i].what);
		set(&out, 1, "%s %.0f %s", goals[i].at_least ? "at least" : "at most",
		    goals[i].goal, goals[i].unit);
		set(&out, 2, isnan(value) ? "-" : "%.0f", value);
		set(&out, 3, "%s",
		    isnan(value) ? "not judged here"
		    : reached    ? "reached"
				 : "missed");
	}
	print(&out, markdown, true);
}

static const char *fact_at(const struct table *table, size_t row, const char *name)
{
	return csv_read__cell(table, row, csv_read__column(table, name));
}

static const char *fact(const struct table *table, const char *name)
{
	return fact_at(table, 1, name);
}

/* Is this row a checkpoint, the first one of its engine? */
static bool is_first_of_engine(const struct table *table, size_t row)
{
	const char *engine = fact_at(table, row, "engine");

	if (strcmp(fact_at(table, row, "op"), "checkpoint") != 0)
		return false;
	for (size_t i = 1; i < row; i++)
		if (!strcmp(fact_at(table, i, "op"), "checkpoint") &&
		    !strcmp(fact_at(table, i, "engine"), engine))
			return false;
	return true;
}

static void print_engine(const struct table *table, const char *engine, bool markdown)
{
	bool timed = !isnan(figure(table, "memcpy", "-", "-", 1 << 20, "latency_ns")) ||
		     !isnan(figure(table, "memcpy", "-", "-", 1 << 12, "latency_ns"));

	if (timed) {
		printf("%sEngine %s, medians%s:\n\n", markdown ? "" : "  ", engine,
		       markdown ? "" : " of the time a call takes");
		print_sizes(table, engine, false, markdown);
	}
	printf("%sEngine %s, ratios to memcpy of the same bytes:\n\n", markdown ? "" : "  ",
	       engine);
	print_sizes(table, engine, true, markdown);
}

int main(int argc, char **argv)
{
	bool markdown = argc == 3 && !strcmp(argv[1], "--markdown");
	struct table table;

	if (argc != 2 + markdown) {
		fprintf(stderr, "usage: bench_table [--markdown] FILE\n");
		return 2;
	}
	csv_read__open(argv[argc - 1], 0, &table);
	errno = 0;
	if (table.rows < 2)
		BENCH_DIE("%s has no rows", argv[argc - 1]);
	printf("%sMeasured %s on Linux %s, %s, at commit %s.\n\n", markdown ? "" : "\n  ",
	       fact(&table, "time_utc"), fact(&table, "kernel"), fact(&table, "cpu"),
	       fact(&table, "commit"));
	for (size_t row = 1; row < table.rows; row++)
		if (is_first_of_engine(&table, row))
			print_engine(&table, fact_at(&table, row, "engine"), markdown);
	print_figures(&table, markdown);
	print_goals(&table, markdown);
	csv_read__close(&table);
	return 0;
}
