/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The summary at the end of a run, see summary.h.
 */
#include "report/summary.h"

#include <stdarg.h>
#include "base/log.h"
#include "base/procfs.h"

static const char *const counter_texts[] = {
	[COUNTER_EVENTS_LOST] = "events lost, the ring was full (ranges were read anew)",
	[COUNTER_PATHS_UNREAD] = "paths that could not be read",
	[COUNTER_CALLS_UNTRACKED] = "system calls not followed, no memory",
	[COUNTER_CHUNKS_REFUSED] = "ranges that had to wait for a larger chunk store",
	[COUNTER_RANGES_DEFERRED] = "long ranges left to user space",
	[COUNTER_REQUESTS_BUSY] = "requests ignored, another operation was under way",
	[COUNTER_COPY_FAILED] = "copies broken off",
	[COUNTER_PROGRAM_MISSING] =
		"copies broken off, the BPF program that continues them was missing",
	[COUNTER_MOVES_REFUSED] = "calls of mremap(2) that have failed with EFAULT",
	[COUNTER_SLABS_DAMAGED] = "slabs that are not what was saved, and were not restored",
};
_Static_assert(sizeof(counter_texts) / sizeof(*counter_texts) == COUNTERS,
	       "a text for each counter");

static bool has_operations(const struct report *report)
{
	bool has_any = false;

	for (int kind = 0; kind < OPERATION_KINDS; kind++)
		has_any |= report__totals(report, kind)->count > 0;
	return has_any;
}

static void print_operations(const struct report *report, FILE *out)
{
	if (!has_operations(report))
		return;
	fprintf(out, "  %-10s %7s %7s %7s %10s %10s %10s %11s %12s\n", "operation", "ok", "partial",
		"failed", "min us", "median us", "p99 us", "copy MiB/s", "bytes");
	for (int kind = 0; kind < OPERATION_KINDS; kind++) {
		const struct totals *totals = report__totals(report, kind);
		const struct histogram *latency = &totals->latency;

		if (!totals->count)
			continue;
		fprintf(out, "  %-10s %7lu %7lu %7lu %10.1f %10.1f %10.1f %11.0f %12lu\n",
			report__kind_name(kind), (unsigned long)totals->ok,
			(unsigned long)totals->partial, (unsigned long)totals->failed_operations,
			(double)latency->minimum / 1e3,
			(double)histogram__quantile(latency, 0.5) / 1e3,
			(double)histogram__quantile(latency, 0.99) / 1e3,
			totals->copy_ns ? (double)totals->bytes / 1048576.0 /
						  ((double)totals->copy_ns / 1e9)
					: 0,
			(unsigned long)totals->bytes);
	}
}

/* Which pages could differ from the snapshot, and how that was found. */
static void print_dirty(const struct report *report, FILE *out)
{
	const char *separator = "  ";

	for (int kind = 0; kind < OPERATION_KINDS; kind++) {
		const struct totals *totals = report__totals(report, kind);

		if (totals->count == totals->ways[DIRTY_AUTO])
			continue;
		fprintf(out, "%s%ss: ", separator, report__kind_name(kind));
		for (int way = DIRTY_AUTO + 1; way < DIRTY_WAYS; way++)
			if (totals->ways[way])
				fprintf(out, "%lu by %s, ", (unsigned long)totals->ways[way],
					dirty_way__name(way));
		fprintf(out, "%lu pages looked at", (unsigned long)totals->dirty_pages);
		separator = "; ";
	}
	if (*separator == ';')
		fputc('\n', out);
}

/* One line that lists all counts but zeros. No line if all are zero. */
struct note {
	FILE *out;
	bool begun;
};

static void __attribute__((format(printf, 3, 4)))
add_to_note(struct note *note, uint64_t count, const char *format, ...)
{
	va_list arguments;

	if (!count)
		return;
	fprintf(note->out, "%s%lu ", note->begun ? "; " : "  note: ", (unsigned long)count);
	va_start(arguments, format);
	vfprintf(note->out, format, arguments);
	va_end(arguments);
	note->begun = true;
}

