/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Sums up samples: reads each STEM.samples (bench.h has the format) and the tracer's report
 * STEM.csv of the same run, if there is one, and writes a CSV file with one row for each figure. A
 * request in the samples is found in the report by its number; a missing or failed one is an error.
 *
 * A ratio is the median of the ratios within the rounds. The times of a round were taken within the
 * same fraction of a second, so noise that lasts hits both. Without rounds, it is the ratio of the
 * medians.
 */
#include <getopt.h>
#include <math.h>
#include <unistd.h>
#include "base/csv.h"
#include "bench.h"
#include "csv_read.h"

static const char *const columns[] = {
	"time_utc",
	"kernel",
	"cpu",
	"commit",
	"op",
	"variant",
	"engine",
	"bytes",
	"samples",
	"chunks",
	"latency_ns",
	"latency_min_ns",
	"latency_p10_ns",
	"latency_p90_ns",
	"latency_to_memcpy",
	"latency_to_process_vm",
	"latency_to_untraced",
	"copy_ns",
	"copy_min_ns",
	"copy_p10_ns",
	"copy_p90_ns",
	"copy_to_memcpy",
	"copy_to_process_vm",
	"ns_per_chunk",
	"per_second",
	"bytes_per_chunk",
	"restore_path",
	"latency_to_checkpoint",
	"copy_to_checkpoint",
	"store_bytes",
	"store_per_byte",
};

enum unit { UNIT_NS, UNIT_PER_SECOND, UNIT_BYTES_PER_CHUNK, UNIT_STORE_BYTES };

enum peer { PEER_MEMCPY, PEER_READV, PEER_WRITEV, PEER_CHECKPOINT, PEERS };

static const char *const peer_ops[PEERS] = {"memcpy", "process_vm_readv", "process_vm_writev",
					    "checkpoint"};

struct values {
	double *items;
	size_t count, capacity;
};

struct group { /* the samples of one figure */
	char op[40], variant[24], engine[16], restore_path[16];
	uint64_t bytes;
	struct values latency, copy, chunks;
	struct values latency_to[PEERS], copy_to[PEERS];
	struct values to_untraced;
	/* ---- of a group without a tracer ---- */
	double last;
	size_t in_a_row; /* values since the last one with a tracer */
	bool is_taken;   /* there was one with a tracer since the last value */
};

/* The last times of each peer in a run, NAN before the first. If a peer is no request, its whole
 * time counts as its copy. */
struct round {
	double latency[PEERS], copy[PEERS];
};

struct spread {
	double median, minimum, p10, p90;
};

struct collection {
	struct group *groups;
	size_t count;
	const char *output, *time, *kernel, *cpu, *commit;
	int emulated; /* then no absolute time leaves this program */
};

/* ---- reading ---- */

static void add(struct values *values, double value)
{
	if (values->count == values->capacity) {
		values->capacity = values->capacity ? 2 * values->capacity : 64;
		values->items = realloc(values->items, values->capacity * sizeof(*values->items));
		if (!values->items)
			BENCH_DIE("no memory for the samples");
	}
	values->items[values->count++] = value;
}

static struct group *find(const struct collection *all, const char *op, const char *variant,
			  const char *engine, uint64_t bytes)
{
	for (size_t i = 0; i < all->count; i++) {
		struct group *group = &all->groups[i];

		if (group->bytes == bytes && !strcmp(group->op, op) &&
		    !strcmp(group->variant, variant) && !strcmp(group->engine, engine))
			return group;
	}
	return NULL;
}

static struct group *find_or_make(struct collection *all, const char *op, const char *variant,
				  const char *engine, uint64_t bytes)
{
	struct group *group = find(all, op, variant, engine, bytes);

	if (group)
		return group;
	all->groups = realloc(all->groups, (all->count + 1) * sizeof(*all->groups));
	if (!all->groups)
		BENCH_DIE("no memory for the samples");
	group = &all->groups[all->count++];
	*group = (struct group){.bytes = bytes};
	snprintf(group->op, sizeof(group->op), "%s", op);
	snprintf(group->variant, sizeof(group->variant), "%s", variant);
	snprintf(group->engine, sizeof(group->engine), "%s", engine);
	return group;
}

