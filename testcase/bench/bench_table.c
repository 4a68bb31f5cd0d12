/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Prints a file of bench_collect for people: a table of latencies by size, one of their ratios to
 * memcpy, and the other figures. As text, or with --markdown as in results/reference.md. A file
 * from an emulated machine has no times, and its table has none either.
 */
#include "printout.h"

struct column {
	const char *title, *op, *variant;
	const char *time, *ratio; /* names of columns in the file */
	bool of_engine;
};

static const struct column columns[] = {
	{"memcpy", "memcpy", "-", "latency_ns", "latency_to_memcpy", false},
	{"process_vm_readv", "process_vm_readv", "-", "latency_ns", "latency_to_memcpy", false},
	{"process_vm_writev", "process_vm_writev", "-", "latency_ns", "latency_to_memcpy", false},
	{"fork+exit", "fork_exit", "-", "latency_ns", "latency_to_memcpy", false},
	{"criu dump", "criu_dump", "-", "latency_ns", "latency_to_memcpy", false},
	{"criu restore", "criu_restore", "-", "latency_ns", "latency_to_memcpy", false},
	{"memcr checkpoint", "memcr_checkpoint", "-", "latency_ns", "latency_to_memcpy", false},
	{"memcr restore", "memcr_restore", "-", "latency_ns", "latency_to_memcpy", false},
	{"first checkpoint", "checkpoint", "first", "latency_ns", "latency_to_memcpy", true},
	{"checkpoint", "checkpoint", "-", "latency_ns", "latency_to_memcpy", true},
	{"its copy", "checkpoint", "-", "copy_ns", "copy_to_memcpy", true},
	{"restore, 0 %", "restore", "dirty_0", "latency_ns", "latency_to_memcpy", true},
	{"its copy", "restore", "dirty_0", "copy_ns", "copy_to_memcpy", true},
	{"1 %", "restore", "dirty_1", "latency_ns", "latency_to_memcpy", true},
	{"10 %", "restore", "dirty_10", "latency_ns", "latency_to_memcpy", true},
	{"100 %", "restore", "dirty_100", "latency_ns", "latency_to_memcpy", true},
	{"its copy", "restore", "dirty_100", "copy_ns", "copy_to_memcpy", true},
	{"first checkpoint", "way_checkpoint", "first", "latency_ns", "latency_to_memcpy", true},
	{"checkpoint, 0 %", "way_checkpoint", "dirty_0", "latency_ns", "latency_to_memcpy", true},
	{"4 pages", "way_checkpoint", "dirty_4_pages", "latency_ns", "latency_to_memcpy", true},
	{"1 %", "way_checkpoint", "dirty_1", "latency_ns", "latency_to_memcpy", true},
	{"restore, 0 %", "way_restore", "dirty_0", "latency_ns", "latency_to_memcpy", true},
	{"4 pages", "way_restore", "dirty_4_pages", "latency_ns", "latency_to_memcpy", true},
	{"1 %", "way_restore", "dirty_1", "latency_ns", "latency_to_memcpy", true},
	{"write to a page", "way_write", "dirty_1", "latency_ns", NULL, true},
};

enum { COLUMNS = sizeof(columns) / sizeof(*columns) };

/* ---- the tables ---- */

/* The value of a cell; NAN for a column of another table. engine NULL: the table of the peers. */
static double value_of(const struct table *table, const struct column *column, const char *engine,
		       uint64_t bytes, bool ratios)
{
	const char *name = ratios ? column->ratio : column->time;

	if (column->of_engine != (engine != NULL) || !name)
		return NAN;
	return printout__figure(table, column->op, column->variant, engine ? engine : "-", bytes,
				name);
}

static void set_size(struct printout *out, unsigned int power)
{
	static const char *const units[] = {"KiB", "MiB", "GiB"};

	printout__set(out, 0, "%lu %s", 1UL << power % 10, units[power / 10 - 1]);
}

