/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Everything that the kernel keeps for a process beside its memory, as an image has it. It is read
 * from /proc, and by system calls that the process makes for us (inject.h). For a process that
 * stands still.
 */
#ifndef TRACER_SAVE_DESCRIBE_H
#define TRACER_SAVE_DESCRIBE_H

#include <sys/time.h>
#include "save/landing.h"
#include "image/image_draft.h"
#include "target/registered.h"
#include "target/registers.h"
#include "target/threads.h"

struct described { /* whom, and what is known of it already; all borrowed */
	pid_t process;
	pid_t pid;  /* names it in /proc: its first thread, or another one if that has ended */
	int mem_fd; /* /proc/PID/mem */
	const struct threads *threads;
	const struct registers *registers;   /* of each of them */
	const struct registered *registered; /* by each of them */
};

struct description { /* zero-initialised: empty; must not be moved once it is filled in */
	struct image_draft draft;
	struct itimerval timers[LANDING_TIMERS];
	size_t first; /* which thread is the main one */
	_Alignas(8) uint8_t auxv[1024];
};

/*
 * Fills in the draft: all but mappings, segments and the resume points. The extended state of the
 * registers is borrowed. From the first call that the process makes until
 * freeze__kill_on_death(false), the death of the caller kills the process.
 * Returns 0; -ESRCH; -ENOMEM; -REASON_STATE_NOT_SAVED; -IMAGE_APART; what inject__open_held()
 * returns; or another -errno.
 */
int describe__process(const struct described *process, struct description *ret);

/* Reads the advice of madvise(2) for the mappings of the draft, which must have them. Returns 0,
 * -ENOMEM, -ESRCH or another -errno. The process may run. */
int describe__advice(pid_t pid, struct image_draft *draft);

/* Parts of describe__process(), each in a file of its own. All return 0, -ENOMEM, -ESRCH or another
 * -errno. */

/* What /proc tells. */
int describe__proc(const struct described *process, struct description *ret);

/* The open files. */
int describe__files(pid_t pid, struct image_draft *draft);

/* What the threads answer, each for itself, and the main one for the process. The draft has the
 * threads already. Also returns what inject__open_held() does. */
int describe__ask(const struct described *process, struct description *ret);

/* Which signals are pending, for the process and for each thread. Also returns -IMAGE_APART if a
 * thread has users of its own. */
int describe__status(const struct described *process, struct description *ret);

/* Frees what it holds; harmless on an empty one. */
void describe__clear(struct description *description);

#endif
