/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a checkpoint or a rollback of an attached process has done.
 */
#ifndef TRACER_ATTACH_ATTACH_RESULT_H
#define TRACER_ATTACH_ATTACH_RESULT_H

#include <stdint.h>

enum { ATTACH_NAME_BYTES = 64 }; /* of a checkpoint, with the NUL */

/* How pages were found that may have changed: the words of the column dirty_way (reports.md). */
enum attach_found {
	ATTACH_COMPARED,   /* all pages may have */
	ATTACH_SOFT_DIRTY, /* by soft-dirty bits of all pages */
	ATTACH_SCANNED,    /* by a scan of all pages */
	ATTACH_LISTED,     /* by the list of faults */
};

/* What an operation has done. */
struct attach_result {
	char name[ATTACH_NAME_BYTES]; /* of the checkpoint */
	uint64_t pages;               /* new in a checkpoint, without zeros, or written back */
	uint64_t bytes;               /* of these pages */
	uint64_t stop_ns; /* from the first thread that stops to the last that goes on */
	enum attach_found found;
	uint32_t threads;          /* of the checkpoint */
	uint32_t ended;            /* threads that the rollback has ended */
	uint32_t unmapped, mapped; /* mappings that the rollback has taken away, and made */
};

/* Called when a rollback has succeeded, before any thread goes on. name: of the checkpoint. */
typedef void attach_return(const char *name, void *argument);

#endif
