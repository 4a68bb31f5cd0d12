/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Prints the goals of the tracer beside the figures in a file of bench_collect, as text, or with
 * --markdown as in results/reference.md. Each goal is a ratio of two figures of the same run, for
 * machines differ, and so do hours. It judges and never fails: a clock is no test. On an emulated
 * machine nothing is judged, because the goals are those of a real one.
 */
#include "bench.h"
#include "printout.h"

enum kind {
	KIND_FIGURE,  /* the figure at bytes */
	KIND_INVERSE, /* its inverse */
	KIND_LEAST,   /* the worst of the sizes from bytes to last: the least inverse */
	KIND_MOST,    /* the worst of the sizes from bytes to last: the greatest figure */
	KIND_SLOWER,  /* how much longer the other engine takes, at bytes */
	KIND_FASTER,  /* how much longer it takes to compare all pages, at bytes */
	KIND_FURTHER, /* what it takes longer at last than at bytes, in % of compare */
	KIND_BETTER, /* the worst of all sizes, compared with the better one of two other engines */
	KIND_SLOPE,  /* the cost of each byte between two sizes, without constant costs */
	KIND_INSERT, /* by what it takes to insert a chunk into a bare hash */
};

static const struct goal {
	const char *what, *unit;
	const char *op, *variant, *engine;
	uint64_t bytes, last;
	const char *value;
	double goal;
	enum kind kind;
	bool at_least;
} goals[] = {
	{"chunk: checkpoint of 1 MiB, copy", "times process_vm_readv", "checkpoint", "-", "chunk",
	 1 << 20, 0, "copy_to_process_vm", 8, KIND_FIGURE, false},
	{"chunk: register at mmap, 1 MiB", "times an insertion alone", "register", "-", "chunk",
	 1 << 20, 0, "ns_per_chunk", 1, KIND_INSERT, false},
	{"auto: pair with the client library", "times its calls alone", "client_pair", "on", "auto",
	 4096, 0, "latency_to_untraced", 3, KIND_FIGURE, false},
	{"auto: pair with fopen, access and sleep(0)", "times its calls alone", "file_pair", "on",
	 "auto", 4096, 0, "latency_to_untraced", 1.5, KIND_FIGURE, false},
	{"slab: speed of the copy of a checkpoint, worst of 1 MiB to 1 GiB",
	 "times process_vm_readv", "checkpoint", "-", "slab", 1 << 20, 1 << 30,
	 "copy_to_process_vm", 1.15, KIND_LEAST, true},
	{"the same", "times memcpy", "checkpoint", "-", "slab", 1 << 20, 1 << 30, "copy_to_memcpy",
	 0.5, KIND_LEAST, true},
	{"slab: speed of the whole call, 256 MiB", "times process_vm_readv", "checkpoint", "-",
	 "slab", 256 << 20, 0, "latency_to_process_vm", 1.15, KIND_INVERSE, true},
	{"slab: speed of the whole call, 1 GiB", "times process_vm_readv", "checkpoint", "-",
	 "slab", 1 << 30, 0, "latency_to_process_vm", 1.15, KIND_INVERSE, true},
	{"slab: speed of the copy of a checkpoint of 256 MiB", "times chunk", "checkpoint", "-",
	 "slab", 256 << 20, 0, "copy_to_memcpy", 8, KIND_SLOWER, true},
	{"auto: whole call of a checkpoint, worst of all sizes", "times the better engine",
	 "checkpoint", "-", "auto", 1 << 12, 1 << 28, "latency_ns", 1.1, KIND_BETTER, false},
	{"the same, least of all rounds", "times the better engine", "checkpoint", "-", "auto",
	 1 << 12, 1 << 28, "latency_min_ns", 1.1, KIND_BETTER, false},
	{"slab: restore with nothing dirty, copy, worst of 1 MiB to 1 GiB",
	 "times a checkpoint's copy", "restore", "dirty_0", "slab", 1 << 20, 1 << 30,
	 "copy_to_checkpoint", 1, KIND_MOST, false},
	{"the same, the whole call", "times a checkpoint", "restore", "dirty_0", "slab", 1 << 20,
	 1 << 30, "latency_to_checkpoint", 1, KIND_MOST, false},
	{"auto: mmap+munmap of 1 GiB", "times that without the tracer", "map_pair", "on", "auto",
	 1 << 30, 0, "latency_to_untraced", 3, KIND_FIGURE, false},
	{"auto: malloc and free, speed", "times that without the tracer", "malloc_churn", "on",
	 "auto", 0, 0, "latency_to_untraced", 0.9, KIND_INVERSE, true},
	{"slab: store for each further byte, 1 MiB to 256 MiB", "bytes", "store", "-", "slab",
	 1 << 20, 256 << 20, "store_bytes", 1.05, KIND_SLOPE, false},
	{"faults: restore of 1 GiB, 4 pages dirty", "times compare", "way_restore", "dirty_4_pages",
	 "faults", 1 << 30, 0, "latency_ns", 100, KIND_FASTER, true},
	{"the same, longer than of 1 MiB by", "% of compare", "way_restore", "dirty_4_pages",
	 "faults", 1 << 20, 1 << 30, "latency_ns", 0.55, KIND_FURTHER, false},
	{"faults: restore of 1 GiB, 1 % dirty", "times compare", "way_restore", "dirty_1", "faults",
	 1 << 30, 0, "latency_ns", 12, KIND_FASTER, true},
	{"faults: checkpoint of 1 GiB, 4 pages dirty", "times compare", "way_checkpoint",
	 "dirty_4_pages", "faults", 1 << 30, 0, "latency_ns", 100, KIND_FASTER, true},
	{"the same, longer than of 1 MiB by", "% of compare", "way_checkpoint", "dirty_4_pages",
	 "faults", 1 << 20, 1 << 30, "latency_ns", 0.95, KIND_FURTHER, false},
	{"page fault of another process, while pages are armed", "times that without the tracer",
	 "fault_other", "armed", "-", 0, 0, "latency_to_untraced", 1.1, KIND_FIGURE, false},
	{"the same, while none are armed", "times that without the tracer", "fault_other", "on",
	 "-", 0, 0, "latency_to_untraced", 1.02, KIND_FIGURE, false},
};

