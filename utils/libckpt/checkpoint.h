/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One request for a checkpoint: which kind of image comes next, and who writes it, the process
 * itself or a child (CKPT_FORK). Usable inside a signal handler, while all other threads stand
 * still.
 */
#ifndef LIBCKPT_CHECKPOINT_H
#define LIBCKPT_CHECKPOINT_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "libckpt/dirty.h"
#include "libckpt/history.h"
#include "libckpt/settings.h"

/* All zeros at the start. */
struct checkpoint {
	pid_t child;                 /* who writes, with CKPT_FORK; 0: nobody */
	struct history_item pending; /* the image that is being written */
	char temporary[PATH_MAX];    /* where the child writes it */
	struct history history;
	struct dirty dirty;
};

/* What else goes into the image. */
struct checkpoint_context {
	struct stopped_thread *leader; /* and all others behind it */
	struct image_restart *restart;
	struct image_run variables; /* all that the library changes */
	bool lacks_timers;          /* some cannot be brought back */
	uint64_t come_again;        /* signals, as capture__missing takes them */
};

/* Is the child of an earlier request still writing? If it has just ended, its image is taken into
 * account. */
bool checkpoint__is_busy(struct checkpoint *checkpoint, const struct settings *settings);

/* Writes an image, or has a child write it. start_ns: clock__now_ns at the request. Says on
 * standard error what fails. */
void checkpoint__take(struct checkpoint *checkpoint, const struct settings *settings,
		      const struct checkpoint_context *context, uint64_t start_ns);

/* Forgets what the process knew before it was brought back. */
void checkpoint__come_back(struct checkpoint *checkpoint);

#endif