/* Returns the time of the copy. */
static double add_request(struct group *group, const struct table *report, const char *sequence)
{
	size_t by = csv_read__column(report, "seq"), row = 1;
	double copy_ns;

	while (row < report->rows && strcmp(csv_read__cell(report, row, by), sequence) != 0)
		row++;
	errno = 0;
	if (row == report->rows ||
	    strcmp(csv_read__cell(report, row, csv_read__column(report, "op")), group->op) != 0 ||
	    strcmp(csv_read__cell(report, row, csv_read__column(report, "status")), "ok") != 0)
		BENCH_DIE("the tracer's report has no good %s as number %s", group->op, sequence);
	copy_ns = strtod(csv_read__cell(report, row, csv_read__column(report, "copy_ns")), NULL);
	add(&group->copy, copy_ns);
	add(&group->chunks,
	    strtod(csv_read__cell(report, row, csv_read__column(report, "chunks")), NULL));
	snprintf(group->restore_path, sizeof(group->restore_path), "%s",
		 csv_read__cell(report, row, csv_read__column(report, "restore_path")));
	return copy_ns;
}

static void add_ratios(struct group *group, struct round *round, double latency_ns, double copy_ns)
{
	for (int i = 0; i < PEERS; i++) {
		if (!strcmp(group->op, peer_ops[i]) && !strcmp(group->variant, "-")) {
			round->latency[i] = latency_ns;
			round->copy[i] = isnan(copy_ns) ? latency_ns : copy_ns;
		}
		if (isnan(round->latency[i]))
			continue;
		add(&group->latency_to[i], latency_ns / round->latency[i]);
		if (!isnan(copy_ns))
			add(&group->copy_to[i], copy_ns / round->copy[i]);
	}
}

/* Where values without a tracer and with one were taken in turns, each is compared with the last
 * one without. */
static void add_untraced(const struct collection *all, struct group *group, double value)
{
	struct group *untraced = find(all, group->op, "off", "-", group->bytes);

	if (!untraced)
		return;
	if (group != untraced) {
		untraced->is_taken = true;
		if (untraced->in_a_row == 1)
			add(&group->to_untraced, value / untraced->last);
		return;
	}
	untraced->last = value;
	untraced->in_a_row = untraced->is_taken ? 1 : untraced->in_a_row + 1;
	untraced->is_taken = false;
}

static void read_run(struct collection *all, const char *stem)
{
	enum { OP, VARIANT, ENGINE, BYTES, SEQUENCE, VALUE, FIELDS };
	struct table samples, report = {0};
	struct round round;
	char path[4096];

	for (int i = 0; i < PEERS; i++)
		round.latency[i] = round.copy[i] = NAN;
	snprintf(path, sizeof(path), "%s.csv", stem);
	if (!access(path, R_OK))
		csv_read__open(path, 0, &report);
	snprintf(path, sizeof(path), "%s.samples", stem);
	csv_read__open(path, FIELDS, &samples);
	for (size_t i = 0; i < samples.rows; i++) {
		const char *sequence = csv_read__cell(&samples, i, SEQUENCE);
		struct group *group = find_or_make(
			all, csv_read__cell(&samples, i, OP), csv_read__cell(&samples, i, VARIANT),
			csv_read__cell(&samples, i, ENGINE),
			strtoull(csv_read__cell(&samples, i, BYTES), NULL, 10));
		double value = strtod(csv_read__cell(&samples, i, VALUE), NULL), copy_ns = NAN;

		add(&group->latency, value);
		if (strcmp(sequence, "0") != 0)
			copy_ns = add_request(group, &report, sequence);
		add_ratios(group, &round, value, copy_ns);
		add_untraced(all, group, value);
	}
	csv_read__close(&samples);
	csv_read__close(&report);
}