/* A row for each size with a value, and a column for each figure with one. */
static void print_sizes(const struct table *table, const char *engine, bool ratios, bool markdown)
{
	struct printout out = {.columns = 1};
	size_t shown[COLUMNS];

	printout__row(&out);
	printout__set(&out, 0, "memory");
	for (size_t i = 0; i < COLUMNS; i++)
		for (unsigned int power = 12; power < 40; power++) {
			if (isnan(value_of(table, &columns[i], engine, 1ULL << power, ratios)))
				continue;
			shown[out.columns] = i;
			printout__set(&out, out.columns++, "%s", columns[i].title);
			break;
		}
	for (unsigned int power = 12; power < 40; power++) {
		bool empty = true;

		printout__row(&out);
		set_size(&out, power);
		for (size_t i = 1; i < out.columns; i++) {
			double value =
				value_of(table, &columns[shown[i]], engine, 1ULL << power, ratios);

			empty &= isnan(value);
			if (ratios)
				printout__ratio(&out, i, value);
			else
				printout__time(&out, i, value);
		}
		out.rows -= empty;
	}
	printout__print(&out, markdown, false);
}

static void add_line(struct printout *out, const char *what, const char *unit, double value,
		     double ratio, const char *baseline)
{
	if (isnan(value) && isnan(ratio))
		return;
	printout__row(out);
	printout__set(out, 0, "%s", what);
	if (isnan(value))
		printout__set(out, 1, "-");
	else
		printout__set(out, 1, value < 10 ? "%.2f %s" : "%.0f %s", value, unit);
	if (!isnan(ratio))
		printout__set(out, 2, ratio < 10 ? "%.2f x %s" : "%.0f x %s", ratio, baseline);
}

#define UNTRACED "without the tracer"