static double figure_at(const struct table *table, const struct goal *goal, const char *engine,
			uint64_t bytes)
{
	return printout__figure(table, goal->op, goal->variant, engine, bytes, goal->value);
}

/* The lesser of two; if one is NAN, the other. */
static double least(double a, double b)
{
	return isnan(a) || b < a ? b : a;
}

/* Of the sizes that were measured; NAN if none was. */
static double worst(const struct table *table, const struct goal *goal)
{
	double worst = NAN;

	for (uint64_t bytes = goal->bytes; bytes <= goal->last; bytes *= 2) {
		double value = figure_at(table, goal, goal->engine, bytes);

		if (goal->kind == KIND_BETTER)
			value /= least(figure_at(table, goal, "chunk", bytes),
				       figure_at(table, goal, "slab", bytes));
		worst = -least(-worst, -value);
	}
	return worst;
}

static double measured(const struct table *table, const struct goal *goal)
{
	double first = figure_at(table, goal, goal->engine, goal->bytes);

	switch (goal->kind) {
	case KIND_FIGURE:
		return first;
	case KIND_INVERSE:
		return 1 / first;
	case KIND_LEAST:
		return 1 / worst(table, goal);
	case KIND_MOST:
	case KIND_BETTER:
		return worst(table, goal);
	case KIND_SLOWER:
		return figure_at(table, goal, "chunk", goal->bytes) / first;
	case KIND_FASTER:
		return figure_at(table, goal, "compare", goal->bytes) / first;
	case KIND_FURTHER:
		return (figure_at(table, goal, goal->engine, goal->last) - first) /
		       figure_at(table, goal, "compare", goal->last) * 100;
	case KIND_INSERT:
		return first /
		       printout__figure(table, "store_insert", "prealloc", "-", CHUNK, goal->value);
	case KIND_SLOPE:
		return (figure_at(table, goal, goal->engine, goal->last) - first) /
		       (double)(goal->last - goal->bytes);
	}
	return NAN;
}

static void add_goal(struct printout *out, const struct table *table, const struct goal *goal)
{
	double value = measured(table, goal);
	bool reached = goal->at_least ? value >= goal->goal : value <= goal->goal;

	printout__row(out);
	printout__set(out, 0, "%s", goal->what);
	printout__set(out, 1, "%s %.*f %s", goal->at_least ? "at least" : "at most",
		      goal->goal < 5 ? 2 : 0, goal->goal, goal->unit);
	if (isnan(value))
		printout__set(out, 2, "-");
	else
		printout__set(out, 2, "%.*f", value < 100 ? 2 : 0, value);
	printout__set(out, 3, "%s",
		      isnan(value) || !printout__is_timed(table) ? "not judged here"
		      : reached                                  ? "reached"
								 : "missed");
}

int main(int argc, char **argv)
{
	bool markdown = argc == 3 && !strcmp(argv[1], "--markdown");
	struct printout out = {.columns = 4};
	struct table table;

	bench__check_usage(argc, argv, argc != 2 + markdown, "bench_goals [--markdown] FILE");
	csv_read__open(argv[argc - 1], 0, &table);
	printout__row(&out);
	printout__set(&out, 0, "goal");
	printout__set(&out, 1, "wanted");
	printout__set(&out, 2, "measured");
	printout__set(&out, 3, "reached?");
	for (size_t i = 0; i < sizeof(goals) / sizeof(*goals); i++)
		add_goal(&out, &table, &goals[i]);
	printout__print(&out, markdown, true);
	csv_read__close(&table);
	return 0;
}