/* ---- summing up ---- */

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* Nearest ranks. Without a sample all are NAN, which becomes an empty field. */
static struct spread spread_of(const struct values *values)
{
	struct spread spread = {NAN, NAN, NAN, NAN};
	size_t last = values->count - 1;

	if (!values->count)
		return spread;
	qsort(values->items, values->count, sizeof(*values->items), compare);
	spread.median = (values->items[last / 2] + values->items[(last + 1) / 2]) / 2;
	spread.minimum = values->items[0];
	spread.p10 = values->items[(last + 5) / 10];
	spread.p90 = values->items[(last * 9 + 5) / 10];
	return spread;
}

static double median_of(const struct collection *all, const char *op, const char *variant,
			uint64_t bytes)
{
	struct group *group = find(all, op, variant, "-", bytes);

	return group ? spread_of(&group->latency).median : NAN;
}

/* What the tracer adds to a system call becomes an op of its own. */
static void add_difference(struct collection *all, const struct group *from, const char *op)
{
	double untraced = median_of(all, from->op, "off", from->bytes);
	struct group copy = *from, *group; /* the groups may move */

	if (isnan(untraced))
		return;
	group = find_or_make(all, op, "-", copy.engine, copy.bytes);
	for (size_t i = 0; i < copy.latency.count; i++) {
		add(&group->latency, copy.latency.items[i] - untraced);
		add(&group->chunks, (double)copy.bytes / CHUNK);
	}
}

static void add_differences(struct collection *all)
{
	static const char *const names[][2] = {
		{"mmap", "register"}, {"munmap", "unregister"}, {"map_pair", "map_pair_added"}};
	size_t count = all->count;

	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < sizeof(names) / sizeof(*names); j++)
			if (!strcmp(all->groups[i].op, names[j][0]) &&
			    !strcmp(all->groups[i].variant, "on"))
				add_difference(all, &all->groups[i], names[j][1]);
}

/* ---- writing ---- */

/* A time, or a figure derived from one: empty for an emulated machine. */
static void write_time(const struct collection *all, struct csv *csv, double value)
{
	csv__double(csv, all->emulated ? NAN : value);
}

static void write_spread(const struct collection *all, struct csv *csv, const struct spread *spread)
{
	write_time(all, csv, spread->median);
	write_time(all, csv, spread->minimum);
	write_time(all, csv, spread->p10);
	write_time(all, csv, spread->p90);
}

static double per_chunk(const struct group *group, double latency_ns, double copy_ns, double chunks)
{
	if (!strcmp(group->op, "store_insert") || !strcmp(group->op, "store_delete"))
		return latency_ns;
	return (isnan(copy_ns) ? latency_ns : copy_ns) / chunks;
}

static enum unit unit_of(const struct group *group)
{
	if (!strcmp(group->op, "pairs"))
		return UNIT_PER_SECOND;
	if (!strcmp(group->op, "store"))
		return UNIT_STORE_BYTES;
	return !strcmp(group->op, "store_bytes_per_chunk") ||
			       !strcmp(group->op, "store_available_per_chunk")
		       ? UNIT_BYTES_PER_CHUNK
		       : UNIT_NS;
}

/* paired: the ratios within the rounds. */
static void write_ratio(const struct collection *all, struct csv *csv, const struct group *group,
			enum peer peer, double value, const struct values *paired)
{
	if (paired[peer].count)
		csv__double(csv, spread_of(&paired[peer]).median);
	else if (peer == PEER_CHECKPOINT || !strcmp(group->variant, "on") ||
		 !strcmp(group->variant, "off"))
		csv__string(csv, NULL); /* compares with itself untraced, not with a copy */
	else
		csv__double(csv, value / median_of(all, peer_ops[peer], "-", group->bytes));
}

