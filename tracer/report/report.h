/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The report of a run: one CSV row for each operation, written when it ends (docs/reports.md), and
 * the totals for the summary.
 */
#ifndef TRACER_REPORT_REPORT_H
#define TRACER_REPORT_REPORT_H

#include <stdint.h>
#include <sys/types.h>
#include <linux/types.h>
#include "tracer.h"
#include "engine/dirty_way.h"
#include "report/histogram.h"

enum operation_status { STATUS_OK, STATUS_PARTIAL, STATUS_FAILED };

struct operation_row { /* one operation; counts are chunks unless they say otherwise */
	uint64_t sequence;
	uint64_t ranges;
	uint64_t chunks; /* in the store */
	uint64_t bytes;  /* moved */
	uint64_t absent;
	uint64_t repaired;
	uint64_t failed;
	uint64_t fresh;       /* registered after the checkpoint, not changed */
	uint64_t gone;        /* saved, but unmapped since */
	uint64_t clean;       /* not changed since the checkpoint, not written */
	uint64_t dirty_pages; /* pages that were looked at, for they may differ */
	uint64_t copy_ns;
	uint64_t latency_ns; /* 0: it never completed */
	pid_t pid;
	enum operation_kind kind;
	enum operation_status status;
	const char *restore_path; /* "bpf", "process_vm" or "-" */
	enum dirty_way dirty_way; /* how these pages were found; DIRTY_AUTO: there are none */
	char comm[17];
};

struct totals {                   /* of one kind of operation */
	struct histogram latency; /* of the ok ones */
	uint64_t count, ok, partial, failed_operations;
	uint64_t bytes, copy_ns, absent, repaired, failed, gone, dirty_pages;
	uint64_t ways[DIRTY_WAYS]; /* of operations that found their pages so */
};

struct report;

/*
 * Creates the CSV file.
 * path: where; NULL: results/PROGRAM-TIME-PID.csv, in the source tree's results/ when the tracer
 * runs from its build/, otherwise in ./results, which is created.
 * program: base name of the program, for the default path and nothing else.
 * engine, regions, kernel: constant columns, copied.
 * Returns 0 and *ret_report, or -errno after saying on stderr what cannot be written.
 */
int report__create(const char *path, const char *program, const char *engine, const char *regions,
		   const char *kernel, struct report **ret_report);

const char *report__path(const struct report *report);

/* "checkpoint", "restore" or "rollback". */
const char *report__kind_name(enum operation_kind kind);

/* Appends a row and adds it to the totals. A row that cannot be written is counted, and the first
 * one is told on stderr; the next rows are still tried. */
void report__add(struct report *report, const struct operation_row *row);

const struct totals *report__totals(const struct report *report, enum operation_kind kind);
uint64_t report__rows_lost(const struct report *report);

/* Removes the file if its name was chosen here: nothing was traced. */
void report__discard(const struct report *report);

/* report__free(NULL) is harmless; the file stays. */
void report__free(struct report *report);

#endif
