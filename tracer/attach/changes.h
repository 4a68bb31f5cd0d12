/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Which pages of a process that stands still may have changed since write tracking was last armed.
 */
#ifndef TRACER_ATTACH_CHANGES_H
#define TRACER_ATTACH_CHANGES_H

#include "base/intervals.h"
#include "base/procfs.h"
#include "pages/write_tracking.h"

struct changes {                  /* zero-initialised: nothing */
	struct intervals written; /* pages that may have changed */
	struct intervals data;    /* written pages that the process has of its own; others read as
				   * zeros, or as the mapped file */
	struct intervals own;     /* such pages in mappings of files; there, zeros are data too */
	struct intervals unarmed; /* written pages that are not armed */
	struct intervals guards;  /* pages that nobody can use (MADV_GUARD_INSTALL) */
};

/*
 * Looks at all mappings that are saved (layout.h).
 * tracking: how; with WRITE_TRACKING_NONE every page may have changed. pagemap: of the process.
 * quiet: addresses that are left out.
 * ret: its old content is dropped. Returns 0; -ESRCH; -ENOMEM; or another -errno: *ret is then of
 * no use.
 */
int changes__find(const struct write_tracking *tracking, struct pagemap *pagemap,
		  const struct mappings *mappings, const struct intervals *quiet,
		  struct changes *ret);

struct changes_limits {           /* what can have changed, if that is known already */
	struct intervals written; /* pages of anonymous memory that hold data, and were written */
	struct intervals around;  /* in anonymous memory: what has to be looked at */
	struct intervals own;     /* in mappings of files, and perhaps elsewhere: pages that the
				   * process may have of its own, which are not looked at */
	const struct intervals *files; /* mappings of files: each page may have changed */
};

/* The same where it is known what can have changed. */
int changes__find_in(const struct write_tracking *tracking, struct pagemap *pagemap,
		     const struct changes_limits *limits, struct changes *ret);

/* Frees what it holds and empties it; harmless on an empty one. */
void changes__clear(struct changes *changes);

#endif