static void print_note(const struct report *report, const struct state *state, FILE *out)
{
	struct note note = {.out = out};

	for (int kind = 0; kind < OPERATION_KINDS; kind++) {
		const struct totals *totals = report__totals(report, kind);
		const char *name = report__kind_name(kind);

		add_to_note(&note, totals->repaired, "chunks repaired by %ss", name);
		add_to_note(&note, totals->failed, "chunks failed in %ss", name);
		add_to_note(&note, totals->gone, "chunks gone at %ss", name);
	}
	for (int i = 0; i < COUNTERS; i++)
		add_to_note(&note, state->counters[i], "%s", counter_texts[i]);
	add_to_note(&note, report__rows_lost(report), "rows of the report lost");
	if (note.begun)
		fputc('\n', out);
}

static void print_chunks(const struct report *report, FILE *out)
{
	fprintf(out, "  %-10s %10s %10s %10s %10s\n", "chunks", "absent", "repaired", "failed",
		"gone");
	for (int kind = 0; kind < OPERATION_KINDS; kind++) {
		const struct totals *totals = report__totals(report, kind);

		if (kind == OPERATION_ROLLBACK)
			continue;
		fprintf(out, "  %-10s %10lu %10lu %10lu %10lu\n", report__kind_name(kind),
			(unsigned long)totals->absent, (unsigned long)totals->repaired,
			(unsigned long)totals->failed, (unsigned long)totals->gone);
	}
}

/* The time inside BPF, by powers of two. */
static void print_latency(const struct state *state, FILE *out)
{
	fprintf(out, "  %-24s %10s %10s\n", "copy inside BPF", "checkpoint", "restore");
	for (int bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
		uint64_t checkpoints = state->latency[OPERATION_CHECKPOINT][bucket];
		uint64_t restores = state->latency[OPERATION_RESTORE][bucket];

		if (checkpoints || restores)
			fprintf(out, "  %9.1f to %9.1f us %10lu %10lu\n",
				(double)(1ULL << bucket) / 1e3, (double)(2ULL << bucket) / 1e3,
				(unsigned long)checkpoints, (unsigned long)restores);
	}
}

static void print_map(const char *name, uint64_t places, uint64_t memory, void *out)
{
	fprintf(out, "  %-16s %10s %10lu %12lu\n", name, "-", (unsigned long)places,
		(unsigned long)memory / 1024);
}

static void print_account(const struct engine_account *account, void *out)
{
	if (account->entries == UINT64_MAX) {
		print_map(account->name, account->places, account->bytes, out);
		return;
	}
	fprintf(out, "  %-16s %10lu %10lu %12lu", account->name, (unsigned long)account->entries,
		(unsigned long)account->places, (unsigned long)account->bytes / 1024);
	if (account->limit)
		fprintf(out, "  (limit %lu)", (unsigned long)account->limit);
	fputc('\n', out);
}

static void print_maps(const struct hooks *hooks, const struct snapshot *snapshot, FILE *out)
{
	fprintf(out, "  %-16s %10s %10s %12s\n", "map", "entries", "places", "memory KiB");
	snapshot__account(snapshot, print_account, out);
	hooks__for_each_map(hooks, print_map, out);
}

static void print_memory(FILE *out)
{
	uint64_t peak_kib = 0;

	(void)procfs__status_u64(0, "VmHWM", &peak_kib); /* 0 then says that it is not known */
	fprintf(out, "  peak resident memory of the tracer: %lu KiB\n", (unsigned long)peak_kib);
}

void summary__print(const struct report *report, const struct hooks *hooks,
		    const struct snapshot *snapshot, const struct state *state, bool stats,
		    FILE *out)
{
	fprintf(out, "\n");
	print_operations(report, out);
	print_dirty(report, out);
	if (stats) {
		print_chunks(report, out);
		print_latency(state, out);
		print_maps(hooks, snapshot, out);
		print_memory(out);
	}
	print_note(report, state, out);
	fprintf(out, "  report: %s\n", report__path(report));
}