static void print_figures(const struct table *table, bool markdown)
{
	static const struct {
		const char *what, *unit, *op, *variant, *engine;
		uint64_t bytes;
		const char *value;
		double scale;
		const char *ratio, *baseline;
	} lines[] = {
		{"register at mmap, chunks, 1 MiB", "ns per chunk", "register", "-", "chunk",
		 1 << 20, "ns_per_chunk", 1, NULL, NULL},
		{"register at mmap, chunks, 4 MiB", "ns per chunk", "register", "-", "chunk",
		 4 << 20, "ns_per_chunk", 1, NULL, NULL},
		{"drop at munmap, chunks, 1 MiB", "ns per chunk", "unregister", "-", "chunk",
		 1 << 20, "ns_per_chunk", 1, NULL, NULL},
		{"drop at munmap, chunks, 4 MiB", "ns per chunk", "unregister", "-", "chunk",
		 4 << 20, "ns_per_chunk", 1, NULL, NULL},
		{"mmap+munmap of 64 KiB, auto", "ns", "map_pair", "on", "auto", 1 << 16,
		 "latency_ns", 1, "latency_to_untraced", UNTRACED},
		{"mmap+munmap of 1 MiB, auto", "ns", "map_pair", "on", "auto", 1 << 20,
		 "latency_ns", 1, "latency_to_untraced", UNTRACED},
		{"mmap+munmap of 1 GiB, auto", "ns", "map_pair", "on", "auto", 1 << 30,
		 "latency_ns", 1, "latency_to_untraced", UNTRACED},
		{"mmap+munmap of 1 GiB, chunk", "ns", "map_pair", "on", "chunk", 1 << 30,
		 "latency_ns", 1, "latency_to_untraced", UNTRACED},
		{"malloc and free, auto", "ns", "malloc_churn", "on", "auto", 0, "latency_ns", 1,
		 "latency_to_untraced", UNTRACED},
		{"malloc and free, chunk", "ns", "malloc_churn", "on", "chunk", 0, "latency_ns", 1,
		 "latency_to_untraced", UNTRACED},
		{"pairs of testcase idle -n 10, auto", "per second", "pairs", "-", "auto", 4096,
		 "per_second", 1, NULL, NULL},
		{"pair with fopen, access and sleep(0), auto", "us", "file_pair", "on", "auto",
		 4096, "latency_ns", 1e-3, "latency_to_untraced", "its calls alone"},
		{"pair with the client library, auto", "us", "client_pair", "on", "auto", 4096,
		 "latency_ns", 1e-3, "latency_to_untraced", "its calls alone"},
		{"getppid of another process", "ns", "getppid_other", "on", "-", 0, "latency_ns", 1,
		 "latency_to_untraced", UNTRACED},
		{"mmap+munmap of another process", "ns", "map_pair_other", "on", "-", 65536,
		 "latency_ns", 1, "latency_to_untraced", UNTRACED},
		{"page fault of another process", "ns", "fault_other", "on", "-", 0, "latency_ns",
		 1, "latency_to_untraced", UNTRACED},
		{"the same, while pages are armed", "ns", "fault_other", "armed", "-", 0,
		 "latency_ns", 1, "latency_to_untraced", UNTRACED},
		{"tracer -q true", "ms", "startup", "on", "-", 0, "latency_ns", 1e-6,
		 "latency_to_untraced", "true alone"},
		{"store for each byte, 1 MiB, slab", "bytes", "store", "-", "slab", 1 << 20,
		 "store_per_byte", 1, NULL, NULL},
		{"store for each byte, 16 MiB, slab", "bytes", "store", "-", "slab", 16 << 20,
		 "store_per_byte", 1, NULL, NULL},
		{"store for each byte, 256 MiB, slab", "bytes", "store", "-", "slab", 256 << 20,
		 "store_per_byte", 1, NULL, NULL},
		{"store for each byte, 1 MiB, chunk", "bytes", "store", "-", "chunk", 1 << 20,
		 "store_per_byte", 1, NULL, NULL},
		{"store for each byte, 16 MiB, chunk", "bytes", "store", "-", "chunk", 16 << 20,
		 "store_per_byte", 1, NULL, NULL},
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

	printout__row(&out);
	printout__set(&out, 0, "figure");
	printout__set(&out, 1, "median");
	printout__set(&out, 2, "ratio");
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		add_line(&out, lines[i].what, lines[i].unit,
			 printout__figure(table, lines[i].op, lines[i].variant, lines[i].engine,
					  lines[i].bytes, lines[i].value) *
				 lines[i].scale,
			 lines[i].ratio
				 ? printout__figure(table, lines[i].op, lines[i].variant,
						    lines[i].engine, lines[i].bytes, lines[i].ratio)
				 : (double)NAN,
			 lines[i].baseline);
	printout__print(&out, markdown, true);
}

static const char *fact_at(const struct table *table, size_t row, const char *name)
{
	return csv_read__cell(table, row, csv_read__column(table, name));
}

static const char *fact(const struct table *table, const char *name)
{
	return fact_at(table, 1, name);
}

/* Is this row the first of its engine, or of its way to find dirty pages, with that op? */
static bool is_first(const struct table *table, size_t row, const char *op)
{
	const char *engine = fact_at(table, row, "engine");

	if (strcmp(fact_at(table, row, "op"), op) != 0)
		return false;
	for (size_t i = 1; i < row; i++)
		if (!strcmp(fact_at(table, i, "op"), op) &&
		    !strcmp(fact_at(table, i, "engine"), engine))
			return false;
	return true;
}

/* engine NULL: the peers of the engines. */
static void print_engine(const struct table *table, const char *title, const char *engine,
			 bool markdown)
{
	bool timed = printout__is_timed(table);
	const char *indent = markdown ? "" : "  ";

	for (int ratios = !timed; ratios < 2; ratios++) {
		printf("%s%s%s, %s:\n\n", indent, title, engine ? engine : "",
		       ratios ? "ratios to memcpy of the same bytes" : "medians");
		print_sizes(table, engine, ratios, markdown);
	}
}

/* A table for each engine, or way, that has a row with that op. */
static void print_engines(const struct table *table, const char *title, const char *op,
			  bool markdown)
{
	for (size_t row = 1; row < table->rows; row++)
		if (is_first(table, row, op))
			print_engine(table, title, fact_at(table, row, "engine"), markdown);
}

int main(int argc, char **argv)
{
	bool markdown = argc == 3 && !strcmp(argv[1], "--markdown");
	struct table table;

	bench__check_usage(argc, argv, argc != 2 + markdown, "bench_table [--markdown] FILE");
	csv_read__open(argv[argc - 1], 0, &table);
	errno = 0;
	if (table.rows < 2)
		BENCH_DIE("%s has no rows", argv[argc - 1]);
	printf("%sMeasured %s on Linux %s, %s, at commit %s.\n\n", markdown ? "" : "\n  ",
	       fact(&table, "time_utc"), fact(&table, "kernel"), fact(&table, "cpu"),
	       fact(&table, "commit"));
	print_engine(&table, "Other ways", NULL, markdown);
	print_engines(&table, "Engine ", "checkpoint", markdown);
	print_engines(&table, "Dirty pages found by --dirty ", "way_checkpoint", markdown);
	print_figures(&table, markdown);
	csv_read__close(&table);
	return 0;
}
