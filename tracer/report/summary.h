/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The summary at the end of a run, for people. It has at most ten lines: the operations, anything
 * that was lost or done another way, and the path of the report. With --stats it is longer.
 */
#ifndef TRACER_REPORT_SUMMARY_H
#define TRACER_REPORT_SUMMARY_H

#include <stdbool.h>
#include <stdio.h>
#include "engine/snapshot.h"
#include "kernel/hooks.h"
#include "report/report.h"

/* Writes the summary to out. stats: also sums of chunks, the time inside BPF, maps and memory. */
void summary__print(const struct report *report, const struct hooks *hooks,
		    const struct snapshot *snapshot, const struct state *state, bool stats,
		    FILE *out);

#endif