static void write_row(const struct collection *all, struct csv *csv, const struct group *group)
{
	enum peer process_vm =
		strcmp(group->op, "restore") != 0 && strcmp(group->op, "process_vm_writev") != 0
			? PEER_READV
			: PEER_WRITEV;
	enum unit unit = unit_of(group);
	const struct spread none = {NAN, NAN, NAN, NAN};
	struct spread value = spread_of(&group->latency), copy = spread_of(&group->copy);
	struct spread latency = unit == UNIT_NS ? value : none;
	double chunks = spread_of(&group->chunks).median;
	double to_untraced = latency.median / median_of(all, group->op, "off", group->bytes);

	if (group->to_untraced.count)
		to_untraced = spread_of(&group->to_untraced).median;
	csv__string(csv, all->time);
	csv__string(csv, all->kernel);
	csv__string(csv, all->cpu);
	csv__string(csv, all->commit);
	csv__string(csv, group->op);
	csv__string(csv, group->variant);
	csv__string(csv, group->engine);
	csv__u64(csv, group->bytes);
	csv__u64(csv, group->latency.count);
	csv__double(csv, chunks);
	write_spread(all, csv, &latency);
	write_ratio(all, csv, group, PEER_MEMCPY, latency.median, group->latency_to);
	write_ratio(all, csv, group, process_vm, latency.median, group->latency_to);
	csv__double(csv, to_untraced);
	write_spread(all, csv, &copy);
	write_ratio(all, csv, group, PEER_MEMCPY, copy.median, group->copy_to);
	write_ratio(all, csv, group, process_vm, copy.median, group->copy_to);
	write_time(all, csv, per_chunk(group, latency.median, copy.median, chunks));
	write_time(all, csv, unit == UNIT_PER_SECOND ? value.median : NAN);
	csv__double(csv, unit == UNIT_BYTES_PER_CHUNK ? value.median : NAN);
	csv__string(csv, group->restore_path);
	write_ratio(all, csv, group, PEER_CHECKPOINT, latency.median, group->latency_to);
	write_ratio(all, csv, group, PEER_CHECKPOINT, copy.median, group->copy_to);
	csv__double(csv, unit == UNIT_STORE_BYTES ? value.median : NAN);
	csv__double(csv, unit == UNIT_STORE_BYTES ? value.median / (double)group->bytes : NAN);
	if (csv__end_row(csv))
		BENCH_DIE("cannot write %s", all->output);
}

static void free_groups(struct collection *all)
{
	for (size_t i = 0; i < all->count; i++) {
		free(all->groups[i].latency.items);
		free(all->groups[i].copy.items);
		free(all->groups[i].chunks.items);
		free(all->groups[i].to_untraced.items);
		for (int j = 0; j < PEERS; j++) {
			free(all->groups[i].latency_to[j].items);
			free(all->groups[i].copy_to[j].items);
		}
	}
	free(all->groups);
}

int main(int argc, char **argv)
{
	const char *usage =
		"bench_collect -o FILE -t TIME -k KERNEL -c CPU -r REVISION [-e] STEM...";
	struct collection all = {.time = "", .kernel = "", .cpu = "", .commit = ""};
	struct csv *csv;
	int option, err;

	bench__check_usage(argc, argv, argc < 2, usage);
	while ((option = getopt(argc, argv, "o:t:k:c:r:e")) != -1) {
		switch (option) {
		case 'o':
			all.output = optarg;
			break;
		case 't':
			all.time = optarg;
			break;
		case 'k':
			all.kernel = optarg;
			break;
		case 'c':
			all.cpu = optarg;
			break;
		case 'r':
			all.commit = optarg;
			break;
		case 'e':
			all.emulated = 1;
			break;
		default:
			return 2;
		}
	}
	bench__check_usage(argc, argv, !all.output || optind == argc, usage);
	for (int i = optind; i < argc; i++)
		read_run(&all, argv[i]);
	add_differences(&all);
	err = csv__create(all.output, columns, sizeof(columns) / sizeof(*columns), 1, &csv);
	errno = -err;
	if (err)
		BENCH_DIE("cannot write %s", all.output);
	for (size_t i = 0; i < all.count; i++)
		write_row(&all, csv, &all.groups[i]);
	csv__free(csv);
	free_groups(&all);
	return 0;
}
