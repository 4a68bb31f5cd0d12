/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Writing the image of the calling process, whose threads stand still. Used inside a signal handler.
 */
#ifndef CKPT_SAVE_H
#define CKPT_SAVE_H

#include "ckpt/capture.h"
#include "ckpt/image.h"

/* What is to be written. */
struct save_order {
	const char *path;
	struct visitor *visitors;       /* all threads, the leader first */
	struct image_restart *restart;  /* for image_process.restart */
	const struct image_run *moving; /* memory that changes while it is written */
	size_t moving_count;
	pid_t pid; /* of the process; the caller may be its child */
};

/* What came of it. */
struct save_result {
	uint64_t id;      /* of the image */
	uint64_t bytes;   /* of memory looked at */
	size_t mappings;
	const char *step; /* what failed */
	int step_names_path; /* is the path the object of the step? "cannot create PATH" */
};

/* Returns 0 or -errno; the file that was at the path before is then untouched. *result is set in
 * any case. */
int save__image(const struct save_order *order, struct save_result *result);

#endif
